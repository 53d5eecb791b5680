/**
 * Reads the body of a packet (RFC 8966 §4.5, §4.6). Later TLVs leave out what earlier ones have said: router-id, next hops
 * and the first octets of prefixes are the state of the packet, and of it alone.
 *
 * A TLV that is malformed, or that needs a sub-TLV we do not know, is ignored; what can no longer be split into TLVs ends
 * the packet. Both are counted by their reason, and neither throws.
 */
import { IpAddress } from '../../../../src/kernel/address.ts'
import { type Hello, type Ihu, type RouteRequest, SeqnoRequest, type TlvSink, Update, WirePrefix } from './pdu.ts'
import * as tlv from './tlv.ts'

/** Why something in a packet was passed over. */
export type Fault =
  | 'badHeader'
  | 'truncated'
  | 'badTlv'
  | 'unknownTlv'
  | 'mandatorySubTlv'
  | 'noRouterId'
  | 'noNextHop'
  | 'noDefaultPrefix'

/** The body's bounds in a packet, or a fault: [4, 4 + length). */
export function bodyEnd(octets: Uint8Array, start: number, length: number): number {
  if (length < tlv.HEADER_OCTETS) return -1
  if (octets[start] !== tlv.MAGIC || octets[start + 1] !== tlv.VERSION) return -1
  const body = ((octets[start + 2] as number) << 8) | (octets[start + 3] as number)
  const end = start + tlv.HEADER_OCTETS + body
  return end <= start + length ? end : -1
}

/** Octets of an address by its encoding; -1: there is no such encoding. */
const ADDRESS_OCTETS = [0, 4, 16, 8, 4]
const addressOctets = (ae: number): number => ADDRESS_OCTETS[ae] ?? -1

export class Reader {
  private octets: Uint8Array = new Uint8Array(0)
  private sink: TlvSink | null = null
  /** Told of each fault, once. */
  private readonly count: (fault: Fault) => void

  private hasRouter = false
  private routerHigh = 0
  private routerLow = 0
  private readonly nextHop4 = new IpAddress()
  private hasNextHop4 = false
  private readonly nextHop6 = new IpAddress()
  private hasNextHop6 = false
  /** The default prefixes of encodings 1, 2 and 4: 16 octets each. */
  private readonly defaults = new Uint8Array(16 * 5)
  private hasDefault = 0
  private readonly scratch = new Uint8Array(16)

  private readonly hello: Hello = { unicast: false, seqno: 0, interval: 0 }
  private readonly ihuAddress = new IpAddress()
  private readonly ihu: Ihu = { address: null, rxcost: 0, interval: 0 }
  private readonly update = new Update()
  private readonly routePrefix = new WirePrefix()
  private readonly routeRequest: RouteRequest = { prefix: null }
  private readonly seqnoRequest = new SeqnoRequest()

  constructor(count: (fault: Fault) => void) {
    this.count = count
  }

  /** Hands over what the packet in [start, start + length) says. @returns false when it is no packet of Babel. */
  read(octets: Uint8Array, start: number, length: number, sink: TlvSink): boolean {
    const end = bodyEnd(octets, start, length)
    if (end < 0) {
      this.count('badHeader')
      return false
    }
    this.octets = octets
    this.sink = sink
    this.hasRouter = this.hasNextHop4 = this.hasNextHop6 = false
    this.hasDefault = 0
    for (let at = start + tlv.HEADER_OCTETS; at < end; ) {
      const type = octets[at] as number
      if (type === tlv.PAD1) {
        at++
        continue
      }
      const next = at + 1 < end ? at + tlv.TLV_HEADER_OCTETS + (octets[at + 1] as number) : end + 1
      if (next > end) {
        this.count('truncated')
        break
      }
      const fault = this.tlv(type, at + tlv.TLV_HEADER_OCTETS, next)
      if (fault !== null) this.count(fault)
      at = next
    }
    this.sink = null
    return true
  }

  private tlv(type: number, at: number, end: number): Fault | null {
    const sink = this.sink as TlvSink
    switch (type) {
      case tlv.UPDATE:
        return this.readUpdate(at, end)
      case tlv.ROUTER_ID:
        return this.readRouterId(at, end)
      case tlv.NEXT_HOP:
        return this.readNextHop(at, end)
      case tlv.HELLO: {
        if (end - at < 6) return 'badTlv'
        if (this.mandatory(at + 6, end)) return 'mandatorySubTlv'
        this.hello.unicast = (this.u16(at) & tlv.UNICAST_HELLO) !== 0
        this.hello.seqno = this.u16(at + 2)
        this.hello.interval = this.u16(at + 4)
        sink.hello(this.hello)
        return null
      }
      case tlv.IHU:
        return this.readIhu(at, end)
      case tlv.ROUTE_REQUEST:
        return this.readRouteRequest(at, end)
      case tlv.SEQNO_REQUEST:
        return this.readSeqnoRequest(at, end)
      case tlv.ACK_REQUEST:
        if (end - at < 6 || this.u16(at + 4) === 0) return 'badTlv'
        if (this.mandatory(at + 6, end)) return 'mandatorySubTlv'
        sink.ackRequest(this.u16(at + 2), this.u16(at + 4))
        return null
      case tlv.ACK:
        if (end - at < 2) return 'badTlv'
        if (this.mandatory(at + 2, end)) return 'mandatorySubTlv'
        sink.ack(this.u16(at))
        return null
      default:
        // PadN, and what authentication has read before us.
        return type === 1 || (type >= tlv.MAC && type <= tlv.CHALLENGE_REPLY) ? null : 'unknownTlv'
    }
  }

  private readIhu(at: number, end: number): Fault | null {
    if (end - at < 6) return 'badTlv'
    const ae = this.octets[at] as number
    const rest = at + 6 + addressOctets(ae)
    if (ae > tlv.AE_LINK_LOCAL || rest > end || this.u16(at + 4) === 0) return 'badTlv'
    if (this.mandatory(rest, end)) return 'mandatorySubTlv'
    if (ae !== tlv.AE_WILDCARD) this.address(ae, at + 6, this.ihuAddress)
    this.ihu.address = ae === tlv.AE_WILDCARD ? null : this.ihuAddress
    this.ihu.rxcost = this.u16(at + 2)
    this.ihu.interval = this.u16(at + 4)
    ;(this.sink as TlvSink).ihu(this.ihu)
    return null
  }

  /** Stands although a sub-TLV is not understood (§4.6.7). */
  private readRouterId(at: number, end: number): Fault | null {
    if (end - at < 10) return 'badTlv'
    this.hasRouter = true
    this.routerHigh = this.i32(at + 2)
    this.routerLow = this.i32(at + 6)
    return null
  }

  /** Stands although a sub-TLV is not understood (§4.6.8). */
  private readNextHop(at: number, end: number): Fault | null {
    if (end - at < 2) return 'badTlv'
    const ae = this.octets[at] as number
    if (ae === tlv.AE_WILDCARD || ae > tlv.AE_LINK_LOCAL || at + 2 + addressOctets(ae) > end) return 'badTlv'
    if (ae === tlv.AE_IPV4) {
      this.hasNextHop4 = true
      this.address(ae, at + 2, this.nextHop4)
    } else {
      this.hasNextHop6 = true
      this.address(ae, at + 2, this.nextHop6)
    }
    return null
  }

  private readUpdate(at: number, end: number): Fault | null {
    if (end - at < 10) return 'badTlv'
    const { octets, update } = this
    const ae = octets[at] as number
    const flags = octets[at + 1] as number
    const length = octets[at + 2] as number
    const omitted = octets[at + 3] as number
    update.interval = this.u16(at + 4)
    update.seqno = this.u16(at + 6)
    update.metric = this.u16(at + 8)
    if (update.interval === 0) return 'badTlv'
    if (ae === tlv.AE_WILDCARD) {
      if (update.metric !== tlv.INFINITY || length !== 0 || omitted !== 0) return 'badTlv'
      if (this.mandatory(at + 10, end)) return 'mandatorySubTlv'
      update.wildcard = true
      ;(this.sink as TlvSink).update(update)
      return null
    }
    if (ae === tlv.AE_LINK_LOCAL || addressOctets(ae) < 0) return 'badTlv' // nothing to route there
    const rest = this.prefix(ae, length, omitted, at + 10, end, update.prefix, flags)
    if (rest < 0) return rest === NO_DEFAULT ? 'noDefaultPrefix' : 'badTlv'
    if ((flags & tlv.DEFAULT_ROUTER_ID) !== 0) this.routerOf(update.prefix)
    if (this.mandatory(rest, end)) return 'mandatorySubTlv'
    if (update.metric !== tlv.INFINITY) {
      if (!this.hasRouter) return 'noRouterId'
      if (ae === tlv.AE_IPV4 && !this.hasNextHop4) return 'noNextHop'
    }
    update.wildcard = false
    update.routerHigh = this.routerHigh
    update.routerLow = this.routerLow
    update.nextHop = ae === tlv.AE_IPV4 ? this.nextHop4 : this.hasNextHop6 ? this.nextHop6 : null
    ;(this.sink as TlvSink).update(update)
    return null
  }

  /** The router-id that flag R stands for: the address's last eight octets, an IPv4 address with zeros before it. */
  private routerOf({ address, isIpv4 }: WirePrefix): void {
    this.hasRouter = true
    this.routerHigh = isIpv4 ? 0 : address.w2
    this.routerLow = address.w3
  }

  private readRouteRequest(at: number, end: number): Fault | null {
    if (end - at < 2) return 'badTlv'
    const ae = this.octets[at] as number
    const length = this.octets[at + 1] as number
    let rest = at + 2
    if (ae === tlv.AE_WILDCARD) {
      if (length !== 0) return 'badTlv'
    } else {
      if (ae === tlv.AE_LINK_LOCAL || addressOctets(ae) < 0) return 'badTlv'
      rest = this.prefix(ae, length, 0, at + 2, end, this.routePrefix, 0)
      if (rest < 0) return 'badTlv'
    }
    if (this.mandatory(rest, end)) return 'mandatorySubTlv'
    this.routeRequest.prefix = ae === tlv.AE_WILDCARD ? null : this.routePrefix
    ;(this.sink as TlvSink).routeRequest(this.routeRequest)
    return null
  }

  private readSeqnoRequest(at: number, end: number): Fault | null {
    if (end - at < 14) return 'badTlv'
    const request = this.seqnoRequest
    const ae = this.octets[at] as number
    request.seqno = this.u16(at + 2)
    request.hopCount = this.octets[at + 4] as number
    request.routerHigh = this.i32(at + 6)
    request.routerLow = this.i32(at + 10)
    if (ae === tlv.AE_WILDCARD || ae === tlv.AE_LINK_LOCAL || addressOctets(ae) < 0) return 'badTlv'
    const rest = this.prefix(ae, this.octets[at + 1] as number, 0, at + 14, end, request.prefix, 0)
    if (rest < 0 || request.hopCount === 0) return 'badTlv'
    if (this.mandatory(rest, end)) return 'mandatorySubTlv'
    ;(this.sink as TlvSink).seqnoRequest(request)
    return null
  }

  /**
   * A prefix of `length` bits, the first `omitted` octets from the default one.
   * @returns where the TLV goes on, BAD or NO_DEFAULT.
   */
  private prefix(
    ae: number,
    length: number,
    omitted: number,
    at: number,
    end: number,
    into: WirePrefix,
    flags: number,
  ): number {
    const { octets, scratch } = this
    const size = addressOctets(ae)
    const count = (length + 7) >> 3
    if (length > size * 8 || omitted > size) return BAD
    const own = Math.max(0, count - omitted)
    if (at + own > end) return BAD
    if (omitted > 0 && (this.hasDefault & (1 << ae)) === 0) return NO_DEFAULT
    for (let i = 0; i < size; i++) {
      scratch[i] =
        i < omitted ? (this.defaults[ae * 16 + i] as number) : i < count ? (octets[at + i - omitted] as number) : 0
    }
    if ((flags & tlv.DEFAULT_PREFIX) !== 0) {
      this.hasDefault |= 1 << ae
      for (let i = 0; i < size; i++) this.defaults[ae * 16 + i] = scratch[i] as number
    }
    // Bits beyond the length do not count.
    into.isIpv4 = ae !== tlv.AE_IPV6
    into.length = length
    this.octets = scratch
    if (into.isIpv4) into.address.setIpv4(this.i32(0) & maskWord(length))
    else {
      const { address } = into
      address.w0 = this.i32(0) & maskWord(length)
      address.w1 = this.i32(4) & maskWord(length - 32)
      address.w2 = this.i32(8) & maskWord(length - 64)
      address.w3 = this.i32(12) & maskWord(length - 96)
    }
    this.octets = octets
    return at + own
  }

  private address(ae: number, at: number, into: IpAddress): void {
    if (ae === tlv.AE_IPV4) into.setIpv4(this.i32(at))
    else if (ae === tlv.AE_IPV6) {
      into.w0 = this.i32(at)
      into.w1 = this.i32(at + 4)
      into.w2 = this.i32(at + 8)
      into.w3 = this.i32(at + 12)
    } else {
      into.w0 = LINK_LOCAL_WORD
      into.w1 = 0
      into.w2 = this.i32(at)
      into.w3 = this.i32(at + 4)
    }
  }

  /** Do the sub-TLVs ask for something we do not know? We know none; what cannot be split asks too much as well. */
  private mandatory(at: number, end: number): boolean {
    while (at < end) {
      const type = this.octets[at] as number
      if (type === tlv.PAD1) {
        at++
        continue
      }
      if (type >= tlv.MANDATORY || at + 1 >= end) return true
      at += tlv.TLV_HEADER_OCTETS + (this.octets[at + 1] as number)
    }
    return at > end
  }

  private u16(at: number): number {
    return ((this.octets[at] as number) << 8) | (this.octets[at + 1] as number)
  }

  private i32(at: number): number {
    return (this.u16(at) << 16) | this.u16(at + 2)
  }
}

const BAD = -1
const NO_DEFAULT = -2
const LINK_LOCAL_WORD = 0xfe800000 | 0

/** The mask of the first `bits` bits of a word; any number will do. */
const maskWord = (bits: number): number => (bits <= 0 ? 0 : bits >= 32 ? -1 : -1 << (32 - bits))
