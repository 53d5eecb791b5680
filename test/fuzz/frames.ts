/**
 * Frames by hand, written apart from the stack's own codecs, so that a mistake there is not repeated here: headers of
 * Ethernet, ARP, IPv4, ICMP, UDP and TCP, and the repair of every checksum in a frame whatever else is wrong with it.
 */
import { crc32 } from 'node:zlib'

export const ETHERNET = 14
export const IPV4 = 20
export const TYPE_IPV4 = 0x0800
export const TYPE_ARP = 0x0806
export const ICMP = 1
export const TCP = 6
export const UDP = 17

export const FIN = 1
export const SYN = 2
export const RST = 4
export const PSH = 8
export const ACK = 16
export const URG = 32

/** What surrounds an IP packet on its way into a node. */
export type Framing = 'frames' | 'ethernet' | 'ip'

export const viewOf = (octets: Uint8Array): DataView =>
  new DataView(octets.buffer, octets.byteOffset, octets.byteLength)

/** @param destination, source 48 bits. */
export function ethernetFrame(destination: number, source: number, type: number, payload: Uint8Array): Uint8Array {
  const frame = new Uint8Array(ETHERNET + payload.length)
  setMac(frame, 0, destination)
  setMac(frame, 6, source)
  frame[12] = type >> 8
  frame[13] = type
  frame.set(payload, ETHERNET)
  return frame
}

export function setMac(octets: Uint8Array, at: number, address: number): void {
  const view = viewOf(octets)
  view.setUint16(at, Math.floor(address / 0x1_0000_0000))
  view.setUint32(at + 2, address % 0x1_0000_0000)
}

export interface Ipv4Fields {
  readonly source: number
  readonly destination: number
  readonly protocol: number
  readonly ttl?: number
  readonly tos?: number
  readonly id?: number
  /** Flags and fragment offset, as the 16 bits they are. */
  readonly fragment?: number
  /** A multiple of 4 octets. */
  readonly options?: Uint8Array
}

/** A datagram without its header checksum; see `repair`. */
export function ipv4Packet(fields: Ipv4Fields, payload: Uint8Array): Uint8Array {
  const options = fields.options ?? new Uint8Array(0)
  const header = IPV4 + options.length
  const packet = new Uint8Array(header + payload.length)
  const view = viewOf(packet)
  view.setUint8(0, 0x40 | (header / 4))
  view.setUint8(1, fields.tos ?? 0)
  view.setUint16(2, packet.length)
  view.setUint16(4, fields.id ?? 0)
  view.setUint16(6, fields.fragment ?? 0)
  view.setUint8(8, fields.ttl ?? 64)
  view.setUint8(9, fields.protocol)
  view.setInt32(12, fields.source)
  view.setInt32(16, fields.destination)
  packet.set(options, IPV4)
  packet.set(payload, header)
  return packet
}

export interface TcpFields {
  readonly sourcePort: number
  readonly destinationPort: number
  readonly seq: number
  readonly ack: number
  readonly flags: number
  readonly wnd?: number
  readonly urgent?: number
  /** A multiple of 4 octets, 40 at the most. */
  readonly options?: Uint8Array
}

export function tcpSegment(fields: TcpFields, payload: Uint8Array = new Uint8Array(0)): Uint8Array {
  const options = fields.options ?? new Uint8Array(0)
  const header = 20 + options.length
  const segment = new Uint8Array(header + payload.length)
  const view = viewOf(segment)
  view.setUint16(0, fields.sourcePort)
  view.setUint16(2, fields.destinationPort)
  view.setInt32(4, fields.seq)
  view.setInt32(8, fields.ack)
  view.setUint16(12, ((header / 4) << 12) | fields.flags)
  view.setUint16(14, fields.wnd ?? 65_535)
  view.setUint16(18, fields.urgent ?? 0)
  segment.set(options, 20)
  segment.set(payload, header)
  return segment
}

export function udpDatagram(sourcePort: number, destinationPort: number, payload: Uint8Array): Uint8Array {
  const datagram = new Uint8Array(8 + payload.length)
  const view = viewOf(datagram)
  view.setUint16(0, sourcePort)
  view.setUint16(2, destinationPort)
  view.setUint16(4, datagram.length)
  view.setUint16(6, 1) // not 0, which would say that there is none
  datagram.set(payload, 8)
  return datagram
}

/** @param rest the four octets after the checksum. */
export function icmpMessage(type: number, code: number, rest: number, payload: Uint8Array): Uint8Array {
  const message = new Uint8Array(8 + payload.length)
  const view = viewOf(message)
  view.setUint8(0, type)
  view.setUint8(1, code)
  view.setInt32(4, rest)
  message.set(payload, 8)
  return message
}

export function arpPacket(op: number, sha: number, spa: number, tha: number, tpa: number): Uint8Array {
  const packet = new Uint8Array(28)
  const view = viewOf(packet)
  view.setUint16(0, 1)
  view.setUint16(2, TYPE_IPV4)
  view.setUint16(4, 0x0604)
  view.setUint16(6, op)
  setMac(packet, 8, sha)
  view.setInt32(14, spa)
  setMac(packet, 18, tha)
  view.setInt32(24, tpa)
  return packet
}

/** Ones' complement sum of octets, folded (RFC 1071). */
export function onesSum(octets: Uint8Array, start: number, end: number, initial = 0): number {
  let sum = initial
  for (let at = start; at < end; at += 2) {
    sum += ((octets[at] as number) << 8) | (at + 1 < end ? (octets[at + 1] as number) : 0)
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x1_0000)
  return sum
}

/** Makes every checksum right that can be found: those of IPv4, of an unfragmented ICMP, UDP or TCP. In place. */
export function repair(octets: Uint8Array, framing: Framing): void {
  const at = networkStart(octets, framing)
  if (at < 0) return
  const end = octets.length
  const view = viewOf(octets)
  const header = ((octets[at] as number) & 15) * 4
  if (at + header > end || header < IPV4) return
  view.setUint16(at + 10, 0)
  view.setUint16(at + 10, ~onesSum(octets, at, at + header) & 0xffff)
  // The first fragment's transport checksum covers what is not here.
  if ((view.getUint16(at + 6) & 0x3fff) !== 0) return
  const last = Math.min(end, at + Math.max(view.getUint16(at + 2), header))
  repairTransport(octets, view, at, at + header, last)
}

function repairTransport(octets: Uint8Array, view: DataView, network: number, at: number, end: number): void {
  const length = end - at
  const protocol = octets[network + 9] as number
  const pseudo = () => onesSum(octets, network + 12, network + 20) + protocol + length
  if (protocol === ICMP && length >= 4) {
    view.setUint16(at + 2, 0)
    view.setUint16(at + 2, ~onesSum(octets, at, end) & 0xffff)
  } else if (protocol === TCP && length >= 18) {
    view.setUint16(at + 16, 0)
    view.setUint16(at + 16, ~onesSum(octets, at, end, pseudo()) & 0xffff)
  } else if (protocol === UDP && length >= 8 && view.getUint16(at + 6) !== 0) {
    // The checksum covers what the length field says (RFC 768).
    const said = view.getUint16(at + 4)
    const covered = said >= 8 && said <= length ? said : length
    view.setUint16(at + 6, 0)
    const sum = ~onesSum(octets, at, at + covered, pseudo() - length + covered) & 0xffff
    view.setUint16(at + 6, sum === 0 ? 0xffff : sum)
  }
}

/** Where the IPv4 header begins, or -1 when there is none. */
export function networkStart(octets: Uint8Array, framing: Framing): number {
  let at = 0
  if (framing !== 'ip') {
    if (octets.length < ETHERNET) return -1
    let type = ((octets[12] as number) << 8) | (octets[13] as number)
    at = ETHERNET
    if (type === 0x8100 && octets.length >= 18) {
      type = ((octets[16] as number) << 8) | (octets[17] as number)
      at = 18
    }
    if (type !== TYPE_IPV4) return -1
  }
  return octets.length >= at + IPV4 && (octets[at] as number) >> 4 === 4 ? at : -1
}

/** The frame padded to 60 octets and with a good FCS behind it (IEEE 802.3 §3.2.9). */
export function withFcs(frame: Uint8Array): Uint8Array {
  const length = Math.max(60, frame.length)
  const whole = new Uint8Array(length + 4)
  whole.set(frame)
  viewOf(whole).setUint32(length, crc32(whole.subarray(0, length)), true)
  return whole
}
