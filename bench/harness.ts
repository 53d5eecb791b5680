/**
 * How a figure comes about: the subjects of a bench take turns, ours and the peer, several times over; the machine's
 * drift then meets all of them alike. A figure is the median of the runs, a ratio that of two medians of the same time.
 */

/** Something that can be measured again and again. */
export interface Subject {
  /** Works for about `ms` milliseconds. @returns the value reached. @throws Error — what arrived was not what was sent. */
  measure(ms: number): Promise<number>
  close(): Promise<void>
}

/** What a figure is about. */
export interface Gate {
  readonly bench: string
  readonly metric: string
  readonly unit: string
  /** What it is compared with. */
  readonly peer: string
  /** The ratio to reach; 0: none, it stands beside the others. */
  readonly target: number
  /** Smaller is better: the ratio is not to exceed the target. */
  readonly atMost?: true
}

/** One line of the output. */
export interface Figure extends Gate {
  readonly value: number
  readonly peerValue: number
  readonly ratio: number
  readonly runs: number
  /** Least and greatest ratio of single runs, where these tell more than their median. */
  readonly spread?: readonly [number, number]
}

/** A bench, or a part of one, that the machine does not let us run. */
export interface Skipped {
  readonly bench: string
  readonly metric: string
  readonly skipped: string
}

export type Line = Figure | Skipped

export interface Effort {
  /** Turns each subject gets. */
  readonly runs: number
  /** Milliseconds of each. */
  readonly ms: number
  /** Milliseconds before the first: compilers and caches settle, and connections grow their windows. */
  readonly warmUp: number
  /** All subjects are to be in this process, for a profiler. */
  readonly here?: boolean
}

/** What the issue asks for, and what is enough to see whether something has changed. */
export const FULL: Effort = { runs: 5, ms: 2000, warmUp: 3000 }
export const QUICK: Effort = { runs: 3, ms: 500, warmUp: 1500 }

/** Measures a bench and tells each figure as soon as it is known. */
export type Bench = (effort: Effort, tell: (line: Line) => void) => Promise<void>

/** Lets the subjects take turns. @returns the median of each, under its name. The subjects are closed, in the end. */
export async function alternate<Name extends string>(
  subjects: Readonly<Record<Name, Subject>>,
  effort: Effort,
): Promise<Record<Name, number>> {
  const names = Object.keys(subjects) as Name[]
  const all = names.map((name) => ({ name, subject: subjects[name], values: [] as number[] }))
  try {
    for (const { subject } of all) await subject.measure(effort.warmUp)
    for (let run = 0; run < effort.runs; run++) {
      for (const { subject, values } of all) values.push(await subject.measure(effort.ms))
    }
  } finally {
    for (const { subject } of all) await subject.close()
  }
  return medians(all)
}

/** The median of each, under its name. */
export function medians<Name extends string>(
  all: readonly { readonly name: Name; readonly values: readonly number[] }[],
): Record<Name, number> {
  return Object.fromEntries(all.map(({ name, values }) => [name, median(values)])) as Record<Name, number>
}

/** The middle of some values, or the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const half = sorted.length >> 1
  const upper = sorted[half] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[half - 1] ?? Number.NaN) + upper) / 2
}

/** The figure of a gate. */
export function figure(gate: Gate, value: number, peerValue: number, { runs }: Pick<Effort, 'runs'>): Figure {
  const { bench, metric, unit, peer, target, atMost } = gate
  return {
    bench,
    metric,
    value: rounded(value),
    unit,
    peer,
    peerValue: rounded(peerValue),
    ratio: rounded(value / peerValue),
    target,
    runs,
    ...(atMost ? { atMost } : {}),
  }
}

/** Has the gate been reached? */
export const reached = ({ ratio, target, atMost }: Figure): boolean => (atMost ? ratio <= target : ratio >= target)

/** Four significant digits. */
export const rounded = (value: number): number => Number(value.toPrecision(4))

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Milliseconds that go by while `work` is done. */
export async function timed(work: () => Promise<void>): Promise<number> {
  const start = performance.now()
  await work()
  return performance.now() - start
}
