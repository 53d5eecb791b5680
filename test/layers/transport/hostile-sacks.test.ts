/**
 * A receiver that lies as it likes, with ACKs and SACK blocks of every kind: what is held and sent stays bounded, and as soon
 * as it is honest, the connection gets on.
 */
import assert from 'node:assert'
import fc from 'fast-check'
import t from 'tap'
import { records } from '../../../layers/transport/tcp/records.ts'
import { ms, seconds } from '../../../src/kernel/clock.ts'
import { holds } from '../../property.ts'
import { Script } from './tcp/script.ts'

/** More by `RUNS=5000`. */
const RUNS = Number(process.env.RUNS ?? 300)
const MSS = 1000
const BUFFER = 60_000
const HALF_CIRCLE = 2 ** 31

/** Where an edge or an ACK lies, by what is in flight: in thousandths of it from SND.UNA, so that it may also be outside. */
const place = fc.integer({ min: -300, max: 1300 })
const block = fc.tuple(place, place)
const lie = fc.oneof(
  fc.record({ kind: fc.constant('write' as const), octets: fc.integer({ min: 1, max: BUFFER }) }),
  fc.record({ kind: fc.constant('wait' as const), time: fc.integer({ min: 0, max: ms(400) }) }),
  fc.record({
    kind: fc.constant('ack' as const),
    at: fc.oneof(fc.constant(0), place),
    blocks: fc.array(block, { maxLength: 3 }),
    win: fc.oneof({ arbitrary: fc.constant(65_535), weight: 4 }, { arbitrary: fc.nat(65_535), weight: 1 }),
    times: fc.integer({ min: 1, max: 5 }),
  }),
)
const lies = fc.array(lie, { maxLength: 60 })
type Lie = typeof lie extends fc.Arbitrary<infer T> ? T : never

/** A connection towards a liar, and where it stands by what it has sent. */
class Victim {
  readonly s: Script
  readonly c
  una = 1
  written = 0
  private readonly recordsBefore = records.used

  constructor(iss: number, sack: boolean) {
    this.s = new Script({ now: nowFor(iss) })
    this.c = this.s.connect({ sendBuffer: BUFFER })
    this.s.skip()
    this.s.in(`S. 0:0 ack 1 win 65535 <mss ${MSS}${sack ? ',sackOK' : ''}>`)
    this.s.skip()
  }

  suffer(what: Lie): void {
    const { s, c } = this
    if (what.kind === 'write') this.written += s.write(c, what.octets, this.written)
    else if (what.kind === 'wait') s.run(what.time)
    else for (let i = 0; i < what.times; i++) this.ack(what.at, what.blocks, what.win)
    s.skip()
    this.check()
  }

  private ack(at: number, blocks: readonly (readonly [number, number])[], win: number): void {
    const { outstanding } = this.c.info()
    const where = (thousandths: number): number => this.una + Math.round((outstanding * thousandths) / 1000)
    const edges = blocks.map(([left, right]) => `${where(left)}:${where(right)}`)
    const ack = where(at)
    this.s.in(`. 1:1 ack ${ack} win ${win}${edges.length > 0 ? ` <nop,nop,sack ${edges.join(' ')}>` : ''}`)
    if (at >= 0 && ack <= this.una + outstanding) this.una = Math.max(this.una, ack)
  }

  private check(): void {
    const { cwnd, flightSize, outstanding } = this.c.info()
    assert.equal(this.c.state, 'ESTABLISHED')
    assert.ok(cwnd >= MSS, `cwnd ${cwnd}`)
    assert.ok(flightSize >= 0, `${flightSize} in flight`)
    assert.ok(outstanding >= 0 && outstanding <= BUFFER, `${outstanding} outstanding`)
    assert.ok(this.c.queuedOctets <= BUFFER)
    assert.ok(records.used - this.recordsBefore <= BUFFER / MSS + 60, `${records.used - this.recordsBefore} records`)
    assert.equal(this.s.packets, 0)
  }

  /** From now on everything that is sent arrives, and is acknowledged. */
  beHonest(): void {
    const { s, c } = this
    for (let turn = 0; c.queuedOctets > 0; turn++) {
      assert.ok(turn < 500, `${c.queuedOctets} octets are left`)
      this.una += c.info().outstanding
      s.in(`. 1:1 ack ${this.una} win 65535`)
      s.run(ms(300))
    }
    assert.equal(this.una, 1 + this.written, 'all that was written was sent')
  }

  /** Nothing of what was sent had arrived: what is first outstanding has to come again, whatever was sacked. */
  expectAgain(): void {
    const { s, c } = this
    if (c.queuedOctets === 0) return
    s.in(`. 1:1 ack ${this.una} win 65535`)
    const { sent } = s.net
    let again = false
    s.net.sent = (packet, to) => {
      again ||= packet.view.getInt32(packet.start + 4) === s.rawSeq(this.una)
      return sent(packet, to)
    }
    for (let waited = 0; waited < seconds(200) && !again; waited += seconds(1)) s.run(seconds(1))
    assert.ok(again, `${this.una} never came again`)
  }

  end(): void {
    this.c.abort()
    this.s.run(0)
    this.s.close()
    assert.equal(this.s.chunks, 0)
    assert.equal(records.used, this.recordsBefore)
  }
}

/** When a node's clock must stand for its sequence numbers to begin with this one. */
function nowFor(iss: number): number {
  const trial = new Script({ now: ms(1000) })
  trial.connect()
  trial.skip()
  const ticks = (iss - trial.rawSeq(0)) >>> 0
  trial.close()
  return ms(1000) + ticks * 4
}

for (const sack of [true, false]) {
  t.test(`lies ${sack ? 'with' : 'without'} SACK`, async (t) => {
    const iss = fc.constantFrom(1000, HALF_CIRCLE - 20_000, 2 * HALF_CIRCLE - 20_000)
    const suffer = (start: number, told: readonly Lie[]): Victim => {
      const victim = new Victim(start, sack)
      for (const what of told) victim.suffer(what)
      return victim
    }
    holds(
      t,
      'then the truth: everything arrives',
      fc.property(iss, lies, (start, told) => {
        const victim = suffer(start, told)
        victim.beHonest()
        victim.end()
      }),
      { numRuns: RUNS },
    )
    holds(
      t,
      'and nothing had arrived: it is sent again from the first octet on',
      fc.property(iss, lies, (start, told) => {
        const victim = suffer(start, told)
        victim.expectAgain()
        victim.end()
      }),
      { numRuns: RUNS },
    )
  })
}
