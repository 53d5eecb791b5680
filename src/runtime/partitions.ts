/**
 * Partitions of a simulation: which node cannot be heard by which other, over every wire between the two.
 *
 * Partitions overlap freely: a pair is cut as long as at least one partition says so. Wires and ends that appear while
 * a partition stands are cut as they appear.
 */
import type { Wire } from '../kernel/wire.ts'

/** A standing partition. */
export interface Partition extends Disposable {
  /** Ends it; other partitions stay. Repeating it does nothing. */
  heal(): void
}

/** Directed pairs of nodes, as 'from\0to'. */
type Pair = string

const pairOf = (from: string, to: string): Pair => `${from}\0${to}`

export class Partitions {
  /** Wires with the number of their booted ends. */
  private readonly wires = new Map<Wire, number>()
  /** How many partitions cut a pair. */
  private readonly cuts = new Map<Pair, number>()
  /** The pairs each wire has been told to cut. */
  private readonly told = new WeakMap<Wire, Set<Pair>>()

  /** An end of `wire` was booted. @returns to be called when its node closes. */
  add(wire: Wire): () => void {
    this.wires.set(wire, (this.wires.get(wire) ?? 0) + 1)
    if (this.cuts.size > 0) this.tell(wire)
    let there = true
    return () => {
      if (!there) return
      there = false
      const ends = (this.wires.get(wire) ?? 0) - 1
      if (ends > 0) this.wires.set(wire, ends)
      else this.wires.delete(wire)
    }
  }

  /** Cuts pairs of nodes, each in its direction. Repeated pairs, and a node with itself, count for nothing. */
  cut(nodes: readonly (readonly [from: string, to: string])[]): Partition {
    const pairs = new Set(nodes.filter(([from, to]) => from !== to).map(([from, to]) => pairOf(from, to)))
    for (const pair of pairs) this.cuts.set(pair, (this.cuts.get(pair) ?? 0) + 1)
    this.tellAll()
    let standing = true
    const heal = () => {
      if (!standing) return
      standing = false
      for (const pair of pairs) this.uncut(pair)
      this.tellAll()
    }
    return { heal, [Symbol.dispose]: heal }
  }

  private uncut(pair: Pair): void {
    const count = (this.cuts.get(pair) ?? 0) - 1
    if (count > 0) this.cuts.set(pair, count)
    else this.cuts.delete(pair)
  }

  private tellAll(): void {
    for (const wire of this.wires.keys()) this.tell(wire)
  }

  /** Tells one wire what differs from what it knows. */
  private tell(wire: Wire): void {
    const told = this.told.get(wire) ?? new Set<Pair>()
    this.told.set(wire, told)
    const nodes = [...wire.nodes]
    for (const from of nodes) {
      for (const to of nodes) {
        if (from === to) continue
        const pair = pairOf(from, to)
        const cut = this.cuts.has(pair)
        if (cut === told.has(pair)) continue
        if (cut) told.add(pair)
        else told.delete(pair)
        wire.sever(from, to, cut)
      }
    }
  }
}
