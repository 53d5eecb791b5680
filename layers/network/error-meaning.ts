/** What the errors of ICMP, and of ICMPv6, mean to a transport. */
import type { ErrorReport } from './service.ts'

/** As in `ErrorReport`. */
export interface Meaning {
  readonly code: string
  readonly reason: string
  readonly hard: boolean
}

/** Fills in what type and code mean. @returns false when that is not known: the report is as it was. */
export function explainAs(meaning: Meaning | undefined, report: ErrorReport, type: number, code: number): boolean {
  if (meaning === undefined) return false
  report.type = type
  report.icmpCode = code
  report.code = meaning.code
  report.reason = meaning.reason
  report.hard = meaning.hard
  report.mtu = 0
  return true
}
