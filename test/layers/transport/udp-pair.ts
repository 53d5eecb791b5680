/** Two hosts on one cable, on virtual time, with UDP alone; what tests of datagrams and echo stand on. */

import { ethernet } from '../../../layers/datalink/ethernet/ethernet.ts'
import { ip } from '../../../layers/network/ip.ts'
import { type Ipv4Options, ipv4 } from '../../../layers/network/ipv4/ipv4.ts'
import { type CableControl, type CableOptions, cable } from '../../../layers/physical/cable.ts'
import { type DatagramOnlySockets, sockets } from '../../../layers/transport/sockets.ts'
import { type UdpOptions, udp } from '../../../layers/transport/udp/udp.ts'
import type { DatagramHandler, DatagramSocket, Endpoint } from '../../../src/api/sockets.ts'
import { type IpAddress, parseAddress } from '../../../src/kernel/address.ts'
import { stack } from '../../../src/kernel/stack.ts'
import type { Node } from '../../../src/runtime/node.ts'
import { Simulation } from '../../../src/runtime/simulation.ts'

export type Host = Node<DatagramOnlySockets>

export interface Pair {
  readonly sim: Simulation
  readonly a: Host
  readonly b: Host
  readonly link: CableControl
}

export const at = (text: string): IpAddress => parseAddress(text)
export const A: IpAddress = at('10.0.0.1')
export const B: IpAddress = at('10.0.0.2')

export function pair(
  options: { readonly cable?: CableOptions; readonly a?: Partial<Ipv4Options>; readonly udp?: UdpOptions } = {},
): Pair {
  const sim = new Simulation()
  const ends = cable(options.cable ?? {})
  const host = (end: (typeof ends)[0], address: string, more: Partial<Ipv4Options> = {}) =>
    stack(end, ethernet(), ip(ipv4({ address, ...more })), sockets(udp(options.udp)))
  const a = sim.boot('A', host(ends[0], '10.0.0.1/24', options.a))
  const b = sim.boot('B', host(ends[1], '10.0.0.2/24'))
  return { sim, a, b, link: ends.link }
}

interface Told {
  readonly code: string
  readonly reason: string | undefined
}

/** A handler that notes what it is told, one line each. */
export class Ears implements DatagramHandler {
  readonly heard: string[] = []

  message(
    _socket: DatagramSocket,
    octets: Uint8Array,
    start: number,
    length: number,
    from: Endpoint,
    to: Endpoint,
  ): void {
    const text = length > 40 ? `${length} octets` : Buffer.from(octets.subarray(start, start + length)).toString()
    this.heard.push(`${from.address}:${from.port} to ${to.address}: ${text}`)
  }

  writable(): void {
    this.heard.push('writable')
  }

  error(_socket: DatagramSocket, error: Told, remote: Endpoint): void {
    this.heard.push(`${error.code} ${error.reason} about ${remote.address}:${remote.port}`)
  }

  softError(_socket: DatagramSocket, error: Told, remote: Endpoint): void {
    this.heard.push(`soft ${error.code} ${error.reason} about ${remote.address}:${remote.port}`)
  }
}

export const text = (value: string): Uint8Array => new TextEncoder().encode(value)

/** Sends text. */
export function say(socket: DatagramSocket, value: string, to?: IpAddress, port?: number): boolean {
  const octets = text(value)
  return socket.send(octets, 0, octets.length, to, port)
}

export const drops = (host: Host, layer: string): Record<string, number> =>
  host.snapshot().find((boundary) => boundary.name === `${host.name}/${layer}`)?.drops ?? {}

/** What `call` throws, by its code. */
export function codeOf(call: () => unknown): string {
  try {
    call()
  } catch (error) {
    return (error as { code: string }).code
  }
  return 'nothing'
}
