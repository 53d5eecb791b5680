/**
 * ICMP messages (RFC 792, RFC 1122 §3.2.2, RFC 1191 §4, RFC 1812 §5.2.7): the numbers, and what they mean to a transport.
 *
 *    0                   1                   2                   3
 *    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *   +---------------+---------------+-------------------------------+
 *   |     type      |     code      |           checksum            |
 *   +---------------+---------------+-------------------------------+
 *   |   echo: identifier, sequence; too big: 0, next-hop MTU; …     |
 *   +---------------------------------------------------------------+
 *   |   echo: data; errors: the header and more of the packet       |
 */
import type { Packet } from '../../../src/kernel/packet.ts'
import { explainAs, type Meaning } from '../error-meaning.ts'
import type { ErrorReport } from '../service.ts'

/** Octets before an echo's data, or an error's quote. */
export const ICMP_OCTETS: 8 = 8

export const TYPE: {
  readonly echoReply: 0
  readonly unreachable: 3
  readonly redirect: 5
  readonly echo: 8
  readonly timeExceeded: 11
  readonly parameterProblem: 12
} = { echoReply: 0, unreachable: 3, redirect: 5, echo: 8, timeExceeded: 11, parameterProblem: 12 }

/** Codes of `unreachable` and, last two, of `timeExceeded`. */
export const CODE: {
  readonly net: 0
  readonly host: 1
  readonly protocol: 2
  readonly port: 3
  readonly fragmentationNeeded: 4
  readonly prohibited: 13
  readonly ttl: 0
  readonly reassembly: 1
} = { net: 0, host: 1, protocol: 2, port: 3, fragmentationNeeded: 4, prohibited: 13, ttl: 0, reassembly: 1 }

/** Tells the sender of a packet what became of it. */
export interface Complaints {
  /**
   * Sends an error about `packet`, if one may be sent (RFC 1122 §3.2.2). Does not take ownership, but completes a
   * checksum that was left open: what is complained about goes no further.
   * @param packet with its IP header at `networkStart`.
   * @param rest the second word: the next hop's MTU for `fragmentationNeeded`, else 0.
   */
  complain(packet: Packet, type: number, code: number, rest: number): void
}

/** Messages that ask or answer something; about others no error is sent, lest errors breed errors (RFC 1122 §3.2.2). */
export function isQuery(type: number): boolean {
  return type === TYPE.echoReply || type === TYPE.echo || type === 9 || type === 10 || (type >= 13 && type <= 18)
}

/**
 * By code of `unreachable`, as Linux has it; which of them are final: RFC 1122 §4.2.3.9. That an administrator prohibits it is
 * unreachable, too: EACCES is what our own routes prohibit.
 */
const UNREACHABLE: readonly Meaning[] = [
  { code: 'ENETUNREACH', reason: 'netUnreachable', hard: false },
  { code: 'EHOSTUNREACH', reason: 'hostUnreachable', hard: false },
  { code: 'ENOPROTOOPT', reason: 'protocolUnreachable', hard: true },
  { code: 'ECONNREFUSED', reason: 'portUnreachable', hard: true },
  { code: 'EMSGSIZE', reason: 'fragmentationNeeded', hard: true },
  { code: 'ENOTSUP', reason: 'sourceRouteFailed', hard: false },
  { code: 'ENETUNREACH', reason: 'netUnknown', hard: true },
  { code: 'EHOSTDOWN', reason: 'hostUnknown', hard: true },
  { code: 'ENONET', reason: 'hostIsolated', hard: true },
  { code: 'ENETUNREACH', reason: 'netProhibited', hard: true },
  { code: 'EHOSTUNREACH', reason: 'hostProhibited', hard: true },
  { code: 'ENETUNREACH', reason: 'netUnreachableForService', hard: false },
  { code: 'EHOSTUNREACH', reason: 'hostUnreachableForService', hard: false },
  { code: 'EHOSTUNREACH', reason: 'prohibited', hard: true },
  { code: 'EHOSTUNREACH', reason: 'precedenceViolation', hard: true },
  { code: 'EHOSTUNREACH', reason: 'precedenceCutoff', hard: true },
]
const TTL_EXCEEDED: Meaning = { code: 'EHOSTUNREACH', reason: 'timeExceeded', hard: false }
const REASSEMBLY: Meaning = { code: 'EHOSTUNREACH', reason: 'reassemblyTimeExceeded', hard: false }
const PARAMETER: Meaning = { code: 'EPROTO', reason: 'parameterProblem', hard: false }

function meaningOf(type: number, code: number): Meaning | undefined {
  if (type === TYPE.unreachable) return UNREACHABLE[code]
  if (type === TYPE.parameterProblem) return PARAMETER
  if (type !== TYPE.timeExceeded) return undefined
  return code === CODE.ttl ? TTL_EXCEEDED : code === CODE.reassembly ? REASSEMBLY : undefined
}

/** Fills in what type and code mean. @returns false when they are not those of an error we know. */
export function explain(report: ErrorReport, type: number, code: number): boolean {
  return explainAs(meaningOf(type, code), report, type, code)
}
