/** Headers of IPv4 (RFC 791) and IPv6 (RFC 8200), without extension headers: values to octets, and back. */
import { IpAddress } from '../../../src/index.ts'
import { internetChecksum } from './checksum.ts'

const IPV4_OCTETS = 20
const IPV6_OCTETS = 40
const DONT_FRAGMENT = 0x4000

/** Both addresses are of one version, which is that of the packet. */
export interface IpHeader {
  readonly source: IpAddress
  readonly destination: IpAddress
  /** IPv6's traffic class. */
  readonly tos: number
  /** IPv6's hop limit. */
  readonly ttl: number
  /** Always so over IPv6. */
  readonly dontFragment: boolean
  /** 0 over IPv4. */
  readonly flowLabel: number
}

export interface IpPacket {
  readonly ip: IpHeader
  readonly protocol: number
  readonly payload: Uint8Array
}

/** @param payloadOctets that the header tells of: more than there are, where only the packet's beginning is wanted. */
export function encodeIp({ ip, protocol, payload }: IpPacket, payloadOctets: number = payload.length): Uint8Array {
  const header = ip.source.isIpv4 ? encodeIpv4(ip, protocol, payloadOctets) : encodeIpv6(ip, protocol, payloadOctets)
  const octets = new Uint8Array(header.length + payload.length)
  octets.set(header)
  octets.set(payload, header.length)
  return octets
}

function encodeIpv4(ip: IpHeader, protocol: number, payloadOctets: number): Uint8Array {
  const octets = new Uint8Array(IPV4_OCTETS)
  const view = new DataView(octets.buffer)
  octets[0] = 0x45
  octets[1] = ip.tos
  view.setUint16(2, IPV4_OCTETS + payloadOctets)
  view.setUint16(6, ip.dontFragment ? DONT_FRAGMENT : 0)
  octets[8] = ip.ttl
  octets[9] = protocol
  view.setInt32(12, ip.source.w3)
  view.setInt32(16, ip.destination.w3)
  view.setUint16(10, internetChecksum(octets))
  return octets
}

function encodeIpv6(ip: IpHeader, protocol: number, payloadOctets: number): Uint8Array {
  const octets = new Uint8Array(IPV6_OCTETS)
  const view = new DataView(octets.buffer)
  view.setUint32(0, ((6 << 28) | (ip.tos << 20) | ip.flowLabel) >>> 0)
  view.setUint16(4, payloadOctets)
  octets[6] = protocol
  octets[7] = ip.ttl
  writeIpv6Address(view, 8, ip.source)
  writeIpv6Address(view, 24, ip.destination)
  return octets
}

function writeIpv6Address(view: DataView, at: number, { w0, w1, w2, w3 }: IpAddress): void {
  for (const [i, word] of [w0, w1, w2, w3].entries()) view.setInt32(at + 4 * i, word)
}

/** What a packet says, once its lengths and IPv4's checksum are found right; else what is wrong. */
export function decodeIp(octets: Uint8Array): IpPacket | string {
  const version = (octets[0] ?? 0) >> 4
  if (version !== 4 && version !== 6) return 'not an IP packet'
  return version === 4 ? decodeIpv4(octets) : decodeIpv6(octets)
}

function decodeIpv4(octets: Uint8Array): IpPacket | string {
  const view = new DataView(octets.buffer, octets.byteOffset, octets.byteLength)
  const header = octets.length >= IPV4_OCTETS ? ((octets[0] as number) & 15) * 4 : 0
  if (header < IPV4_OCTETS || header > octets.length) return 'an IPv4 header longer or shorter than can be'
  if (view.getUint16(2) !== octets.length) return `total length ${view.getUint16(2)} of ${octets.length} octets`
  if (internetChecksum(octets.subarray(0, header)) !== 0) return 'wrong IP checksum'
  const ip = {
    source: IpAddress.ipv4(view.getInt32(12)),
    destination: IpAddress.ipv4(view.getInt32(16)),
    tos: octets[1] as number,
    ttl: octets[8] as number,
    dontFragment: (view.getUint16(6) & DONT_FRAGMENT) !== 0,
    flowLabel: 0,
  }
  return { ip, protocol: octets[9] as number, payload: octets.subarray(header) }
}

function decodeIpv6(octets: Uint8Array): IpPacket | string {
  const view = new DataView(octets.buffer, octets.byteOffset, octets.byteLength)
  if (octets.length < IPV6_OCTETS) return 'an IPv6 header shorter than can be'
  const payloadOctets = octets.length - IPV6_OCTETS
  if (view.getUint16(4) !== payloadOctets) return `payload length ${view.getUint16(4)} of ${payloadOctets} octets`
  const ip = {
    source: readIpv6Address(view, 8),
    destination: readIpv6Address(view, 24),
    tos: (view.getUint16(0) >> 4) & 0xff,
    ttl: octets[7] as number,
    dontFragment: true,
    flowLabel: view.getUint32(0) & 0xfffff,
  }
  return { ip, protocol: octets[6] as number, payload: octets.subarray(IPV6_OCTETS) }
}

const readIpv6Address = (view: DataView, at: number): IpAddress =>
  new IpAddress(view.getInt32(at), view.getInt32(at + 4), view.getInt32(at + 8), view.getInt32(at + 12))

/**
 * What the checksum of TCP and of ICMPv6 begins with (RFC 9293 §3.1, RFC 8200 §8.1). An IPv4 address is ::ffff:a.b.c.d
 * here, and 0xffff adds nothing.
 */
export function pseudoHeaderSum({ source, destination }: IpHeader, protocol: number, length: number): number {
  return addressSum(source) + addressSum(destination) + protocol + length
}

function addressSum({ w0, w1, w2, w3 }: IpAddress): number {
  return [w0, w1, w2, w3].reduce((sum, word) => sum + (word >>> 16) + (word & 0xffff), 0)
}
