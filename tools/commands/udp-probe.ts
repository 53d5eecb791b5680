/** Probes of `trace --udp`: datagrams to ports that nobody listens on, as the first traceroute sent them. */

import { type Hosts, Names } from '../../src/api/node-net/names.ts'
import { NetError, type Node, type Sockets } from '../../src/index.ts'
import type { PingAnswer } from '../control/node-methods.ts'
import type { ProbeOptions } from './prober.ts'

/** Ports that hosts leave free for it; each probe has the next one, so that no answer is taken for another's. */
const FIRST_PORT = 33_434
const PORTS = 512
/** Octets of each datagram. */
const OCTETS = 32

/** One probe: @returns undefined when nobody answers in time. @throws NetError — the name is unknown, or there is no way. */
export type UdpProbe = (host: string, options: ProbeOptions, signal: AbortSignal) => Promise<PingAnswer | undefined>

/** @param hosts names that may be asked for. */
export function udpProbe({ top }: Node<Sockets>, hosts: Hosts): UdpProbe {
  const names = new Names(hosts, top)
  let probes = 0
  return (host, { ttl = 64, timeout }, signal) => {
    const found = names.resolve(host, 0)
    if (NetError.is(found)) return Promise.reject(found)
    const { address, zone } = found
    const port = FIRST_PORT + (probes++ % PORTS)
    return new Promise((resolve, reject) => {
      const begun = performance.now()
      const end = (answer?: PingAnswer): void => {
        clearTimeout(timer)
        signal.removeEventListener('abort', stop)
        socket.close()
        resolve(answer)
      }
      const stop = (): void => end()
      const answered = (from: string, outcome: string): void => {
        const roundTrip = Math.round((performance.now() - begun) * 1000)
        end({ reply: { address: from, outcome, octets: OCTETS, ttl, roundTrip }, way: undefined })
      }
      const socket = top.datagram.bind(
        { options: { ttl } },
        {
          message: (_socket, _octets, _start, _length, from) => answered(`${from.address}`, 'reply'),
          // That nobody listens there is what a host answers.
          error: (_socket, { reason = '' }, remote, from = remote.address) =>
            answered(`${from}`, reason === 'portUnreachable' ? 'reply' : reason),
          softError: (_socket, { reason = '' }, remote, from = remote.address) => answered(`${from}`, reason),
        },
      )
      const timer = setTimeout(stop, timeout)
      signal.addEventListener('abort', stop)
      try {
        socket.connect(address, port, zone || undefined)
        socket.send(new Uint8Array(OCTETS), 0, OCTETS)
      } catch (error) {
        end()
        reject(error)
      }
    })
  }
}
