/** What is not believed: RFC 9293 §3.10.7.4, RFC 5961, PAWS (RFC 7323 §5), ICMP (RFC 5927), malformed segments. */
import t from 'tap'
import type { Connection } from '../../../../src/api/sockets.ts'
import { ms, seconds } from '../../../../src/kernel/clock.ts'
import { SeededRandom } from '../../../../src/kernel/random.ts'
import { Script } from './script.ts'

t.test('RST counts at exactly RCV.NXT; in the window it is challenged, outside ignored (RFC 5961 §3.2)', async (t) => {
  for (const flags of ['R', 'R.']) {
    const s = new Script()
    const c = s.established()
    s.in(`${flags} 0:0 ack 1`)
    s.out()
    s.in(`${flags} 65701:65701 ack 1`)
    s.out()
    s.in(`${flags} 2:2 ack 1`)
    s.out('. 1:1 ack 1')
    // The window of 65,535 octets is kept as whole segments, 65,700.
    s.in(`${flags} 65700:65700 ack 1`)
    s.out('. 1:1 ack 1')
    t.equal(c.state, 'ESTABLISHED')
    t.equal(s.drops('resetOutsideWindow'), 2)
    t.equal(s.drops('resetNotExact'), 2)
    s.in(`${flags} 1:1 ack 1`)
    s.tells('closed ECONNRESET reset')
  }
})

t.test('RST counts right behind all that has arrived, too, while something is missing in front of it', async (t) => {
  const s = new Script()
  const c = s.passive('mss 1000,sackOK')
  s.in('. 1001:2001 ack 1', '. 3001:4001 ack 1')
  s.skip()
  s.in('R. 2001:2001 ack 1')
  s.out('. 1:1 ack 1 <nop,nop,sack 3001:4001 1001:2001>')
  t.equal(c.state, 'ESTABLISHED', 'the challenge may be lost, but who sends that has not sent all')
  s.in('R. 4001:4001 ack 1')
  s.tells('closed ECONNRESET reset')
})

t.test('SYN in a synchronized state is challenged wherever it lies (RFC 5961 §4.2)', async (t) => {
  const s = new Script()
  const c = s.established()
  for (const line of ['S 0:0', 'S 1:1', 'S 65000:65000', 'S 65700:65700', 'S -5:-5', 'S. 0:0 ack 1']) {
    s.in(line)
    s.out('. 1:1 ack 1')
  }
  t.equal(c.state, 'ESTABLISHED')
  t.equal(s.drops('synInWindow'), 6)
})

t.test('challenge ACKs are limited (RFC 5961 §7)', async (t) => {
  const s = new Script()
  s.established()
  let n = 0
  for (let i = 0; i < 100; i++) {
    s.in('S 5:5')
    n += s.skip()
  }
  if (n !== 10) throw new Error(`${n} challenge ACKs`)
  s.run(seconds(1))
  s.in('S 5:5')
  s.out('. 1:1 ack 1')
  t.equal(s.withinCall, 0, 'no handler ran within a call')
})

t.test('an ACK of what was never sent, or of long ago, is challenged (RFC 5961 §5.2)', async (t) => {
  const s = new Script()
  const c = s.established({}, 1000, 5000)
  for (const octets of [5000, 1000]) {
    s.write(c, octets)
    s.skip()
    s.in(`. 1:1 ack ${octets === 5000 ? 5001 : 6001} win 5000`)
  }
  s.in('. 1:101 ack 6002')
  s.out('. 6001:6001 ack 1')
  s.in('. 1:101 ack 1000')
  s.out('. 6001:6001 ack 1')
  t.equal(c.readableOctets, 0)
  s.in('. 1:101 ack 1001')
  t.equal(c.readableOctets, 100, 'an old ACK within the largest window is only old')
  t.equal(s.drops('unacceptableAck'), 2)
})

t.test('segments without ACK are dropped', async (t) => {
  const s = new Script()
  const c = s.established()
  s.in('P 1:11', '- 1:11', 'F 1:1')
  s.out()
  t.equal(c.readableOctets, 0)
  t.equal(s.drops('noAck'), 3)
})

t.test('data outside the window is acknowledged and dropped, in every synchronized state', async (t) => {
  const states: [string, (s: Script, c: Connection) => void, string][] = [
    ['ESTABLISHED', () => {}, '. 1:1 ack 1'],
    ['FIN-WAIT-1', (_, c) => c.shutdown('write'), '. 2:2 ack 1'],
    [
      'FIN-WAIT-2',
      (s, c) => {
        c.shutdown('write')
        s.skip()
        s.in('. 1:1 ack 2')
      },
      '. 2:2 ack 1',
    ],
    ['CLOSE-WAIT', (s) => s.in('F. 1:1 ack 1'), '. 1:1 ack 2'],
    [
      'LAST-ACK',
      (s, c) => {
        s.in('F. 1:1 ack 1')
        c.shutdown('write')
      },
      '. 2:2 ack 2',
    ],
    [
      'CLOSING',
      (s, c) => {
        c.shutdown('write')
        s.skip()
        s.in('F. 1:1 ack 1')
      },
      '. 2:2 ack 2',
    ],
  ]
  for (const [state, reach, answer] of states) {
    const s = new Script()
    const c = s.established()
    reach(s, c)
    s.skip()
    t.equal(c.state, state)
    for (const line of [
      '. -20:-10 ack 1',
      'P. 70000:70010 ack 1',
      'F. -20:-10 ack 1',
      'S 0:0',
      'S. 0:0 ack 1',
      'S 1:1',
    ]) {
      s.in(line)
      s.out(answer)
    }
    s.in('R -1:-1', 'R 70000:70000')
    s.out()
    t.equal(c.state, state)
    s.in(
      `R ${state === 'ESTABLISHED' || state.startsWith('FIN') ? 1 : 2}:${state === 'ESTABLISHED' || state.startsWith('FIN') ? 1 : 2}`,
    )
    t.equal(c.state, 'CLOSED', `RST in ${state}`)
    s.run(0)
    t.equal(s.timers.size, 0)
  }
})

function withTimestamps(s: Script): Connection {
  const c = s.connect()
  s.skip()
  s.in('S. 0:0 ack 1 <mss 1000,ts 1000 0>')
  s.skip()
  return c
}

t.test('who has filled the window acknowledges from behind it, and is heard', async (t) => {
  const s = new Script()
  const c = s.established({ receiveBuffer: 2000 })
  s.write(c, 1000)
  s.in('. 1001:2001 ack 1')
  s.skip()
  s.in('. 2001:2001 ack 1001')
  s.run(0)
  t.equal(c.info().outstanding, 0)
  s.in('R. 2001:2001 ack 1001', '. 2002:2002 ack 1001')
  s.run(0)
  t.same([s.drops('resetOutsideWindow'), s.drops('outsideWindow')], [1, 1], 'no further, and no reset')
  t.equal(c.state, 'ESTABLISHED')
})

t.test('PAWS: an older timestamp is acknowledged and dropped (RFC 7323 §5.3)', async (t) => {
  const s = new Script()
  const c = withTimestamps(s)
  s.in('. 1:101 ack 1 <nop,nop,ts 1005 0>')
  s.skip()
  s.in('. 101:201 ack 1 <nop,nop,ts 1004 0>')
  s.out('. 1:1 ack 101')
  t.equal(c.readableOctets, 100)
  t.equal(s.drops('paws'), 1)
  s.in('. 101:201 ack 1 <nop,nop,ts 1005 0>')
  t.equal(c.readableOctets, 200)
  t.equal(s.read(c), 200)
  s.in('R 201:201 <ts 1 0>')
  s.tells('established', 'readable', 'closed ECONNRESET reset')
})

t.test('TS.Recent is not believed after 24 days (RFC 7323 §5.5)', async (t) => {
  const s = new Script()
  const c = withTimestamps(s)
  s.in('. 1:101 ack 1 <nop,nop,ts 1005 0>')
  s.run(seconds(24 * 86_400 + 1))
  s.skip()
  s.in('. 101:201 ack 1 <nop,nop,ts 4 0>')
  t.equal(c.readableOctets, 200)
  s.in('. 201:301 ack 1 <nop,nop,ts 5 0>')
  t.equal(c.readableOctets, 300)
})

t.test('timestamps that were agreed on must be there (RFC 7323 §3.2)', async (t) => {
  const s = new Script()
  const c = withTimestamps(s)
  s.in('. 1:101 ack 1')
  s.out()
  t.equal(c.readableOctets, 0)
  t.equal(s.drops('noTimestamps'), 1)
})

t.test('unless they need not be; what has them is measured against the last that had', async (t) => {
  const s = new Script({ tcp: { requireTimestamps: false } })
  const c = withTimestamps(s)
  s.in('. 1:101 ack 1 <nop,nop,ts 1010 0>', '. 101:201 ack 1')
  s.out('. 1:1 ack 201')
  t.equal(c.readableOctets, 200)
  s.in('. 201:301 ack 1 <nop,nop,ts 1009 0>')
  s.out('. 1:1 ack 201')
  t.same([s.drops('noTimestamps'), s.drops('paws')], [0, 1])
})

t.test('the echoed timestamp is that of the segment at the left edge (RFC 7323 §4.3)', async (t) => {
  const s = new Script()
  withTimestamps(s)
  s.in('. 1:101 ack 1 <nop,nop,ts 1010 0>')
  s.out('. 1:1 ack 101 <nop,nop,ts * *>')
  if (!s.lastPacket?.options.endsWith(' 1010')) throw new Error(s.lastPacket?.options)
  s.in('. 201:301 ack 1 <nop,nop,ts 1020 0>')
  s.skip()
  if (!s.lastPacket?.options.endsWith(' 1010')) throw new Error(s.lastPacket?.options)
  s.in('. 101:201 ack 1 <nop,nop,ts 1030 0>')
  s.skip()
  if (!s.lastPacket?.options.endsWith(' 1030')) throw new Error(s.lastPacket?.options)
  s.in('. 201:301 ack 1 <nop,nop,ts 1040 0>')
  s.skip()
  if (!s.lastPacket?.options.endsWith(' 1040')) throw new Error('the last segment again is echoed')
  s.in('. 101:201 ack 1 <nop,nop,ts 1050 0>')
  s.skip()
  if (!s.lastPacket?.options.endsWith(' 1040')) throw new Error('an older one is not')
  t.equal(s.withinCall, 0, 'no handler ran within a call')
})

t.test('checksums are checked, unless the medium vouches for them (MUST-3)', async (t) => {
  const s = new Script()
  const c = s.established()
  s.raw(s.bytes('. 1:101 ack 1'), { badChecksum: true })
  t.equal(c.readableOctets, 0)
  t.equal(s.drops('badChecksum'), 1)
})

t.test('malformed headers and options are counted drops (MUST-7, MUST-68)', async (t) => {
  const s = new Script()
  const c = s.established()
  for (const n of [0, 1, 19]) s.raw(new Uint8Array(n))
  t.equal(s.drops('truncated'), 3)
  const shortOffset = s.bytes('. 1:11 ack 1')
  shortOffset[12] = 0x40
  s.raw(shortOffset)
  t.equal(s.drops('badDataOffset'), 1)
  const longOffset = s.bytes('. 1:11 ack 1')
  longOffset[12] = 0xf0
  s.raw(longOffset)
  t.equal(s.drops('truncated'), 4)
  for (const options of [
    [8, 0, 0, 0],
    [8, 1, 0, 0],
    [1, 1, 1, 8],
    [2, 5, 0, 0],
  ]) {
    const octets = s.bytes('. 1:1 ack 1 <nop,nop,nop,nop>')
    octets.set(options, 20)
    s.raw(octets)
  }
  t.equal(s.drops('malformedOption'), 4)
  t.equal(c.readableOctets, 0)
  const ended = s.bytes('. 1:1 ack 1 <eol,nop,nop,nop>')
  ended.set([0, 8, 0, 0], 20)
  s.raw(ended)
  t.equal(s.drops('malformedOption'), 4, 'behind the end of the list is padding')
  s.out()
})

t.test('options may come in any segment (MUST-5), unknown and misplaced ones included', async (t) => {
  const s = new Script()
  const c = s.established()
  s.in('. 1:101 ack 1 <unknown 99,nop,mss 9,ws 3>')
  t.equal(c.readableOctets, 100)
  t.equal(c.info().maxSegment, 1000)
})

t.test('ICMP: hard errors end a handshake, if they quote it (MUST-54, RFC 5927)', async (t) => {
  const s = new Script()
  const c = s.connect()
  s.skip()
  s.icmp(7, { code: 'ECONNREFUSED', reason: 'portUnreachable', hard: true })
  s.tells()
  s.icmp(0, { code: 'ECONNREFUSED', reason: 'portUnreachable', hard: true })
  s.tells('closed ECONNREFUSED portUnreachable')
  t.equal(c.state, 'CLOSED')
})

t.test('ICMP: soft errors are told, and blamed for a timeout (MUST-47, MUST-56, SHLD-25)', async (t) => {
  const s = new Script()
  s.connect({ synRetries: 1 })
  s.skip()
  s.icmp(0, { code: 'EHOSTUNREACH', reason: 'hostUnreachable' })
  s.tells('softError EHOSTUNREACH')
  s.run(seconds(10))
  s.tells('closed EHOSTUNREACH hostUnreachable')
  t.equal(s.withinCall, 0, 'no handler ran within a call')
})

t.test('ICMP: an established connection never ends by one (RFC 5927 §5.2)', async (t) => {
  const s = new Script()
  const c = s.established()
  s.write(c, 10)
  s.skip()
  s.icmp(1, { code: 'ECONNREFUSED', reason: 'portUnreachable', hard: true })
  s.tells('softError ECONNREFUSED')
  s.icmp(11, { code: 'ECONNREFUSED', reason: 'portUnreachable', hard: true })
  s.icmp(-1, { code: 'ECONNREFUSED', reason: 'portUnreachable', hard: true })
  s.tells()
  t.equal(c.state, 'ESTABLISHED')
})

t.test('an ICMP error is disowned unless it quotes what is in flight, so that nobody learns from it', async (t) => {
  const s = new Script()
  const c = s.established({}, 1460)
  const tooBig = { code: 'EMSGSIZE', reason: 'fragmentationNeeded', mtu: 1000 }
  t.notOk(s.icmp(1, tooBig), 'nothing is in flight')
  s.write(c, 1460)
  s.out('P. 1:1461 ack 1')
  t.notOk(s.icmp(0, tooBig), 'acknowledged')
  t.notOk(s.icmp(1461, tooBig), 'not sent yet')
  t.ok(s.icmp(1, tooBig))
})

t.test('an ACK of new data vouches for the next hop, once a second (RFC 4861 §7.3.1)', async (t) => {
  const s = new Script()
  const c = s.established({}, 1460)
  const before = s.net.confirmed
  for (let i = 0; i < 3; i++) {
    s.write(c, 100)
    s.out(`P. ${1 + i * 100}:${101 + i * 100} ack 1`)
    s.in(`. 1:1 ack ${101 + i * 100}`)
    s.in(`. 1:1 ack ${101 + i * 100}`)
  }
  t.ok(s.net.confirmed - before <= 1)
  s.run(seconds(2))
  s.write(c, 100)
  s.out('P. 301:401 ack 1')
  const earlier = s.net.confirmed
  s.in('. 1:1 ack 301')
  t.equal(s.net.confirmed, earlier, 'an old ACK says nothing')
  s.in('. 1:1 ack 401')
  t.equal(s.net.confirmed, earlier + 1)
})

t.test('path MTU: smaller segments, sent again at once, without a smaller window (RFC 1191)', async (t) => {
  const s = new Script()
  const c = s.established({}, 1460)
  s.write(c, 2920)
  s.out('. 1:1461 ack 1', 'P. 1461:2921 ack 1')
  s.icmp(9000, { code: 'EMSGSIZE', reason: 'fragmentationNeeded', mtu: 1000 })
  s.out()
  const { cwnd } = c.info()
  s.icmp(1, { code: 'EMSGSIZE', reason: 'fragmentationNeeded', mtu: 1000 })
  s.out('. 1:961 ack 1', '. 961:1921 ack 1', '. 1921:2881 ack 1', 'P. 2881:2921 ack 1')
  t.equal(c.info().maxSegment, 960)
  t.equal(c.info().cwnd, cwnd)
  s.icmp(1, { code: 'EMSGSIZE', reason: 'fragmentationNeeded', mtu: 1000 })
  s.out()
  s.in('. 1:1 ack 2921')
  t.equal(c.queuedOctets, 0)
})

t.test('a path that changed is looked up again', async (t) => {
  const s = new Script()
  const c = s.established({}, 1460)
  s.net.setMtu(600)
  s.write(c, 1000)
  s.out('. 1:561 ack 1', 'P. 561:1001 ack 1')
  t.equal(c.info().maxSegment, 560)
})

t.test('no way to the peer for a while: the connection waits', async (t) => {
  const s = new Script()
  const c = s.established()
  s.net.none = 'ENETUNREACH'
  s.net.generation++
  s.write(c, 100)
  s.out()
  s.run(seconds(5))
  s.out()
  t.equal(c.state, 'ESTABLISHED')
  s.net.none = undefined
  s.net.setAddresses(s.net.local)
  s.run(seconds(30))
  t.ok(s.skip() > 0)
})

t.test('an address that is taken away ends its connections with EADDRNOTAVAIL', async (t) => {
  const s = new Script()
  const c = s.established()
  s.net.setAddresses()
  s.tells('closed EADDRNOTAVAIL addressRemoved')
  t.equal(c.state, 'CLOSED')
})

t.test('any octets: never an exception, never a packet left', async (t) => {
  const random = new SeededRandom([7, 7, 7, 7])
  for (let round = 0; round < 40; round++) {
    const s = new Script({ seed: round })
    const c = round % 2 === 0 ? s.established({ receiveBuffer: 5000 }) : s.connect()
    s.listen()
    s.skip()
    for (let i = 0; i < 200; i++) {
      const octets = s.bytes(`PF. ${i}:${i + 30} ack 1 <nop,nop,ts 5 5>`)
      for (let n = random.uint32() % 6; n >= 0; n--) octets[random.uint32() % octets.length] = random.uint32() & 255
      octets[0] = 40_000 >> 8
      octets[1] = 40_000 & 255
      octets[2] = s.ports[0] >> 8
      octets[3] = s.ports[0] & 255
      s.raw(random.uint32() % 8 === 0 ? octets.subarray(0, random.uint32() % octets.length) : octets)
      if (random.uint32() % 4 === 0) s.run(ms(random.uint32() % 300))
    }
    if (random.uint32() % 2 === 0) s.read(c)
    s.close()
    t.equal(s.packets, 0)
    t.equal(s.chunks, 0)
    t.equal(s.timers.size, 0)
  }
})
