/**
 * MLD messages (RFC 2710, RFC 3810 §5), from the ICMPv6 header on: hop limit 1 and a router alert in front.
 *
 *   query      130 │ 0 │ checksum │ code 2 │ 0 │ group │ S QRV │ QQIC │ sources │ source …     the latter four in version 2 alone
 *   report v1  131, done 132: the first 24 octets
 *   report v2  143 │ 0 │ checksum │ 0 │ records │ record …
 */
import type { IpAddress } from '../../../src/kernel/address.ts'
import { ms, seconds } from '../../../src/kernel/clock.ts'
import { codeValue, readAddress, readSources } from '../membership/records.ts'
import type { Query, Report } from '../membership/reporter.ts'
import { encodeReport, type ReportForm, type ReportToSend } from '../membership/reports.ts'
import { isMulticast } from './address-kinds.ts'
import * as header from './header.ts'

export const MLD_TYPE = { query: 130, report: 131, done: 132, reportV2: 143 } as const
/** Of the type of an ICMPv6 message. */
export const isMembership = (type: number): boolean =>
  (type >= MLD_TYPE.query && type <= MLD_TYPE.done) || type === MLD_TYPE.reportV2

const SHORT_OCTETS = 24
/** The option router alert, and its value for MLD (RFC 2711 §2.1). */
const ROUTER_ALERT = 5
const FOR_MLD = 0
const QUERY_V2_OCTETS = 28

export type MldMessage =
  | { readonly kind: 'query'; readonly query: Query }
  | { readonly kind: 'member'; readonly group: IpAddress }
  | { readonly kind: 'other' }

/** Does a packet ask routers to look at it because of MLD? @param start of its IPv6 header; its headers were walked. */
export function alertsRouters(view: DataView, start: number): boolean {
  if (header.next(view, start) !== header.NEXT.hopByHop) return false
  const at = start + header.HEADER_OCTETS
  const end = at + (view.getUint8(at + 1) + 1) * 8
  for (let option = at + 2; option + 4 <= end; ) {
    const type = view.getUint8(option)
    if (type === ROUTER_ALERT) return view.getUint8(option + 1) === 2 && view.getUint16(option + 2) === FOR_MLD
    option += type === 0 ? 1 : 2 + view.getUint8(option + 1)
  }
  return false
}

/** Why octets are no message. */
export type MldFault = 'mldTruncated' | 'mldGroup'

/** @param at of the ICMPv6 header of a message of one of the types above, whose checksum holds. */
export function decode(view: DataView, at: number, end: number): MldMessage | MldFault {
  const type = view.getUint8(at)
  if (type === MLD_TYPE.done || type === MLD_TYPE.reportV2) return { kind: 'other' }
  if (end - at < SHORT_OCTETS) return 'mldTruncated'
  const group = readAddress(view, at + 8, 16)
  if (type === MLD_TYPE.report) return isMulticast(group) ? { kind: 'member', group } : 'mldGroup'
  return decodeQuery(view, at, end, group)
}

/** RFC 3810 §8.1: which version a query is of follows from its length. */
function decodeQuery(view: DataView, at: number, end: number, address: IpAddress): MldMessage | MldFault {
  const none = address.isUnspecified
  if (!none && !isMulticast(address)) return 'mldGroup'
  const group = none ? undefined : address
  const code = view.getUint16(at + 4)
  const length = end - at
  if (length === SHORT_OCTETS) {
    const query: Query = { generation: 2, group, sources: [], mostDelay: ms(code), robustness: 0, interval: 0 }
    return { kind: 'query', query }
  }
  if (length < QUERY_V2_OCTETS) return 'mldTruncated'
  const sources = readSources(view, at + QUERY_V2_OCTETS, end, view.getUint16(at + 26), 16)
  if (sources === undefined) return 'mldTruncated'
  const robustness = view.getUint8(at + 24) & 7
  const interval = seconds(codeValue(view.getUint8(at + 25), 4))
  const mostDelay = ms(codeValue(code, 12))
  return { kind: 'query', query: { generation: 3, group, sources, mostDelay, robustness, interval } }
}

const FORM: ReportForm = {
  types: { reports: MLD_TYPE.reportV2, member: { 1: MLD_TYPE.report, 2: MLD_TYPE.report }, leave: MLD_TYPE.done },
  addressOctets: 16,
  groupAt: 8,
}

/** Messages to send, with no checksums yet. @param most octets of one of them. */
export const encode = (report: Report, most: number): ReportToSend[] => encodeReport(report, most, FORM)
