/** TIME-WAIT (RFC 9293 §3.6.1, §3.10.7.4; RFC 1337, RFC 6191). */
import t from 'tap'
import type { Connection } from '../../../../src/api/sockets.ts'
import { seconds } from '../../../../src/kernel/clock.ts'
import { Script } from './script.ts'

function timeWait(s: Script, ts = false): void {
  const c = ts ? s.connect() : s.established()
  if (ts) {
    s.skip()
    s.in('S. 0:0 ack 1 <mss 1000,ts 1000 0>')
    s.skip()
  }
  s.call(() => c.close())
  s.skip()
  s.in(ts ? 'F. 1:1 ack 2 <ts 1001 0>' : 'F. 1:1 ack 2')
  s.skip()
  s.told = []
}

t.test('TIME-WAIT: segments are answered, the expected ACK is not, RST is ignored (RFC 1337)', async (t) => {
  const s = new Script()
  timeWait(s)
  s.in('. 2:2 ack 2')
  s.out()
  for (const line of ['. 3:3 ack 2', '. 1:1 ack 2', '. 65701:65701 ack 2', 'F. 3:3 ack 2', 'S 1:1', '. 2:12 ack 2']) {
    s.in(line)
    s.out('. 2:2 ack 2')
  }
  s.in('R 2:2', 'R. 2:2 ack 2')
  s.out()
  t.equal(s.drops('timeWaitReset'), 2)
  t.equal([...s.sockets.list()].length, 1)
})

t.test('TIME-WAIT: a SYN that nobody wants is answered like an old one (RFC 9293 §3.10.7.4)', async (t) => {
  const s = new Script()
  timeWait(s)
  for (const line of ['S 3:3', 'S 65701:65701', 'S 65702:65702 <mss 1000>']) {
    s.in(line)
    s.out('. 2:2 ack 2')
  }
  t.equal(s.drops('timeWait'), 3)
  t.equal([...s.sockets.list()].length, 1)
})

t.test("TIME-WAIT: the peer's FIN again starts 2 MSL again", async (t) => {
  const s = new Script()
  timeWait(s)
  s.run(seconds(59))
  s.in('F. 1:1 ack 2')
  s.out('. 2:2 ack 2')
  s.run(seconds(59))
  t.equal([...s.sockets.list()].length, 1)
  s.run(seconds(1))
  t.equal([...s.sockets.list()].length, 0)
})

t.test('TIME-WAIT: a SYN with a higher sequence number opens anew (MAY-2)', async (t) => {
  const s = new Script()
  s.listen()
  s.ports[0] = 80
  s.in('S 0:0 <mss 1000>')
  s.skip()
  s.in('. 1:1 ack 1')
  s.run(0)
  s.call(() => s.accepted[0]?.close())
  s.skip()
  s.in('F. 1:1 ack 2')
  s.skip()
  t.equal([...s.sockets.list()].filter((x) => x.state === 'TIME-WAIT').length, 1)
  // Not one that no listener would take (§3.10.7.4)
  s.in('SF 100:100 <mss 1000>')
  s.out('. 2:2 ack 2')
  s.in('S 100:100 <mss 1000>')
  s.out('S. 0:0 ack 101')
  t.equal([...s.sockets.list()].filter((x) => x.state === 'TIME-WAIT').length, 0)
})

t.test('TIME-WAIT: a new SYN needs a later timestamp where there are timestamps (RFC 6191)', async (t) => {
  const s = new Script()
  s.listen()
  s.ports[0] = 80
  s.in('S 0:0 <mss 1000,ts 5000 0>')
  s.skip()
  s.in('. 1:1 ack 1 <ts 5001 0>')
  s.run(0)
  s.call(() => s.accepted[0]?.close())
  s.skip()
  s.in('F. 1:1 ack 2 <ts 5002 0>')
  s.skip()
  s.in('S 1000:1000 <mss 1000,ts 4000 0>')
  s.out('. 2:2 ack 2')
  s.in('S -1000:-1000 <mss 1000,ts 6000 0>')
  s.out('S. 0:0 ack -999')
  t.equal([...s.sockets.list()].filter((x) => x.state === 'TIME-WAIT').length, 0)
})

t.test('TIME-WAIT is bounded: the oldest gives way', async (t) => {
  const s = new Script({ tcp: { maxTimeWait: 10 } })
  for (let i = 0; i < 30; i++) timeWait(s)
  t.equal([...s.sockets.list()].length, 10)
  t.equal(s.drops('timeWaitLimit'), 20)
  s.run(seconds(60))
  t.equal([...s.sockets.list()].length, 0)
  t.equal(s.timers.size, 0)
})

t.test('a port in TIME-WAIT is taken, until timestamps keep the two apart', async (t) => {
  const s = new Script()
  timeWait(s)
  const localPort = s.ports[0]
  t.throws(() => s.connect({}, { localPort }), { code: 'EADDRINUSE' })
  const u = new Script()
  timeWait(u, true)
  const port = u.ports[0]
  t.throws(() => u.connect({}, { localPort: port }), { code: 'EADDRINUSE' })
  u.run(seconds(2))
  u.connect({}, { localPort: port })
  u.out('S 0:0')
})

t.test('a connection that takes over from TIME-WAIT starts above all its sequence numbers (MAY-2)', async (t) => {
  const s = new Script()
  s.listen()
  s.ports[0] = 80
  s.in('S 0:0 win 65535 <mss 1460>')
  s.skip()
  s.in('. 1:1 ack 1')
  s.run(0)
  const c = s.accepted[0] as Connection
  let last = 1
  for (let at = 0; at < 300_000; at += 10_000) {
    s.write(c, 10_000, at)
    s.skip()
    last = at + 10_001
    s.in(`. 1:1 ack ${last}`)
  }
  const before = s.rawSeq(last)
  s.call(() => c.close())
  s.skip()
  s.in(`F. 1:1 ack ${last + 1}`)
  s.skip()
  s.in('S 100:100 <mss 1000>')
  s.out('S. 0:0 ack 101')
  t.ok(((s.rawSeq(0) - before) | 0) > 0)
})

t.test(
  'TIME-WAIT: what may be part of a loop of ACKs is answered ten times a second, data and FIN each time',
  async (t) => {
    const s = new Script()
    timeWait(s)
    for (let i = 0; i < 100; i++) s.in(i % 2 === 0 ? '. 1:1 ack 2' : 'S 1:1')
    t.equal(s.skip(), 10)
    for (let i = 0; i < 30; i++) s.in('. 2:12 ack 2', 'F. 1:1 ack 2')
    t.equal(s.skip(), 60)
    s.run(seconds(1))
    for (let i = 0; i < 100; i++) s.in('. 1:1 ack 2')
    t.equal(s.skip(), 10)
  },
)
