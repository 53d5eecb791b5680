/**
 * What a segment costs while many other connections are open, and what their timers and their memory cost. Each number
 * of connections is measured in a process of its own.
 */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { Cost } from './connections-end.ts'
import { type Bench, type Effort, figure } from './harness.ts'
import { script } from './processes.ts'

const run = promisify(execFile)

const FEW = 10
const MANY: readonly number[] = [1000, 10_000, 50_000]
/** A busy connection costs the same among many; one of many that are all busy is not in the processor's caches. */
const FLAT = 1.3
const COLD = 2.5

export const connections: Bench = async (effort, tell) => {
  const costs = await alternating([FEW, ...MANY], effort)
  const few = costs.get(FEW) as Cost
  const gate = { bench: 'connections', peer: `${FEW} open`, target: FLAT, atMost: true } as const
  for (const n of MANY) {
    const cost = costs.get(n) as Cost
    const open = `${n / 1000}k open`
    tell(figure({ ...gate, metric: `segment on 10 of ${open}`, unit: 'ns' }, cost.few, few.few, effort))
    tell(figure({ ...gate, target: COLD, metric: `segment on any of ${open}`, unit: 'ns' }, cost.all, few.all, effort))
    tell(figure({ ...gate, metric: `timer moved, ${open}`, unit: 'ns' }, cost.arm, few.arm, effort))
    tell(figure({ ...gate, metric: `1 ms of the wheel, ${open}`, unit: 'ns' }, cost.turn, few.turn, effort))
    const gateOfMemory = { ...gate, peer: `${MANY[0]} open`, target: 1 }
    const { octets } = costs.get(MANY[0] as number) as Cost
    tell(
      figure({ ...gateOfMemory, metric: `both ends of one of ${open}`, unit: 'octets' }, cost.octets, octets, effort),
    )
  }
}

/** The numbers of connections take turns. @returns the least of each cost for each of them: other programs only add to it. */
async function alternating(numbers: readonly number[], { runs, ms }: Effort): Promise<Map<number, Cost>> {
  const costs = new Map<number, Cost[]>(numbers.map((n) => [n, []]))
  for (let i = 0; i < runs; i++) for (const [n, all] of costs) all.push(await measure(n, ms))
  return new Map([...costs].map(([n, all]) => [n, least(all)]))
}

async function measure(n: number, ms: number): Promise<Cost> {
  const args = ['--expose-gc', ...script('connections-end.ts', String(n), String(ms))]
  const { stdout } = await run(process.execPath, args)
  return JSON.parse(stdout) as Cost
}

function least(costs: readonly Cost[]): Cost {
  const of = (name: keyof Cost): number => Math.min(...costs.map((cost) => cost[name]))
  return { few: of('few'), all: of('all'), arm: of('arm'), turn: of('turn'), octets: of('octets') }
}
