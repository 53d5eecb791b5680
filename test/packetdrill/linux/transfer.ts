/** read(), write() and their kin. */
import type { Value } from '../language/script.ts'
import { type Arguments, numberOf } from './arguments.ts'
import { MSG } from './constants.ts'
import { type Attempt, at, failed, type Outcome, outcomeOf } from './outcome.ts'
import type { LinuxSocket } from './socket.ts'

const READING: number = MSG.DONTWAIT | MSG.WAITALL
/** Without copying (MSG_ZEROCOPY) is a hint: Linux copies, too, where it cannot do without. */
const WRITING: number = MSG.DONTWAIT | MSG.NOSIGNAL | MSG.EOR | MSG.MORE | MSG.ZEROCOPY | MSG.FASTOPEN

/** Reads up to `count` octets: some at once, or all with MSG_WAITALL; 0 at the end. @throws Unsupported — a flag. */
export function receive(socket: LinuxSocket, count: number, flags: number, args: Arguments): Attempt {
  checkFlags(flags, READING, args)
  if (args.isNull(1)) return at(failed('EFAULT'))
  const { connection } = socket
  if (socket.deferred) return at(failed('EAGAIN'))
  if (connection === undefined) return at(failed('ENOTCONN'))
  const mayWait = !socket.nonBlocking && (flags & MSG.DONTWAIT) === 0
  const into = new Uint8Array(count)
  let got = 0
  return () => {
    got += connection.read(into, got, count - got)
    const more = (flags & MSG.WAITALL) !== 0 && got < count
    if (got > 0 && !more) return read(into, got, args)
    const end = ending(socket)
    if (end !== undefined) return got > 0 ? read(into, got, args) : end
    return mayWait ? undefined : got > 0 ? read(into, got, args) : failed('EAGAIN')
  }
}

/** recvmsg(): the same, with what is left to read as its only control message. */
export function receiveMessage(socket: LinuxSocket, count: number, flags: number, args: Arguments): Attempt {
  const control = args.field(args.at(1), 'msg_control')
  const [message, ...others] = control.kind === 'list' ? control.items : []
  if (others.length > 0) throw args.unsupported('several control messages')
  const left = message === undefined ? undefined : leftToRead(message, args)
  const attempt = receive(socket, count, flags, args)
  return () => {
    const outcome = attempt()
    if (outcome === undefined || outcome.result < 0 || !socket.tellsLeft || left === undefined) return outcome
    // The end of the stream is there to be read, too.
    const got = socket.connection?.ended === true ? 1 : (socket.connection?.readableOctets ?? 0)
    return got === left ? outcome : { ...outcome, differs: `TCP_CM_INQ: expected ${left}, got ${got}` }
  }
}

function leftToRead(message: Value, args: Arguments): number {
  const type = args.field(message, 'cmsg_type')
  if (type.kind !== 'word' || type.name !== 'TCP_CM_INQ') throw args.unsupported('a control message')
  return numberOf(args.field(message, 'cmsg_data'), args.line)
}

/** Why nothing further will come: an error to be told, the peer's FIN, or shutdown(). */
function ending(socket: LinuxSocket): Outcome | undefined {
  const { connection, pendingError } = socket
  if (pendingError !== undefined) return failed(socket.takeError() as string)
  const ended = connection?.ended === true || socket.readShut || socket.over
  return ended ? { result: 0 } : undefined
}

/** What was read, which must be what the script gives, where it does. */
function read(into: Uint8Array, got: number, args: Arguments): Outcome {
  const expected = args.at(1)
  if (expected.kind !== 'string') return { result: got }
  const text = new TextDecoder('latin1').decode(into.subarray(0, got))
  return text.startsWith(expected.text) ? { result: got } : { result: got, differs: `read "${text}"` }
}

/** Writes all of `octets`, or what there is room for without waiting. @throws Unsupported — a flag. */
export function send(socket: LinuxSocket, octets: Uint8Array, flags: number, args: Arguments): Attempt {
  checkFlags(flags, WRITING, args)
  if (args.isNull(1)) return at(failed('EFAULT'))
  const { connection } = socket
  if (connection === undefined) return at(failed('EPIPE'))
  const mayWait = !socket.nonBlocking && (flags & MSG.DONTWAIT) === 0
  let done = 0
  const more = (flags & MSG.MORE) !== 0
  const write = () => {
    done += connection.write(octets, done, octets.length - done, more)
  }
  return () => {
    socket.continueWrite = undefined
    if (socket.pendingError !== undefined) return done > 0 ? { result: done } : failed(socket.takeError() as string)
    try {
      write()
    } catch (error) {
      if (connection.state === 'CLOSED') socket.errorTold = true
      return done > 0 ? { result: done } : outcomeOf(error)
    }
    if (done === octets.length) {
      if ((flags & MSG.EOR) !== 0) connection.endRecord()
      return { result: done }
    }
    if (!mayWait) return done > 0 ? { result: done } : failed('EAGAIN')
    socket.continueWrite = write
    return undefined
  }
}

function checkFlags(flags: number, known: number, args: Arguments): void {
  if ((flags & ~known) !== 0) throw args.unsupported(`the flags 0x${(flags & ~known).toString(16)}`)
}
