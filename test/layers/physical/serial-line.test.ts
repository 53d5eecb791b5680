import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { serialLine } from '../../../layers/physical/serial-line.ts'
import { ms, seconds } from '../../../src/kernel/clock.ts'
import { Packet, packetsInUse, poisonReleased } from '../../../src/kernel/packet.ts'
import { physicalConformance, Recorder } from '../../conformance/physical.ts'
import { arrivals, marked, pairOf } from './ends.ts'

poisonReleased(true)

await physicalConformance(t, 'a serial line', { make: () => pairOf(serialLine()), run: true })
await physicalConformance(t, 'a serial line with a rate and delay', {
  make: () => pairOf(serialLine({ baudRate: 10_000_000, delay: ms(3) })),
  run: true,
})

/** Sends zeros over a line. @returns what arrived. */
async function zeros(octets: number, line = serialLine(), size = 1000): Promise<Uint8Array> {
  const { sim, near, far } = pairOf(line)
  const recorder = new Recorder()
  far.boundary.attach(recorder)
  for (let sent = 0; sent < octets; sent += size) {
    near.send(marked(near, size, 0), undefined)
    await sim.run(1)
  }
  await sim.run(seconds(1))
  await sim.close()
  return Buffer.concat(recorder.packets)
}

const ones = (octets: Uint8Array): number =>
  octets.reduce((sum, octet) => sum + octet.toString(2).replaceAll('0', '').length, 0)

t.test('an octet takes its bits, start and stop included', async (t) => {
  const { sim, near, far } = pairOf(serialLine({ baudRate: 9600, delay: ms(2) }))
  const seen = arrivals(sim, far)
  near.send(marked(near, 96, 1), undefined)
  await sim.run(seconds(1))
  t.strictSame(seen, [[102_000, 1]], '960 bits at 9600 a second, and the delay')
  await sim.close()
})

t.test('bits are flipped as often as was said, alone', async (t) => {
  const line = serialLine({ bitErrors: 1e-3 })
  const received = await zeros(1_000_000, line)
  const flipped = ones(received)
  t.equal(flipped, line.link.counts.flippedBits)
  t.ok(Math.abs(flipped / 8e6 - 1e-3) < 5e-5, `${flipped} of 8 million bits`)
  line.link.set({ bitErrors: 0 })
  t.throws(() => line.link.set({ bitErrors: 2 }), { code: 'ERR_OUT_OF_RANGE' })
})

t.test('or in bursts, half of whose bits are flipped', async (t) => {
  const received = await zeros(1_000_000, serialLine({ bitErrors: 1e-4, burstBits: 20 }))
  const flipped = ones(received)
  // 800 bursts: their first bit, and half of some 20 more.
  t.ok(flipped > 6500 && flipped < 11_500, `${flipped} bits`)
})

t.test('octets are lost, or come twice', async (t) => {
  const line = serialLine({ slips: 1e-2 })
  const received = await zeros(200_000, line)
  const { lostOctets, doubledOctets } = line.link.counts
  t.equal(received.length, 200_000 - lostOctets + doubledOctets)
  t.ok(Math.abs(lostOctets - 1000) < 150 && Math.abs(doubledOctets - 1000) < 150, `${lostOctets}, ${doubledOctets}`)
})

t.test('the same seed makes the same noise', async (t) => {
  const [a, b] = await Promise.all([0, 1].map(() => zeros(50_000, serialLine({ bitErrors: 1e-3, slips: 1e-3 }))))
  t.strictSame(a, b)
})

t.test('property: any noise on any run leaves nothing behind', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        bitErrors: fc.double({ min: 0, max: 1, noNaN: true }),
        burstBits: fc.double({ min: 1, max: 100, noNaN: true }),
        slips: fc.double({ min: 0, max: 1, noNaN: true }),
      }),
      fc.array(fc.integer({ min: 0, max: 3000 }), { maxLength: 20 }),
      async (noise, sizes) => {
        const { sim, near, far } = pairOf(serialLine(noise))
        far.boundary.attach({ receive: (packet) => packet.release() })
        for (const size of sizes) {
          const packet = Packet.take(0, size)
          packet.put(size)
          near.send(packet, undefined)
        }
        await sim.run(seconds(1))
        await sim.close()
        assert.equal(packetsInUse(), 0)
      },
    ),
  )
  t.pass()
})
