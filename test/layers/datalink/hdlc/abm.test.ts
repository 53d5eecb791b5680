import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { type AbmOptions, AX25, LAPB, LLC2, type Variant } from '../../../../layers/datalink/hdlc/abm/variant.ts'
import { ms, seconds } from '../../../../src/kernel/clock.ts'
import { packetsInUse, poisonReleased } from '../../../../src/kernel/packet.ts'
import { holds } from '../../../property.ts'
import { closeAll, converse, inputTo, outputOf, Station, type WireFrame } from './machines.ts'

poisonReleased(true)

const QUICK: AbmOptions = { t1: ms(50), n2: 255, receiveQueue: 4, queue: 16 }

/** Variants with windows that are safe on a line that duplicates. */
const KINDS: readonly [string, Variant, AbmOptions][] = [
  ['LAPB, modulo 8', LAPB, { ...QUICK, modulus: 8, k: 7 }],
  ['LAPB, modulo 8, k 1', LAPB, { ...QUICK, modulus: 8, k: 1 }],
  ['LAPB, modulo 128', LAPB, { ...QUICK, modulus: 128, k: 127 }],
  ['LLC2', LLC2, { ...QUICK, k: 32 }],
  ['AX.25, SREJ', AX25, { ...QUICK, modulus: 8, k: 4, recovery: 'srej' }],
  ['AX.25, multi-SREJ', AX25, { ...QUICK, modulus: 128, k: 64, recovery: 'multi-srej' }],
  ['AX.25, multi-SREJ, modulo 8', AX25, { ...QUICK, modulus: 8, k: 4, recovery: 'multi-srej' }],
]

const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i)

for (const [name, variant, options] of KINDS) {
  t.test(`${name}: everything arrives, once, in order`, async (t) => {
    holds(
      t,
      name,
      fc.property(
        fc.record({
          seed: fc.integer(),
          loss: fc.double({ min: 0, max: 0.4, noNaN: true }),
          duplication: fc.double({ min: 0, max: 0.3, noNaN: true }),
          reading: fc.constantFrom(1, 0.5, 0.05),
          batch: fc.integer({ min: 1, max: 10 }),
          jitter: fc.constantFrom(0, 3000, 40_000),
          rate: fc.constantFrom(1, 3, 1000),
        }),
        fc.integer({ min: 1, max: 150 }),
        (line, count) => {
          const before = packetsInUse()
          const stations = [new Station(variant, options), new Station(variant, options)] as const
          stations[0].abm.connect(0)
          assert.notEqual(converse(stations, count, line), -1, 'a stall')
          for (const { got, events } of stations) {
            assert.deepEqual(got, numbers(count))
            assert.deepEqual(
              events.map(({ state }) => state),
              ['up'],
            )
          }
          closeAll(stations)
          assert.equal(packetsInUse(), before)
        },
      ),
      { numRuns: 300 },
    )
  })
}

t.test('a peer that answers and takes nothing is not flooded, and given up in the end', async (t) => {
  for (const [name, variant, options] of KINDS) {
    const before = packetsInUse()
    const station = new Station(variant, { ...options, n2: 10 })
    const { abm } = station
    abm.connect(0)
    let now = 0
    let sent = 0
    const over = () => station.events.some(({ state }) => state === 'down')
    while (!over() && now < seconds(60)) {
      station.offer(16)
      station.read(0)
      let answer: Uint8Array | undefined
      for (let frame = outputOf(abm, now); frame !== undefined; frame = outputOf(abm, now)) {
        sent++
        answer = answerOf(frame, abm.modulus) ?? answer
      }
      now = answer === undefined ? Math.max(now, abm.deadline) : now + ms(0.01)
      if (answer !== undefined) inputTo(abm, { command: false, octets: answer }, now)
      abm.expire(now)
    }
    t.ok(over(), `${name}: given up`)
    t.ok(now >= 5 * ms(50), `${name}: not before it had time`)
    t.ok(sent < 40 * 16, `${name}: ${sent} frames`)
    closeAll([station, new Station(variant, options)])
    t.equal(packetsInUse(), before)
  }
})

t.test('a peer that took nothing for a while, and then all without being asked, is sent the rest', async (t) => {
  for (const [name, variant, options] of KINDS) {
    const station = new Station(variant, { ...options, n2: 10 })
    const { abm } = station
    abm.connect(0)
    let now = 0
    let highest = -1
    const said = (): WireFrame[] => {
      const frames: WireFrame[] = []
      for (let frame = outputOf(abm, now); frame !== undefined; frame = outputOf(abm, now)) frames.push(frame)
      for (const { octets } of frames) if (isInformation(octets)) highest = Math.max(highest, nsOf(octets, abm.modulus))
      return frames
    }
    // Until it has been answered some times in vain, and waits for T1 without an enquiry under way.
    for (let answers = 0, waits = false; answers < 5 || !waits; now += ms(0.01)) {
      station.offer(16)
      const answer = said()
        .map((frame) => answerOf(frame, abm.modulus))
        .findLast((octets) => octets !== undefined)
      waits = answer === undefined
      if (answer !== undefined) inputTo(abm, { command: false, octets: answer }, now)
      else if (answers < 5) now = Math.max(now, abm.deadline)
      if (answer !== undefined) answers++
      abm.expire(now)
    }
    const nr = highest + 1
    inputTo(
      abm,
      { command: false, octets: Uint8Array.of(...(abm.modulus === 8 ? [(nr << 5) | 1] : [1, nr << 1])) },
      now,
    )
    station.offer(20)
    t.ok(
      said().some(({ octets }) => isInformation(octets)),
      name,
    )
    closeAll([station])
  }
})

t.test('a peer that is late answers each of several enquiries: the frame goes again once', async (t) => {
  for (const [name, variant, options] of KINDS) {
    const [near, far] = [new Station(variant, options), new Station(variant, options)]
    let now = 0
    const said = ({ abm }: Station): WireFrame[] => {
      const frames: WireFrame[] = []
      for (let frame = outputOf(abm, now); frame !== undefined; frame = outputOf(abm, now)) frames.push(frame)
      return frames
    }
    const hears = ({ abm }: Station, frames: readonly WireFrame[]): void => {
      for (const frame of frames) inputTo(abm, frame, now)
    }
    near.abm.connect(0)
    near.offer(1)
    let silent = false
    while (!silent) {
      const [one, other] = [said(near), said(far)]
      hears(far, one)
      hears(near, other)
      silent = one.length + other.length === 0
      now += ms(1)
    }
    // This one is lost. T1 runs out, twice, before the peer comes to answer.
    near.offer(2)
    t.equal(said(near).length, 1)
    const enquiries: WireFrame[] = []
    for (let i = 0; i < 2; i++) {
      now = near.abm.deadline
      near.abm.expire(now)
      enquiries.push(...said(near))
    }
    t.equal(enquiries.length, 2)
    let sentAgain = 0
    for (const enquiry of enquiries) {
      hears(far, [enquiry])
      for (const answer of said(far)) {
        hears(near, [answer])
        const frames = said(near)
        sentAgain += frames.filter(({ octets }) => isInformation(octets)).length
        enquiries.push(...frames)
      }
    }
    far.read(10)
    t.equal(sentAgain, 1, name)
    t.strictSame([far.got, [...far.drops]], [[0, 1], []])
    closeAll([near, far])
  }
})

const isInformation = ([first = 1]: Uint8Array): boolean => (first & 1) === 0
const nsOf = ([first = 0]: Uint8Array, modulus: number): number => (first >> 1) & (modulus - 1)

/** UA to what sets a link up, RR with F and N(R) 0 to an enquiry, and nothing to anything else. */
function answerOf({ command, octets }: WireFrame, modulus: number): Uint8Array | undefined {
  const [first = 0, second = 0] = octets
  if (!command) return undefined
  if ((first & 0xaf) === 0x2f || (first & 0xef) === 0x6f) return Uint8Array.of(0x73)
  if ((first & 3) !== 1) return undefined
  if (modulus === 8) return (first & 0x10) !== 0 ? Uint8Array.of(0x11) : undefined
  return (second & 1) !== 0 ? Uint8Array.of(0x01, 0x01) : undefined
}

t.test('resets in the middle of a transfer: nothing twice, nothing out of order, no stall', async (t) => {
  for (const [name, variant, options] of KINDS) {
    holds(
      t,
      name,
      fc.property(fc.integer(), fc.double({ min: 0, max: 0.2, noNaN: true }), (seed, loss) => {
        const before = packetsInUse()
        const stations = [new Station(variant, options), new Station(variant, options)] as const
        stations[0].abm.connect(0)
        const frmr = { command: false, octets: Uint8Array.of(0x97, 0, 0, 1) }
        const took = converse(
          stations,
          100,
          {
            seed,
            loss,
            rate: 3,
            // A FRMR to either, and a link that is given up and set up again.
            meddle(step, now, [near, far], random) {
              if (step % 150 !== 149 || step > 3000) return
              const which = random()
              if (which < 0.4) inputTo(far.abm, frmr, now)
              else if (which < 0.8) inputTo(near.abm, frmr, now)
              else near.abm.disconnect(now)
              near.abm.connect(now)
            },
          },
          () => {
            if (stations[0].abm.phase === 'DISCONNECTED') stations[0].abm.connect(0)
            return stations.every(({ offered, abm }) => offered === 100 && abm.idle)
          },
        )
        assert.notEqual(took, -1, 'a stall')
        for (const station of stations) {
          station.read(1000)
          assert.ok(
            station.got.every((number, i) => i === 0 || number > (station.got[i - 1] as number)),
            station.got.join(),
          )
        }
        closeAll(stations)
        assert.equal(packetsInUse(), before)
      }),
      { numRuns: 60 },
    )
  }
})

t.test('any frames at all: never a throw, never a leak, and the link comes up again', async (t) => {
  for (const [name, variant, options] of KINDS) {
    holds(
      t,
      name,
      fc.property(
        fc.integer(),
        fc.array(fc.record({ command: fc.boolean(), octets: fc.uint8Array({ minLength: 0, maxLength: 8 }) }), {
          maxLength: 60,
        }),
        (seed, frames) => {
          const before = packetsInUse()
          const stations = [new Station(variant, options), new Station(variant, options)] as const
          stations[0].abm.connect(0)
          converse(
            stations,
            20,
            {
              seed,
              meddle(step, now, [near, far]) {
                const frame = frames[step]
                if (frame !== undefined) inputTo(step % 2 === 0 ? near.abm : far.abm, frame, now)
              },
            },
            () =>
              stations[0].abm.deadline === Number.POSITIVE_INFINITY ||
              stations.every(({ offered, abm }) => offered === 20 && abm.idle),
          )
          closeAll(stations)
          assert.equal(packetsInUse(), before)
        },
      ),
      { numRuns: 200 },
    )
  }
})
