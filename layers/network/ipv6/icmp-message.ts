/**
 * ICMPv6 messages (RFC 4443): the numbers, and what they mean to a transport.
 *
 *    0                   1                   2                   3
 *    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *   +---------------+---------------+-------------------------------+
 *   |     type      |     code      |           checksum            |
 *   +---------------+---------------+-------------------------------+
 *   |   echo: identifier, sequence; too big: MTU; problem: pointer  |
 *   +---------------------------------------------------------------+
 *   |   echo: data; errors: the packet from its IPv6 header on      |
 */
import type { Packet } from '../../../src/kernel/packet.ts'
import { explainAs, type Meaning } from '../error-meaning.ts'
import type { ErrorReport } from '../service.ts'

/** Octets before an echo's data, or an error's quote. */
export const ICMP_OCTETS: 8 = 8

/** Types below 128 are errors, all others ask or tell something (§2.1). */
export const TYPE: {
  readonly unreachable: 1
  readonly tooBig: 2
  readonly timeExceeded: 3
  readonly parameterProblem: 4
  readonly echo: 128
  readonly echoReply: 129
} = { unreachable: 1, tooBig: 2, timeExceeded: 3, parameterProblem: 4, echo: 128, echoReply: 129 }

/** Codes of `unreachable`, then of `timeExceeded`, then of `parameterProblem`. */
export const CODE: {
  readonly noRoute: 0
  readonly prohibited: 1
  readonly beyondScope: 2
  readonly address: 3
  readonly port: 4
  readonly hopLimit: 0
  readonly reassembly: 1
  readonly erroneousField: 0
  readonly unrecognizedHeader: 1
  readonly unrecognizedOption: 2
  readonly incompleteChain: 3
} = {
  noRoute: 0,
  prohibited: 1,
  beyondScope: 2,
  address: 3,
  port: 4,
  hopLimit: 0,
  reassembly: 1,
  erroneousField: 0,
  unrecognizedHeader: 1,
  unrecognizedOption: 2,
  incompleteChain: 3,
}

export const isError = (type: number): boolean => type < 128

/** Tells the sender of a packet what became of it. */
export interface Complaints {
  /**
   * Sends an error about `packet`, if one may be sent (RFC 4443 §2.4). Does not take ownership, but completes a checksum
   * that was left open: what is complained about goes no further.
   * @param packet with its IPv6 header at `networkStart`.
   * @param rest the second word: the MTU for `tooBig`, the pointer for `parameterProblem`, else 0.
   * @param link index of the link it came by; 0 when it is ours.
   */
  complain(packet: Packet, type: number, code: number, rest: number, link: number): void
}

/** By code of `unreachable` (§3.1); which are final: RFC 1122 §4.2.3.9 carried over, as Linux does. */
const UNREACHABLE: readonly Meaning[] = [
  { code: 'ENETUNREACH', reason: 'netUnreachable', hard: false },
  { code: 'EACCES', reason: 'prohibited', hard: true },
  { code: 'EHOSTUNREACH', reason: 'beyondScope', hard: false },
  { code: 'EHOSTUNREACH', reason: 'hostUnreachable', hard: false },
  { code: 'ECONNREFUSED', reason: 'portUnreachable', hard: true },
  { code: 'EACCES', reason: 'sourcePolicy', hard: true },
  { code: 'EACCES', reason: 'routeRejected', hard: true },
]
const TOO_BIG: Meaning = { code: 'EMSGSIZE', reason: 'packetTooBig', hard: true }
const TIME_EXCEEDED: readonly Meaning[] = [
  { code: 'EHOSTUNREACH', reason: 'timeExceeded', hard: false },
  { code: 'EHOSTUNREACH', reason: 'reassemblyTimeExceeded', hard: false },
]
const PARAMETER: Meaning = { code: 'EPROTO', reason: 'parameterProblem', hard: false }
/** What IPv4 says with a protocol unreachable. */
const NO_PROTOCOL: Meaning = { code: 'ENOPROTOOPT', reason: 'protocolUnreachable', hard: true }

function meaningOf(type: number, code: number): Meaning | undefined {
  if (type === TYPE.unreachable) return UNREACHABLE[code]
  if (type === TYPE.tooBig) return TOO_BIG
  if (type === TYPE.timeExceeded) return TIME_EXCEEDED[code]
  if (type !== TYPE.parameterProblem) return undefined
  return code === CODE.unrecognizedHeader ? NO_PROTOCOL : PARAMETER
}

/** Fills in what type and code mean. @returns false when they are not those of an error we know. */
export function explain(report: ErrorReport, type: number, code: number): boolean {
  return explainAs(meaningOf(type, code), report, type, code)
}
