/** What RFC 9293 §3.8.2 and §3.9.2 ask of every congestion control, and ECN (RFC 3168 §6.1). */
import t from 'tap'
import { ms } from '../../../../src/kernel/clock.ts'
import { Script } from './script.ts'

const CE = 3
const ECT_0 = 2

/** A script whose peer's packets can be marked, and that keeps the ECN fields and flags of what it sends. */
function marked(s: Script): { s: Script; mark: (field: number) => void; fields: number[]; flags: string[] } {
  const fields: number[] = []
  const flags: string[] = []
  let field = 0
  const { sent } = s.net
  s.net.sent = (packet, to) => {
    const taken = sent(packet, to)
    fields.push(to.trafficClass & 3)
    flags.push(s.lastPacket?.flags ?? '')
    return taken
  }
  const arrive = s.net.arrive.bind(s.net)
  s.net.arrive = (packet, from) => {
    from.trafficClass = field
    arrive(packet, from)
  }
  const mark = (value: number) => {
    field = value
  }
  return { s, mark, fields, flags }
}

t.test('ECN is agreed on when the peer asks, and asked for when told to (SHLD-8)', async (t) => {
  const passive = new Script()
  passive.listen()
  passive.in('SEW 0:0 <mss 1000>')
  passive.out('SE. 0:0 ack 1')
  const plain = new Script()
  plain.listen()
  plain.in('S 0:0 <mss 1000>')
  plain.out('S. 0:0 ack 1')
  const active = new Script({ tcp: { ecn: 'on' } })
  const c = active.connect()
  active.out('SEW 0:0')
  active.in('SE. 0:0 ack 1 <mss 1000>')
  active.out('. 1:1 ack 1')
  t.equal(c.info().ecn, true)
})

t.test("a router's mark is echoed until the peer has slowed down (SHLD-8)", async (t) => {
  const { s, mark } = marked(new Script())
  s.listen()
  s.in('SEW 0:0 <mss 1000>')
  s.skip()
  s.in('. 1:1 ack 1')
  mark(CE)
  s.in('. 1:1001 ack 1')
  s.out('E. 1:1 ack 1001')
  mark(ECT_0)
  s.in('. 1001:2001 ack 1', '. 2001:3001 ack 1')
  s.out('E. 1:1 ack 3001')
  s.in('W. 3001:4001 ack 1')
  s.out('. 1:1 ack 4001')
  t.equal(s.accepted[0]?.readableOctets, 4000)
})

t.test('its echo reduces the window once a round trip, as a loss would, and is confirmed (SHLD-8)', async (t) => {
  const { s, fields, flags } = marked(new Script({ tcp: { ecn: 'on' } }))
  const c = s.connect()
  s.skip()
  s.run(ms(100))
  s.in('SE. 0:0 ack 1 <mss 1000>')
  s.skip()
  s.write(c, 30_000)
  t.equal(s.skip(), 10)
  t.same(fields, [0, 0, ...new Array<number>(10).fill(ECT_0)], 'SYN and ACK cannot be marked, data can')
  const { cwnd } = c.info()
  for (let ack = 1001; ack <= 10_001; ack += 1000) {
    s.in(`E. 1:1 ack ${ack}`)
    s.run(0)
  }
  t.ok(c.info().ssthresh <= 0.75 * cwnd && c.info().ssthresh >= 0.5 * cwnd)
  const data = flags.slice(12)
  t.ok(data.length > 0)
  t.same(
    data.map((text) => text.includes('W')),
    data.map((_, i) => i === 0),
    'the first new data confirms it',
  )
})
