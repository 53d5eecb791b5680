/**
 * Merges segments of TCP that arrive in a burst into super-segments, before a transport sees them: the reverse of
 * `Segmenter`, as Linux's GRO. Each costs a comparison of headers and a copy; the transport's work is then done once for all.
 *
 *     ├ IP │ TCP │ data ┤   ├ IP │ TCP │ data ┤   ├ IP │ TCP │ rest ┤
 *                    ▼             ▼                      ▼
 *     ├ IP │ TCP │ data │ data │ rest ┤     segmentOctets: those of the first
 *
 * A segment joins when it continues the data and its headers say nothing new: the same flow, TTL, traffic class, DF and
 * flow label, acknowledgment, window, and options (so also timestamps) octet by octet; no flag but ACK, and PSH, which ends it. So does data
 * shorter than that of the first, or the longest datagram. Nothing is kept past the burst: a timer of no delay hands up
 * the rest. Segments of a flow stay in order; the identification of those that joined is forgotten.
 */
import { checksum, copyAndSum, fold, pseudoHeaderIpv4, sum } from '../../src/kernel/checksum.ts'
import type { Clock } from '../../src/kernel/clock.ts'
import type { Packet } from '../../src/kernel/packet.ts'
import { type Expiring, Timer, type Timers } from '../../src/kernel/timers.ts'
import { TCP_OCTETS } from './header.ts'

/** Flows of which segments are held at a time; of more, that of the oldest is handed up. */
const FLOWS = 8
const LONGEST_DATAGRAM_OCTETS = 65_535
/** Data of a segment beyond which a transport's work costs no more than the copy that would save it (measured). */
const MOST_COPIED_OCTETS = 4096
const IPV4_OCTETS = 20
const IPV6_OCTETS = 40

/** Offsets in the IPv4 header. */
const TOTAL_LENGTH = 2
const FLAGS_AND_OFFSET = 6
const TTL_AND_PROTOCOL = 8
const HEADER_CHECKSUM = 10
const SOURCE = 12
const DESTINATION = 16

/** Offsets in the IPv6 header, and octets of both its addresses. */
const PAYLOAD_LENGTH = 4
const NEXT_AND_HOP_LIMIT = 6
const ADDRESSES = 8
const ADDRESSES_OCTETS = 32

/** Offsets in the TCP header. */
const SEQUENCE = 4
const ACKNOWLEDGMENT = 8
/** Data offset, flags and window. */
const CONTROL = 12

/** Version 4, without options. */
const PLAIN_IPV4 = 0x45
const PROTOCOL_TCP = 6
/** In the word of CONTROL: the bits between data offset and window. */
const FLAGS_MASK = 0x0fff_0000
const ACK = 0x0010_0000
const PSH = 0x0008_0000
const TCP_CHECKSUM = 16

/** Who gets the segments. */
export interface MergeUser {
  /** A segment, merged or as it came. Takes ownership. @param packet its data begins with the IP header. */
  merged(packet: Packet): void
}

/** Segments of one flow, those behind the first in its packet. */
class Train {
  packet: Packet | null = null
  /** Octets of the IP header. */
  ip = 0
  /** Octets of data of the first, and where the next continues. */
  size = 0
  next = 0
  count = 0
  /** The sum of what all have in common: the pseudo-header but for the length, and the TCP header but for what `own` sums. */
  common = 0
}

export class Merger implements Expiring {
  private readonly timers: Timers
  private readonly clock: Clock
  private readonly user: MergeUser
  /** The first `held` are in use, the oldest first. */
  private readonly trains: Train[] = []
  private held = 0
  private readonly timer: Timer = new Timer(this)

  constructor(timers: Timers, clock: Clock, user: MergeUser) {
    this.timers = timers
    this.clock = clock
    this.user = user
  }

  /**
   * Takes a segment in. Takes ownership.
   * @param packet a datagram of TCP, its IP header checked and at `start`, its end that of the datagram; no fragment. Over
   *   IPv6, TCP is right behind the header.
   */
  input(packet: Packet): void {
    const ip = ipOctets(packet)
    if (ip === 0) {
      // Whose it is would take longer to see: nothing may be overtaken.
      this.flush()
      this.user.merged(packet)
      return
    }
    const headers = headersOf(packet, ip)
    const index = this.find(packet, ip)
    if (index >= 0) {
      if (headers > 0 && this.join(index, packet, ip, headers)) return
      this.end(index)
    }
    if (headers > 0 && (packet.view.getInt32(packet.start + ip + CONTROL) & PSH) === 0) this.begin(packet, ip, headers)
    else this.user.merged(packet)
  }

  /**
   * Takes a segment in if it continues what is held. What was asked of the first of those on its way here need not be asked of it.
   * Takes ownership if so.
   * @param packet as for `input`, but it may be a fragment, or not of TCP.
   */
  joins(packet: Packet): boolean {
    if (this.held === 0) return false
    const ip = ipOctets(packet)
    const index = ip === 0 ? -1 : this.find(packet, ip)
    if (index < 0) return false
    const headers = headersOf(packet, ip)
    return headers > 0 && this.join(index, packet, ip, headers)
  }

  /** The burst is over: hands up all that is held. */
  expire(): void {
    this.flush()
  }

  /** Ends the lives of all that is held. */
  close(): void {
    this.timers.cancel(this.timer)
    while (this.held > 0) this.take(0).release()
  }

  private flush(): void {
    while (this.held > 0) this.end(0)
  }

  private begin(packet: Packet, ip: number, headers: number): void {
    if (this.held === FLOWS) this.end(0)
    if (!this.timer.armed) this.timers.arm(this.timer, this.clock.now())
    if (this.held === this.trains.length) this.trains.push(new Train())
    const train = this.trains[this.held++] as Train
    train.packet = packet
    train.ip = ip
    train.size = packet.length - headers
    train.next = (packet.view.getInt32(packet.start + ip + SEQUENCE) + train.size) | 0
    train.count = 1
  }

  private find(packet: Packet, ip: number): number {
    for (let i = 0; i < this.held; i++) {
      const train = this.trains[i] as Train
      if (train.ip === ip && sameFlow(train.packet as Packet, packet, ip)) return i
    }
    return -1
  }

  /** Takes ownership when it joins. @returns false when it cannot. */
  private join(index: number, packet: Packet, ip: number, headers: number): boolean {
    const train = this.trains[index] as Train
    const first = train.packet as Packet
    const data = packet.length - headers
    const tcp = packet.start + ip
    if (packet.view.getInt32(tcp + SEQUENCE) !== train.next || data > train.size) return false
    if (first.length + data > LONGEST_DATAGRAM_OCTETS || !sameHeaders(first, packet, ip, headers)) return false
    // The first stands for itself until another relies on it.
    if (train.count === 1) {
      if (!vouchedFor(first, ip)) return false
      train.common = commonTo(first, ip)
    }
    const into = first.withRoom(0, data)
    train.packet = into
    if (!append(into, packet, tcp, data, train.common)) return false
    train.next = (train.next + data) | 0
    train.count++
    const pushed = (packet.view.getInt32(tcp + CONTROL) & PSH) !== 0
    if (pushed) push(into, ip)
    packet.release()
    if (pushed || data < train.size) this.end(index)
    return true
  }

  /** Hands up what is held of a flow. */
  private end(index: number): void {
    const { ip, size, count } = this.trains[index] as Train
    const packet = this.take(index)
    if (count > 1) finish(packet, ip, size)
    this.user.merged(packet)
  }

  private take(index: number): Packet {
    const train = this.trains[index] as Train
    const packet = train.packet as Packet
    train.packet = null
    this.held--
    for (let i = index; i < this.held; i++) this.trains[i] = this.trains[i + 1] as Train
    this.trains[this.held] = train
    return packet
  }
}

/** Octets of the header of IPv4 without options, or of IPv6, in front of TCP; 0 when TCP's header is not where it is looked for. */
function ipOctets({ view, start, length }: Packet): number {
  const first = view.getUint8(start)
  const octets = first === PLAIN_IPV4 ? IPV4_OCTETS : first >> 4 === 6 ? IPV6_OCTETS : 0
  return octets + TCP_OCTETS <= length ? octets : 0
}

/** Octets of both headers of a segment that can be merged, or 0: it has no data or much of it, or says something of its own. */
function headersOf(packet: Packet, ip: number): number {
  if (packet.checksum === 'partial' || packet.segmentOctets !== 0) return 0
  const control = packet.view.getInt32(packet.start + ip + CONTROL)
  const tcpOctets = (control >>> 28) * 4
  const headers = ip + tcpOctets
  if (tcpOctets < TCP_OCTETS || headers >= packet.length || packet.length - headers > MOST_COPIED_OCTETS) return 0
  return (control & FLAGS_MASK & ~PSH) === ACK ? headers : 0
}

function push(packet: Packet, ip: number): void {
  const at = packet.start + ip + CONTROL
  packet.view.setInt32(at, packet.view.getInt32(at) | PSH)
}

function sameFlow(a: Packet, b: Packet, ip: number): boolean {
  const { view, start } = a
  const other = b.start
  if (view.getInt32(start + ip) !== view.getInt32(other + ip)) return false
  if (ip === IPV4_OCTETS) {
    return (
      view.getInt32(start + SOURCE) === view.getInt32(other + SOURCE) &&
      view.getInt32(start + DESTINATION) === view.getInt32(other + DESTINATION)
    )
  }
  for (let at = ADDRESSES; at < IPV6_OCTETS; at += 4) {
    if (view.getInt32(start + at) !== view.getInt32(other + at)) return false
  }
  return true
}

/** Do the headers of two segments of a flow differ only in what must differ? */
function sameHeaders(a: Packet, b: Packet, ip: number, headers: number): boolean {
  const { view, start } = a
  const other = b.start
  if (
    !(ip === IPV4_OCTETS ? sameIpv4(view, start, other) : sameIpv6(view, start, other)) ||
    view.getInt32(start + ip + ACKNOWLEDGMENT) !== view.getInt32(other + ip + ACKNOWLEDGMENT) ||
    ((view.getInt32(start + ip + CONTROL) ^ view.getInt32(other + ip + CONTROL)) & ~PSH) !== 0
  )
    return false
  for (let at = ip + TCP_OCTETS; at < headers; at += 4) {
    if (view.getInt32(start + at) !== view.getInt32(other + at)) return false
  }
  return true
}

function sameIpv4(view: DataView, a: number, b: number): boolean {
  return (
    view.getUint16(a) === view.getUint16(b) &&
    view.getUint16(a + FLAGS_AND_OFFSET) === view.getUint16(b + FLAGS_AND_OFFSET) &&
    view.getUint16(a + TTL_AND_PROTOCOL) === view.getUint16(b + TTL_AND_PROTOCOL)
  )
}

/** Version, traffic class and flow label are the first word. */
function sameIpv6(view: DataView, a: number, b: number): boolean {
  return (
    view.getInt32(a) === view.getInt32(b) &&
    view.getUint16(a + NEXT_AND_HOP_LIMIT) === view.getUint16(b + NEXT_AND_HOP_LIMIT)
  )
}

/** Is the checksum of a segment right? */
function vouchedFor(packet: Packet, ip: number): boolean {
  if (packet.checksum === 'verified') return true
  const tcp = packet.start + ip
  const length = packet.end - tcp
  return fold(sum(tcp, length, pseudoHeader(packet, ip, length))) === 0xffff
}

/** The sum of what the segments of a train have in common, read from the first, which has no PSH. */
function commonTo(packet: Packet, ip: number): number {
  const { view } = packet
  const tcp = packet.start + ip
  const octets = (view.getInt32(tcp + CONTROL) >>> 28) * 4
  const all = sum(tcp, octets, pseudoHeader(packet, ip, 0))
  // The ones' complement of what is to be taken out (RFC 1624 §3).
  return all + (~fold(own(view, tcp)) & 0xffff)
}

/** The sum of what each header has of its own: sequence number, PSH, checksum, and the urgent pointer beside it. */
function own(view: DataView, tcp: number): number {
  const sequence = view.getInt32(tcp + SEQUENCE)
  const check = view.getInt32(tcp + TCP_CHECKSUM)
  const flags = (view.getInt32(tcp + CONTROL) & PSH) >>> 16
  return (sequence >>> 16) + (sequence & 0xffff) + (check >>> 16) + (check & 0xffff) + flags
}

/** Copies the data at the end of a segment behind another's, if its checksum is right. @param common of its train. */
function append(into: Packet, packet: Packet, tcp: number, data: number, common: number): boolean {
  const from = packet.end - data
  const to = into.end
  if (packet.checksum === 'verified') {
    into.octets.copyWithin(to, from, from + data)
  } else {
    const header = common + own(packet.view, tcp) + (packet.end - tcp)
    if (fold(copyAndSum(from, to, data, header)) !== 0xffff) return false
  }
  into.put(data)
  return true
}

/** @param length octets of the TCP segment. */
function pseudoHeader({ view, start }: Packet, ip: number, length: number): number {
  if (ip === IPV6_OCTETS) return sum(start + ADDRESSES, ADDRESSES_OCTETS, PROTOCOL_TCP + length)
  return pseudoHeaderIpv4(view.getInt32(start + SOURCE), view.getInt32(start + DESTINATION), PROTOCOL_TCP, length)
}

/** Makes a super-segment of a first segment that has the data of others behind it. */
function finish(packet: Packet, ip: number, size: number): void {
  const { view, start } = packet
  if (ip === IPV4_OCTETS) {
    view.setUint16(start + TOTAL_LENGTH, packet.length)
    view.setUint16(start + HEADER_CHECKSUM, 0)
    view.setUint16(start + HEADER_CHECKSUM, checksum(start, IPV4_OCTETS))
  } else {
    view.setUint16(start + PAYLOAD_LENGTH, packet.length - IPV6_OCTETS)
  }
  const tcp = start + ip
  packet.segmentOctets = size
  packet.checksum = 'verified'
  packet.checksumStart = tcp
  packet.checksumOffset = TCP_CHECKSUM
  packet.headerOctets = (view.getUint8(tcp + CONTROL) >>> 4) * 4
}
