/**
 * Two flows that share a bottleneck with a queue of one bandwidth-delay product: two of ours, one of ours beside one of
 * the kernel's CUBIC, and for comparison two of the kernel's. What counts is how much of what arrived was whose.
 */
import { ms } from '../src/kernel/clock.ts'
import { type Bottleneck, bottleneck, bottleneckMissing, type Sender } from './bottleneck.ts'
import { type Bench, type Effort, FULL, figure, sleep } from './harness.ts'

const RATE = 50_000_000
const ROUND_TRIP_MS = 20
const FRAME_OCTETS = 1514
const QUEUE = Math.ceil((RATE * ROUND_TRIP_MS) / 1000 / 8 / FRAME_OCTETS)
/** A share of 40 % leaves 60 %. */
const TARGET = 0.667
const PAUSE_MS = 500

const CASES: readonly (readonly [Sender, Sender])[] = [
  ['ours', 'ours'],
  ['ours', 'kernel'],
  ['kernel', 'kernel'],
]
const NAMES = { ours: 'ours', kernel: "the kernel's" } as const

const length = ({ ms }: Effort): number => (ms >= FULL.ms ? 60_000 : 10_000)

export const fairness: Bench = async (effort, tell) => {
  const missing = await bottleneckMissing()
  if (missing !== undefined) {
    tell({ bench: 'fairness', metric: 'all', skipped: missing })
    return
  }
  const link = await bottleneck()
  try {
    await link.set({ loss: 0, seed: 1, delay: ms(ROUND_TRIP_MS), rate: RATE, queue: QUEUE })
    for (const [one, other] of CASES) {
      const shares = await shared(link, one, other, length(effort))
      const [less, more] = shares.toSorted((a, b) => a - b) as [number, number]
      const metric = `${NAMES[one]} beside ${NAMES[other]}`
      const peer = `the other flow; first: ${shares[0].toFixed(1)} %, second: ${shares[1].toFixed(1)} %`
      tell(figure({ bench: 'fairness', metric, unit: '%', peer, target: TARGET }, less, more, { ...effort, runs: 1 }))
      await sleep(PAUSE_MS)
    }
  } finally {
    await link.close()
  }
}

/** Percent of what arrived that was of each. */
async function shared(link: Bottleneck, one: Sender, other: Sender, ms: number): Promise<readonly [number, number]> {
  const flows = [await link.send(one), await link.send(other)] as const
  await sleep(ms)
  const [first, second] = [await flows[0].received(), await flows[1].received()]
  for (const flow of flows) await flow.stop()
  return [(100 * first) / (first + second), (100 * second) / (first + second)]
}
