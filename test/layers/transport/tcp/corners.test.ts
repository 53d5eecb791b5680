/** What a review against the standards found wrong once, each as the script that showed it. */
import t from 'tap'
import { ms, seconds } from '../../../../src/kernel/clock.ts'
import { Script } from './script.ts'

t.test('who closes in the turn of the last FIN was never an orphan, and is not counted as one less', async (t) => {
  const s = new Script({ tcp: { maxOrphans: 0 } })
  const c = s.established()
  s.call(() => c.shutdown('write'))
  s.out('F. 1:1 ack 1')
  c.handler = { readable: (connection) => connection.close() }
  s.in('F. 1:1 ack 2')
  s.out('. 2:2 ack 2')
  const d = s.established()
  s.call(() => d.close())
  s.out('R. 1:1 ack 1')
  t.equal(d.state, 'CLOSED')
})

t.test('a peer that never opens its window does not keep an orphan for ever', async (t) => {
  const s = new Script()
  const c = s.established({}, 1000, 1000)
  s.write(c, 2000)
  s.skip()
  s.in('. 1:1 ack 1001 win 0')
  s.call(() => c.close())
  let minutes = 0
  for (; c.info().state !== 'CLOSED' && minutes < 1440; minutes++) {
    s.run(seconds(60))
    if (s.skip() > 0) s.in('. 1:1 ack 1001 win 0')
  }
  t.ok(minutes < 60, `given up after ${minutes} minutes`)
  t.equal(s.chunks, 0, 'what it held is given back')
})

t.test('a SYN that comes again with its data is answered again', async (t) => {
  const s = new Script()
  s.listen()
  s.in('S 0:3 <mss 1000>')
  s.out('S. 0:0 ack 1')
  s.in('S 0:3 <mss 1000>')
  s.out('S. 0:0 ack 1')
  s.in('. 1:1 ack 1')
  s.tells('acceptable')
  t.equal(s.accepted[0]?.state, 'ESTABLISHED')
})

t.test('after a SYN that was lost, data is given three seconds (RFC 6298 §5.7)', async (t) => {
  const s = new Script()
  const c = s.connect()
  s.skip()
  s.run(seconds(1))
  s.skip()
  s.in('S. 0:0 ack 1 <mss 1000>')
  t.equal(c.info().rto, seconds(3))
})

t.test('a SYN-ACK that was sent twice is not measured (RFC 6298 §3)', async (t) => {
  const s = new Script()
  s.listen()
  s.in('S 0:0')
  s.out('S. 0:0 ack 1')
  s.run(ms(500))
  s.in('S 0:0')
  s.out('S. 0:0 ack 1')
  s.run(ms(100))
  s.in('. 1:1 ack 1')
  s.tells('acceptable')
  t.equal(s.accepted[0]?.info().srtt, 0)
})

t.test('nor is a SYN that went again with the ACK of one that crossed it (RFC 6298 §3)', async (t) => {
  const s = new Script()
  const c = s.connect()
  s.skip()
  s.run(ms(500))
  s.in('S 0:0')
  s.out('S. 0:0 ack 1')
  s.run(ms(100))
  s.in('. 1:1 ack 1')
  t.equal(c.state, 'ESTABLISHED')
  t.equal(c.info().srtt, 0)
})

t.test('the window of a SYN-ACK is not scaled in a simultaneous open either (RFC 7323 §2.2)', async (t) => {
  const s = new Script()
  const c = s.connect()
  s.in('S 0:0 win 1000 <mss 1000,ws 2>')
  s.skip()
  s.in('S. 0:0 ack 1 win 1000 <mss 1000,ws 2>')
  t.equal(c.state, 'ESTABLISHED')
  t.equal(c.info().sndWnd, 1000)
})

t.test('an ICMP error about a probe is about the connection (MUST-54)', async (t) => {
  const s = new Script()
  s.established({ keepAlive: true, keepAliveIdle: seconds(10) })
  t.notOk(s.icmp(0, {}), 'nothing was sent that it could be about')
  s.run(seconds(10))
  s.out('. 0:0 ack 1')
  t.ok(s.icmp(0, {}))
  s.tells('softError EHOSTUNREACH')
})

t.test('the user timeout is kept to, whatever the timer waits for (RFC 5482)', async (t) => {
  const s = new Script()
  const c = s.connect({ userTimeout: ms(150) })
  s.run(ms(100))
  s.skip()
  s.in('S. 0:0 ack 1 <mss 1000,sackOK>')
  s.skip()
  s.write(c, 100)
  s.skip()
  s.run(ms(149))
  t.equal(c.state, 'ESTABLISHED')
  s.run(ms(1))
  t.equal(c.state, 'CLOSED')
})

t.test('ACKs of TIME-WAIT look like those before (MUST-48, MUST-49)', async (t) => {
  const s = new Script()
  const c = s.established({ ttl: 9, trafficClass: 0x28 })
  const seen: string[] = []
  const { sent } = s.net
  s.net.sent = (packet, to) => {
    seen.push(`${to.ttl} ${to.trafficClass}`)
    return sent?.(packet, to) ?? true
  }
  s.call(() => c.close())
  s.skip()
  for (let i = 0; i < 2; i++) {
    s.in('F. 1:1 ack 2')
    s.out('. 2:2 ack 2')
  }
  t.same(seen, ['9 40', '9 40', '9 40'])
})

t.test('a reset right behind the last FIN is one in TIME-WAIT (RFC 1337)', async (t) => {
  const s = new Script()
  const c = s.established()
  s.call(() => c.close())
  s.out('F. 1:1 ack 1')
  s.in('F. 1:1 ack 2', 'R 2:2')
  s.tells('closed')
  t.equal(s.drops('timeWaitReset'), 1)
})

t.test('a lost tail is probed for with what Nagle holds back (RFC 8985 §7.3)', async (t) => {
  const s = new Script()
  const c = s.connect()
  s.run(ms(100))
  s.skip()
  s.in('S. 0:0 ack 1 <mss 1000,sackOK>')
  s.skip()
  s.write(c, 10)
  s.out('P. 1:11 ack 1')
  s.write(c, 10, 10)
  s.out()
  s.run(ms(410))
  s.out('P. 11:21 ack 1')
  t.equal(c.info().retransmits, 0)
})

t.test('a report of an MTU that nothing outstanding exceeds sends nothing again', async (t) => {
  const s = new Script()
  const c = s.established({}, 1460)
  s.write(c, 2920)
  t.equal(s.skip(), 2)
  t.ok(s.icmp(1, { code: 'EMSGSIZE', mtu: 9000 }))
  s.out()
  t.ok(s.icmp(1, { code: 'EMSGSIZE', mtu: 1000 }))
  t.equal(s.skip(), 4, 'a smaller one all of it, in pieces that fit')
  t.ok(s.icmp(961, { code: 'EMSGSIZE', mtu: 1000 }))
  s.out()
})

t.test(
  'a window that shrinks to nothing over what is outstanding ends nothing while the peer answers (MUST-37, SHLD-17)',
  async (t) => {
    const s = new Script({ tcp: { retries: 3 } })
    const c = s.established({}, 1000, 4000)
    s.write(c, 2000)
    for (let i = 0; i < 200; i++) {
      s.in('. 1:1 ack 1 win 0')
      s.run(seconds(1))
    }
    s.skip()
    t.equal(c.state, 'ESTABLISHED')
    s.run(seconds(3600))
    s.skip()
    t.equal(c.info().state, 'CLOSED', 'one that is silent is given up')
  },
)

t.test('a timeout is blamed on no error that is over (MUST-47)', async (t) => {
  const s = new Script({ tcp: { retries: 2 } })
  const c = s.established()
  s.write(c, 10)
  s.skip()
  s.icmp(1, { code: 'EHOSTUNREACH' })
  s.tells('softError EHOSTUNREACH')
  s.in('. 1:1 ack 11')
  s.run(seconds(3600))
  s.write(c, 10, 10)
  s.run(seconds(100))
  t.ok(s.skip() > 2)
  s.tells('closed ETIMEDOUT retransmissionTimeout')
})

t.test('losses are found from duplicate ACKs at any sequence number, again and again', (t) => {
  const retransmits = (iss: number): number[] => {
    // Initial sequence numbers follow the clock (MUST-8): a trial tells which one belongs to now.
    const trial = new Script({ now: 1_000_000 })
    trial.connect()
    trial.skip()
    const s = new Script({ now: 1_000_000 + ((iss - trial.rawSeq(0)) >>> 0) * 4 })
    trial.close()
    const c = s.established({}, 1000)
    t.equal(s.rawSeq(0), iss | 0)
    s.write(c, 60_000)
    s.skip()
    let acked = 1
    return [1, 2, 3, 4].map(() => {
      for (let i = 0; i < 3; i++) s.in(`. 1:1 ack ${acked}`)
      s.skip()
      const { retransmits } = c.info()
      for (let i = 0; i < 2; i++) {
        acked += c.info().outstanding
        s.in(`. 1:1 ack ${acked}`)
        s.run(ms(20))
        s.write(c, 20_000)
        s.skip()
      }
      return retransmits
    })
  }
  t.same(retransmits(2 ** 31 + 1), retransmits(1))
  t.end()
})

t.test('PAWS stands on no segment whose ACK is of what was never sent', async (t) => {
  const s = new Script()
  s.listen()
  s.in('S 0:0 win 65535 <mss 1000,ts 1000 0>')
  s.skip()
  s.in('. 1:1 ack 1 <ts 1001 0>')
  s.tells('acceptable')
  s.in('. 1:11 ack 900000 <ts 2000000000 0>')
  s.skip()
  s.in('. 1:101 ack 1 <ts 1002 0>')
  s.tells('readable')
  t.equal(s.accepted[0]?.readableOctets, 100)
  t.equal(s.drops('paws'), 0)
})
