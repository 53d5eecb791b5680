import t from 'tap'
import { Packet, poisonReleased } from '../../../src/kernel/packet.ts'
import { arrivals, dropsOf, marked } from './ends.ts'
import { fates, over, share } from './impaired.ts'

poisonReleased(true)

/** Lengths of the runs of lost packets. */
function lostRuns(fate: Uint8Array): number[] {
  const runs: number[] = []
  for (let i = 0; i < fate.length; i++) {
    if (fate[i] !== 0) continue
    if (i > 0 && fate[i - 1] === 0) runs[runs.length - 1] = (runs.at(-1) as number) + 1
    else runs.push(1)
  }
  return runs
}

const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length

t.test('loss is as frequent as asked for, and independent', async (t) => {
  for (const loss of [0.01, 0.2, 0.7]) {
    const n = 20_000
    const fate = await fates({ down: { loss } }, n)
    const seen = share(fate, 0)
    // Four standard deviations: the seed is fixed, so this either always holds or never.
    t.ok(Math.abs(seen - loss) < 4 * Math.sqrt((loss * (1 - loss)) / n), `${loss}: ${seen}`)
    const burst = mean(lostRuns(fate))
    t.ok(Math.abs(burst * (1 - loss) - 1) < 0.1, `runs of ${burst}`)
  }
  t.equal(share(await fates({ loss: 1 }, 100), 0), 1)
  t.equal(share(await fates({ loss: 0 }, 100), 1), 1)
})

t.test('bursts have the loss and length asked for', async (t) => {
  for (const [loss, length] of [
    [0.05, 4],
    [0.3, 10],
  ] as const) {
    const fate = await fates({ burstLoss: { loss, length } }, 40_000)
    const seen = share(fate, 0)
    const burst = mean(lostRuns(fate))
    t.ok(Math.abs(seen / loss - 1) < 0.15, `loss ${loss}: ${seen}`)
    t.ok(Math.abs(burst / length - 1) < 0.15, `length ${length}: ${burst}`)
  }
})

t.test('the four parameters of Gilbert and Elliott', async (t) => {
  // In the bad state a quarter of the time; lost there half the time, in the good state one time in ten.
  const fate = await fates({ burstLoss: { p: 0.01, r: 0.03, good: 0.1, bad: 0.5 } }, 40_000)
  const expected = 0.75 * 0.1 + 0.25 * 0.5
  t.ok(Math.abs(share(fate, 0) - expected) < 0.02, `${share(fate, 0)}`)
})

t.test('one seed, one fate; another seed, another; and directions do not disturb each other', async (t) => {
  const first = await fates({ loss: 0.5 }, 500, 3)
  t.strictSame(await fates({ loss: 0.5 }, 500, 3), first)
  t.strictSame(await fates({ down: { loss: 0.5 }, up: { jitter: 5, delay: 9, loss: 0.9 } }, 500, 3), first)
  t.notSame(await fates({ loss: 0.5 }, 500, 4), first)
})

t.test('packets are chosen by index, and counted as such', async (t) => {
  const { sim, near, far, link } = over({ down: { dropIf: (index) => index === 1 || index === 3 } })
  const seen = arrivals(sim, far)
  for (let i = 0; i < 5; i++) near.send(marked(near, 60, i), undefined)
  await sim.run(1)
  t.strictSame(
    seen.map(([, mark]) => mark),
    [0, 2, 4],
  )
  t.strictSame(dropsOf(near), { chosen: 2 })
  link.set({ dropIf: null })
  near.send(marked(near, 60, 9), undefined)
  link.set({ dropIf: (_, packet) => packet.octets[packet.start] === 10 })
  near.send(marked(near, 60, 10), undefined)
  near.send(marked(near, 60, 11), undefined)
  await sim.run(1)
  t.strictSame(
    seen.slice(3).map(([, mark]) => mark),
    [9, 11],
  )
  await sim.close()
})

t.test('corruption flips the number of bits asked for, in as many packets', async (t) => {
  const { sim, near, far, link } = over({ corruption: 1 })
  const flipped: number[] = []
  far.boundary.attach({
    receive(packet) {
      let bits = 0
      for (const octet of packet.bytes()) for (let rest = octet; rest > 0; rest &= rest - 1) bits++
      flipped.push(bits)
      packet.release()
    },
  })
  for (let i = 0; i < 50; i++) near.send(marked(near, 60, 0), undefined)
  await sim.run(1)
  t.strictSame(flipped.splice(0), new Array(50).fill(1))
  link.set({ corruption: 0.25, corruptBits: 3 })
  for (let i = 0; i < 1000; i++) near.send(marked(near, 1000, 0), undefined)
  near.send(Packet.take(0, 10), undefined)
  await sim.run(1)
  const hit = flipped.filter((bits) => bits > 0)
  t.ok(Math.abs(hit.length - 250) < 60, `${hit.length}`)
  t.ok(hit.filter((bits) => bits === 3).length > hit.length * 0.95)
  t.ok(link.down.corrupted >= 50 + hit.length)
  t.equal(link.up.corrupted, 0)
  await sim.close()
})
