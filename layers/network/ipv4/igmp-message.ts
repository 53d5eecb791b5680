/**
 * IGMP messages (RFC 1112 appendix I, RFC 2236, RFC 3376 §4), behind an IPv4 header with TTL 1 and a router alert.
 *
 *   query      0x11 │ code │ checksum │ group │ S QRV │ QQIC │ sources │ source …     the latter four in version 3 alone
 *   reports    0x12, 0x16, leaving 0x17: the first 8 octets
 *   report v3  0x22 │ 0 │ checksum │ 0 │ records │ record …
 */
import type { IpAddress } from '../../../src/kernel/address.ts'
import { seconds } from '../../../src/kernel/clock.ts'
import { codeValue, readAddress, readSources, tenths } from '../membership/records.ts'
import type { Query, Report } from '../membership/reporter.ts'
import { encodeReport, type ReportForm, type ReportToSend } from '../membership/reports.ts'
import { HEADER_OCTETS, headerOctets } from './header.ts'

const TYPE = { query: 0x11, reportV1: 0x12, reportV2: 0x16, leave: 0x17, reportV3: 0x22 } as const
const SHORT_OCTETS = 8
const QUERY_V3_OCTETS = 12
/** What a router of version 1 means, which says no time (RFC 2236 §4). */
const V1_DELAY_TENTHS = 100

/** The option router alert (RFC 2113), in a word: look at this, whoever it is for. */
export const ROUTER_ALERT: number = 0x9404_0000 | 0
const END = 0
const NO_OPERATION = 1

/** Does a datagram ask routers to look at it? @param at of its header, which was checked. */
export function alertsRouters(view: DataView, at: number): boolean {
  const end = at + headerOctets(view, at)
  for (let option = at + HEADER_OCTETS; option + 4 <= end; ) {
    const type = view.getUint8(option)
    if (view.getInt32(option) === ROUTER_ALERT) return true
    if (type === END) return false
    option += type === NO_OPERATION ? 1 : Math.max(2, view.getUint8(option + 1))
  }
  return false
}

/** What a message says to a host. */
export type IgmpMessage =
  | { readonly kind: 'query'; readonly query: Query }
  /** Another host is a member. */
  | { readonly kind: 'member'; readonly group: IpAddress }
  /** Said to routers. */
  | { readonly kind: 'other' }

/** Why octets are no message. The checksum is the caller's. */
export type IgmpFault = 'igmpTruncated' | 'igmpType' | 'igmpGroup'

/** @param at of the message in the view, and its end. */
export function decode(view: DataView, at: number, end: number): IgmpMessage | IgmpFault {
  if (end - at < SHORT_OCTETS) return 'igmpTruncated'
  const group = readAddress(view, at + 4, 4)
  switch (view.getUint8(at)) {
    case TYPE.query:
      return decodeQuery(view, at, end, group)
    case TYPE.reportV1:
    case TYPE.reportV2:
      return isGroup(group) ? { kind: 'member', group } : 'igmpGroup'
    case TYPE.leave:
    case TYPE.reportV3:
      return { kind: 'other' }
    default:
      return 'igmpType'
  }
}

/** §7.1: which version a query is of follows from its length. */
function decodeQuery(view: DataView, at: number, end: number, address: IpAddress): IgmpMessage | IgmpFault {
  if (!address.isUnspecified && !isGroup(address)) return 'igmpGroup'
  const group = address.isUnspecified ? undefined : address
  const code = view.getUint8(at + 1)
  const length = end - at
  if (length < QUERY_V3_OCTETS) {
    if (length > SHORT_OCTETS) return 'igmpTruncated'
    const older = { group, sources: [], robustness: 0, interval: 0 }
    if (code === 0) return { kind: 'query', query: { ...older, generation: 1, mostDelay: tenths(V1_DELAY_TENTHS) } }
    return { kind: 'query', query: { ...older, generation: 2, mostDelay: tenths(code) } }
  }
  const sources = readSources(view, at + QUERY_V3_OCTETS, end, view.getUint16(at + 10), 4)
  if (sources === undefined) return 'igmpTruncated'
  const robustness = view.getUint8(at + 8) & 7
  const interval = seconds(codeValue(view.getUint8(at + 9), 4))
  const mostDelay = tenths(codeValue(code, 4))
  return { kind: 'query', query: { generation: 3, group, sources, mostDelay, robustness, interval } }
}

const isGroup = ({ w3 }: IpAddress): boolean => w3 >>> 28 === 14

const FORM: ReportForm = {
  types: { reports: TYPE.reportV3, member: { 1: TYPE.reportV1, 2: TYPE.reportV2 }, leave: TYPE.leave },
  addressOctets: 4,
  groupAt: 4,
}

/** Messages to send, with no checksums yet. @param most octets of one of them. */
export const encode = (report: Report, most: number): ReportToSend[] => encodeReport(report, most, FORM)
