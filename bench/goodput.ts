/**
 * Goodput on a lossy path: our sender against the kernel's CUBIC through one and the same link, by turns. The packets
 * that are lost are the same by their index in both runs of a pair, which last for so many losses or so long.
 */
import { ms } from '../src/kernel/clock.ts'
import { type Bottleneck, bottleneck, bottleneckMissing, type Sender } from './bottleneck.ts'
import { type Bench, type Effort, FULL, figure, type Gate, median, rounded, sleep } from './harness.ts'

const LOSSES = [0.001, 0.01, 0.03] as const
const ROUND_TRIPS_MS = [1, 20, 100] as const
const PEER = "Linux's CUBIC"
/** Of the link: more than any cell reaches for long, and a queue that none overflows for long. */
const RATE = 400_000_000
const QUEUE = 2000
/** Until what was under way has left the link. */
const PAUSE_MS = 300
const LOOK_MS = 50

/** How long a run lasts: until so many packets were lost, or so long; and how many there are of each. */
interface Length {
  readonly losses: number
  readonly ms: number
  readonly pairs: number
}

const length = ({ runs, ms }: Effort): Length =>
  ms >= FULL.ms ? { losses: 100, ms: 120_000, pairs: Math.ceil(runs / 2) } : { losses: 30, ms: 8000, pairs: 1 }

export const goodput: Bench = async (effort, tell) => {
  const missing = await bottleneckMissing()
  if (missing !== undefined) {
    tell({ bench: 'goodput', metric: 'all', skipped: missing })
    return
  }
  const { pairs, ...until } = length(effort)
  const link = await bottleneck()
  try {
    const means: Pair[] = []
    for (const loss of LOSSES)
      for (const rtt of ROUND_TRIPS_MS) {
        const results: Pair[] = []
        for (let seed = 1; seed <= pairs; seed++) results.push(await pair(link, { loss, rtt, seed }, until))
        const metric = `loss ${loss * 100} %, RTT ${rtt} ms`
        const cell = { ours: median(results.map(({ ours }) => ours)), kernel: median(results.map((r) => r.kernel)) }
        means.push(cell)
        tell({
          ...figure(gate(metric, 0.7), cell.ours, cell.kernel, { ...effort, runs: pairs }),
          spread: spread(results),
        })
      }
    const mean = (who: Sender): number => geometricMean(means.map((cell) => cell[who]))
    const all = figure(gate('geometric mean of all', 0.9), mean('ours'), mean('kernel'), { ...effort, runs: pairs })
    tell({ ...all, spread: spread(means) })
  } finally {
    await link.close()
  }
}

const gate = (metric: string, target: number): Gate => ({
  bench: 'goodput',
  metric,
  unit: 'Mbit/s',
  peer: PEER,
  target,
})

interface Cell {
  readonly loss: number
  readonly rtt: number
  readonly seed: number
}

/** Mbit/s that arrived. */
type Pair = Record<Sender, number>

async function pair(link: Bottleneck, cell: Cell, until: Omit<Length, 'pairs'>): Promise<Pair> {
  // Whoever is first has no advantage in the long run.
  const first = cell.seed % 2 === 1 ? 'ours' : 'kernel'
  const one = await run(link, first, cell, until)
  const other = await run(link, first === 'ours' ? 'kernel' : 'ours', cell, until)
  return first === 'ours' ? { ours: one, kernel: other } : { ours: other, kernel: one }
}

async function run(
  link: Bottleneck,
  who: Sender,
  { loss, rtt, seed }: Cell,
  until: Omit<Length, 'pairs'>,
): Promise<number> {
  await sleep(PAUSE_MS)
  await link.set({ loss, seed, delay: ms(rtt), rate: RATE, queue: QUEUE })
  const started = performance.now()
  const flow = await link.send(who)
  for (;;) {
    await sleep(LOOK_MS)
    const { lost } = await link.state()
    if (lost >= until.losses || performance.now() - started >= until.ms) break
  }
  const elapsed = performance.now() - started
  const octets = await flow.received()
  await flow.stop()
  return (octets * 8) / elapsed / 1000
}

/** Least and greatest ratio of ours to the kernel's. */
function spread(pairs: readonly Pair[]): readonly [number, number] {
  const ratios = pairs.map(({ ours, kernel }) => ours / kernel)
  return [rounded(Math.min(...ratios)), rounded(Math.max(...ratios))]
}

const geometricMean = (values: readonly number[]): number =>
  Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length)
