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
import { invalidValue } from '../kernel/errors.ts'
import { type HashKey, keyedHash64 } from '../kernel/keyed-hash.ts'
import type { Blueprint } from '../kernel/layer.ts'
import { type Random, SeededRandom } from '../kernel/random.ts'
import { Timer, Timers } from '../kernel/timers.ts'
import type { Wire } from '../kernel/wire.ts'
import { type CaptureHandle, type CaptureRequest, Captures } from './captures.ts'
import { type AnyBoundary, type Host, Node, type NodeOptions } from './node.ts'
import { type Partition, Partitions } from './partitions.ts'

export interface SimulationOptions {
  /** Chooses the run; default 1. The same seed gives the same trace. */
  readonly seed?: number
}

export class Simulation implements Host, Clock, AsyncDisposable {
  readonly seed: number
  readonly clock: Clock = this
  readonly timers: Timers = new Timers()
  /** Captures of a simulation begin in 1970. */
  readonly epochUs = 0
  private readonly booted = new Map<string, Node<unknown>>()
  private readonly partitions = new Partitions()
  private readonly boundaries: AnyBoundary[] = []
  private readonly captures = new Captures(() => this.boundaries)
  private at: Instant = 0
  private touches = 0

  constructor(options: SimulationOptions = {}) {
    this.seed = options.seed ?? 1
  }

  /** Virtual time, in microseconds since the simulation began. */
  now(): Instant {
    return this.at
  }

  random(name: string): Random {
    return new SeededRandom(seedWords(this.seed, name))
  }

  touched(): void {
    this.touches++
  }

  hold(): () => void {
    return () => {}
  }

  wire(wire: Wire): () => void {
    return this.partitions.add(wire)
  }

  opened(boundary: AnyBoundary): void {
    this.boundaries.push(boundary)
    this.captures.changed()
  }

  /** Writes what passes the links of every node, those booted later too, into one pcapng; see `Node.capture`. */
  capture(target: string | Writable, request: CaptureRequest = {}): CaptureHandle {
    return this.captures.start(target, this.epochUs, request)
  }

  /** Separates two groups of nodes, both ways, on every wire between them, until it is healed. */
  partition(a: readonly string[], b: readonly string[]): Partition {
    const there = this.partitions.cut(a, b)
    const back = this.partitions.cut(b, a)
    const heal = () => {
      there.heal()
      back.heal()
    }
    return { heal, [Symbol.dispose]: heal }
  }

  /** The nodes booted so far, by name. */
  get nodes(): ReadonlyMap<string, Node<unknown>> {
    return this.booted
  }

  /**
   * Boots a stack at the current instant.
   * @param name unique in the simulation.
   * @throws TypeError ERR_INVALID_ARG_VALUE — the name is taken.
   */
  boot<Top>(name: string, blueprint: Blueprint<Top>, options: NodeOptions = {}): Node<Top> {
    if (this.booted.has(name)) throw invalidValue('name', 'unique in the simulation', name)
    const node = new Node(name, blueprint, this, options)
    this.booted.set(name, node)
    return node
  }

  /** Lets `duration` pass. */
  async run(duration: Duration): Promise<void> {
    const until = this.at + duration
    await this.advance(until, () => false)
    this.at = until
  }

  /**
   * Runs until `condition` holds; it is asked after each event.
   * @param limit the longest to run, in virtual time; default without limit.
   * @returns whether it came to hold; false when nothing more can happen, or the limit was reached.
   */
  async runUntil(condition: () => boolean, limit: Duration = Number.POSITIVE_INFINITY): Promise<boolean> {
    const until = this.at + limit
    if (await this.advance(until, condition)) return true
    if (until !== Number.POSITIVE_INFINITY) this.at = until
    return false
  }

  /** Settles after `duration` of virtual time; deterministic, unlike the global timers. */
  sleep(duration: Duration): Promise<void> {
    return new Promise((resolve) => {
      const wake = {
        expire: () => {
          this.touched()
          resolve()
        },
      }
      this.timers.arm(new Timer(wake), this.at + duration)
    })
  }

  /** Closes every node, the last booted first. */
  async close(): Promise<void> {
    for (const node of [...this.booted.values()].reverse()) await node.close()
    this.booted.clear()
    await this.captures.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  private async advance(until: Instant, condition: () => boolean): Promise<boolean> {
    await this.settle()
    for (;;) {
      if (condition()) return true
      const next = this.timers.next()
      if (next > until || next === Number.POSITIVE_INFINITY) return false
      this.at = Math.max(this.at, next)
      const before = this.touches
      this.timers.advance(this.at, this.timers.nextAge)
      if (this.touches !== before) await this.settle()
    }
  }

  /** Lets the application run until a whole turn of the event loop passes without a call of the API. */
  private async settle(): Promise<void> {
    for (let seen = -1; seen !== this.touches; ) {
      seen = this.touches
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
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
