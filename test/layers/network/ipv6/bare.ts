/** IPv6 over a point-to-point link double, and the octets of packets and messages made by other code than that under test. */
import t, { type Test } from 'tap'
import { ETHERTYPE, type LinkOffload } from '../../../../layers/datalink/service.ts'
import { ip } from '../../../../layers/network/ip.ts'
import { readAddress } from '../../../../layers/network/ipv6/header.ts'
import { ipv6 } from '../../../../layers/network/ipv6/ipv6.ts'
import type { Ipv6Options } from '../../../../layers/network/ipv6/options.ts'
import type { NetworkService } from '../../../../layers/network/service.ts'
import { IpAddress, parseAddress } from '../../../../src/kernel/address.ts'
import type { Env } from '../../../../src/kernel/env.ts'
import { packetsInUse } from '../../../../src/kernel/packet.ts'
import { beside, stack } from '../../../../src/kernel/stack.ts'
import { Simulation } from '../../../../src/runtime/simulation.ts'
import { TestLink } from '../ipv4/link.ts'
import { drops, PROBE, pattern, Sink } from './stand.ts'

export const ICMPV6 = 58
/** Numbers of extension headers. */
export const HOP_BY_HOP = 0
export const ROUTING = 43
export const FRAGMENT = 44
export const NONE = 59
export const DESTINATION = 60

/** A node with one point-to-point link that keeps what is sent on it. */
export interface Bare {
  readonly sim: Simulation
  readonly network: NetworkService
  readonly wire: TestLink
  readonly sink: Sink
}

/** fd00::1/64 with the gateway fd00::fe; it heeds no routers, so it asks for none. */
export function stand(options: Ipv6Options = {}, offload?: LinkOffload): Bare {
  const sim = new Simulation()
  let link: TestLink | undefined
  const node = sim.boot(
    'A',
    stack(
      (env) => {
        link = new TestLink(env, offload, ETHERTYPE.ipv6)
        return link
      },
      ip(ipv6({ address: 'fd00::1/64', gateway: 'fd00::fe', autoconfigure: false, ...options })),
    ),
  )
  const wire = link as unknown as TestLink
  wire.sent.length = 0
  return { sim, network: node.top, wire, sink: new Sink(node.top, PROBE) }
}

/** A node with two such links, and addresses that follow from theirs: fe80::… is another on each. */
export function twoLinks(options: Ipv6Options = {}): { sim: Simulation; network: NetworkService; wires: TestLink[] } {
  const sim = new Simulation()
  const wires: TestLink[] = []
  const link = (env: Env) => {
    const made = new TestLink(env, undefined, ETHERTYPE.ipv6)
    wires.push(made)
    return made
  }
  const addresses = { a: 'fd00:a::1/64', b: ['fd00:b::1/64', 'fe80::b/64'] }
  const node = sim.boot(
    'R',
    stack(beside({ a: link, b: link }), ip(ipv6({ addresses, autoconfigure: false, ...options }))),
  )
  for (const wire of wires) wire.sent.length = 0
  return { sim, network: node.top, wires }
}

/** A test on a stand that must leave no packet and no timer. */
export function bare(name: string, body: (t: Test, on: Bare) => Promise<void>, options: Ipv6Options = {}): void {
  t.test(name, async (t) => {
    const before = packetsInUse()
    const on = stand(options)
    await body(t, on)
    await on.sim.close()
    t.equal(packetsInUse(), before, 'every packet was released')
    t.equal(on.sim.timers.size, 0, 'no timer is left')
  })
}

/** What was sent, but for reports of groups (MLD), which have a hop-by-hop header. */
export const sentOn = (wire: TestLink): Uint8Array[] => wire.sent.filter((octets) => octets[6] !== HOP_BY_HOP)

/** The reasons for which the network drops more packets now than before `action`. */
export function newDrops(network: NetworkService, action: () => void): string[] {
  const before = drops(network)
  action()
  const after = drops(network)
  return Object.keys(after).filter((reason) => after[reason] !== before[reason])
}

/** Of a packet; what is left out makes a good one to us. */
export interface Fields {
  readonly source?: string
  readonly destination?: string
  /** Of what follows the IPv6 header. */
  readonly next?: number
  readonly hopLimit?: number
  readonly trafficClass?: number
  readonly flow?: number
  readonly payload?: Uint8Array
  /** Added to the payload length. */
  readonly length?: number
  readonly version?: number
}

/** An address as 16 octets. */
export function addressOctets(text: string): number[] {
  const { w0, w1, w2, w3 } = parseAddress(text)
  return [w0, w1, w2, w3].flatMap((word) => [24, 16, 8, 0].map((shift) => (word >>> shift) & 255))
}

/** A packet as octets. */
export function packet(fields: Fields = {}): Uint8Array {
  const { source = 'fd00::2', destination = 'fd00::1', next = PROBE, hopLimit = 64, version = 6 } = fields
  const { trafficClass = 0, flow = 0, payload = pattern(16), length = 0 } = fields
  const octets = payload.length + length
  return Uint8Array.from([
    (version << 4) | (trafficClass >> 4), ((trafficClass & 15) << 4) | (flow >> 16), (flow >> 8) & 255, flow & 255,
    octets >> 8, octets & 255, next, hopLimit,
    ...addressOctets(source), ...addressOctets(destination), ...payload,
  ]) // biome-ignore format: one word of the header a line
}

/** An extension header: what follows it, then its contents, filled up to a multiple of 8 octets. */
export function extension(next: number, contents: readonly number[]): number[] {
  const octets = Math.ceil((contents.length + 2) / 8) * 8
  return [next, octets / 8 - 1, ...contents, ...new Array<number>(octets - 2 - contents.length).fill(0)]
}

/** A fragment header. @param offset in octets. */
export function fragmentHeader(next: number, offset: number, more: boolean, id: number): number[] {
  const field = offset | (more ? 1 : 0)
  return [next, 0, field >> 8, field & 255, id >>> 24, (id >> 16) & 255, (id >> 8) & 255, id & 255]
}

/** The Internet checksum over a pseudo-header and a message, the slow way. */
export function checksumOf(source: string, destination: string, protocol: number, message: Uint8Array): number {
  const octets = [
    ...addressOctets(source), ...addressOctets(destination),
    message.length >>> 24, (message.length >> 16) & 255, (message.length >> 8) & 255, message.length & 255,
    0, 0, 0, protocol, ...message,
  ] // biome-ignore format: one field a line
  let sum = 0
  for (let i = 0; i < octets.length; i += 2) sum += ((octets[i] as number) << 8) | (octets[i + 1] ?? 0)
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x1_0000)
  return 0xffff - sum
}

/** An ICMPv6 message in a packet, with its checksum. */
export function icmp(
  type: number,
  code: number,
  rest: number,
  data: ArrayLike<number>,
  fields: Fields = {},
): Uint8Array {
  const { source = 'fd00::2', destination = 'fd00::1' } = fields
  const word = [rest >>> 24, (rest >> 16) & 255, (rest >> 8) & 255, rest & 255]
  const message = Uint8Array.from([type, code, 0, 0, ...word, ...Array.from(data)])
  const sum = checksumOf(source, destination, ICMPV6, message)
  message[2] = sum >> 8
  message[3] = sum & 255
  return packet({ ...fields, next: ICMPV6, payload: message })
}

/** An ICMPv6 message that was sent, as text: type, code, second word; undefined when it is none, or its sum is wrong. */
export function told(octets: Uint8Array | undefined): string | undefined {
  if (octets === undefined || octets[6] !== ICMPV6) return undefined
  const view = new DataView(octets.buffer, octets.byteOffset, octets.length)
  const text = (at: number) => readAddress(view, at, new IpAddress()).toString()
  if (checksumOf(text(8), text(24), ICMPV6, octets.subarray(40)) !== 0) return 'wrong checksum'
  return `${view.getUint8(40)} ${view.getUint8(41)} ${view.getUint32(44)}`
}
