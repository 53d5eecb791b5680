/** The stacks that are measured. */
import { ethernet } from '../layers/datalink/index.ts'
import { type Ipv4Options, ip, ipv4 } from '../layers/network/index.ts'
import { type CableOptions, cable } from '../layers/physical/index.ts'
import type { PhysicalService } from '../layers/physical/service.ts'
import { sockets, tcp, udp } from '../layers/transport/index.ts'
import type { Sockets } from '../src/api/sockets.ts'
import { type IpAddress, parseAddress } from '../src/kernel/address.ts'
import type { Blueprint } from '../src/kernel/layer.ts'
import { stack } from '../src/kernel/stack.ts'
import type { Node } from '../src/runtime/node.ts'
import { boot } from '../src/runtime/real-time.ts'

/** Two hosts in this process, and where the second is. */
export interface Pair {
  readonly a: Node<Sockets>
  readonly b: Node<Sockets>
  readonly address: string
  readonly ip: IpAddress
}

/**
 * Two hosts joined by a cable that carries Ethernet frames without FCS, as a network card hands them over, and takes
 * neither super-segments nor unfinished checksums.
 */
export async function cablePair(options: CableOptions<'ethernet'> = {}): Promise<Pair> {
  const [left, right] = cable({ medium: 'ethernet', ...options })
  const a = await boot(host(left, '10.0.0.1/24'), 'A')
  const b = await boot(host(right, '10.0.0.2/24'), 'B')
  const address = '10.0.0.2'
  return { a, b, address, ip: parseAddress(address, 'address') }
}

/** A host with one link. */
export function host(
  link: Blueprint<PhysicalService<'frames' | 'ethernet'>>,
  address: string,
  options: Omit<Ipv4Options, 'address'> = {},
): Blueprint<Sockets> {
  return stack(link, ethernet(), ip(ipv4({ ...options, address })), sockets(tcp(), udp()))
}
