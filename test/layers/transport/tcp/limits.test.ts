/** What anyone may provoke, and what may linger, is bounded. */
import t from 'tap'
import { ms, seconds } from '../../../../src/kernel/clock.ts'
import { Script } from './script.ts'

t.test('resets are limited by the second', async (t) => {
  const s = new Script({ tcp: { maxResets: 100 } })
  for (let i = 0; i < 50; i++) s.in('S 0:0', '. 1:1 ack 1')
  t.equal(s.skip(), 10, 'a tenth at once')
  t.equal(s.drops('resetLimit'), 90)
  s.run(ms(50))
  for (let i = 0; i < 50; i++) s.in('S 0:0')
  t.equal(s.skip(), 5, 'and as many as the time allows')
  s.run(seconds(10))
  for (let i = 0; i < 50; i++) s.in('R 0:0')
  s.in('S 0:0')
  t.equal(s.skip(), 1, 'what is not answered takes none')
})

t.test('connections are bounded, with those that are over but for what nobody has read', async (t) => {
  const s = new Script({ tcp: { maxConnections: 1 } })
  const c = s.established()
  s.in('. 1:1001 ack 1', 'R 1001:1001')
  s.tells('readable')
  s.skip()
  t.equal(c.state, 'CLOSED')
  t.throws(() => s.connect(), { code: 'ENOBUFS' })
  s.listen()
  s.ports = [80, 41_000]
  s.in('S 0:0 <mss 1000>')
  s.out()
  t.equal(s.drops('connectionLimit'), 1)
  t.equal(s.read(c), 1000)
  s.tells('closed ECONNRESET reset')
  s.in('S 0:0 <mss 1000>')
  s.out('S. 0:0 ack 1')
})

t.test('what closed connections still hold is bounded: one too many is reset, and says why', async (t) => {
  const s = new Script({ tcp: { maxOrphans: 1 } })
  const c = s.established()
  s.write(c, 10)
  s.call(() => c.close())
  s.skip()
  const d = s.established()
  s.write(d, 10)
  s.skip()
  s.call(() => d.close())
  s.out('R. 11:11 ack 1')
  s.tells('closed ENOBUFS orphanLimit')
  t.equal(s.drops('orphanLimit'), 1)
  t.equal(c.state, 'FIN-WAIT-1')
  t.equal(d.state, 'CLOSED')
})

t.test('an orphan is given up sooner than who waits for it would give up', async (t) => {
  const s = new Script()
  const c = s.established()
  s.write(c, 10)
  s.call(() => c.close())
  s.run(seconds(300))
  s.tells('closed ETIMEDOUT retransmissionTimeout')
  t.ok(s.skip() >= 9)
  t.equal(s.chunks, 0)
})

t.test('so is an orphan whose peer answers, but reads nothing', async (t) => {
  for (const orphan of [true, false]) {
    const s = new Script()
    const c = s.established({}, 1000, 0)
    s.write(c, 10)
    if (orphan) s.call(() => c.close())
    for (let probes = 0; probes < 8; probes++) {
      while (s.skip() === 0) s.run(ms(100))
      s.tells()
      s.in('. 1:1 ack 1 win 0')
    }
    s.run(seconds(130))
    if (orphan) s.tells('closed ETIMEDOUT retransmissionTimeout')
    else s.tells()
    t.equal(c.state, orphan ? 'CLOSED' : 'ESTABLISHED')
    s.skip()
  }
})

t.test('a whole window of small segments may wait for the first', async (t) => {
  const s = new Script()
  const c = s.established({ receiveBuffer: 65_536 }, 536)
  for (let at = 537; at + 536 <= 65_537; at += 536) s.in(`. ${at}:${at + 536} ack 1`)
  t.equal(s.drops('reassemblyFull'), 0)
  s.skip()
  s.in('. 1:537 ack 1')
  s.out('. 1:1 ack 65393')
  t.equal(s.read(c, 70_000, 0), 65_392)
})

t.test('segments out of order of a connection are bounded by its window', async (t) => {
  const s = new Script()
  s.established({ receiveBuffer: 8192 })
  for (let at = 3; at < 203; at += 2) s.in(`. ${at}:${at + 1} ack 1`)
  t.equal(s.drops('reassemblyFull'), 100 - (4 * 8192) / 2048)
})

t.test('segments out of order are bounded for all connections together', async (t) => {
  const s = new Script({ tcp: { maxReassembly: 10 * 2048 } })
  for (let i = 0; i < 4; i++) {
    s.established()
    for (let k = 0; k < 4; k++) s.in(`. ${3 + 2 * k}:${4 + 2 * k} ack 1`)
  }
  s.run(0)
  t.equal(s.drops('reassemblyFull'), 6)
})

t.test('a full link is nobody to give up for, and nothing to back off from', async (t) => {
  const s = new Script({ tcp: { retries: 3 } })
  const c = s.established()
  s.net.open = false
  s.write(c, 10)
  s.out('P. 1:11 ack 1')
  s.run(seconds(3600))
  t.equal(c.state, 'ESTABLISHED')
  t.equal(c.info().timeouts, 0)
  s.net.ready()
  s.run(ms(250))
  t.equal(s.skip(), 1, 'it goes again soon')
  s.in('. 1:1 ack 11')
  s.run(0)
  t.equal(c.queuedOctets, 0)
})

t.test('a full link does not outlast the user timeout', async (t) => {
  const s = new Script()
  const c = s.established({ userTimeout: seconds(5) })
  s.net.open = false
  s.write(c, 10)
  s.run(seconds(5))
  t.equal(c.state, 'CLOSED')
  s.tells('closed ETIMEDOUT userTimeout')
})

t.test('a handler that throws keeps nobody else from being told', async (t) => {
  const s = new Script()
  const mishap = (): never => {
    throw new Error('mishap')
  }
  const told: string[] = []
  for (const port of [80, 81, 82]) {
    s.call(() =>
      s.sockets.listen({ port }, { acceptable: port === 80 ? mishap : () => told.push(`acceptable ${port}`) }),
    )
  }
  const iss = [80, 81, 82].map((port) => {
    s.ports = [port, 40_000]
    s.in('S 0:0')
    s.skip()
    return s.rawSeq(0)
  })
  for (const [i, first] of iss.entries()) {
    s.ports = [80 + i, 40_000]
    s.setIss(first)
    s.in('. 1:1 ack 1')
  }
  t.throws(() => s.run(0), { message: 'mishap' })
  s.run(0)
  t.same(told, ['acceptable 81', 'acceptable 82'])
  const c = s.established()
  const other = s.call(() =>
    s.sockets.connect({ address: s.peer, port: 40_001 }, { closed: () => told.push('closed') }),
  )
  c.handler = { closed: mishap }
  s.call(() => c.abort())
  s.call(() => other.abort())
  t.throws(() => s.run(0), { message: 'mishap' })
  s.run(0)
  t.equal(told.at(-1), 'closed')
})
