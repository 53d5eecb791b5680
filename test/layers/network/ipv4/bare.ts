/**
 * IPv4 over a point-to-point link double, and the octets of datagrams and ICMP messages made by other code than that
 * under test.
 */
import t, { type Test } from 'tap'
import type { LinkOffload } from '../../../../layers/datalink/service.ts'
import { ip } from '../../../../layers/network/ip.ts'
import { type Ipv4Options, ipv4 } from '../../../../layers/network/ipv4/ipv4.ts'
import type { NetworkService } from '../../../../layers/network/service.ts'
import { packetsInUse } from '../../../../src/kernel/packet.ts'
import { stack } from '../../../../src/kernel/stack.ts'
import { Simulation } from '../../../../src/runtime/simulation.ts'
import { TestLink } from './link.ts'
import { pattern, referenceChecksum, Sink } from './stand.ts'

/** An experimental protocol number (RFC 3692), so that no transport of ours has a part in it. */
export const PROBE = 253
export const ICMP = 1

/** A node with one point-to-point link that keeps what is sent on it. */
export interface Bare {
  readonly sim: Simulation
  readonly network: NetworkService
  readonly wire: TestLink
  readonly sink: Sink
}

/** 10.0.0.1/24 with the gateway 10.0.0.254. */
export function stand(options: Ipv4Options = {}, offload?: LinkOffload): Bare {
  const sim = new Simulation()
  let link: TestLink | undefined
  const node = sim.boot(
    'A',
    stack(
      (env) => {
        link = new TestLink(env, offload)
        return link
      },
      ip(ipv4({ address: '10.0.0.1/24', gateway: '10.0.0.254', ...options })),
    ),
  )
  const wire = link as unknown as TestLink
  return { sim, network: node.top, wire, sink: new Sink(node.top, PROBE) }
}

/** A test on a stand that must leave no packet and no timer. */
export function bare(name: string, body: (t: Test, on: Bare) => Promise<void>, options: Ipv4Options = {}): void {
  t.test(name, async (t) => {
    const before = packetsInUse()
    const on = stand(options)
    await body(t, on)
    await on.sim.close()
    t.equal(packetsInUse(), before, 'every packet was released')
    t.equal(on.sim.timers.size, 0, 'no timer is left')
  })
}

/** Of a datagram; what is left out makes a good one to us. */
export interface Fields {
  readonly source?: string
  readonly destination?: string
  readonly protocol?: number
  readonly ttl?: number
  readonly id?: number
  /** With the fragment offset. */
  readonly flags?: number
  readonly options?: readonly number[]
  readonly payload?: Uint8Array
  /** Added to the total length. */
  readonly length?: number
  readonly version?: number
}

/** A datagram as octets, by other code than the one under test. */
export function datagram(fields: Fields = {}): Uint8Array {
  const { source = '10.0.0.2', destination = '10.0.0.1', protocol = PROBE, ttl = 64, id = 1, flags = 0 } = fields
  const { options = [], payload = pattern(16), length = 0, version = 4 } = fields
  const total = 20 + options.length + payload.length + length
  const octets = Uint8Array.from([
    (version << 4) | (5 + options.length / 4), 0, total >> 8, total & 255,
    id >> 8, id & 255, flags >> 8, flags & 255,
    ttl, protocol, 0, 0,
    ...source.split('.').map(Number), ...destination.split('.').map(Number), ...options, ...payload,
  ]) // biome-ignore format: one word of the header a line
  const sum = referenceChecksum(octets.subarray(0, 20 + options.length))
  octets[10] = sum >> 8
  octets[11] = sum & 255
  return octets
}

/** An ICMP message with its checksum. */
export function icmp(type: number, code: number, rest: number, data: Uint8Array): Uint8Array {
  const octets = Uint8Array.from([
    type,
    code,
    0,
    0,
    rest >>> 24,
    (rest >> 16) & 255,
    (rest >> 8) & 255,
    rest & 255,
    ...data,
  ])
  const sum = referenceChecksum(octets)
  octets[2] = sum >> 8
  octets[3] = sum & 255
  return octets
}

/** As hexadecimal digits. */
export const hex = (octets: Uint8Array | undefined): string => Buffer.from(octets ?? []).toString('hex')
