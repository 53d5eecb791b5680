/** The frames that routers are measured with: made once, copied for each. */
import { ETHERTYPE } from '../layers/datalink/service.ts'
import { parseMac } from '../src/kernel/address.ts'
import { checksum } from '../src/kernel/checksum.ts'
import { Packet } from '../src/kernel/packet.ts'
import { slab } from '../src/kernel/slab.ts'

/** Octets of an Ethernet header. */
export const LINK_OCTETS = 14
export const ROUTER_IN = '02:00:00:00:00:01'
export const ROUTER_OUT = '02:00:00:00:00:02'
const SENDER = '02:00:00:00:00:0a'
export const RECEIVER = '02:00:00:00:00:0b'
const TTL = 64
const TTL_AT: number = LINK_OCTETS + 8

/** Where the packets of a pair of links come from and go to: 10.PAIR.0.2 and 10.PAIR.1.2. */
export const sourceOf = (pair: number): number => 0x0a00_0002 | (pair << 16)
export const destinationOf = (pair: number): number => 0x0a00_0102 | (pair << 16)

/** A frame made once, in the slab. */
export interface Template {
  readonly at: number
  /** Of the IP packet. */
  readonly octets: number
}

/** A UDP datagram in a frame for the router. @param octets of the IP packet. */
export function templateFrame(octets: number, pair: number): Template {
  const at = slab().takeChunk()
  const { view, octets: all } = slab()
  all.fill(0, at, at + LINK_OCTETS + octets)
  writeMac(view, at, parseMac(ROUTER_IN))
  writeMac(view, at + 6, parseMac(SENDER))
  view.setUint16(at + 12, ETHERTYPE.ipv4)
  const ip = at + LINK_OCTETS
  view.setInt32(ip, 0x4500_0000 | octets)
  view.setInt32(ip + 8, (TTL << 24) | (17 << 16))
  view.setInt32(ip + 12, sourceOf(pair))
  view.setInt32(ip + 16, destinationOf(pair))
  view.setUint16(ip + 10, checksum(ip, 20))
  const udp = ip + 20
  view.setUint16(udp, 5000)
  view.setUint16(udp + 2, 6000)
  view.setUint16(udp + 4, octets - 20)
  return { at, octets }
}

export function frameOf({ at, octets }: Template): Packet {
  const length = LINK_OCTETS + octets
  const packet = Packet.take(0, length)
  packet.octets.copyWithin(packet.put(length), at, at + length)
  return packet
}

/** Is it such a frame, one hop further? */
export const isForwarded = (packet: Packet, octets: number): boolean =>
  packet.length === LINK_OCTETS + octets && packet.view.getUint8(packet.start + TTL_AT) === TTL - 1

export function writeMac(view: DataView, at: number, address: number): void {
  view.setUint16(at, Math.floor(address / 0x1_0000_0000))
  view.setUint32(at + 2, address >>> 0)
}
