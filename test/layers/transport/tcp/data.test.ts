/** Data both ways: segments, PSH, Nagle, cork, windows, ACK policy, reassembly (RFC 9293 §3.7, §3.8.6). */
import t from 'tap'
import { ms, seconds } from '../../../../src/kernel/clock.ts'
import { packetsInUse } from '../../../../src/kernel/packet.ts'
import { octetAt, Script } from './script.ts'

t.test('a write leaves in full segments, PSH where a unit of several ends and on the last (MUST-61)', async (t) => {
  const s = new Script()
  const c = s.established()
  t.equal(s.write(c, 2500), 2500)
  s.out('. 1:1001 ack 1', 'P. 1001:2001 ack 1', 'P. 2001:2501 ack 1')
  t.same(
    [...s.lastPayload],
    Array.from({ length: 500 }, (_, i) => octetAt(2000 + i)),
  )
  t.equal(c.queuedOctets, 2500)
  s.in('. 1:1 ack 2501')
  t.equal(c.queuedOctets, 0)
  t.equal(s.chunks, 0, 'chunks are given back')
})

t.test('writes of one turn share segments', async (t) => {
  const s = new Script()
  const c = s.established({ noDelay: true })
  s.write(c, 10)
  s.write(c, 20, 10)
  s.out('P. 1:31 ack 1')
  t.equal(s.withinCall, 0, 'no handler ran within a call')
})

t.test('Nagle: one small segment at a time (SHLD-7); noDelay disables it (MUST-17)', async (t) => {
  const s = new Script()
  const c = s.established()
  s.write(c, 10)
  s.out('P. 1:11 ack 1')
  s.write(c, 10, 10)
  s.out()
  s.write(c, 1000, 20)
  s.out('. 11:1011 ack 1')
  s.in('. 1:1 ack 11')
  s.out('P. 1011:1021 ack 1')
  c.set('noDelay', true)
  s.write(c, 5, 1020)
  s.out('P. 1021:1026 ack 1')
  t.equal(s.withinCall, 0, 'no handler ran within a call')
})

t.test('cork holds what is not full, until it is taken off or time has passed', async (t) => {
  const s = new Script()
  const c = s.established({ cork: true })
  s.write(c, 1200)
  s.out('. 1:1001 ack 1')
  s.in('. 1:1 ack 1001')
  s.out()
  c.set('cork', false)
  s.out('P. 1001:1201 ack 1')
  c.set('cork', true)
  s.in('. 1:1 ack 1201')
  s.write(c, 30, 1200)
  s.out()
  s.run(ms(250))
  s.out('P. 1201:1231 ack 1')
  t.equal(s.withinCall, 0, 'no handler ran within a call')
})

t.test('setting noDelay sends what cork holds, once', async (t) => {
  const s = new Script()
  const c = s.established({ cork: true })
  s.write(c, 100)
  s.out()
  c.set('noDelay', true)
  s.out('P. 1:101 ack 1')
  s.write(c, 50, 100)
  s.out()
  t.equal(c.queuedOctets, 150)
})

t.test('who has more to write waits for that, for an ACK, or for the timer', async (t) => {
  const s = new Script()
  const c = s.established({ noDelay: true })
  const write = (length: number, more: boolean): number => c.write(new Uint8Array(length), 0, length, more)
  write(100, true)
  write(900, true)
  s.out('. 1:1001 ack 1')
  write(50, true)
  s.out()
  write(50, false)
  s.out('P. 1001:1101 ack 1')
  write(10, true)
  s.out()
  s.in('. 1:1 ack 1001')
  s.out('. 1101:1111 ack 1')
  s.in('. 1:1 ack 1111')
  write(20, true)
  s.out()
  s.run(ms(250))
  s.out('P. 1111:1131 ack 1')
  s.in('. 1:1 ack 1131')
  write(30, true)
  s.call(() => c.shutdown('write'))
  s.out('F. 1131:1161 ack 1')
  t.equal(c.state, 'FIN-WAIT-1')
})

t.test('super-segments where the link takes them, checksum left to it', async (t) => {
  const s = new Script({ segment: 65_535, checksum: true })
  const c = s.established({}, 1460)
  s.write(c, 14_600)
  s.out('P. 1:7301 ack 1', 'P. 7301:14601 ack 1')
  t.equal(s.lastPacket?.segmentOctets, 1460)
  s.in('. 1:1 ack 14601')
  s.write(c, 3000, 14_600)
  s.out('P. 14601:17521 ack 1', 'P. 17521:17601 ack 1')
})

t.test(
  'received in order, ACKed at once at the start, then every second full segment, or after 40 ms (MUST-40, SHLD-18, SHLD-19)',
  async (t) => {
    const s = new Script()
    const c = s.established()
    let at = 1
    for (let i = 0; i < 16; i++) {
      s.in(`. ${at}:${at + 1000} ack 1`)
      at += 1000
      s.out(`. 1:1 ack ${at}`)
    }
    t.equal(s.read(c, 100_000, 0), 16_000)
    s.in(`. ${at}:${at + 1000} ack 1`)
    at += 1000
    s.out()
    s.in(`. ${at}:${at + 1000} ack 1`)
    at += 1000
    s.out(`. 1:1 ack ${at}`)
    s.in(`. ${at}:${at + 10} ack 1`)
    at += 10
    s.run(ms(40) - 1)
    s.out()
    s.run(1)
    s.out(`. 1:1 ack ${at}`)
    s.in(`. ${at}:${at + 10} ack 1`)
    at += 10
    s.write(c, 5)
    s.out(`P. 1:6 ack ${at}`)
    s.run(ms(100))
    s.out()
  },
)

t.test('a batch of segments is answered by one ACK (MUST-58, MUST-59)', async (t) => {
  const s = new Script()
  const c = s.established()
  s.in('. 1:1001 ack 1', '. 1001:2001 ack 1', '. 2001:3001 ack 1', 'P. 3001:3501 ack 1')
  s.out('. 1:1 ack 3501')
  s.tells('readable')
  t.equal(c.readableOctets, 3500)
})

t.test('readable is told once until the queue is empty', async (t) => {
  const s = new Script()
  const c = s.established()
  s.in('. 1:101 ack 1')
  s.tells('readable')
  s.in('. 101:201 ack 1')
  s.tells()
  t.equal(s.read(c, 150, 0), 150)
  s.in('. 201:301 ack 1')
  s.tells()
  t.equal(s.read(c, 1000, 150), 150)
  t.equal(s.read(c), 0)
  s.in('. 301:302 ack 1')
  s.tells('readable')
  t.equal(s.withinCall, 0)
})

t.test('out of order: a duplicate ACK for each, and all of it once the hole is filled (SHLD-31)', async (t) => {
  const s = new Script()
  const c = s.established()
  s.in('. 1001:2001 ack 1', '. 3001:4001 ack 1', '. 2001:3001 ack 1')
  s.out('. 1:1 ack 1', '. 1:1 ack 1', '. 1:1 ack 1')
  t.equal(c.readableOctets, 0)
  s.in('. 1:1001 ack 1')
  s.out('. 1:1 ack 4001')
  t.equal(s.read(c, 10_000, 0), 4000)
})

t.test('overlaps deliver each octet once', async (t) => {
  const s = new Script()
  const c = s.established()
  s.in('. 501:1001 ack 1', '. 301:701 ack 1', '. 901:1501 ack 1', '. 201:1601 ack 1', '. 601:801 ack 1')
  s.in('. 1:401 ack 1')
  t.equal(s.read(c, 10_000, 0), 1600)
  s.in('. 1:1701 ack 1')
  t.equal(s.read(c, 10_000, 1600), 100)
  s.in('. 1:1701 ack 1')
  s.skip()
  t.equal(c.readableOctets, 0)
})

t.test('a FIN with a hole before it waits for its turn', async (t) => {
  const s = new Script()
  const c = s.established()
  s.in('F. 1001:1501 ack 1')
  s.out('. 1:1 ack 1')
  t.equal(c.state, 'ESTABLISHED')
  s.in('. 1:1001 ack 1')
  s.out('. 1:1 ack 1502')
  t.equal(c.state, 'CLOSE-WAIT')
  t.equal(c.ended, false)
  t.equal(s.read(c, 10_000, 0), 1500)
  t.equal(c.ended, true)
})

t.test('sequence numbers wrap around on both sides', async (t) => {
  for (let seed = 1; seed < 4; seed++) {
    const s = new Script({ irs: 0x7fff_ff00, seed })
    const c = s.established()
    s.in('. 1:1001 ack 1', '. 1001:2001 ack 1')
    s.out('. 1:1 ack 2001')
    t.equal(s.read(c, 10_000, 0), 2000)
    const u = new Script({ irs: -500, seed })
    const d = u.established()
    u.in('. 501:1501 ack 1', '. 1:501 ack 1')
    t.equal(u.read(d, 10_000, 0), 1500)
  }
})

t.test(
  'the window follows the buffer, closes, opens by a segment at least, and never shrinks (MUST-39, SHLD-14)',
  async (t) => {
    const s = new Script()
    const c = s.established({ receiveBuffer: 4000 })
    s.in('. 1:1001 ack 1')
    s.out('. 1:1 ack 1001 win 3000')
    s.in('. 1001:2001 ack 1', '. 2001:3001 ack 1')
    s.out('. 1:1 ack 3001 win 1000')
    s.in('. 3001:4001 ack 1')
    s.out('. 1:1 ack 4001 win 0')
    s.read(c, 500, 0)
    s.out()
    s.read(c, 499, 500)
    s.out()
    s.read(c, 1, 999)
    s.out('. 1:1 ack 4001 win 1000')
    t.equal(c.info().rcvWnd, 1000)
    c.set('receiveBuffer', 10)
    s.in('. 4001:4501 ack 1')
    s.out('. 1:1 ack 4501 win 500')
    s.in('. 4501:5001 ack 1')
    s.out('. 1:1 ack 5001 win 0')
  },
)

t.test('a zero window shuts out data, but not ACK, RST and window updates (MUST-66)', async (t) => {
  const s = new Script()
  const c = s.established({ receiveBuffer: 1000 })
  s.in('. 1:1001 ack 1')
  s.out('. 1:1 ack 1001 win 0')
  s.write(c, 100)
  s.out('P. 1:101 ack 1001')
  s.in('. 1001:1002 ack 101')
  s.out('. 101:101 ack 1001 win 0')
  t.equal(c.queuedOctets, 0)
  t.equal(c.readableOctets, 1000)
  s.in('R 1001:1001')
  s.tells('readable')
  t.equal(c.state, 'CLOSED')
  t.equal(s.read(c), 1000)
  s.tells('closed ECONNRESET reset')
})

t.test(
  'zero window: probes with backoff for as long as they are answered (MUST-35 to MUST-37, SHLD-29, SHLD-30)',
  async (t) => {
    const s = new Script({ tcp: { retries: 3 } })
    const c = s.established({}, 1000, 1000)
    s.write(c, 2000)
    s.out('. 1:1001 ack 1')
    s.in('. 1:1 ack 1001 win 0')
    s.out()
    let wait = c.info().rto
    for (let i = 0; i < 12; i++) {
      s.run(wait - 1)
      s.out()
      s.run(1)
      s.out('. 1000:1000 ack 1')
      s.in('. 1:1 ack 1001 win 0')
      s.out()
      wait = Math.min(wait * 2, seconds(120))
    }
    s.in('. 1:1 ack 1001 win 1000')
    s.out('P. 1001:2001 ack 1')
    s.in('. 1:1 ack 2001 win 1000')
    t.equal(c.queuedOctets, 0)
  },
)

t.test('zero window: a peer that no longer answers is given up', async (t) => {
  const s = new Script({ tcp: { retries: 3 } })
  const c = s.established({}, 1000, 1000)
  s.write(c, 2000)
  s.skip()
  s.in('. 1:1 ack 1001 win 0')
  s.run(seconds(60))
  s.tells('closed ETIMEDOUT retransmissionTimeout')
  t.equal(s.withinCall, 0, 'no handler ran within a call')
})

t.test('write takes what fits the send buffer, and writable follows', async (t) => {
  const s = new Script()
  const c = s.established({ sendBuffer: 5000 }, 1000, 65_535)
  t.equal(s.write(c, 8000), 5000)
  t.equal(c.writableOctets, 0)
  t.equal(s.write(c, 1), 0)
  s.skip()
  s.in('. 1:1 ack 1001')
  s.tells()
  s.in('. 1:1 ack 3001')
  s.tells('writable')
  t.equal(c.writableOctets, 3000)
})

t.test('drained is told once, when asked for', async (t) => {
  const s = new Script()
  const c = s.established()
  t.equal(c.notifyDrained(), false)
  s.write(c, 10)
  t.equal(c.notifyDrained(), true)
  s.skip()
  s.in('. 1:1 ack 11')
  s.tells('drained')
  s.write(c, 10, 10)
  s.skip()
  s.in('. 1:1 ack 21')
  s.tells()
})

t.test('urgent data is in line (MUST-30, MUST-31; RFC 6093)', async (t) => {
  const s = new Script()
  const c = s.established()
  s.in('PU. 1:11 ack 1')
  t.equal(s.read(c, 100, 0), 10)
})

t.test('small segments share slots: a stream of single octets does not take one each', async (t) => {
  const s = new Script()
  const c = s.established()
  const before = packetsInUse()
  for (let i = 1; i <= 3000; i++) s.in(`. ${i}:${i + 1} ack 1`)
  t.ok(packetsInUse() - before <= 3, `${packetsInUse() - before} packets`)
  t.equal(s.read(c, 10_000, 0), 3000)
  t.equal(packetsInUse(), before)
})

t.test('segments out of order are bounded by slots', async (t) => {
  const s = new Script({ tcp: { maxReassembly: 100 * 2048 } })
  const c = s.established({}, 1000)
  const before = packetsInUse()
  for (let i = 0; i < 500; i++) s.in(`. ${3 + 2 * i}:${4 + 2 * i} ack 1`)
  t.equal(packetsInUse() - before, 100)
  t.equal(s.drops('reassemblyFull'), 400)
  s.skip()
  c.abort()
  s.run(0)
  t.equal(packetsInUse(), before)
  s.skip()
  s.established({}, 1000)
  s.in('. 3:4 ack 1')
  t.equal(packetsInUse() - before, 1, 'the room is there again')
})

t.test('backpressure: a network that is full is left alone until it is ready', async (t) => {
  const s = new Script()
  const c = s.established()
  s.net.open = false
  s.write(c, 3000)
  s.out('. 1:1001 ack 1')
  s.run(ms(10))
  s.out()
  s.net.ready()
  s.out('. 1001:2001 ack 1', 'P. 2001:3001 ack 1')
  t.equal(s.withinCall, 0, 'no handler ran within a call')
})

t.test('misuse', async (t) => {
  const s = new Script()
  const c = s.established()
  t.throws(() => c.write('x' as never), { code: 'ERR_INVALID_ARG_TYPE' })
  t.throws(() => c.write(new Uint8Array(3), 4), { code: 'ERR_OUT_OF_RANGE' })
  t.throws(() => c.write(new Uint8Array(3), 1, 3), { code: 'ERR_OUT_OF_RANGE' })
  t.throws(() => c.read(new Uint8Array(3), 4), { code: 'ERR_OUT_OF_RANGE' })
  t.throws(() => c.set('ttl', 256), { code: 'ERR_OUT_OF_RANGE' })
  t.throws(() => c.set('noDelay', 1 as never), { code: 'ERR_INVALID_ARG_TYPE' })
  t.throws(() => c.set('nope' as never, 1 as never), { code: 'ERR_INVALID_ARG_VALUE' })
  t.throws(() => c.get('nope' as never), { code: 'ERR_INVALID_ARG_VALUE' })
  t.throws(() => c.shutdown('both' as never), { code: 'ERR_INVALID_ARG_VALUE' })
  c.set('trafficClass', 0x28)
  t.equal(c.get('trafficClass'), 0x28)
})

t.test('TTL, traffic class and DF go to the network (MUST-48, MUST-49)', async (t) => {
  const s = new Script()
  const c = s.established({ ttl: 9, trafficClass: 0x28 })
  let seen = ''
  s.net.sent = (_, to) => {
    seen = `${to.ttl} ${to.trafficClass} ${to.dontFragment}`
    return true
  }
  s.write(c, 1)
  s.run(0)
  t.equal(seen, '9 40 true')
  c.set('pathMtuDiscovery', false)
  c.set('ttl', 3)
  c.set('noDelay', true)
  s.write(c, 1)
  s.run(0)
  t.equal(seen, '3 40 false')
})

t.test('a link that is full is left alone by all connections, which then get their turns in order', async (t) => {
  const s = new Script()
  const c = s.established()
  const first = [...s.ports] as [number, number]
  const d = s.established()
  s.net.open = false
  s.write(c, 10)
  s.write(d, 10)
  t.equal(s.skip(), 1)
  t.equal(c.info().flightSize, 10)
  t.equal(d.info().flightSize, 0)
  s.net.ready()
  t.equal(s.skip(), 1)
  t.equal(d.info().flightSize, 10)
  t.not(first[0], s.ports[0])
})
