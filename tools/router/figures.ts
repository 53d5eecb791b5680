/** Metrics for Prometheus that are read when they are asked for: nothing is counted twice. */
import { Counter, Gauge, type Registry } from 'prom-client'

/** One value with its labels. */
export type Sample = readonly [labels: Readonly<Record<string, string>>, value: number]

export class Figures {
  readonly registry: Registry

  constructor(registry: Registry) {
    this.registry = registry
  }

  /** What only grows, called 'netstrata_NAME'. */
  counter(name: string, help: string, labelNames: readonly string[], samples: () => Sample[]): void {
    const metric: Counter = new Counter({
      ...{ name: `netstrata_${name}`, help, labelNames, registers: [this.registry] },
      collect: () => {
        metric.reset()
        for (const [labels, value] of samples()) metric.inc(labels, value)
      },
    })
  }

  /** What goes up and down, called 'netstrata_NAME'. */
  gauge(name: string, help: string, labelNames: readonly string[], samples: () => Sample[]): void {
    const metric: Gauge = new Gauge({
      ...{ name: `netstrata_${name}`, help, labelNames, registers: [this.registry] },
      collect: () => {
        metric.reset()
        for (const [labels, value] of samples()) metric.set(labels, value)
      },
    })
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
