/**
 * Fills one packet with TLVs (RFC 8966 §4.6), and keeps the state its reader will have: router-id, next hop and default
 * prefixes are said once for all updates that share them. What does not fit is not begun.
 */
import type { IpAddress } from '../../../../src/kernel/address.ts'
import type { WirePrefix } from './pdu.ts'
import * as tlv from './tlv.ts'

const ROUTER_ID_OCTETS = 12
const NEXT_HOP_OCTETS = 8
const UPDATE_OCTETS = 12

/** What an update says of a prefix; the router-id's halves are int32. */
export interface Announcement {
  readonly routerHigh: number
  readonly routerLow: number
  readonly seqno: number
  /** 0 to 65535. */
  readonly metric: number
}

export class Writer {
  octets: Uint8Array
  /** Octets used, header included. */
  length: number = tlv.HEADER_OCTETS
  private limit: number

  private hasRouter = false
  private routerHigh = 0
  private routerLow = 0
  private hasNextHop = false
  private nextHop = 0
  private has4 = false
  private last4 = 0
  private has6 = false
  private last0 = 0
  private last1 = 0
  private last2 = 0
  private last3 = 0

  /** @param limit octets a packet may have, of those that `octets` offers. */
  constructor(octets: Uint8Array, limit: number) {
    this.octets = octets
    this.limit = limit
  }

  get empty(): boolean {
    return this.length === tlv.HEADER_OCTETS
  }

  /** Begins another packet, in other octets. */
  begin(octets: Uint8Array, limit: number): void {
    this.octets = octets
    this.limit = limit
    this.length = tlv.HEADER_OCTETS
    this.hasRouter = this.hasNextHop = this.has4 = this.has6 = false
  }

  /** Writes the header: what was added is the body. Octets added later are its trailer. */
  finish(): void {
    const { octets } = this
    octets[0] = tlv.MAGIC
    octets[1] = tlv.VERSION
    octets[2] = (this.length - tlv.HEADER_OCTETS) >> 8
    octets[3] = this.length - tlv.HEADER_OCTETS
  }

  /** Lets what was kept free be used (for what authentication adds). */
  extend(octets: number): void {
    this.limit += octets
  }

  hello(seqno: number, interval: number, unicast = false): boolean {
    if (!this.tlv(tlv.HELLO, 6)) return false
    this.u16(unicast ? tlv.UNICAST_HELLO : 0)
    this.u16(seqno)
    this.u16(interval)
    return true
  }

  /** @param address whom we have heard; null: the one the packet goes to. */
  ihu(address: IpAddress | null, rxcost: number, interval: number): boolean {
    const linkLocal = address !== null && address.w0 === LINK_LOCAL_WORD && address.w1 === 0
    const ae =
      address === null ? tlv.AE_WILDCARD : linkLocal ? tlv.AE_LINK_LOCAL : address.isIpv4 ? tlv.AE_IPV4 : tlv.AE_IPV6
    if (!this.tlv(tlv.IHU, 6 + (ADDRESS_OCTETS[ae] as number))) return false
    this.u8(ae)
    this.u8(0)
    this.u16(rxcost)
    this.u16(interval)
    if (address === null) return true
    if (ae === tlv.AE_IPV6) {
      this.i32(address.w0)
      this.i32(address.w1)
    }
    if (ae !== tlv.AE_IPV4) this.i32(address.w2)
    this.i32(address.w3)
    return true
  }

  /**
   * An update, and before it whatever of router-id and next hop its reader does not know yet.
   * @param interval centiseconds. @param nextHop for IPv4: our address on the link, int32; null: by IPv6 (RFC 9229).
   */
  update(prefix: WirePrefix, announcement: Announcement, interval: number, nextHop: number | null): boolean {
    const { address, length, isIpv4 } = prefix
    const { routerHigh, routerLow, seqno, metric } = announcement
    const finite = metric !== tlv.INFINITY
    const count = (length + 7) >> 3
    const viaIpv6 = isIpv4 && nextHop === null
    const omitted = viaIpv6 ? 0 : Math.min(count, isIpv4 ? this.shared4(address.w3) : this.shared6(address))
    // Flag R spares the router-id's own TLV where a host is announced by the end of its address.
    const derived =
      finite &&
      !this.knowsRouter(routerHigh, routerLow) &&
      routerLow === address.w3 &&
      routerHigh === (isIpv4 ? 0 : address.w2)
    const needsRouter = finite && !derived && !this.knowsRouter(routerHigh, routerLow)
    const needsNextHop = finite && isIpv4 && nextHop !== null && !(this.hasNextHop && this.nextHop === nextHop)
    const own = count - omitted
    const needed = UPDATE_OCTETS + own + (needsRouter ? ROUTER_ID_OCTETS : 0) + (needsNextHop ? NEXT_HOP_OCTETS : 0)
    if (this.length + needed > this.limit) return false
    if (needsRouter) {
      this.tlv(tlv.ROUTER_ID, ROUTER_ID_OCTETS - tlv.TLV_HEADER_OCTETS)
      this.u16(0)
      this.i32(routerHigh)
      this.i32(routerLow)
    }
    if (needsRouter || derived) {
      this.hasRouter = true
      this.routerHigh = routerHigh
      this.routerLow = routerLow
    }
    if (needsNextHop) {
      this.tlv(tlv.NEXT_HOP, NEXT_HOP_OCTETS - tlv.TLV_HEADER_OCTETS)
      this.u8(tlv.AE_IPV4)
      this.u8(0)
      this.i32(nextHop)
      this.hasNextHop = true
      this.nextHop = nextHop
    }
    this.tlv(tlv.UPDATE, UPDATE_OCTETS - tlv.TLV_HEADER_OCTETS + own)
    this.u8(viaIpv6 ? tlv.AE_IPV4_VIA_IPV6 : isIpv4 ? tlv.AE_IPV4 : tlv.AE_IPV6)
    this.u8((viaIpv6 ? 0 : tlv.DEFAULT_PREFIX) | (derived ? tlv.DEFAULT_ROUTER_ID : 0))
    this.u8(length)
    this.u8(omitted)
    this.u16(interval)
    this.u16(seqno)
    this.u16(metric)
    this.prefix(prefix, omitted, count)
    if (!viaIpv6) this.remember(prefix)
    return true
  }

  /** Takes back all that was announced. */
  retractAll(interval: number): boolean {
    if (!this.tlv(tlv.UPDATE, UPDATE_OCTETS - tlv.TLV_HEADER_OCTETS)) return false
    this.i32(0)
    this.u16(interval)
    this.u16(0)
    this.u16(tlv.INFINITY)
    return true
  }

  /** @param prefix null: everything. */
  routeRequest(prefix: WirePrefix | null): boolean {
    const count = prefix === null ? 0 : (prefix.length + 7) >> 3
    if (!this.tlv(tlv.ROUTE_REQUEST, 2 + count)) return false
    this.u8(prefix === null ? tlv.AE_WILDCARD : prefix.isIpv4 ? tlv.AE_IPV4 : tlv.AE_IPV6)
    this.u8(prefix?.length ?? 0)
    if (prefix !== null) this.prefix(prefix, 0, count)
    return true
  }

  seqnoRequest(prefix: WirePrefix, seqno: number, hopCount: number, routerHigh: number, routerLow: number): boolean {
    const count = (prefix.length + 7) >> 3
    if (!this.tlv(tlv.SEQNO_REQUEST, 14 + count)) return false
    this.u8(prefix.isIpv4 ? tlv.AE_IPV4 : tlv.AE_IPV6)
    this.u8(prefix.length)
    this.u16(seqno)
    this.u8(hopCount)
    this.u8(0)
    this.i32(routerHigh)
    this.i32(routerLow)
    this.prefix(prefix, 0, count)
    return true
  }

  ackRequest(opaque: number, interval: number): boolean {
    if (!this.tlv(tlv.ACK_REQUEST, 6)) return false
    this.u16(0)
    this.u16(opaque)
    this.u16(interval)
    return true
  }

  ack(opaque: number): boolean {
    if (!this.tlv(tlv.ACK, 2)) return false
    this.u16(opaque)
    return true
  }

  /** A TLV of which we know no more than its octets. */
  opaque(type: number, ...parts: readonly Uint8Array[]): boolean {
    if (
      !this.tlv(
        type,
        parts.reduce((sum, part) => sum + part.length, 0),
      )
    )
      return false
    for (const part of parts) {
      this.octets.set(part, this.length)
      this.length += part.length
    }
    return true
  }

  private knowsRouter(high: number, low: number): boolean {
    return this.hasRouter && this.routerHigh === high && this.routerLow === low
  }

  private remember({ address, isIpv4 }: WirePrefix): void {
    if (isIpv4) {
      this.has4 = true
      this.last4 = address.w3
      return
    }
    this.has6 = true
    this.last0 = address.w0
    this.last1 = address.w1
    this.last2 = address.w2
    this.last3 = address.w3
  }

  /** Leading octets shared with the default prefix. */
  private shared4(word: number): number {
    return this.has4 ? Math.clz32(word ^ this.last4) >> 3 : 0
  }

  private shared6(address: IpAddress): number {
    if (!this.has6) return 0
    if (address.w0 !== this.last0) return Math.clz32(address.w0 ^ this.last0) >> 3
    if (address.w1 !== this.last1) return 4 + (Math.clz32(address.w1 ^ this.last1) >> 3)
    if (address.w2 !== this.last2) return 8 + (Math.clz32(address.w2 ^ this.last2) >> 3)
    return 12 + (Math.clz32(address.w3 ^ this.last3) >> 3)
  }

  /** Octets `from` to `to` of an address. */
  private prefix({ address, isIpv4 }: WirePrefix, from: number, to: number): void {
    for (let i = from; i < to; i++) {
      const word = isIpv4 || i >= 12 ? address.w3 : i < 4 ? address.w0 : i < 8 ? address.w1 : address.w2
      this.u8(word >>> (24 - (i & 3) * 8))
    }
  }

  /** Begins a TLV, if there is room for all of it. */
  private tlv(type: number, octets: number): boolean {
    if (this.length + tlv.TLV_HEADER_OCTETS + octets > this.limit) return false
    this.u8(type)
    this.u8(octets)
    return true
  }

  private u8(value: number): void {
    this.octets[this.length++] = value
  }

  private u16(value: number): void {
    this.octets[this.length++] = value >> 8
    this.octets[this.length++] = value
  }

  private i32(value: number): void {
    this.u16(value >>> 16)
    this.u16(value)
  }
}

const LINK_LOCAL_WORD = 0xfe800000 | 0
const ADDRESS_OCTETS = [0, 4, 16, 8]
