/** What TLVs say, as scratch objects: one of each kind per reader, valid during the call that hands it over. */
import { IpAddress } from '../../../../src/kernel/address.ts'

/** A destination on the wire: an address whose first `length` bits count. IPv4 is mapped, and `length` is 0 to 32 then. */
export class WirePrefix {
  readonly address: IpAddress = new IpAddress()
  length = 0
  isIpv4 = false
}

/** fe80::/10. */
const LINK_LOCAL_BITS = 0xfe800000 >>> 22

/** Is it of addresses that no station has, or that mean nothing beyond a link? Nobody leads there. */
export function isMartian({ address: { w0, w1, w2, w3 }, length, isIpv4 }: WirePrefix): boolean {
  if (isIpv4) {
    const first = w3 >>> 24
    return (length >= 8 && (first === 0 || first === 127)) || (length >= 4 && first >= 224)
  }
  if (length >= 10 && w0 >>> 22 === LINK_LOCAL_BITS) return true
  if (length >= 8 && w0 >>> 24 === 0xff) return true
  // ::, ::1, and IPv4 in the clothes of IPv6.
  return w0 === 0 && w1 === 0 && ((length === 128 && w2 === 0 && w3 >>> 1 === 0) || (length >= 96 && w2 === 0xffff))
}

/** Hello (RFC 8966 §4.6.5). */
export interface Hello {
  unicast: boolean
  seqno: number
  /** Centiseconds until the next one; 0: this one came by itself. */
  interval: number
}

/** "I heard you" (§4.6.6). */
export interface Ihu {
  /** Whom it concerns; null: whoever gets it. */
  address: IpAddress | null
  rxcost: number
  /** Centiseconds. */
  interval: number
}

/** Update (§4.6.9), with what it inherits from the TLVs before it. */
export class Update {
  readonly prefix: WirePrefix = new WirePrefix()
  /** A retraction of everything the sender has announced; nothing else counts then. */
  wildcard = false
  /** Centiseconds until the next one at the latest. */
  interval = 0
  seqno = 0
  metric = 0
  /** The router-id's halves, int32; meaningless in a retraction that has none. */
  routerHigh = 0
  routerLow = 0
  /** The next hop as the sender gave it, or null: the sender itself. */
  nextHop: IpAddress | null = null
}

/** Route request (§4.6.10). */
export interface RouteRequest {
  /** null: everything. */
  prefix: WirePrefix | null
}

/** Seqno request (§4.6.11). */
export class SeqnoRequest {
  readonly prefix: WirePrefix = new WirePrefix()
  seqno = 0
  hopCount = 0
  routerHigh = 0
  routerLow = 0
}

/** Who is told what a packet says, TLV by TLV. What it is given is scratch. */
export interface TlvSink {
  /** @param interval centiseconds within which the answer is wanted. */
  ackRequest(opaque: number, interval: number): void
  ack(opaque: number): void
  hello(hello: Hello): void
  ihu(ihu: Ihu): void
  update(update: Update): void
  routeRequest(request: RouteRequest): void
  seqnoRequest(request: SeqnoRequest): void
}
