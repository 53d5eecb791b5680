/**
 * Virtual time: many nodes, one clock that jumps from event to event. A simulation of an hour takes as long as its
 * packets do, and the same seed gives the same trace.
 *
 * When an event has called into the application (through the API), the event loop turns until the application has
 * nothing more to say; only then does virtual time move on. That is deterministic for code whose only waits are
 * netstrata's API and the simulation's own timers; not for the thread pool, files, host sockets or real timers.
 */
import type { Writable } from 'node:stream'
import type { Clock, Duration, Instant } from '../kernel/clock.ts'
import { inRange, integer, invalidValue, NetError } from '../kernel/errors.ts'
import { type HashKey, keyedHash64 } from '../kernel/keyed-hash.ts'
import type { Blueprint } from '../kernel/layer.ts'
import { type Random, SeededRandom } from '../kernel/random.ts'
import { Timer, Timers } from '../kernel/timers.ts'
import type { Wire } from '../kernel/wire.ts'
import { type CaptureHandle, type CaptureRequest, Captures } from './captures.ts'
import { Cleanups } from './cleanups.ts'
import type { AnyBoundary, Host } from './host.ts'
import { Node, type NodeOptions } from './node.ts'
import { type Partition, Partitions } from './partitions.ts'
import { Fingerprint, type TraceListener, traceBoundary } from './trace.ts'

export type { Partition } from './partitions.ts'
export type { Fingerprint, TraceListener } from './trace.ts'

/** An application that calls the API for so many turns, and nothing happens in the network meanwhile, never stops. */
const MAX_TURNS = 100_000
/** Events of one instant. A transfer over a cable without delay needs many; a loop without delay needs all. */
const MAX_EVENTS = 20_000_000

export interface SimulationOptions {
  /** Chooses the run: any integer; default 1. The same seed gives the same trace. */
  readonly seed?: number | undefined
  /**
   * When to give up on what never comes to an end: turns of the event loop in which the application calls the API while
   * virtual time waits for it (default 100,000), and events of one instant (default 20 million).
   */
  readonly patience?: { readonly turns?: number | undefined; readonly events?: number | undefined } | undefined
}

export class Simulation implements Host, Clock, AsyncDisposable {
  readonly seed: number
  readonly clock: Clock = this
  readonly timers: Timers = new Timers()
  /** Captures of a simulation begin in 1970. */
  readonly epochUs = 0
  private readonly booted = new Map<string, Node<unknown>>()
  /** Nodes whose start nobody has waited for yet. */
  private fresh: Node<unknown>[] = []
  private readonly partitions = new Partitions()
  private readonly captures = new Captures(() => [...this.booted.values()].flatMap((node) => node.boundaries))
  /** How many streams of one name there have been: what nodes, layers and links are called, however often they come. */
  private readonly streams = new Map<string, number>()
  /** Told of each boundary that is made. */
  private openings: readonly ((boundary: AnyBoundary) => void)[] = []
  private readonly maxTurns: number
  private readonly maxEvents: number
  private at: Instant = 0
  private touches = 0
  private running = false
  /** Those who wait for promises of layers, which may settle by any event. */
  private waiters = 0

  /** @throws RangeError ERR_OUT_OF_RANGE — the seed is not an integer, or patience is less than 1. */
  constructor(options: SimulationOptions = {}) {
    const { MAX_SAFE_INTEGER } = Number
    this.seed = integer('seed', options.seed ?? 1, -MAX_SAFE_INTEGER, MAX_SAFE_INTEGER)
    this.maxTurns = inRange('patience.turns', options.patience?.turns ?? MAX_TURNS, 1, Number.POSITIVE_INFINITY)
    this.maxEvents = inRange('patience.events', options.patience?.events ?? MAX_EVENTS, 1, Number.POSITIVE_INFINITY)
  }

  /** Virtual time, in microseconds since the simulation began. */
  now(): Instant {
    return this.at
  }

  /**
   * The stream of chance of that name: by seed and name alone, so that no other stream changes it. A second one of the name,
   * also of a node or link that comes again, is another stream.
   */
  random(name: string): Random {
    const count = (this.streams.get(name) ?? 0) + 1
    this.streams.set(name, count)
    return new SeededRandom(seedWords(this.seed, count === 1 ? name : `${name}#${count}`))
  }

  touched(): void {
    this.touches++
  }

  /** Without effect: whoever runs the simulation keeps the process alive. */
  hold(): () => void {
    return () => {}
  }

  wire(wire: Wire): () => void {
    return this.partitions.add(wire)
  }

  opened(boundary: AnyBoundary): void {
    for (const opening of this.openings) opening(boundary)
    this.captures.changed()
  }

  async waitFor(work: Promise<unknown>, limit: Duration): Promise<boolean> {
    let settled = false
    const done = work.then(() => {
      settled = true
    })
    this.waiters++
    try {
      if (!this.running) await this.advance(this.at + limit, () => settled)
      else await this.sleepUnless(done, limit)
    } finally {
      this.waiters--
    }
    return settled
  }

  private async sleepUnless(done: Promise<void>, limit: Duration): Promise<void> {
    const awake = new AbortController()
    await Promise.race([done, this.sleep(limit, { signal: awake.signal }).catch(() => {})])
    awake.abort()
  }

  /** The nodes running now, by name, in the order of their booting. */
  get nodes(): ReadonlyMap<string, Node<unknown>> {
    return this.booted
  }

  /**
   * Boots a stack at the current instant. What a layer has to start is waited for when the simulation runs on.
   * @param name unique in the simulation; free again once the node is closed.
   * @throws TypeError ERR_INVALID_ARG_VALUE — the name is taken.
   */
  boot<Top>(name: string, blueprint: Blueprint<Top>, options: NodeOptions = {}): Node<Top> {
    if (this.booted.has(name)) throw invalidValue('name', 'unique in the simulation', name)
    let node: Node<Top> | undefined
    const cleanups = new Cleanups()
    cleanups.add(() => {
      if (node !== undefined) this.booted.delete(name) // the oldest cleanup: the last to run
    })
    node = new Node(name, blueprint, this, options, cleanups)
    this.booted.set(name, node)
    this.fresh.push(node)
    return node
  }

  /** Lets `duration` pass. @throws NetError EBUSY — it runs already. @throws what an event or a starting node throws. */
  async run(duration: Duration): Promise<void> {
    const until = this.at + inRange('duration', duration, 0, Number.MAX_SAFE_INTEGER)
    await this.advance(until, () => false)
    this.at = until
  }

  /**
   * Runs until `condition` holds; it is asked first, and after each event.
   * @param limit the longest to run, in virtual time; default without limit.
   * @returns whether it came to hold; false when nothing more can happen, or the limit was reached.
   * @throws NetError EBUSY — it runs already. @throws what an event or a starting node throws.
   */
  async runUntil(condition: () => boolean, limit: Duration = Number.POSITIVE_INFINITY): Promise<boolean> {
    const until = this.at + inRange('limit', limit, 0, Number.POSITIVE_INFINITY)
    if (await this.advance(until, condition)) return true
    if (until !== Number.POSITIVE_INFINITY) this.at = until
    return false
  }

  /**
   * Settles after `duration` of virtual time; deterministic, unlike the global timers.
   * @param options an AbortSignal ends the wait early: it rejects with the signal's reason.
   */
  sleep(duration: Duration, options: { readonly signal?: AbortSignal | undefined } = {}): Promise<void> {
    const { signal } = options
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted()
      const abort = () => {
        this.timers.cancel(timer)
        reject(signal?.reason)
      }
      const expire = () => {
        signal?.removeEventListener('abort', abort)
        this.touched()
        resolve()
      }
      const timer = new Timer({ expire })
      this.timers.arm(timer, this.at + inRange('duration', duration, 0, Number.MAX_SAFE_INTEGER))
      signal?.addEventListener('abort', abort, { once: true })
    })
  }

  /**
   * Does something at a later instant, as an event of its own: changes a link, heals a partition, closes a node.
   * @param action a promise it returns is the application's: nobody waits for it.
   * @returns a function that calls it off.
   */
  after(duration: Duration, action: () => unknown): () => void {
    const expire = () => {
      this.touched()
      action()
    }
    const timer = new Timer({ expire })
    this.timers.arm(timer, this.at + inRange('duration', duration, 0, Number.MAX_SAFE_INTEGER))
    return () => this.timers.cancel(timer)
  }

  /** Separates two groups of nodes, both ways, on every wire between them, until it is healed. Names of no node yet count. */
  partition(a: readonly string[], b: readonly string[]): Partition {
    return this.partitions.cut([...pairs(a, b), ...pairs(b, a)])
  }

  /** Keeps what the first group sends from the second, on every wire between them; the other direction stays. */
  cut(from: readonly string[], to: readonly string[]): Partition {
    return this.partitions.cut(pairs(from, to))
  }

  /**
   * Calls `action` for every boundary there is, then for each of those to come.
   * @returns a function that stops it; it does not undo what `action` did.
   */
  eachBoundary(action: (boundary: AnyBoundary) => void): () => void {
    for (const node of this.booted.values()) for (const boundary of node.boundaries) action(boundary)
    this.openings = [...this.openings, action]
    return () => {
      this.openings = this.openings.filter((other) => other !== action)
    }
  }

  /** Tells of every packet at every boundary, also of nodes yet to boot. Costs nothing when unused. @returns stop. */
  trace(listener: TraceListener): () => void {
    const stops: (() => void)[] = []
    stops.push(this.eachBoundary((boundary) => stops.push(traceBoundary(boundary, listener))))
    return () => {
      for (const stop of stops.splice(0)) stop()
    }
  }

  /** Writes what passes the links of every node, those booted later too, into one pcapng; see `Node.capture`. */
  capture(target: string | Writable, request: CaptureRequest = {}): CaptureHandle {
    return this.captures.start(target, this.epochUs, request)
  }

  /** The trace from now on, as one value: compare two runs by it. */
  fingerprint(): Fingerprint {
    const fingerprint = new Fingerprint()
    this.trace(fingerprint.add)
    return fingerprint
  }

  /**
   * Closes every node, the last booted first, and ends its captures; virtual time passes where a layer needs it.
   * @throws what closing a node failed with; an AggregateError when there is more than one failure.
   */
  async close(): Promise<void> {
    const failures: unknown[] = []
    this.fresh = []
    for (const node of [...this.booted.values()].reverse()) {
      await node.close().catch((error: unknown) => failures.push(error))
    }
    await this.captures.close().catch((error: unknown) => failures.push(error))
    if (failures.length === 1) throw failures[0]
    if (failures.length > 1) throw new AggregateError(failures, `closing failed in ${failures.length} nodes`)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /**
   * Takes event after event, until the one beyond `until`.
   * @returns whether the condition came to hold.
   */
  private async advance(until: Instant, condition: () => boolean): Promise<boolean> {
    if (this.running) throw new NetError('EBUSY', 'the simulation runs already: wait for that run, or for sleep()')
    this.running = true
    try {
      await this.settle()
      let events = 0
      for (;;) {
        if (this.fresh.length > 0) await this.start()
        if (condition()) return true
        const next = this.timers.next()
        if (next > until || next === Number.POSITIVE_INFINITY) return false
        if (next > this.at) {
          this.at = next
          events = 0
        }
        if (++events > this.maxEvents) throw this.stuck(`${events - 1} events have happened`)
        const before = this.touches
        this.timers.advance(this.at, this.timers.nextAge)
        if (this.waiters > 0 || this.touches !== before) await this.settle()
      }
    } finally {
      this.running = false
    }
  }

  /** Waits for what new nodes have to start; that is real time, while virtual time stands still. */
  private async start(): Promise<void> {
    for (const node of this.fresh.splice(0)) await node.started()
    await this.settle()
  }

  /** Lets the application run until a whole turn of the event loop passes without a call of the API. */
  private async settle(): Promise<void> {
    let turns = 0
    for (let seen = -1; seen !== this.touches; ) {
      if (++turns > this.maxTurns) throw this.stuck(`the application has called the API for ${turns - 1} turns on end`)
      seen = this.touches
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  private stuck(what: string): NetError {
    return new NetError('ELOOP', `virtual time stands still at ${this.at} us: ${what}`, { reason: 'neverSettles' })
  }
}

function pairs(from: readonly string[], to: readonly string[]): [from: string, to: string][] {
  return from.flatMap((a) => to.map((b): [string, string] => [a, b]))
}

/** Four words of a generator's state from the seed and a name, both hashed (SipHash with fixed keys). */
function seedWords(seed: number, name: string): [number, number, number, number] {
  const octets = new TextEncoder().encode(name)
  const words = new Int32Array(Math.ceil(octets.length / 4) + 1)
  for (const [i, octet] of octets.entries()) words[i >> 2] = (words[i >> 2] as number) | (octet << ((i & 3) * 8))
  words[words.length - 1] = octets.length
  const low = seed | 0
  const high = Math.floor(seed / 0x1_0000_0000) | 0
  const key = (half: number): HashKey => [low, high, half, 0]
  return [...keyedHash64(key(1), words), ...keyedHash64(key(2), words)]
}
