/**
 * Prometheus' text format, version 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats/), read as
 * strictly as it is written there: what a scraper would refuse or misread is an error here.
 */

export interface Sample {
  /** With its suffix: `x_bucket`, `x_sum`, `x_count`. */
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export interface Metric {
  readonly name: string
  readonly type: string
  readonly help: string
  readonly samples: readonly Sample[]
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/
const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)( -?\d+)?$/
const LABEL = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)/
const VALUE = /^(?:[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?|[+-]Inf|NaN)$/
const SUFFIXES: Readonly<Record<string, readonly string[]>> = {
  histogram: ['_bucket', '_sum', '_count'],
  summary: ['', '_sum', '_count'],
}
const TYPES = ['counter', 'gauge', 'histogram', 'summary', 'untyped']

/** Reads an exposition. @throws Error — with the line that is wrong, and how. */
export function parseExposition(text: string): Map<string, Metric> {
  const reader = new Reader()
  if (!text.endsWith('\n')) throw new Error('the last line does not end')
  for (const line of text.split('\n').slice(0, -1)) {
    try {
      reader.line(line)
    } catch (error) {
      throw new Error(`${line}: ${(error as Error).message}`)
    }
  }
  for (const metric of reader.metrics.values()) checkMetric(metric)
  return reader.metrics
}

interface Reading {
  readonly name: string
  help: string
  type: string
  readonly samples: Sample[]
}

class Reader {
  readonly metrics = new Map<string, Reading>()
  private readonly seen = new Set<string>()
  private current: Reading | undefined

  line(line: string): void {
    if (line === '') return
    const [, keyword, name = '', rest = ''] = /^# (HELP|TYPE) (\S+)(?: (.*))?$/.exec(line) ?? []
    if (keyword !== undefined) this.meta(keyword, name, rest)
    else if (!line.startsWith('#')) this.sample(line)
  }

  private meta(keyword: string, name: string, rest: string): void {
    if (!NAME.test(name)) throw new Error('no name of a metric')
    const metric = this.current?.name === name ? this.current : this.begin(name)
    if (metric.samples.length > 0) throw new Error('comes after its samples')
    if (keyword === 'TYPE') {
      if (metric.type !== '') throw new Error('a second type')
      if (!TYPES.includes(rest)) throw new Error('no type')
      metric.type = rest
    } else {
      if (metric.help !== '') throw new Error('a second help')
      if (/\\[^\\n]/.test(rest)) throw new Error('an escape that is none')
      metric.help = rest
    }
  }

  private begin(name: string): Reading {
    if (this.metrics.has(name)) throw new Error('its lines are not together')
    this.current = { name, help: '', type: '', samples: [] }
    this.metrics.set(name, this.current)
    return this.current
  }

  private sample(line: string): void {
    const [, name = '', labelText, value = ''] = SAMPLE.exec(line) ?? []
    if (name === '') throw new Error('neither a comment nor a sample')
    if (!VALUE.test(value)) throw new Error('no value')
    const labels = labelsOf(labelText ?? '')
    const key = JSON.stringify([name, Object.entries(labels).sort()])
    if (this.seen.has(key)) throw new Error('was there already')
    this.seen.add(key)
    this.metricOf(name).samples.push({ name, labels, value: Number(value.replace('Inf', 'Infinity')) })
  }

  /** A sample belongs to the metric whose lines it stands among. */
  private metricOf(name: string): Reading {
    const { current } = this
    const suffixes = SUFFIXES[current?.type ?? ''] ?? ['']
    if (current !== undefined && suffixes.some((suffix) => name === current.name + suffix)) return current
    return this.begin(name)
  }
}

function labelsOf(text: string): Record<string, string> {
  const labels: Record<string, string> = {}
  for (let left = text; left !== ''; ) {
    const [all = '', name = '', value = ''] = LABEL.exec(left) ?? []
    if (all === '') throw new Error(`no label: ${left}`)
    if (name.startsWith('__') || name in labels) throw new Error(`a label that may not be there: ${name}`)
    labels[name] = value.replace(/\\(.)/g, (_, escaped: string) => (escaped === 'n' ? '\n' : escaped))
    left = left.slice(all.length)
  }
  return labels
}

function checkMetric({ name, type, help, samples }: Metric): void {
  const wrong = (what: string): Error => new Error(`${name}: ${what}`)
  if (type === '' || help === '') throw wrong('lacks its type or its help')
  if (type === 'counter' && !name.endsWith('_total')) throw wrong('a counter whose name does not end in _total')
  if (type === 'counter' && samples.some(({ value }) => !(value >= 0))) throw wrong('a counter below zero')
  if (type === 'histogram') checkHistogram(name, samples)
}

/** The buckets of each histogram grow, and the last has all. */
function checkHistogram(name: string, samples: readonly Sample[]): void {
  const counts = new Map<string, { at: number; count: number }>()
  for (const { name: own, labels, value } of samples) {
    const { le, ...others } = labels
    const key = JSON.stringify(Object.entries(others).sort())
    const last = counts.get(key) ?? { at: Number.NEGATIVE_INFINITY, count: 0 }
    if (own === `${name}_bucket`) {
      const at = Number((le ?? '').replace('Inf', 'Infinity'))
      if (!(at > last.at && value >= last.count)) throw new Error(`${name}: buckets out of order`)
      counts.set(key, { at, count: value })
    } else if (own === `${name}_count` && (last.at !== Number.POSITIVE_INFINITY || last.count !== value)) {
      throw new Error(`${name}: the last bucket does not have all`)
    }
  }
}
