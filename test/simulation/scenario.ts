/** Runs a scenario with several seeds, looks for what is left behind, and makes sure that it is deterministic. */

import type { Test } from 'tap'
import type { Simulation } from '../../src/index.ts'
import { leakCheck, poisonReleased } from '../../src/testing.ts'

interface Closing {
  readonly sim: Simulation
  close(): Promise<void>
}

const SEEDS = [1, 2, 3]

/**
 * @param build makes the network anew for a seed.
 * @param body what happens; it may leave connections open.
 */
export async function scenario<World extends Closing>(
  t: Test,
  name: string,
  build: (seed: number) => World,
  body: (t: Test, world: World, seed: number) => Promise<void>,
): Promise<void> {
  poisonReleased(true)
  const once = async (t: Test, seed: number): Promise<string> => {
    const world = build(seed)
    const leaks = leakCheck(world.sim)
    const fingerprint = world.sim.fingerprint()
    await body(t, world, seed)
    await world.close()
    const left = leaks.list()
    t.same(left, [], 'nothing is left behind')
    return `${fingerprint.packets} packets, ${fingerprint.value}`
  }
  await t.test(name, async (t) => {
    const traces: string[] = []
    for (const seed of SEEDS) await t.test(`seed ${seed}`, async (t) => void traces.push(await once(t, seed)))
    await t.test('once more', async (t) => {
      t.equal(await once(t, SEEDS[0] as number), traces[0], 'one seed, one trace')
    })
  })
}
