/** Packets of TCP or ICMP (RFC 9293 §3.1, RFC 792, RFC 4443): values to octets, and back. */
import type { TcpOption } from '../language/script.ts'
import { internetChecksum } from './checksum.ts'
import { decodeIp, encodeIp, type IpHeader, type IpPacket, pseudoHeaderSum } from './ip.ts'
import { decodeTcpOptions, encodeTcpOptions } from './tcp-options.ts'

export const PROTOCOL = { icmp: 1, tcp: 6, icmpv6: 58 } as const
const TCP_OCTETS = 20
const ICMP_OCTETS = 8

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

/** A TCP packet, complete with all checksums. */
export function encodeTcpPacket(packet: Omit<TcpPacket, 'kind'>): Uint8Array {
  const segment = new Uint8Array(TCP_OCTETS + encodeTcpOptions(packet.options).length + packet.payload.length)
  writeTcpHeader(segment, packet)
  segment.set(packet.payload, segment.length - packet.payload.length)
  const sum = internetChecksum(segment, pseudoHeaderSum(packet, PROTOCOL.tcp, segment.length))
  new DataView(segment.buffer).setUint16(16, sum)
  return encodeIp({ ip: packet, protocol: PROTOCOL.tcp, payload: segment })
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
  const quoted = encodeIp({ ip: quote, protocol: PROTOCOL.tcp, payload: tcp }, TCP_OCTETS + quote.length)
  const payload = new Uint8Array(ICMP_OCTETS + quoted.length)
  const view = new DataView(payload.buffer)
  payload[0] = message.type
  payload[1] = message.code
  // Of IPv4 the lower half, all of IPv6's (RFC 1191 §4, RFC 4443 §3.2).
  view.setUint32(4, message.mtu)
  payload.set(quoted, ICMP_OCTETS)
  const protocol = ip.source.isIpv4 ? PROTOCOL.icmp : PROTOCOL.icmpv6
  view.setUint16(2, icmpChecksum({ ip, protocol, payload }))
  return encodeIp({ ip, protocol, payload })
}

/** ICMPv6's covers the addresses, too (RFC 4443 §2.3). */
function icmpChecksum({ ip, protocol, payload }: IpPacket): number {
  const initial = protocol === PROTOCOL.icmp ? 0 : pseudoHeaderSum(ip, protocol, payload.length)
  return internetChecksum(payload, initial)
}

/** What a packet says, once its lengths and checksums are found right. */
export function decodePacket(octets: Uint8Array): DecodedPacket {
  const packet = decodeIp(octets)
  if (typeof packet === 'string') return bad(packet)
  const { ip, protocol } = packet
  if (protocol === PROTOCOL.tcp) return decodeTcp(packet)
  const isIcmp = protocol === (ip.source.isIpv4 ? PROTOCOL.icmp : PROTOCOL.icmpv6)
  return isIcmp ? decodeIcmp(packet) : bad(`protocol ${protocol}`)
}

function decodeTcp({ ip, payload: octets }: IpPacket): DecodedPacket {
  const view = new DataView(octets.buffer, octets.byteOffset, octets.byteLength)
  const header = octets.length >= TCP_OCTETS ? (view.getUint16(12) >> 12) * 4 : 0
  if (header < TCP_OCTETS || header > octets.length) return bad('a TCP header longer or shorter than can be')
  const pseudo = pseudoHeaderSum(ip, PROTOCOL.tcp, octets.length)
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

function decodeIcmp(packet: IpPacket): DecodedPacket {
  const { ip, payload } = packet
  if (payload.length < ICMP_OCTETS) return bad('an ICMP message too short')
  if (icmpChecksum(packet) !== 0) return bad('wrong ICMP checksum')
  return { kind: 'icmp', ...ip, type: payload[0] as number, code: payload[1] as number }
}

const bad = (fault: string): BadPacket => ({ kind: 'bad', fault })
