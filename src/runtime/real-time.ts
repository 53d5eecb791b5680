/**
 * Real time: the nodes of this thread on Node's event loop.
 *
 * All nodes share one wheel and at most one pending wake-up: `setImmediate` when something is due now, `setTimeout`
 * otherwise. A wake-up works for at most TURN_US, then lets the event loop go round, and at once when it called into
 * the application, so that promises and ticks of its own get their turn.
 */
import { randomFillSync } from 'node:crypto'
import type { Clock, Instant } from '../kernel/clock.ts'
import type { Blueprint } from '../kernel/layer.ts'
import type { Random } from '../kernel/random.ts'
import { Timers } from '../kernel/timers.ts'
import { type Host, Node, type NodeOptions } from './node.ts'

const TURN_US = 1000
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
  private wakeAt: Instant = Number.POSITIVE_INFINITY
  /** The instant of the turn that runs; time stands still within it. */
  private turn: Instant = -1
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

  /** Nobody cuts wires in real time. */
  wire(): () => void {
    return () => {}
  }

  opened(): void {}

  private read(): Instant {
    return Math.floor(performance.now() * 1000)
  }

  /** Sees to it that a turn runs at `deadline`, or earlier. */
  private wake(deadline: Instant): void {
    if (deadline >= this.wakeAt || this.turn >= 0) return
    this.wakeAt = deadline
    const wait = deadline - this.read()
    if (wait <= 0) {
      this.immediate ??= setImmediate(this.run)
    } else {
      clearTimeout(this.timeout)
      this.timeout = setTimeout(this.run, Math.min(Math.ceil(wait / 1000), LONGEST_SLEEP_MS)).unref()
    }
  }

  private readonly run = (): void => {
    clearTimeout(this.timeout)
    if (this.immediate !== undefined) clearImmediate(this.immediate)
    this.timeout = this.immediate = undefined
    const started = this.read()
    const touches = this.touches
    let due = true
    try {
      for (
        this.turn = started;
        due && this.turn - started < TURN_US && touches === this.touches;
        this.turn = this.read()
      ) {
        due = this.timers.advance(this.turn, this.timers.nextAge) || this.timers.wakeAt() <= this.turn
      }
    } finally {
      this.turn = -1
      this.wakeAt = Number.POSITIVE_INFINITY
      const next = this.timers.wakeAt()
      if (next !== Number.POSITIVE_INFINITY) this.wake(next)
    }
  }
}

let only: RealTime | undefined

/**
 * Boots a stack on real time.
 * @param blueprint what to stack.
 * @param name the node's name, as it appears in boundaries and captures; default 'node'.
 * @param options names of hosts.
 * @throws what a layer could not start for: EADDRINUSE, EACCES, …; all that had started is closed again.
 */
export async function boot<Top>(
  blueprint: Blueprint<Top>,
  name = 'node',
  options: NodeOptions = {},
): Promise<Node<Top>> {
  only ??= new RealTime()
  const node = new Node(name, blueprint, only, options)
  await node.started()
  return node
}
