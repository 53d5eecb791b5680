/**
 * Frames as values, for assertions: what a link carried, decoded as far as the protocols of this stack go. For tests:
 * nothing here is meant to be fast. A header that does not fit the frame is left out, and `fault` says so.
 */
import { formatIpv4, formatMac } from '../kernel/address.ts'
import type { Direction, Encapsulation } from '../kernel/boundary.ts'
import type { Instant } from '../kernel/clock.ts'

export interface EthernetView {
  readonly source: string
  readonly destination: string
  /** EtherType. */
  readonly type: number
}

export interface ArpView {
  readonly operation: 'request' | 'reply' | number
  readonly senderLink: string
  readonly sender: string
  readonly targetLink: string
  readonly target: string
}

export interface IpView {
  readonly source: string
  readonly destination: string
  readonly protocol: number
  readonly ttl: number
  readonly trafficClass: number
  readonly identification: number
  readonly dontFragment: boolean
  readonly moreFragments: boolean
  /** Octets into the datagram. */
  readonly fragmentOffset: number
  /** Total length, in octets. */
  readonly length: number
}

export interface TcpView {
  readonly sourcePort: number
  readonly destinationPort: number
  /** As uint32. */
  readonly seq: number
  readonly ack: number
  /** Those set, in this order: 'SYN FIN RST PSH ACK URG ECE CWR'; '' when none is. */
  readonly flags: string
  readonly window: number
  /** Octets of payload. */
  readonly length: number
}

export interface UdpView {
  readonly sourcePort: number
  readonly destinationPort: number
  /** Octets of payload. */
  readonly length: number
}

export interface IcmpView {
  readonly type: number
  readonly code: number
}

/** One frame that passed a boundary. */
export interface Frame {
  readonly at: Instant
  /** 'A/eth0/cable' */
  readonly boundary: string
  readonly direction: Direction
  /** All octets of it. */
  readonly octets: Uint8Array
  readonly ethernet?: EthernetView
  readonly arp?: ArpView
  readonly ip?: IpView
  readonly tcp?: TcpView
  readonly udp?: UdpView
  readonly icmp?: IcmpView
  /** Octets of the transport payload, of whatever the last header known leaves. */
  readonly payload: Uint8Array
  /** Which header the frame is too short for, or wrong in. */
  readonly fault?: 'ethernet' | 'arp' | 'ip' | 'tcp' | 'udp' | 'icmp'
}

const FLAGS: readonly (readonly [name: string, bit: number])[] = [
  ['SYN', 0x02],
  ['FIN', 0x01],
  ['RST', 0x04],
  ['PSH', 0x08],
  ['ACK', 0x10],
  ['URG', 0x20],
  ['ECE', 0x40],
  ['CWR', 0x80],
]

/** Everything but where and when it was seen. */
export type Decoded = Omit<Frame, 'at' | 'boundary' | 'direction'>
type Layers = Omit<Decoded, 'octets'>

/** @param octets kept, not copied. */
export function decodeFrame(octets: Uint8Array, encapsulation: Encapsulation): Decoded {
  return { octets, ...layersOf(octets, encapsulation) }
}

function layersOf(octets: Uint8Array, encapsulation: Encapsulation): Layers {
  if (encapsulation === 'ip') return decodeIp(octets)
  if (encapsulation === 'ethernet') return decodeEthernet(octets)
  if (encapsulation === 'ethernet+fcs') return decodeEthernet(octets.subarray(0, Math.max(0, octets.length - 4)))
  return { payload: octets }
}

const viewOf = (octets: Uint8Array): DataView => new DataView(octets.buffer, octets.byteOffset, octets.byteLength)
const macAt = (view: DataView, at: number): string =>
  formatMac(view.getUint16(at) * 0x1_0000_0000 + view.getUint32(at + 2))
const addressAt = (view: DataView, at: number): string => formatIpv4(view.getInt32(at))

function decodeEthernet(octets: Uint8Array): Layers {
  if (octets.length < 14) return { payload: octets, fault: 'ethernet' }
  const view = viewOf(octets)
  const type = view.getUint16(12)
  const ethernet = { destination: macAt(view, 0), source: macAt(view, 6), type }
  const inner = octets.subarray(14)
  if (type === 0x0800) return { ethernet, ...decodeIp(inner) }
  if (type === 0x0806) return { ethernet, ...decodeArp(inner) }
  return { ethernet, payload: inner }
}

function decodeArp(octets: Uint8Array): Layers {
  if (octets.length < 28) return { payload: octets, fault: 'arp' }
  const view = viewOf(octets)
  const code = view.getUint16(6)
  const arp: ArpView = {
    operation: code === 1 ? 'request' : code === 2 ? 'reply' : code,
    senderLink: macAt(view, 8),
    sender: addressAt(view, 14),
    targetLink: macAt(view, 18),
    target: addressAt(view, 24),
  }
  return { arp, payload: octets.subarray(28) }
}

function decodeIp(octets: Uint8Array): Layers {
  const view = viewOf(octets)
  const header = octets.length < 20 ? 0 : (view.getUint8(0) & 15) * 4
  const length = octets.length < 20 ? 0 : view.getUint16(2)
  if (header < 20 || view.getUint8(0) >> 4 !== 4 || length < header || length > octets.length) {
    return { payload: octets, fault: 'ip' }
  }
  const fragment = view.getUint16(6)
  const ip: IpView = {
    source: addressAt(view, 12),
    destination: addressAt(view, 16),
    protocol: view.getUint8(9),
    ttl: view.getUint8(8),
    trafficClass: view.getUint8(1),
    identification: view.getUint16(4),
    dontFragment: (fragment & 0x4000) !== 0,
    moreFragments: (fragment & 0x2000) !== 0,
    fragmentOffset: (fragment & 0x1fff) * 8,
    length,
  }
  const inner = octets.subarray(header, length)
  if (ip.fragmentOffset > 0) return { ip, payload: inner } // the transport header is in the first fragment
  return { ip, ...decodeTransport(inner, ip) }
}

function decodeTransport(octets: Uint8Array, { protocol, moreFragments }: IpView): Layers {
  const view = viewOf(octets)
  if (protocol === 6) return decodeTcp(octets, view)
  if (protocol === 17) {
    if (octets.length < 8) return { payload: octets, fault: 'udp' }
    const length = view.getUint16(4) - 8
    if (length < 0 || (length > octets.length - 8 && !moreFragments)) return { payload: octets, fault: 'udp' }
    const udp = { sourcePort: view.getUint16(0), destinationPort: view.getUint16(2), length }
    return { udp, payload: octets.subarray(8, 8 + length) }
  }
  if (protocol !== 1) return { payload: octets }
  if (octets.length < 8) return { payload: octets, fault: 'icmp' }
  return { icmp: { type: view.getUint8(0), code: view.getUint8(1) }, payload: octets.subarray(8) }
}

function decodeTcp(octets: Uint8Array, view: DataView): Layers {
  const header = octets.length < 20 ? 0 : (view.getUint8(12) >> 4) * 4
  if (header < 20 || header > octets.length) return { payload: octets, fault: 'tcp' }
  const bits = view.getUint8(13)
  const tcp: TcpView = {
    sourcePort: view.getUint16(0),
    destinationPort: view.getUint16(2),
    seq: view.getUint32(4),
    ack: view.getUint32(8),
    flags: FLAGS.filter(([, bit]) => (bits & bit) !== 0)
      .map(([name]) => name)
      .join(' '),
    window: view.getUint16(14),
    length: octets.length - header,
  }
  return { tcp, payload: octets.subarray(header) }
}

/** One line for people: '1500 A/eth0/cable down 10.0.1.1:49152 > 10.0.2.1:80 tcp SYN seq 7 ack 0 win 65535 len 0'. */
export function describeFrame(frame: Frame): string {
  const { arp, tcp, udp, icmp, ip, ethernet, fault } = frame
  const ports = tcp ?? udp
  const end = (address: string, port: number | undefined) => (port === undefined ? address : `${address}:${port}`)
  const parts = [`${frame.at} ${frame.boundary} ${frame.direction}`]
  if (ip !== undefined)
    parts.push(`${end(ip.source, ports?.sourcePort)} > ${end(ip.destination, ports?.destinationPort)}`)
  else if (ethernet !== undefined) parts.push(`${ethernet.source} > ${ethernet.destination}`)
  if (tcp !== undefined)
    parts.push(`tcp ${tcp.flags} seq ${tcp.seq} ack ${tcp.ack} win ${tcp.window} len ${tcp.length}`)
  else if (udp !== undefined) parts.push(`udp len ${udp.length}`)
  else if (icmp !== undefined) parts.push(`icmp type ${icmp.type} code ${icmp.code}`)
  else if (arp !== undefined) parts.push(`arp ${arp.operation} ${arp.target} from ${arp.sender}`)
  else if (ip !== undefined) parts.push(`protocol ${ip.protocol} len ${frame.payload.length}`)
  else parts.push(`${frame.octets.length} octets`)
  if (fault !== undefined) parts.push(`(bad ${fault})`)
  return parts.join(' ')
}
