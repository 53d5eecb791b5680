/** The stand of the tests of IPv6 with a kernel: it is at fd09::1, and ours at fd09::2. */
import { setTimeout as sleep } from 'node:timers/promises'
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
  // Each of both ends looks for duplicates of each of its addresses, and speaks from another one until it has.
  await answers(kernel, `${await found(() => linkLocalOf(node))}%x0`)
  return { kernel, node }
}

/** Our address fe80::…, once it is assigned. */
export function linkLocalOf({ top }: Node<Sockets>): string | undefined {
  const addresses = top.network.links().flatMap((link) => link.addresses)
  return addresses.find((address) => address.startsWith('fe80'))?.split('/')[0]
}

/** Ours looks for duplicates of its addresses first. */
export async function answers({ run }: Namespace, address: string): Promise<void> {
  await run('ping', '-6', '-q', '-c', '1', '-w', '60', address)
}

/** Looks again until something is there, for a minute at the most. */
export async function found<T>(look: () => T | undefined | Promise<T | undefined>): Promise<T | undefined> {
  for (let n = 0; n < 600; n++) {
    const there = await look()
    if (there !== undefined) return there
    await sleep(100)
  }
  return undefined
}

/** The kernel's address of a network on x0, once it has one that is checked. */
export function autoconfigured({ ip }: Namespace, network: string): Promise<string | undefined> {
  return found(() => {
    const [device] = JSON.parse(ip('-6', '-j', 'addr', 'show', 'dev', 'x0'))
    const addresses: { local: string; dynamic?: boolean; tentative?: boolean }[] = device?.addr_info ?? []
    const own = addresses.find(
      ({ local, dynamic, tentative }) => local.startsWith(network.slice(0, -1)) && dynamic && !tentative,
    )
    return own?.local
  })
}
