/** What both ends agree on by XID, and hold to: in the machine, and between two stations of AX.25. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { ethernet } from '../../../../layers/datalink/ethernet/ethernet.ts'
import { type AbmOptions, AX25, type Recovery } from '../../../../layers/datalink/hdlc/abm/variant.ts'
import { type Ax25Options, ax25, bpq } from '../../../../layers/datalink/hdlc/ax25.ts'
import { parseCall } from '../../../../layers/datalink/hdlc/ax25-address.ts'
import type { RecordConnection } from '../../../../layers/datalink/hdlc/records.ts'
import { cable } from '../../../../layers/physical/cable.ts'
import { impair } from '../../../../layers/physical/impair/impair.ts'
import { ms, seconds } from '../../../../src/kernel/clock.ts'
import { Packet, packetsInUse, poisonReleased } from '../../../../src/kernel/packet.ts'
import { stack } from '../../../../src/kernel/stack.ts'
import { Simulation } from '../../../../src/runtime/simulation.ts'
import { holds } from '../../../property.ts'
import { linkDrops, stationOver } from '../stations.ts'
import { closeAll, converse, inputTo, outputOf, Station, type WireFrame } from './machines.ts'

poisonReleased(true)

const QUICK: AbmOptions = { modulus: 128, recovery: 'multi-srej', k: 64, t1: ms(50), n2: 255, queue: 16 }

const terms = fc.record({
  recovery: fc.constantFrom<Recovery>('rej', 'srej', 'multi-srej'),
  k: fc.integer({ min: 1, max: 64 }),
  t1: fc.integer({ min: 20, max: 200 }).map(ms),
})

t.test('whatever is agreed on and whenever either end learns of it, everything arrives, once, in order', async (t) => {
  const change = fc.record({ step: fc.nat(200), far: fc.boolean(), terms })
  holds(
    t,
    'changes in the middle of a transfer',
    fc.property(
      fc.integer(),
      fc.double({ min: 0, max: 0.4, noNaN: true }),
      fc.array(change, { minLength: 1, maxLength: 12 }),
      fc.constantFrom<AbmOptions>(QUICK, { ...QUICK, modulus: 8, k: 4 }),
      (seed, loss, changes, options) => {
        const before = packetsInUse()
        const stations = [new Station(AX25, options), new Station(AX25, options)] as const
        stations[0].abm.connect(0)
        const took = converse(stations, 100, {
          seed,
          loss,
          rate: 3,
          meddle(now, _now, [near, other]) {
            for (const { step, far, terms } of changes) if (step === now) (far ? other : near).abm.agree(terms)
          },
        })
        assert.notEqual(took, -1, 'a stall')
        for (const { got, events } of stations) {
          assert.deepEqual(got, [...got.keys()])
          assert.equal(events.length, 1, 'no reset')
        }
        closeAll(stations)
        assert.equal(packetsInUse(), before)
      },
    ),
    { numRuns: 150 },
  )
})

const SUPERVISORY = ['RR', 'RNR', 'REJ', 'SREJ'] as const

/** Every supervisory frame that asks for something again: its type, and how many octets of information it has. */
function asking(frames: readonly WireFrame[]): { type: string; info: number }[] {
  return frames
    .filter(({ octets }) => ((octets[0] as number) & 3) === 1)
    .map(({ octets }) => ({ type: SUPERVISORY[((octets[0] as number) >> 2) & 3] as string, info: octets.length - 2 }))
    .filter(({ type }) => type === 'REJ' || type === 'SREJ')
}

for (const { recovery, first } of [
  { recovery: 'multi-srej', first: { type: 'SREJ', info: 1 } },
  { recovery: 'srej', first: { type: 'SREJ', info: 0 } },
  { recovery: 'rej', first: { type: 'REJ', info: 0 } },
] as const) {
  t.test(`two missing frames are asked for by ${recovery}, once that is agreed on`, async (t) => {
    const station = new Station(AX25, QUICK)
    inputTo(station.abm, { command: true, octets: Uint8Array.of(0x7f) }, 0)
    station.abm.agree({ recovery })
    inputTo(station.abm, { command: true, octets: Uint8Array.of(2 << 1, 0, 1) }, 0)
    const said: WireFrame[] = []
    for (let frame = outputOf(station.abm, 1); frame !== undefined; frame = outputOf(station.abm, 1)) said.push(frame)
    t.strictSame(asking(said)[0], first)
    closeAll([station])
  })
}

t.test('what came early is asked for anew when only REJ is left', async (t) => {
  const station = new Station(AX25, QUICK)
  const said: WireFrame[] = []
  const speak = (): void => {
    for (let frame = outputOf(station.abm, 1); frame !== undefined; frame = outputOf(station.abm, 1)) said.push(frame)
  }
  inputTo(station.abm, { command: true, octets: Uint8Array.of(0x7f) }, 0)
  inputTo(station.abm, { command: true, octets: Uint8Array.of(1 << 1, 0, 0, 0, 0, 1) }, 0)
  speak()
  station.abm.agree({ recovery: 'rej' })
  speak()
  t.strictSame(asking(said), [
    { type: 'SREJ', info: 0 },
    { type: 'REJ', info: 0 },
  ])
  for (const ns of [0, 1]) inputTo(station.abm, { command: true, octets: Uint8Array.of(ns << 1, 0, 0, 0, 0, ns) }, 0)
  station.read(10)
  t.strictSame(station.got, [0, 1])
  said.length = 0
  station.abm.agree({})
  inputTo(station.abm, { command: true, octets: Uint8Array.of(0x01, 0x01) }, 0)
  speak()
  t.strictSame([...(said[0]?.octets ?? [])], [0x01, (2 << 1) | 1], 'RR: nothing is missing')
  closeAll([station])
})

t.test('T1 and N2 that are agreed on say when the link is given up', async (t) => {
  for (const [agreement, over] of [
    [{}, 400],
    [{ t1: ms(1000), n2: 4 }, 5000],
  ] as const) {
    const station = new Station(AX25, { modulus: 8, t1: ms(100), n2: 3, adaptive: false })
    inputTo(station.abm, { command: true, octets: Uint8Array.of(0x3f) }, 0)
    station.abm.agree(agreement)
    // The peer has shown itself, and says nothing more.
    inputTo(station.abm, { command: false, octets: Uint8Array.of(0x01) }, 0)
    station.offer(1)
    let now = 0
    while (station.events.every(({ state }) => state !== 'down') && now < seconds(60)) {
      while (outputOf(station.abm, now) !== undefined);
      now = station.abm.deadline
      station.abm.expire(now)
      station.read(0)
    }
    t.equal(now, ms(over))
    closeAll([station])
  }
})

t.test('what waits and is longer than the agreed N1 is counted, and the rest goes', async (t) => {
  const before = packetsInUse()
  const station = new Station(AX25, QUICK)
  station.offer(1, 100)
  station.offer(2, 50)
  station.abm.agree({ n1: 50 })
  t.strictSame([...station.drops], [['tooLongToSend', 1]])
  t.equal(station.abm.n1, 50)
  station.abm.agree({})
  t.equal(station.abm.n1, 1500, 'what is left out is ours again')
  station.abm.connect(0)
  outputOf(station.abm, 0)
  inputTo(station.abm, { command: false, octets: Uint8Array.of(0x73) }, 0)
  t.equal(outputOf(station.abm, 0)?.octets.length, 52)
  closeAll([station])
  t.equal(packetsInUse(), before)
})

t.test('modulus, T1 and N2 that are agreed on are those of the next set-up', async (t) => {
  const station = new Station(AX25, QUICK)
  station.abm.agree({ modulus: 8, k: 7, t1: ms(400), n2: 1 })
  station.abm.connect(0)
  for (const now of [0, ms(400)]) {
    t.strictSame([...(outputOf(station.abm, now)?.octets ?? [])], [0x3f], 'SABM, not SABME')
    t.equal(station.abm.deadline, now + ms(400))
    station.abm.expire(now + ms(400))
  }
  station.read(0)
  t.equal(station.events[0]?.reason, 'noAnswer')
  closeAll([station])
})

const call = (text: string, flags: number): number[] => [
  ...[...text.padEnd(6)].map((c) => c.charCodeAt(0) << 1),
  0x60 | flags,
]

/** Two stations of AX.25 over Ethernet, of which the first sends XID and then numbered records of a length. */
async function between(near: Partial<Ax25Options>, far: Partial<Ax25Options>, loss: number, count: number) {
  const sim = new Simulation({ seed: 7 })
  const [a, b] = cable({ delay: ms(1), rate: 1_000_000 })
  const noise = impair({ loss })
  const common = { t1: ms(200), n2: 50 }
  const one = sim.boot('A', stack(a, noise, ethernet(), bpq({ call: 'NODEA', xid: true, ...common, ...near }))).top
  const other = sim.boot('B', stack(b, noise, ethernet(), bpq({ call: 'NODEB', ...common, ...far }))).top
  const got: number[] = []
  const received = {
    receive(_connection: RecordConnection, packet: Packet) {
      got.push(packet.view.getUint32(packet.start))
      packet.release()
    },
  }
  other.accept(() => received)
  const connection = one.open(parseCall('NODEB'), received)
  await sim.run(seconds(2))
  let next = 0
  while (next < count) {
    const packet = Packet.take(connection.headroom, connection.mtu + connection.tailroom)
    packet.view.setUint32(packet.put(connection.mtu), next++)
    if (!connection.send(packet)) await sim.run(seconds(1))
  }
  await sim.run(seconds(120))
  return { sim, one, other, got, connection }
}

t.test('stations told different things get along once they have exchanged XID', async (t) => {
  const before = packetsInUse()
  const { sim, one, other, got, connection } = await between(
    { modulus: 128, recovery: 'multi-srej', k: 60, n1: 1000 },
    { modulus: 128, recovery: 'rej', k: 5, n1: 200 },
    0.1,
    200,
  )
  t.equal(connection.mtu, 199, 'of the lesser N1 one octet is the PID')
  t.strictSame(got, [...Array(200).keys()])
  const tooLong = Packet.take(connection.headroom, 400)
  tooLong.put(300)
  connection.send(tooLong)
  t.equal(linkDrops(one).tooLongToSend, 1)
  t.notOk(linkDrops(other).tooLong)
  await sim.close()
  t.equal(packetsInUse(), before)
})

t.test('without XID the station that was told of longer frames resets the link of the other', async (t) => {
  const { sim, other, got } = await between(
    { modulus: 128, recovery: 'multi-srej', k: 60, n1: 1000, xid: false },
    { modulus: 128, recovery: 'rej', k: 5, n1: 200 },
    0,
    3,
  )
  t.ok((linkDrops(other).tooLong ?? 0) > 0, 'so it is XID that the test above shows')
  t.strictSame(got, [])
  await sim.close()
})

for (const [name, answer] of [
  ['says nothing', undefined],
  ['rejects it', 0x87],
] as const) {
  t.test(`a peer that knows no XID and ${name} gets the records all the same`, async (t) => {
    const options = { call: 'NODEA', smack: false, xid: true, t1: ms(100), n2: 2, adaptive: false }
    const { sim, link, sent, arrive } = stationOver('octets', ax25(options))
    const response = (control: number): void =>
      arrive(Uint8Array.of(0xc0, 0, ...call('NODEA', 0), ...call('NODEB', 0x81), control, 0xc0))
    const controls = (): number[] => sent.splice(0).map((frame) => (frame[16] as number) & ~0x10)
    const connection = link.open(parseCall('NODEB'), { receive: (_connection, packet) => packet.release() })
    const packet = Packet.take(connection.headroom, 10 + connection.tailroom)
    packet.put(1)
    connection.send(packet)
    t.strictSame(controls(), [0x2f], 'SABM')
    response(0x73)
    t.strictSame(controls(), [0xaf], 'XID, and no record yet')
    if (answer === undefined) await sim.run(ms(290))
    else response(answer)
    t.strictSame(controls(), answer === undefined ? [0xaf, 0xaf] : [0x2f])
    if (answer === undefined) await sim.run(ms(20))
    else response(0x73)
    t.strictSame(controls(), [0x00], 'the record')
    await sim.close()
  })
}
