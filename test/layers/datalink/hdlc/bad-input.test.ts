/** Peers of the balanced mode that flood, or say nothing. */
import t from 'tap'
import { type AbmOptions, AX25, LAPB, LLC2, type Variant } from '../../../../layers/datalink/hdlc/abm/variant.ts'
import { ms, seconds } from '../../../../src/kernel/clock.ts'
import { packetsInUse, poisonReleased } from '../../../../src/kernel/packet.ts'
import { closeAll, converse, inputTo, outputOf, Station, type WireFrame } from './machines.ts'

poisonReleased(true)

const K = 4
const OPTIONS: AbmOptions = { k: K, t1: ms(50), n2: 5, queue: 64, adaptive: false }
const KINDS: readonly [string, Variant, AbmOptions][] = [
  ['LAPB, modulo 8', LAPB, { ...OPTIONS, modulus: 8 }],
  ['LAPB, modulo 128', LAPB, OPTIONS],
  ['LLC2', LLC2, OPTIONS],
  ['AX.25, multi-SREJ', AX25, { ...OPTIONS, recovery: 'multi-srej' }],
]

const REJ = 2
const SREJ = 3

/** A supervisory frame of the peer's, as a command or response without P or F. */
function supervisory(type: number, nr: number, modulus: number): WireFrame {
  const low = (type << 2) | 1
  return { command: true, octets: modulus === 8 ? Uint8Array.of((nr << 5) | low) : Uint8Array.of(low, nr << 1) }
}

for (const type of [REJ, SREJ]) {
  const name = type === REJ ? 'REJ' : 'SREJ'
  t.test(`a flood of ${name} has each frame sent once more, and is counted`, async (t) => {
    for (const [kind, variant, options] of KINDS) {
      const before = packetsInUse()
      const stations = [new Station(variant, options), new Station(variant, options)] as const
      const [near] = stations
      near.abm.connect(0)
      converse(stations, 0, { seed: 1, jitter: 0 }, () => stations.every(({ abm }) => abm.phase === 'CONNECTED'))
      near.offer(40)
      const sent: WireFrame[] = []
      const send = (): void => {
        for (let frame = outputOf(near.abm, ms(100)); frame !== undefined; frame = outputOf(near.abm, ms(100)))
          sent.push(frame)
      }
      send()
      for (let i = 0; i < 10_000; i++) {
        // The N(R) of REJ would acknowledge what is before.
        inputTo(near.abm, supervisory(type, type === REJ ? 0 : i % K, near.abm.modulus), ms(100))
        send()
      }
      const information = sent.filter(({ octets }) => ((octets[0] as number) & 1) === 0).length
      t.equal(information, 2 * K, kind)
      t.ok(sent.length <= information + 3, `${kind}: ${sent.length - information} enquiries`)
      t.ok((near.drops.get('repeatedReject') ?? 0) > 9000, `${kind}: the others are counted`)
      closeAll(stations)
      t.equal(packetsInUse(), before)
    }
  })
}

t.test('a peer that answers nothing is given up after N2 times T1, whatever it was asked', async (t) => {
  for (const [name, variant, options] of KINDS) {
    for (const connected of [false, true]) {
      const before = packetsInUse()
      const station = new Station(variant, options)
      const { abm } = station
      let now = 0
      let sent = 0
      if (connected) {
        inputTo(abm, { command: true, octets: Uint8Array.of(abm.modulus === 8 ? 0x3f : 0x7f) }, now)
        while (outputOf(abm, now) !== undefined);
        inputTo(abm, supervisory(0, 0, abm.modulus), now)
      } else abm.connect(now)
      station.offer(10)
      while (!station.events.some(({ state }) => state === 'down') && now < seconds(10)) {
        while (outputOf(abm, now) !== undefined) sent++
        now = abm.deadline
        abm.expire(now)
        station.read(0)
      }
      t.equal(station.events.at(-1)?.reason, 'noAnswer', `${name}, ${connected ? 'connected' : 'never connected'}`)
      t.equal(now, 6 * ms(50), 'T1 for the first, and for each of the five others')
      t.ok(sent <= 6 + K, `${sent} frames`)
      closeAll([station])
      t.equal(packetsInUse(), before)
    }
  }
})
