/**
 * Real time: the nodes of this thread on Node's event loop.
 *
 * All nodes share one wheel. What is due now is done in a turn, begun by `setImmediate`; what is due later is waited for
 * by `setTimeout`. A turn pauses when it called into the application, until promises and ticks of its own have had
 * theirs, and after TURN_US it lets the event loop go round:
 *
 *   setImmediate ─► work ─► called the application ─► its promises and ticks ─► work ─► … ─► TURN_US ─► setImmediate
 *
 * The pause costs a tenth of a round of the event loop, which asks the system for events.
 */

import { randomFillSync } from 'node:crypto'
import { performance } from 'node:perf_hooks'
import process from 'node:process'
import type { Clock, Instant } from '../kernel/clock.ts'
import type { Blueprint } from '../kernel/layer.ts'
import type { Random } from '../kernel/random.ts'
import { Timers } from '../kernel/timers.ts'
import { Cleanups, waitInRealTime } from './cleanups.ts'
import type { Host } from './host.ts'
import { Node, type NodeOptions } from './node.ts'
import { CLOSE_LIMIT } from './part.ts'

const TURN_US = 1000
/** `wakeAt` while a turn pauses: nothing has to wake it. */
const PAUSED: Instant = -1
/** Its reactions run behind the promises that wait already; `queueMicrotask` would make an async resource each time. */
const SETTLED: Promise<void> = Promise.resolve()
const LONGEST_SLEEP_MS = 0x7fff_ffff

/** Octets from the operating system, fetched in blocks. */
class SystemRandom implements Random {
  private readonly block = new Uint32Array(256)
  private at = 256

  uint32(): number {
    if (this.at === this.block.length) {
      randomFillSync(this.block)
      this.at = 0
    }
    return this.block[this.at++] as number
  }

  octets(n: number): Uint8Array {
    return randomFillSync(new Uint8Array(n))
  }
}

class RealTime implements Host, Clock {
  readonly clock: Clock = this
  readonly epochUs: number = Math.round(performance.timeOrigin * 1000)
  readonly timers: Timers = new Timers((deadline) => this.wake(deadline))
  private readonly chance = new SystemRandom()
  private immediate: NodeJS.Immediate | undefined
  private timeout: NodeJS.Timeout | undefined
  /** When the timeout fires; no later than anything that is armed beyond the current turn. */
  private timeoutAt: Instant = Number.POSITIVE_INFINITY
  private wakeAt: Instant = Number.POSITIVE_INFINITY
  /** The instant of the turn that runs; time stands still within it. */
  private turn: Instant = -1
  private turnEnds: Instant = 0
  private touches = 0
  private holds = 0
  private alive: NodeJS.Timeout | undefined

  now(): Instant {
    return this.turn >= 0 ? this.turn : this.read()
  }

  random(): Random {
    return this.chance
  }

  touched(): void {
    this.touches++
  }

  hold(): () => void {
    this.holds++
    this.alive ??= setInterval(() => {}, LONGEST_SLEEP_MS)
    let held = true
    return () => {
      if (!held) return
      held = false
      this.holds--
      if (this.holds > 0) return
      clearInterval(this.alive)
      this.alive = undefined
    }
  }

  private read(): Instant {
    return Math.floor(performance.now() * 1000)
  }

  /** Sees to it that a turn runs at `deadline`, or earlier. */
  private wake(deadline: Instant): void {
    if (this.turn >= 0) return
    if (deadline >= this.wakeAt) {
      this.keepAwake()
      return
    }
    this.wakeAt = deadline
    const wait = deadline - this.read()
    if (wait <= 0) {
      this.immediate ??= setImmediate(this.run)
    } else if (deadline < this.timeoutAt) {
      // One that is armed for earlier stays: most turns end with the same distant deadlines, and it costs to move it.
      clearTimeout(this.timeout)
      this.timeoutAt = deadline
      this.timeout = setTimeout(this.timedOut, Math.min(Math.ceil(wait / 1000), LONGEST_SLEEP_MS)).unref()
    }
  }

  /** A turn that is overdue, as after long work of the application, is waited for by a timeout: that lets the process end. */
  private keepAwake(): void {
    if (this.immediate !== undefined || this.wakeAt === PAUSED || this.wakeAt > this.read()) return
    this.immediate = setImmediate(this.run)
  }

  private readonly timedOut = (): void => {
    this.timeout = undefined
    this.timeoutAt = Number.POSITIVE_INFINITY
    // A turn that pauses goes on by itself.
    if (this.wakeAt !== PAUSED) this.run()
  }

  /** Begins a turn. */
  private readonly run = (): void => {
    if (this.immediate !== undefined) clearImmediate(this.immediate)
    this.immediate = undefined
    this.turnEnds = this.read() + TURN_US
    this.work()
  }

  /** Works until the turn ends, or the application has been called. */
  private readonly work = (): void => {
    const touches = this.touches
    let due = true
    try {
      while (due && touches === this.touches) {
        this.turn = this.read()
        if (this.turn >= this.turnEnds) break
        due = this.timers.advance(this.turn, this.timers.nextAge) || this.timers.wakeAt() <= this.turn
      }
    } finally {
      const paused = due && touches !== this.touches && this.turn < this.turnEnds
      this.turn = -1
      if (paused) {
        this.wakeAt = PAUSED
        SETTLED.then(this.afterPromises)
      } else {
        this.rest()
      }
    }
  }

  /** Nothing more in this turn: sees to the next. */
  private rest(): void {
    this.wakeAt = Number.POSITIVE_INFINITY
    const next = this.timers.wakeAt()
    if (next !== Number.POSITIVE_INFINITY) this.wake(next)
  }

  /** Behind the promises of the application there are its ticks, which come when no promise is left. */
  private readonly afterPromises = (): void => {
    process.nextTick(this.work)
  }
}

let only: RealTime | undefined

/** What `boot` may be given. */
export interface BootOptions extends NodeOptions {
  /** The node's name, as it appears in boundaries and captures; default 'node'. */
  readonly name?: string | undefined
}

/**
 * Boots a stack on real time.
 * @param blueprint what to stack.
 * @param options its name, or name and names of hosts.
 * @param hosts names of hosts, where the name is given as text.
 * @returns the node, when every layer of it has started.
 * @throws what a layer could not start for: EADDRINUSE, EACCES, …; all that had started is closed again by then.
 */
export async function boot<Top>(
  blueprint: Blueprint<Top>,
  options: string | BootOptions = {},
  hosts: NodeOptions = {},
): Promise<Node<Top>> {
  const all: BootOptions = typeof options === 'string' ? { ...hosts, name: options } : options
  only ??= new RealTime()
  const cleanups = new Cleanups()
  let node: Node<Top>
  try {
    node = new Node(all.name ?? 'node', blueprint, only, all, cleanups)
  } catch (error) {
    // The unwinding has begun. Whoever tries again wants the port to be free.
    await cleanups.run('a node that failed', { clock: only, waitFor: waitInRealTime }, CLOSE_LIMIT).catch(() => {})
    throw error
  }
  await node.started()
  return node
}
