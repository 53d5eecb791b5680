/** The stand of the tests of IPv6 with a kernel: it is at fd09::1, and ours at fd09::2. */
import {
  boot,
  ethernet,
  type FamilyBlueprint,
  ip,
  ipv6,
  type Node,
  type Sockets,
  sockets,
  stack,
  tapDevice,
  tcp,
  udp,
} from '../../src/index.ts'
import { type Cleaning, type Namespace, namespace } from './helpers.ts'

export const OURS = 'fd09::2'
export const THEIRS = 'fd09::1'

/** A kernel at fd09::1 on x0, and ours at fd09::2. @param more other families of ours. */
export async function pair(
  t: Cleaning,
  vnetHdr: boolean,
  more: readonly FamilyBlueprint[] = [],
): Promise<{ kernel: Namespace; node: Node<Sockets> }> {
  const kernel = namespace(t)
  const device = tapDevice({ name: 'x0', netns: kernel.name, vnetHdr })
  const host = ip(ipv6({ address: `${OURS}/64` }), ...more)
  const node = await boot(stack(device, ethernet(), host, sockets(tcp(), udp())), 'ours')
  t.teardown(() => node.close())
  kernel.ip('addr', 'add', `${THEIRS}/64`, 'dev', 'x0', 'nodad')
  await answers(kernel, OURS)
  return { kernel, node }
}

/** Ours looks for duplicates of its addresses first. */
export async function answers({ run }: Namespace, address: string): Promise<void> {
  await run('ping', '-6', '-q', '-c', '1', '-w', '8', address)
}
