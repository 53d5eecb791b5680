import assert from 'node:assert/strict'
import { Duplex } from 'node:stream'
import fc from 'fast-check'
import t from 'tap'
import { cable } from '../../../../layers/physical/cable.ts'
import { type LengthPrefixOptions, lengthPrefix } from '../../../../layers/physical/octets/length-prefix.ts'
import { stream } from '../../../../layers/physical/octets/stream.ts'
import { ms } from '../../../../src/kernel/clock.ts'
import { Packet, packetsInUse, poisonReleased } from '../../../../src/kernel/packet.ts'
import { stack } from '../../../../src/kernel/stack.ts'
import { boot } from '../../../../src/runtime/real-time.ts'
import { Simulation } from '../../../../src/runtime/simulation.ts'
import { physicalConformance, Recorder } from '../../../conformance/physical.ts'
import { dropsOf, pairOf } from '../ends.ts'

poisonReleased(true)

const ends = (options?: LengthPrefixOptions) =>
  cable({ medium: 'octets', mtu: 65_535 }).map((end) => stack(end, lengthPrefix(options)))

for (const octets of [2, 4] as const) {
  await physicalConformance(t, `a stream of frames behind ${octets} octets of length`, {
    make: () => {
      const [near, far] = ends({ octets })
      return pairOf([near as never, far as never])
    },
  })
}

/** One end, and the bare stream that it is fed by. */
async function fed(options?: LengthPrefixOptions) {
  const line = cable({ medium: 'octets', mtu: 65_535 })
  const sim = new Simulation()
  const top = sim.boot('A', stack(line[0], lengthPrefix(options))).top
  const raw = sim.boot('B', line[1]).top
  const [above, below] = [new Recorder(), new Recorder()]
  top.boundary.attach(above)
  raw.boundary.attach(below)
  const feed = async (octets: Uint8Array) => {
    const packet = Packet.take(raw.headroom, octets.length + raw.tailroom)
    packet.append(octets)
    raw.send(packet, undefined)
    await sim.run(1)
  }
  return { sim, line, top, raw, above, below, feed }
}

/** Frames as they are on the stream. */
function written(frames: readonly Uint8Array[], octets: 2 | 4): Buffer {
  return Buffer.concat(
    frames.flatMap((frame) => {
      const length = Buffer.alloc(octets)
      length.writeUIntBE(frame.length, 0, octets)
      return [length, frame]
    }),
  )
}

t.test('what is sent has its length in front, in network byte order', async (t) => {
  for (const octets of [2, 4] as const) {
    const { sim, top, below } = await fed({ octets })
    const packet = Packet.take(top.headroom, 258)
    packet.append(new Uint8Array(258).fill(7))
    top.send(packet, undefined)
    await sim.run(1)
    t.strictSame(
      below.packets.map((run) => [...run.slice(0, octets + 1)]),
      [octets === 2 ? [1, 2, 7] : [0, 0, 1, 2, 7]],
    )
    await sim.close()
  }
})

t.test('frames arrive whole, wherever the stream is cut', async (t) => {
  const frames = fc.array(fc.uint8Array({ minLength: 1, maxLength: 90 }), { minLength: 1, maxLength: 8 })
  const cuts = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 20 })
  await fc.assert(
    fc.asyncProperty(frames, cuts, fc.constantFrom(2 as const, 4 as const), async (frames, cuts, octets) => {
      const { sim, above, feed } = await fed({ octets })
      const stream = written(frames, octets)
      for (let at = 0, i = 0; at < stream.length; i++) {
        const n = cuts[i % cuts.length] as number
        await feed(stream.subarray(at, at + n))
        at += n
      }
      await sim.close()
      assert.deepEqual(
        above.packets.map((octets) => [...octets]),
        frames.map((octets) => [...octets]),
      )
    }),
  )
  t.equal(packetsInUse(), 0)
})

t.test('what is too long or empty is passed over, and the next frame arrives', async (t) => {
  const { sim, top, above, feed } = await fed({ mtu: 100 })
  await feed(written([new Uint8Array(115), new Uint8Array(0), new Uint8Array(114).fill(3)], 4))
  t.strictSame(
    above.packets.map((frame) => [frame.length, frame[0]]),
    [[114, 3]],
  )
  t.strictSame(dropsOf(top), { empty: 1, tooLong: 1 })
  const packet = Packet.take(top.headroom, 115)
  packet.put(115)
  t.equal(top.send(packet, undefined), true)
  t.strictSame(dropsOf(top), { empty: 1, tooLong: 2 })
  await sim.close()
  t.equal(packetsInUse(), 0)
})

t.test('a length that cannot be one takes a link that cannot be ended down, until the stream is another', async (t) => {
  const { sim, line, top, above, feed } = await fed()
  await feed(Buffer.from('GET / HTTP/1.1\r\n\r\n'))
  t.match(above.links.at(-1), /^down a frame of 1195725856 octets was announced: .* 4 octets of length/)
  t.strictSame(dropsOf(top), { lostFraming: 1 })
  await feed(written([new Uint8Array(60)], 4))
  t.equal(above.packets.length, 0, 'nothing is read as a frame any more')
  line.link.unplug('another stream')
  line.link.plug()
  await feed(written([new Uint8Array(60)], 4))
  t.equal(above.packets.length, 1)
  await sim.close()
  t.equal(packetsInUse(), 0)
})

t.test('a length that cannot be one ends a stream, and another is read anew', async (t) => {
  const opened: Duplex[] = []
  const source = (): Duplex => {
    const duplex = new Duplex({ read: () => {}, write: (_octets, _encoding, done) => done() })
    opened.push(duplex)
    return duplex
  }
  const node = await boot(stack(stream(source, { reopen: ms(10) }), lengthPrefix()), 'A')
  const above = new Recorder()
  node.top.boundary.attach(above)
  const [whole, next] = [new Uint8Array(60), new Uint8Array(61)]
  opened[0]?.push(Buffer.concat([written([whole], 4), Buffer.from('GET /'), written([whole], 4)]))
  while (opened.length < 2) await new Promise((resolve) => setTimeout(resolve, 5))
  t.equal(opened[0]?.destroyed, true, 'the other end sees that nobody is there any more')
  t.match(above.links, [/^down a frame of 1195725856 octets was announced/, /^up /], 'the reason is told, and once')
  opened[1]?.push(written([next], 4))
  while (above.packets.length < 2) await new Promise((resolve) => setTimeout(resolve, 5))
  t.strictSame(
    above.packets.map(({ length }) => length),
    [60, 61],
    'of the run in which it was lost, nothing more is read',
  )
  t.strictSame(dropsOf(node.top), { lostFraming: 1 })
  await node.close()
  const forever = new Duplex({ read: () => {}, write: (_octets, _encoding, done) => done() })
  const once = await boot(stack(stream(forever), lengthPrefix()), 'A')
  forever.push('GET / HTTP/1.1')
  while (!forever.destroyed) await new Promise((resolve) => setTimeout(resolve, 5))
  t.strictSame(dropsOf(once.top), { lostFraming: 1 })
  await once.close()
  t.equal(packetsInUse(), 0)
})

t.test('what has arrived of a frame goes with the stream', async (t) => {
  const { sim, line, top, above, feed } = await fed()
  await feed(written([new Uint8Array(60)], 4).subarray(0, 30))
  line.link.unplug('gone')
  line.link.plug()
  await feed(written([new Uint8Array(61)], 4))
  t.strictSame(
    above.packets.map((frame) => frame.length),
    [61],
  )
  t.strictSame(dropsOf(top), { cutShort: 1 })
  await feed(written([new Uint8Array(60)], 4).subarray(0, 30))
  await sim.close()
  t.equal(packetsInUse(), 0, 'nor is it left behind by a node that closes')
})

t.test('options and media that cannot be', async (t) => {
  t.throws(() => lengthPrefix({ octets: 3 as never }), { code: 'ERR_INVALID_ARG_VALUE' })
  t.throws(() => lengthPrefix({ mtu: 0 }), { code: 'ERR_OUT_OF_RANGE' })
  t.throws(() => lengthPrefix({ mtu: 65_518 }), { code: 'ERR_OUT_OF_RANGE' })
  const [longest] = cable({ medium: 'octets', mtu: 65_535 })
  const whole = new Simulation()
  t.equal(whole.boot('A', stack(longest, lengthPrefix({ mtu: 65_517 }))).top.mtu, 65_531)
  await whole.close()
  const [end] = cable({ medium: 'octets', mtu: 1000 })
  const sim = new Simulation()
  t.throws(() => sim.boot('A', stack(end, lengthPrefix())), { code: 'EINVAL', message: /frames of 1514 octets/ })
  await sim.close()
})
