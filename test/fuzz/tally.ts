/** Why packets were dropped, and how often, over all nodes of a run, also those that are closed. */
import type { AnyBoundary } from '../../src/runtime/node.ts'

export interface Line {
  readonly layer: string
  readonly reason: string
  readonly count: number
  readonly rfc: string
}

interface Watched {
  readonly name: string
  readonly reasons: Readonly<Record<string, string>>
  readonly drops: ReadonlyMap<string, number>
}

export class Tally {
  private readonly boundaries = new Set<Watched>()

  /** Counts the drops of these boundaries from the beginning. */
  add(boundaries: readonly AnyBoundary[]): void {
    for (const boundary of boundaries) this.boundaries.add(boundary)
  }

  /** Every reason of every kind of boundary, by layer. */
  lines(): Line[] {
    const lines = new Map<string, Line>()
    for (const { name, reasons, drops } of this.boundaries) {
      // The framings of all links are one.
      const layer = (name.split('/').at(-1) as string).replace(/#\d+$/, '').replace(/^(.+-frames|kiss)$/, 'framing')
      for (const [reason, rfc] of Object.entries(reasons)) {
        const key = `${layer} ${reason}`
        const count = (lines.get(key)?.count ?? 0) + (drops.get(reason) ?? 0)
        lines.set(key, { layer, reason, count, rfc })
      }
    }
    return [...lines.values()].sort((a, b) => a.layer.localeCompare(b.layer))
  }
}
