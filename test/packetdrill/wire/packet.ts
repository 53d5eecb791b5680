/** Packets of IPv4 with TCP or ICMP inside (RFC 791, RFC 9293 §3.1, RFC 792): values to octets, and back. */
import type { TcpOption } from '../language/script.ts'
import { internetChecksum, pseudoHeaderSum } from './checksum.ts'
import { decodeTcpOptions, encodeTcpOptions } from './tcp-options.ts'

export const PROTOCOL_ICMP = 1
export const PROTOCOL_TCP = 6
const IP_OCTETS = 20
const TCP_OCTETS = 20
const ICMP_OCTETS = 8
const DONT_FRAGMENT = 0x4000

export interface IpHeader {
  /** Addresses as uint32. */
  readonly source: number
  readonly destination: number
  readonly tos: number
  readonly ttl: number
  readonly dontFragment: boolean
}

/** Numbers as they stand in the header. */
export interface TcpHeader {
  readonly sourcePort: number
  readonly destinationPort: number
  readonly seq: number
  readonly ack: number
  readonly flags: number
  readonly window: number
  readonly urgent: number
  readonly options: readonly TcpOption[]
}

export interface TcpPacket extends IpHeader, TcpHeader {
  readonly kind: 'tcp'
  readonly payload: Uint8Array
}

export interface IcmpPacket extends IpHeader {
  readonly kind: 'icmp'
  readonly type: number
  readonly code: number
}

/** A packet that should not be: what is wrong with it. */
export interface BadPacket {
  readonly kind: 'bad'
  readonly fault: string
}

export type DecodedPacket = TcpPacket | IcmpPacket | BadPacket

/** A TCP packet, complete with both checksums. */
export function encodeTcpPacket(packet: Omit<TcpPacket, 'kind'>): Uint8Array {
  const { source, destination, payload } = packet
  const segment = new Uint8Array(TCP_OCTETS + encodeTcpOptions(packet.options).length + payload.length)
  writeTcpHeader(segment, packet)
  segment.set(payload, segment.length - payload.length)
  const sum = internetChecksum(segment, pseudoHeaderSum(source, destination, PROTOCOL_TCP, segment.length))
  new DataView(segment.buffer).setUint16(16, sum)
  return encodeIp(packet, PROTOCOL_TCP, segment)
}

function writeTcpHeader(octets: Uint8Array, header: TcpHeader): void {
  const view = new DataView(octets.buffer, octets.byteOffset)
  const options = encodeTcpOptions(header.options)
  view.setUint16(0, header.sourcePort)
  view.setUint16(2, header.destinationPort)
  view.setUint32(4, header.seq)
  view.setUint32(8, header.ack)
  view.setUint16(12, (((TCP_OCTETS + options.length) >> 2) << 12) | header.flags)
  view.setUint16(14, header.window)
  view.setUint16(18, header.urgent)
  octets.set(options, TCP_OCTETS)
}

/** An ICMP error about a segment of `quote`'s flow with that sequence number and length, of which it quotes 8 octets. */
export function encodeIcmpError(
  ip: IpHeader,
  message: { readonly type: number; readonly code: number; readonly mtu: number },
  quote: IpHeader & Pick<TcpHeader, 'sourcePort' | 'destinationPort' | 'seq'> & { readonly length: number },
): Uint8Array {
  const tcp = new Uint8Array(8)
  const tcpView = new DataView(tcp.buffer)
  tcpView.setUint16(0, quote.sourcePort)
  tcpView.setUint16(2, quote.destinationPort)
  tcpView.setUint32(4, quote.seq)
  const quoted = encodeIp(quote, PROTOCOL_TCP, tcp, IP_OCTETS + TCP_OCTETS + quote.length)
  const icmp = new Uint8Array(ICMP_OCTETS + quoted.length)
  const view = new DataView(icmp.buffer)
  icmp[0] = message.type
  icmp[1] = message.code
  view.setUint16(6, message.mtu)
  icmp.set(quoted, ICMP_OCTETS)
  view.setUint16(2, internetChecksum(icmp))
  return encodeIp(ip, PROTOCOL_ICMP, icmp)
}

function encodeIp(ip: IpHeader, protocol: number, payload: Uint8Array, total = IP_OCTETS + payload.length): Uint8Array {
  const octets = new Uint8Array(IP_OCTETS + payload.length)
  const view = new DataView(octets.buffer)
  octets[0] = 0x45
  octets[1] = ip.tos
  view.setUint16(2, total)
  view.setUint16(6, ip.dontFragment ? DONT_FRAGMENT : 0)
  octets[8] = ip.ttl
  octets[9] = protocol
  view.setUint32(12, ip.source)
  view.setUint32(16, ip.destination)
  view.setUint16(10, internetChecksum(octets.subarray(0, IP_OCTETS)))
  octets.set(payload, IP_OCTETS)
  return octets
}

/** What a packet says, once its lengths and both checksums are found right. */
export function decodePacket(octets: Uint8Array): DecodedPacket {
  const view = new DataView(octets.buffer, octets.byteOffset, octets.byteLength)
  const header = octets.length >= IP_OCTETS ? ((octets[0] as number) & 15) * 4 : 0
  if (header < IP_OCTETS || (octets[0] as number) >> 4 !== 4 || header > octets.length) return bad('not an IPv4 packet')
  if (view.getUint16(2) !== octets.length) return bad(`total length ${view.getUint16(2)} of ${octets.length} octets`)
  if (internetChecksum(octets.subarray(0, header)) !== 0) return bad('wrong IP checksum')
  const ip = {
    source: view.getUint32(12),
    destination: view.getUint32(16),
    tos: octets[1] as number,
    ttl: octets[8] as number,
    dontFragment: (view.getUint16(6) & DONT_FRAGMENT) !== 0,
  }
  const payload = octets.subarray(header)
  if (octets[9] === PROTOCOL_TCP) return decodeTcp(ip, payload)
  return octets[9] === PROTOCOL_ICMP ? decodeIcmp(ip, payload) : bad(`protocol ${octets[9]}`)
}

function decodeTcp(ip: IpHeader, octets: Uint8Array): DecodedPacket {
  const view = new DataView(octets.buffer, octets.byteOffset, octets.byteLength)
  const header = octets.length >= TCP_OCTETS ? (view.getUint16(12) >> 12) * 4 : 0
  if (header < TCP_OCTETS || header > octets.length) return bad('a TCP header longer or shorter than can be')
  const pseudo = pseudoHeaderSum(ip.source, ip.destination, PROTOCOL_TCP, octets.length)
  if (internetChecksum(octets, pseudo) !== 0) return bad('wrong TCP checksum')
  const options = decodeTcpOptions(octets.subarray(TCP_OCTETS, header))
  if (options === undefined) return bad('TCP options of impossible length')
  return {
    kind: 'tcp',
    ...ip,
    sourcePort: view.getUint16(0),
    destinationPort: view.getUint16(2),
    seq: view.getUint32(4),
    ack: view.getUint32(8),
    flags: view.getUint16(12) & 0xfff,
    window: view.getUint16(14),
    urgent: view.getUint16(18),
    options,
    payload: octets.subarray(header),
  }
}

function decodeIcmp(ip: IpHeader, octets: Uint8Array): DecodedPacket {
  if (octets.length < ICMP_OCTETS) return bad('an ICMP message too short')
  if (internetChecksum(octets) !== 0) return bad('wrong ICMP checksum')
  return { kind: 'icmp', ...ip, type: octets[0] as number, code: octets[1] as number }
}

const bad = (fault: string): BadPacket => ({ kind: 'bad', fault })
