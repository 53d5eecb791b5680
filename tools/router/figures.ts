/** Metrics for Prometheus that are read when they are asked for: nothing is counted twice. */
import { Counter, Gauge, type Registry } from 'prom-client'

/** One value with its labels. */
export type Sample = readonly [labels: Readonly<Record<string, string>>, value: number]

export class Figures {
  readonly registry: Registry
  /** How often each figure could not be read, by its name. */
  readonly failures: Map<string, number> = new Map<string, number>()
  private readonly complain: (name: string, error: unknown) => void

  /** @param complain told of a figure that cannot be read, once: it is left out, and the others are not. */
  constructor(registry: Registry, complain: (name: string, error: unknown) => void = () => {}) {
    this.registry = registry
    this.complain = complain
  }

  /** What only grows, called 'netstrata_NAME'. */
  counter(name: string, help: string, labelNames: readonly string[], samples: () => Sample[]): void {
    const metric: Counter = new Counter({
      ...{ name: `netstrata_${name}`, help, labelNames, registers: [this.registry] },
      collect: () => {
        metric.reset()
        for (const [labels, value] of this.read(name, metric, samples)) metric.inc(labels, value)
      },
    })
  }

  /** What goes up and down, called 'netstrata_NAME'. */
  gauge(name: string, help: string, labelNames: readonly string[], samples: () => Sample[]): void {
    const metric: Gauge = new Gauge({
      ...{ name: `netstrata_${name}`, help, labelNames, registers: [this.registry] },
      collect: () => {
        metric.reset()
        for (const [labels, value] of this.read(name, metric, samples)) metric.set(labels, value)
      },
    })
  }

  private read(name: string, metric: Counter | Gauge, samples: () => Sample[]): Sample[] {
    try {
      return samples()
    } catch (error) {
      const before = this.failures.get(name) ?? 0
      this.failures.set(name, before + 1)
      if (before === 0) this.complain(name, error)
      // Without labels it would be 0, which nobody has counted.
      metric.remove({})
      return []
    }
  }
}

/** How many items there are for each set of labels. */
export function tally<Item>(
  items: readonly Item[],
  labelsOf: (item: Item) => Readonly<Record<string, string>>,
): Sample[] {
  const counts = new Map<string, { readonly labels: Readonly<Record<string, string>>; count: number }>()
  for (const item of items) {
    const labels = labelsOf(item)
    const key = JSON.stringify(labels)
    const entry = counts.get(key) ?? { labels, count: 0 }
    entry.count++
    counts.set(key, entry)
  }
  return [...counts.values()].map(({ labels, count }): Sample => [labels, count])
}
