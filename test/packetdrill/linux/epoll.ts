/**
 * epoll: a set of sockets, and which of them are ready. With EPOLLET one is told of again only when something has happened
 * that it is asked about: data or its end has come, room after a write that found too little, a notice of the error queue,
 * or the connection has come to stand or fall. With EPOLLONESHOT it is told of once, until EPOLL_CTL_MOD.
 */
import { ms } from '../../../src/index.ts'
import type { Value } from '../language/script.ts'
import { type Arguments, numberOf } from './arguments.ts'
import { EPOLL, POLL } from './constants.ts'
import { type Attempt, DONE, failed, type Outcome } from './outcome.ts'
import { type After, hex, readiness } from './poll.ts'
import type { LinuxSocket } from './socket.ts'

/** How often each kind of thing has happened to a socket. */
interface Edges {
  readonly input: number
  readonly output: number
  readonly error: number
  readonly state: number
}

interface Entry {
  readonly fd: number
  readonly socket: LinuxSocket
  events: number
  /** What had happened when it was last looked at; undefined: it is to be looked at in any case. */
  seen: Edges | undefined
}

export class Epoll {
  private readonly entries = new Map<number, Entry>()

  /** epoll_ctl(): adds, changes or removes. */
  control(operation: string, fd: number, socket: LinuxSocket, events: number): Outcome {
    const known = this.entries.get(fd)
    const entry = known?.socket === socket ? known : undefined
    if (operation === 'EPOLL_CTL_ADD') {
      if (entry !== undefined) return failed('EEXIST')
      this.entries.set(fd, { fd, socket, events, seen: undefined })
      return DONE
    }
    if (entry === undefined) return failed('ENOENT')
    if (operation === 'EPOLL_CTL_DEL') this.entries.delete(fd)
    entry.events = events
    entry.seen = undefined
    return DONE
  }

  /** A descriptor was closed. */
  forget(fd: number): void {
    this.entries.delete(fd)
  }

  /** epoll_wait(): waits until something is ready, or the time is over. */
  wait(args: Arguments, after: After): Attempt {
    const first = args.at(1)
    const expected = first.kind === 'list' ? first.items : [first]
    const most = args.number(2)
    const timeout = args.number(3)
    let over = timeout === 0
    if (timeout > 0) {
      after(ms(timeout), () => {
        over = true
      })
    }
    return () => {
      const ready = this.ready(most)
      if (ready.length === 0 && !over) return undefined
      return { result: ready.length, ...difference(ready, expected, args) }
    }
  }

  private ready(most: number): Ready[] {
    const ready: Ready[] = []
    for (const entry of this.entries.values()) {
      if (ready.length === most) break
      const events = look(entry)
      if (events !== 0) ready.push({ fd: entry.fd, events })
    }
    return ready
  }
}

interface Ready {
  readonly fd: number
  readonly events: number
}

/** What to tell of an entry now. */
function look(entry: Entry): number {
  const { socket, seen } = entry
  if ((entry.events & ~EPOLL.PRIVATE) === 0) return 0
  const wanted = (entry.events & ~EPOLL.PRIVATE) | POLL.ERR | POLL.HUP
  const edges = edgesOf(socket)
  if ((entry.events & EPOLL.ET) !== 0 && seen !== undefined && !happened(wanted, seen, edges)) return 0
  entry.seen = edges
  const events = readiness(socket) & wanted
  if (events !== 0 && (entry.events & EPOLL.ONESHOT) !== 0) entry.events &= EPOLL.PRIVATE
  return events
}

function edgesOf({ connection, errors, roomEdges, stateEdges, pendingError }: LinuxSocket): Edges {
  const ended = connection?.ended === true ? 1 : 0
  const received = connection === undefined ? 0 : connection.info().octetsReceived
  return {
    input: received + ended,
    output: roomEdges,
    error: errors.told + (pendingError === undefined ? 0 : 1),
    state: stateEdges,
  }
}

function happened(wanted: number, seen: Edges, now: Edges): boolean {
  if (seen.state !== now.state || seen.error !== now.error) return true
  if ((wanted & (POLL.IN | POLL.RDHUP)) !== 0 && seen.input !== now.input) return true
  return (wanted & POLL.OUT) !== 0 && seen.output !== now.output
}

/** `{events=EPOLLIN, fd=4}`, as many as were ready. */
function difference(ready: readonly Ready[], expected: readonly Value[], args: Arguments): Pick<Outcome, 'differs'> {
  for (const [i, { fd, events }] of ready.entries()) {
    const value = expected[i]
    if (value === undefined || value.kind === 'any') continue
    const wantedEvents = args.field(value, 'events')
    const wantedFd = args.field(value, 'fd')
    const eventsDiffer = wantedEvents.kind !== 'any' && numberOf(wantedEvents, args.line) !== events
    const fdDiffers = wantedFd.kind !== 'any' && numberOf(wantedFd, args.line) !== fd
    if (!eventsDiffer && !fdDiffers) continue
    const wanted = wantedEvents.kind === 'any' ? '' : ` expected ${hex(numberOf(wantedEvents, args.line))},`
    return { differs: `events of ${fd}:${wanted} got ${hex(events)}` }
  }
  return {}
}
