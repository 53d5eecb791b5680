/**
 * What RIPv2 (RFC 2453) and RIPng (RFC 2080) have in common on the wire: a header, and entries of 20 octets.
 *
 *      0        1        2        3
 *     ┌────────┬────────┬─────────────────┐
 *     │command │version │        0        │    entries follow, as many as fit
 *     └────────┴────────┴─────────────────┘
 */
import { IpAddress } from '../../../../src/kernel/address.ts'

export const REQUEST = 1
export const RESPONSE = 2
export const HEADER_OCTETS = 4
export const ENTRY_OCTETS = 20
/** The metric of what is unreachable. */
export const INFINITY = 16

/** An entry that was read; one object, used again and again. */
export class Entry {
  readonly address: IpAddress = new IpAddress()
  length = 0
  /** 0 to 65535; of routes from elsewhere, passed on as it came. */
  tag = 0
  /** 1 to 16. */
  metric = 0
  /** Where to send instead of to the one who says it; unspecified: to that one. */
  readonly nextHop: IpAddress = new IpAddress()
}

/**
 * What an entry is: a route, a word about the entries after it, or a request for everything; else why it is left out.
 * 'badFamily': not of addresses we know. 'badPrefix': no destination can have it. 'badMetric': not 1 to 16.
 */
export type Kind = 'route' | 'nextHop' | 'everything' | EntryFault
export type EntryFault = 'badFamily' | 'badPrefix' | 'badMetric' | 'authenticated'

/** One of the two protocols. */
export interface Codec {
  readonly name: RipVersion
  readonly isIpv4: boolean
  readonly port: number
  readonly version: number
  /** The group of all its routers. */
  readonly group: IpAddress
  /** Octets of UDP and what is below it, to be taken off the MTU. */
  readonly lowerOctets: number
  /** The most entries of one packet, besides what the MTU allows. */
  readonly mostEntries: number
  /** Hop limit of what is sent. */
  readonly ttl: number
  /** Reads one entry. Of 'nextHop', only that field means something, and it stays for the entries that follow. */
  read(view: DataView, at: number, command: number, into: Entry): Kind
  /** Writes a route that leads to us. */
  write(view: DataView, at: number, address: IpAddress, length: number, tag: number, metric: number): void
  /** Writes the only entry of a request for everything. */
  writeEverything(view: DataView, at: number): void
}

/** 'rip2' is for IPv4, 'ripng' for IPv6. */
export type RipVersion = 'rip2' | 'ripng'

/** Is it a metric of the wire? */
export const isMetric = (metric: number): boolean => metric >= 1 && metric <= INFINITY
