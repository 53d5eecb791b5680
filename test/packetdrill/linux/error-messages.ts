/** recvmsg() with MSG_ERRQUEUE: a notice of the error queue as the control messages that Linux makes of it. */
import type { Value } from '../language/script.ts'
import { type Arguments, numberOf } from './arguments.ts'
import { constantOf, MSG, TIMESTAMPING } from './constants.ts'
import type { Notice } from './error-queue.ts'
import { type Attempt, at, failed, type Outcome } from './outcome.ts'
import type { LinuxSocket } from './socket.ts'

type Fields = Readonly<Record<string, number>>

/** @param toleranceUs that times may differ by. @throws Unsupported — a control message of another kind. */
export function receiveNotice(socket: LinuxSocket, args: Arguments, toleranceUs: number): Attempt {
  const notice = socket.errors.notices.shift()
  if (notice === undefined) return at(failed('EAGAIN'))
  const outcome: Outcome = { result: 0 }
  const differs = flagsDiffer(notice, socket, args) ?? controlDiffers(notice, args, toleranceUs)
  return at(differs === undefined ? outcome : { ...outcome, differs })
}

/** The data that a time is about comes along, unless it was not asked for; here there is no room for it. */
function flagsDiffer(notice: Notice, { errors }: LinuxSocket, args: Arguments): string | undefined {
  const expected = args.field(args.at(1), 'msg_flags')
  const cut = notice.kind === 'timestamp' && (errors.timestampingBits & TIMESTAMPING.TIME_ONLY) === 0
  const got = MSG.ERRQUEUE | (cut ? MSG.TRUNC : 0)
  if (expected.kind === 'any' || numberOf(expected, args.line) === got) return undefined
  return `msg_flags: expected 0x${numberOf(expected, args.line).toString(16)}, got 0x${got.toString(16)}`
}

function controlDiffers(notice: Notice, args: Arguments, toleranceUs: number): string | undefined {
  const control = args.field(args.at(1), 'msg_control')
  if (control.kind !== 'list') return undefined
  const count = notice.kind === 'timestamp' ? 2 : 1
  if (control.items.length !== count) return `control messages: expected ${control.items.length}, got ${count}`
  for (const message of control.items) {
    const differs = messageDiffers(message, notice, args, toleranceUs)
    if (differs !== undefined) return differs
  }
  return undefined
}

function messageDiffers(message: Value, notice: Notice, args: Arguments, toleranceUs: number): string | undefined {
  const type = args.field(message, 'cmsg_type')
  const data = args.field(message, 'cmsg_data')
  const name = type.kind === 'word' ? type.name : ''
  if (name === 'SCM_TIMESTAMPING' && notice.kind === 'timestamp') return timeDiffers(data, notice.at, args, toleranceUs)
  if (name !== 'CMSG_TYPE_RECVERR') throw args.unsupported(`the control message ${name}`)
  for (const [field, got] of Object.entries(extended(notice))) {
    const expected = args.field(data, field)
    if (expected.kind === 'any' || numberOf(expected, args.line) === got) continue
    return `${field}: expected ${numberOf(expected, args.line)}, got ${got}`
  }
  return undefined
}

function timeDiffers(data: Value, got: number, args: Arguments, toleranceUs: number): string | undefined {
  const expected = ['scm_sec', 'scm_nsec'].map((field) => numberOf(args.field(data, field), args.line))
  const us = (expected[0] ?? 0) * 1e6 + (expected[1] ?? 0) / 1000
  return Math.abs(us - got) <= toleranceUs ? undefined : `SCM_TIMESTAMPING: expected ${us / 1e6} s, got ${got / 1e6} s`
}

/** struct sock_extended_err; what was not copied is: the link takes no pages of the application's. */
function extended(notice: Notice): Fields {
  const common = { ee_type: 0 }
  if (notice.kind === 'zeroCopy') {
    const { first, last } = notice
    return { ...common, ee_errno: 0, ee_origin: 5, ee_code: 1, ee_info: first, ee_data: last }
  }
  const { what, octet } = notice
  return { ...common, ee_errno: constantOf('ENOMSG') ?? 0, ee_origin: 4, ee_code: 0, ee_info: what, ee_data: octet }
}
