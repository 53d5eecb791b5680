/**
 * The numbers of Babel's wire format (RFC 8966 §4, RFC 8967 §6, RFC 9229 §4).
 *
 *    0        1        2                 4
 *   ┌────────┬────────┬─────────────────┬─── … ───┬── … ──┐
 *   │ 42     │ 2      │ length of body  │ body    │ MACs  │   body and trailer: TLVs, type and length an octet each
 *   └────────┴────────┴─────────────────┴─── … ───┴── … ──┘
 */

/** UDP port of Babel (RFC 8966 §4). */
export const PORT = 6696
/** ff02::1:6, the group of all Babel routers, as four int32 words. */
export const GROUP: readonly [number, number, number, number] = [0xff020000 | 0, 0, 0, 0x00010006]

export const MAGIC = 42
export const VERSION = 2
/** Of the packet: magic, version, length. */
export const HEADER_OCTETS = 4
/** Of a TLV: type and length. */
export const TLV_HEADER_OCTETS = 2

/** The metric of what cannot be reached. */
export const INFINITY = 0xffff

export const PAD1 = 0
export const ACK_REQUEST = 2
export const ACK = 3
export const HELLO = 4
export const IHU = 5
export const ROUTER_ID = 6
export const NEXT_HOP = 7
export const UPDATE = 8
export const ROUTE_REQUEST = 9
export const SEQNO_REQUEST = 10
export const MAC = 16
export const PC = 17
export const CHALLENGE_REQUEST = 18
export const CHALLENGE_REPLY = 19

/** Sub-TLVs of this type and above must be understood, or their TLV is ignored (RFC 8966 §4.4). */
export const MANDATORY = 0x80

/** Hello: it was sent to one neighbour, and its seqno is counted by itself. */
export const UNICAST_HELLO = 0x8000

/** Update: its prefix is what later ones of the packet leave out octets of. */
export const DEFAULT_PREFIX = 0x80
/** Update: the router-id is the end of the address. */
export const DEFAULT_ROUTER_ID = 0x40

/** Address encodings (RFC 8966 §4.1.4). */
export const AE_WILDCARD = 0
export const AE_IPV4 = 1
export const AE_IPV6 = 2
/** The last 64 bits of an address in fe80::/64. */
export const AE_LINK_LOCAL = 3
/** An IPv4 prefix whose next hop is an IPv6 address (RFC 9229 §4.1). */
export const AE_IPV4_VIA_IPV6 = 4

/** Centiseconds, as the wire has intervals, from microseconds; at least one, at most what the field holds. */
export const centiseconds = (us: number): number => Math.min(0xffff, Math.max(1, Math.round(us / 10_000)))

/** Sequence numbers are compared modulo 2^16 (RFC 8966 §3.2.1). @returns a - b as a signed number. */
export const seqnoDifference = (a: number, b: number): number => ((a - b) << 16) >> 16
