/**
 * The top of a stack: the transports a node has, side by side over one network, with echo and the handle on the network.
 */
import type { DatagramSockets, IcmpSockets, Sockets, StreamSockets } from '../../src/api/sockets.ts'
import type { Env } from '../../src/kernel/env.ts'
import type { Layer } from '../../src/kernel/layer.ts'
import type { NetworkService } from '../network/service.ts'
import { echo } from './icmp/echo.ts'
import { sourcesOf } from './source.ts'
import { hasIpv6 } from './wildcard.ts'

type Streams = Layer<NetworkService, StreamSockets>
type Datagrams = Layer<NetworkService, DatagramSockets>

/** What a node without datagrams offers: `sockets(tcp())`. */
export type StreamOnlySockets = Omit<Sockets, 'datagram'>

/** What a node without streams offers: `sockets(udp())`. */
export type DatagramOnlySockets = Omit<Sockets, 'stream'>

/** Both transports: `sockets(tcp(), udp())`. What is left out is missing in what the node offers, also by its type. */
export function sockets(streams: Streams, datagrams: Datagrams): Layer<NetworkService, Sockets>
export function sockets(streams: Streams): Layer<NetworkService, StreamOnlySockets>
export function sockets(datagrams: Datagrams): Layer<NetworkService, DatagramOnlySockets>
export function sockets(
  ...transports: readonly (Streams | Datagrams)[]
): Layer<NetworkService, StreamOnlySockets | DatagramOnlySockets | Sockets> {
  return (network: NetworkService, env: Env) => {
    const { icmp } = echo(network, env)
    const common = { network: network.control, ipv6: hasIpv6(network), sourceOf: sourcesOf(network) }
    const offered: Offered = { tier: 'transport', icmp, ...common }
    for (const transport of transports) {
      const made = transport(network, env)
      if ('stream' in made) offered.stream = made.stream
      else offered.datagram = made.datagram
    }
    // The overloads say which transports there are.
    return offered as Sockets
  }
}

/** What is offered while it is put together. */
interface Offered extends IcmpSockets, Pick<Sockets, 'tier' | 'network' | 'ipv6' | 'sourceOf'> {
  stream?: Sockets['stream']
  datagram?: Sockets['datagram']
}
