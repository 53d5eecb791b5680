/** poll([{fd=4, events=POLLIN, revents=POLLIN}], 1, milliseconds) */
import { type Connection, type Duration, ms } from '../../../src/index.ts'
import { type Arguments, numberOf } from './arguments.ts'
import { POLL } from './constants.ts'
import type { Attempt, Outcome } from './outcome.ts'
import type { LinuxSocket } from './socket.ts'

/** Does something once that much virtual time has passed. */
export type After = (duration: Duration, action: () => void) => void

/** Waits until something asked for is so, or the time is over. */
export function pollSockets(args: Arguments, find: (fd: number) => LinuxSocket | undefined, after: After): Attempt {
  const { line } = args
  const entries = args.list(0).map((entry) => {
    const expected = args.field(entry, 'revents')
    const fd = numberOf(args.field(entry, 'fd'), line)
    const socket = find(fd)
    if (socket === undefined) throw args.unsupported(`a descriptor ${fd} that is none`)
    return {
      fd,
      socket,
      events: numberOf(args.field(entry, 'events'), line),
      expected: expected.kind === 'any' ? 0 : numberOf(expected, line),
    }
  })
  const timeout = args.number(2)
  let over = timeout === 0
  if (timeout > 0) {
    after(ms(timeout), () => {
      over = true
    })
  }
  return () => {
    const got = entries.map(({ socket, events }) => readiness(socket) & (events | POLL.ERR | POLL.HUP))
    const ready = got.filter((revents) => revents !== 0).length
    if (ready === 0 && !over) return undefined
    const wrong = entries.findIndex(({ expected }, i) => expected !== got[i])
    const outcome: Outcome = { result: ready }
    if (wrong < 0) return outcome
    const { fd, expected } = entries[wrong] as (typeof entries)[number]
    return { ...outcome, differs: `revents of ${fd}: expected ${hex(expected)}, got ${hex(got[wrong] ?? 0)}` }
  }
}

/** The peer's FIN has come, though there may be something to read before it. */
const FIN_RECEIVED: ReadonlySet<string> = new Set(['CLOSE-WAIT', 'LAST-ACK', 'CLOSING', 'TIME-WAIT'])

/** What poll() would say, whatever is asked for (tcp_poll of Linux). */
export function readiness(socket: LinuxSocket): number {
  const { connection, over } = socket
  if (socket.deferred) return POLL.OUT
  if (connection === undefined) return socket.listener === undefined ? POLL.OUT | POLL.HUP : 0
  const ended = connection.ended || socket.readShut || over
  let bits = 0
  if (over || (socket.readShut && socket.writeShut)) bits |= POLL.HUP
  if (connection.readableOctets > 0 || ended) bits |= POLL.IN
  if (ended || FIN_RECEIVED.has(connection.state)) bits |= POLL.RDHUP
  if (socket.established && (roomy(connection) || socket.writeShut || over)) bits |= POLL.OUT
  if (socket.pendingError !== undefined) bits |= POLL.ERR | POLL.IN | POLL.OUT
  if (socket.errors.notices.length > 0) bits |= POLL.ERR
  return bits
}

/** Is there so much room that it is worth waking a writer? Half of what is queued, or of what may be unsent. */
function roomy(connection: Connection): boolean {
  const { writableOctets, queuedOctets } = connection
  const lowWater = connection.get('notSentLowWater')
  const least = lowWater > 0 && lowWater < connection.get('sendBuffer') ? lowWater : 1
  return 2 * writableOctets >= queuedOctets && (2 * writableOctets > least || writableOctets >= least)
}

export const hex = (value: number): string => `0x${value.toString(16)}`
