/** Opening (RFC 9293 §3.5, §3.10.1, §3.10.7.2, §3.10.7.3): active, passive, simultaneous, refused, in vain. */
import t from 'tap'
import { IpAddress, parseAddress } from '../../../../src/kernel/address.ts'
import { ms, seconds } from '../../../../src/kernel/clock.ts'
import { packetsInUse } from '../../../../src/kernel/packet.ts'
import { Script } from './script.ts'

t.test('active open offers MSS, timestamps and window scale (MUST-14, SHLD-5)', async (t) => {
  const s = new Script()
  const c = s.connect()
  t.equal(c.state, 'SYN-SENT')
  s.out('S 0:0 win 65535 <mss 1460,sackOK,ts * *,nop,ws 8>')
  s.in('S. 0:0 ack 1 win 1000 <mss 1000,ts 500 0,ws 7>')
  s.out('. 1:1 ack 1 win 4096 <nop,nop,ts * *>')
  s.tells('established')
  t.equal(c.state, 'ESTABLISHED')
  t.equal(c.info().maxSegment, 1000 - 12)
  t.equal(c.info().sndWnd, 1000, 'the window of a SYN is not scaled')
  s.in('. 1:1 ack 1 win 1000 <nop,nop,ts 501 0>')
  t.equal(c.info().sndWnd, 128_000)
})

t.test('only what the peer offers too is in use (RFC 7323 §1.3)', async (t) => {
  const s = new Script()
  const c = s.connect()
  s.skip()
  s.in('S. 0:0 ack 1 win 1000 <mss 1200>')
  s.out('. 1:1 ack 1 win 65535 <>')
  t.equal(c.info().maxSegment, 1200)
})

t.test('default send MSS is 536 without the option (MUST-15)', async (t) => {
  const s = new Script()
  const c = s.connect()
  s.skip()
  s.in('S. 0:0 ack 1')
  t.equal(c.info().maxSegment, 536)
})

t.test('tiny and zero MSS are not believed', async (t) => {
  for (const mss of [1, 20]) {
    const s = new Script()
    t.equal(s.established({}, mss).info().maxSegment, 48)
  }
  const s = new Script()
  t.equal(s.established({}, 0).info().maxSegment, 536)
})

t.test('the effective MSS is the smaller of peer and path (MUST-16)', async (t) => {
  const s = new Script({ mtu: 1000 })
  t.equal(s.established({}, 1460).info().maxSegment, 960)
})

t.test('maxSegment bounds what is announced and sent', async (t) => {
  const s = new Script()
  const c = s.connect({ maxSegment: 1100 })
  s.out('S 0:0 <mss 1100,sackOK,ts * *,nop,ws 8>')
  s.in('S. 0:0 ack 1 <mss 1460>')
  t.equal(c.info().maxSegment, 1100)
})

t.test('passive open echoes what was offered, and is accepted when complete', async (t) => {
  const s = new Script()
  s.listen()
  s.in('S 0:0 <mss 1000,nop,ws 7>')
  s.out('S. 0:0 ack 1 <mss 1460,nop,ws 8>')
  s.tells()
  s.in('. 1:1 ack 1 win 257')
  s.tells('acceptable')
  t.equal(s.accepted[0]?.state, 'ESTABLISHED')
  t.equal(s.accepted[0]?.info().sndWnd, 257 << 7)
  t.equal(s.withinCall, 0)
})

t.test('options need not begin on a word (MUST-64), unknown ones are passed over (MUST-6)', async (t) => {
  const s = new Script()
  s.listen()
  s.in('S 0:0 <nop,mss 1000,unknown 77,nop,ws 3,sackOK,ts 7 0>')
  s.out('S. 0:0 ack 1 <mss 1460,sackOK,ts * *,nop,ws 8>')
  t.equal(s.withinCall, 0, 'no handler ran within a call')
})

t.test('data and FIN may come with the ACK of the handshake', async (t) => {
  const s = new Script()
  s.listen()
  s.in('S 0:0 <mss 1000>')
  s.out('S. 0:0 ack 1')
  s.in('F. 1:101 ack 1')
  s.tells('acceptable', 'readable')
  t.equal(s.accepted[0]?.state, 'CLOSE-WAIT')
  t.equal(s.read(s.accepted[0] as never, 1000, 0), 100)
  s.run(ms(40))
  s.out('. 1:1 ack 102')
  t.equal(s.accepted[0]?.ended, true)
})

t.test('data with the SYN is not taken', async (t) => {
  const s = new Script()
  s.listen()
  s.in('S 17:20 <mss 1460>')
  s.out('S. 0:0 ack 18')
  t.equal(s.withinCall, 0, 'no handler ran within a call')
})

t.test('SYN with FIN is dropped', async (t) => {
  const s = new Script()
  s.listen()
  s.in('SF 0:0 <mss 1460>')
  s.out()
  t.equal(s.drops('synFin'), 1)
})

t.test('LISTEN: ACK is answered by a reset, RST and FIN by nothing (RFC 9293 §3.10.7.2)', async (t) => {
  const s = new Script()
  s.setIss(0)
  s.listen()
  s.in('. 17:20 ack 34')
  s.out('R 34:34')
  s.in('F. 17:20 ack 34')
  s.skip()
  s.in('R. 17:20 ack 34', 'R 17:17', 'F 17:20')
  s.out()
  t.equal(s.withinCall, 0, 'no handler ran within a call')
})

t.test('nobody listens: a reset that the peer will believe (RFC 9293 §3.10.7.1)', async (t) => {
  const s = new Script()
  s.setIss(0)
  s.in('S 5:8')
  s.out('R. 0:0 ack 9')
  s.in('SF 5:8')
  s.out('R. 0:0 ack 10')
  s.in('. 5:5 ack 700')
  s.skip()
  s.in('R 5:5')
  s.out()
  t.equal(s.drops('noListener'), 2)
  t.equal(s.drops('noConnection'), 2)
})

t.test('refused: ECONNREFUSED', async (t) => {
  const s = new Script()
  const c = s.connect()
  s.skip()
  s.in('R. 0:0 ack 1')
  s.tells('closed ECONNREFUSED reset')
  t.equal(c.state, 'CLOSED')
})

t.test('SYN-SENT: RST without ACK or with a wrong one is nothing; a wrong ACK is answered by a reset', async (t) => {
  const s = new Script()
  const c = s.connect()
  s.skip()
  s.in('R 0:0', 'R. 0:0 ack 5', 'F 0:3', '. 0:3 ack 1')
  s.out()
  t.same([s.drops('unexpectedInSynSent'), s.drops('unacceptableAck')], [3, 1])
  s.in('. 0:0 ack 5')
  s.out('R 5:5')
  s.in('S. 0:0 ack 0')
  s.skip()
  t.equal(c.state, 'SYN-SENT')
  s.in('S. 0:0 ack 1')
  s.tells('established')
})

t.test('the SYN is sent again at 1, 3, 7 s …, then ETIMEDOUT (MUST-18, MUST-23)', async (t) => {
  const s = new Script()
  s.connect({ synRetries: 3 })
  s.out('S 0:0')
  for (const wait of [1, 2, 4]) {
    s.run(seconds(wait) - 1)
    s.out()
    s.run(1)
    s.out('S 0:0')
  }
  s.run(seconds(8))
  s.out()
  s.tells('closed ETIMEDOUT retransmissionTimeout')
  t.equal([...s.sockets.list()].length, 0)
})

t.test('the SYN-ACK is sent again, and given up silently', async (t) => {
  const s = new Script({ tcp: { synAckRetries: 2 } })
  s.listen()
  s.in('S 0:0')
  s.out('S. 0:0 ack 1')
  s.run(seconds(1))
  s.out('S. 0:0 ack 1')
  s.in('S 0:0')
  s.out('S. 0:0 ack 1')
  s.run(seconds(2))
  s.out('S. 0:0 ack 1')
  s.run(seconds(4))
  s.out()
  s.tells()
  t.equal([...s.sockets.list()].length, 1, 'the listener')
})

t.test('simultaneous open (MUST-10, RFC 9293 §3.5 figure 7)', async (t) => {
  const s = new Script()
  const c = s.connect()
  s.out('S 0:0')
  s.in('S 0:0 <mss 1000,ts 5 0,ws 2>')
  s.out('S. 0:0 ack 1 <mss 1460,nop,nop,ts * *,nop,ws 8>')
  t.equal(c.state, 'SYN-RECEIVED')
  s.in('S. 0:0 ack 1 <mss 1000,ts 6 0,ws 2>')
  s.tells('established')
  s.out()
  t.equal(c.state, 'ESTABLISHED')
  s.in('S. 0:0 ack 1 <mss 1000,ts 7 0,ws 2>')
  s.out('. 1:1 ack 1')
})

t.test(
  'SYN-RECEIVED: RST goes back to LISTEN (MUST-11), a wrong ACK is reset, and the handshake still completes',
  async (t) => {
    const s = new Script()
    s.listen()
    s.in('S 0:0')
    s.skip()
    s.in('. 1:1 ack 2')
    s.out('R 2:2')
    s.in('R 0:0')
    s.out()
    s.in('. 1:1 ack 1')
    s.tells('acceptable')
    s.ports[1] = 40_001
    s.in('S 0:0')
    s.skip()
    s.in('R 1:1')
    s.out()
    s.tells()
    t.equal([...s.sockets.list()].filter((x) => x.state === 'SYN-RECEIVED').length, 0)
  },
)

t.test('a connection to ourselves by simultaneous open', async (t) => {
  const s = new Script()
  const own = s.net.local
  s.net.sent = (packet, to) => {
    const from = to
    const copy = packet.copy(54, 4)
    const timer = { source: from.source.clone(), destination: from.destination.clone() }
    queue.push(() => {
      from.source.set(timer.source)
      from.destination.set(timer.destination)
      from.link = 0
      s.net.arrive(copy, from)
    })
    return true
  }
  const queue: (() => void)[] = []
  const pump = () => {
    s.run(0)
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      next()
      s.run(0)
    }
  }
  const c = s.call(() => s.sockets.connect({ address: own, port: 5000, localAddress: own, localPort: 5000 }, s.handler))
  pump()
  s.tells('established')
  s.write(c, 3000)
  pump()
  s.run(ms(50))
  pump()
  t.equal(s.read(c, 5000, 0), 3000)
  s.call(() => c.close())
  pump()
  s.run(ms(500))
  pump()
  s.run(ms(500))
  pump()
  t.equal(c.state, 'CLOSED')
})

t.test('backlog: when it is full, SYNs are dropped and ACKs wait (MUST-41)', async (t) => {
  const s = new Script()
  const listener = s.call(() =>
    s.sockets.listen({ port: 80, backlog: 1 }, { acceptable: () => s.told.push('acceptable') }),
  )
  s.in('S 0:0')
  s.skip()
  s.ports[1] = 40_001
  s.in('S 0:0')
  s.out('S. 0:0 ack 1')
  s.ports[1] = 40_000
  s.in('S 0:0')
  s.skip()
  s.in('. 1:1 ack 1')
  s.tells('acceptable')
  s.ports[1] = 40_002
  s.in('S 0:0')
  s.out()
  t.equal(s.drops('backlogFull'), 1)
  t.ok(s.call(() => listener.accept()))
  t.equal(
    s.call(() => listener.accept()),
    undefined,
  )
  s.in('S 0:0')
  s.out('S. 0:0 ack 1')
  s.call(() => listener.close())
  s.in('. 1:1 ack 1')
  s.out('R 1:1')
})

t.test('an ACK that finds the backlog full is as good as lost: the SYN-ACK goes again', async (t) => {
  const s = new Script()
  const listener = s.call(() => s.sockets.listen({ port: 80, backlog: 1 }, { acceptable: () => {} }))
  for (const port of [40_001, 40_000]) {
    s.ports[1] = port
    s.in('S 0:0')
    s.out('S. 0:0 ack 1')
  }
  s.in('. 1:1 ack 1')
  s.run(seconds(1))
  s.out('S. 0:0 ack 1')
  s.ports[1] = 40_001
  s.in('. 1:1 ack 1')
  s.out()
  t.equal(s.drops('backlogFull'), 1)
  t.equal(s.call(() => listener.accept())?.remote.port, 40_000)
  s.run(seconds(2))
  s.out('S. 0:0 ack 1')
  s.in('. 1:1 ack 1')
  s.run(0)
  t.equal(s.call(() => listener.accept())?.remote.port, 40_001)
})

t.test('SYN-RECEIVED is bounded', async (t) => {
  const s = new Script({ tcp: { maxSynReceived: 10, synCookies: false } })
  s.listen()
  for (let i = 0; i < 30; i++) {
    s.ports[1] = 41_000 + i
    s.in('S 0:0')
  }
  t.equal(s.skip(), 10)
  t.equal(s.drops('synQueueFull'), 20)
  s.run(seconds(200))
  s.skip()
  s.in('S 0:0')
  s.out('S. 0:0 ack 1')
})

t.test('closing a listener resets what waits, and forgets handshakes', async (t) => {
  const s = new Script()
  const listener = s.call(() => s.sockets.listen({ port: 80 }, { acceptable: () => s.told.push('acceptable') }))
  s.in('S 0:0')
  s.skip()
  s.in('. 1:1 ack 1')
  s.tells('acceptable')
  s.ports[1] = 40_001
  s.in('S 0:0')
  s.skip()
  s.ports[1] = 40_000
  s.call(() => listener.close())
  t.equal(s.skip(), 1)
  t.equal(s.lastPacket?.flags, 'R.')
  t.equal([...s.sockets.list()].length, 0)
})

t.test(
  'SYNs to broadcast and multicast, and from impossible sources, are dropped silently (MUST-57, MUST-63)',
  async (t) => {
    const s = new Script()
    s.listen()
    s.raw(s.bytes('S 0:0'), { to: '10.0.0.255' })
    s.raw(s.bytes('S 0:0'), { to: '224.0.0.1' })
    s.raw(s.bytes('S 0:0'), { source: '0.0.0.0' })
    s.raw(s.bytes('S 0:0'), { source: '10.0.0.255' })
    s.out()
    t.equal(s.drops('notUnicast'), 2)
    t.equal(s.drops('badSource'), 2)
  },
)

t.test('misuse throws at once (MUST-46)', async (t) => {
  const s = new Script()
  const address = s.peer
  t.throws(() => s.sockets.connect({ address, port: 0 }, {}), { code: 'ERR_OUT_OF_RANGE' })
  t.throws(() => s.sockets.connect({ address, port: 65_536 }, {}), { code: 'ERR_OUT_OF_RANGE' })
  t.throws(() => s.sockets.connect({ address: parseAddress('10.0.0.255'), port: 1 }, {}), { code: 'ENETUNREACH' })
  t.throws(() => s.sockets.connect({ address: parseAddress('224.0.0.1'), port: 1 }, {}), { code: 'ENETUNREACH' })
  t.throws(() => s.sockets.connect({ address: new IpAddress(), port: 1 }, {}), { code: 'ENETUNREACH' })
  t.throws(() => s.sockets.connect({ address, port: 1, link: 'nope' }, {}), { code: 'ENODEV' })
  t.throws(() => s.sockets.connect({ address, port: 1, options: { ttl: 0 } }, {}), { code: 'ERR_OUT_OF_RANGE' })
  s.sockets.listen({ port: 80 }, { acceptable() {} })
  t.throws(() => s.sockets.listen({ port: 80 }, { acceptable() {} }), { code: 'EADDRINUSE' })
  t.throws(() => s.sockets.listen({ port: 81, address: s.peer }, { acceptable() {} }), { code: 'EADDRNOTAVAIL' })
  s.net.none = 'EHOSTUNREACH'
  t.throws(() => s.sockets.connect({ address, port: 1 }, {}), { code: 'EHOSTUNREACH', syscall: 'connect' })
})

t.test('the same four cannot connect twice; ephemeral ports differ (RFC 6056)', async (t) => {
  const s = new Script()
  s.connect({}, { localPort: 1234 })
  t.throws(() => s.connect({}, { localPort: 1234 }), { code: 'EADDRINUSE' })
  const ports = new Set<number>()
  for (let i = 0; i < 100; i++) ports.add(s.connect().local.port)
  t.equal(ports.size, 100)
  t.ok([...ports].every((port) => port >= 49_152))
})

t.test('initial sequence numbers move with the clock, and differ by port and key (MUST-8, MUST-9)', async (t) => {
  const iss = (seed: number, port: number, at: number) => {
    const s = new Script({ seed, now: at })
    let raw = 0
    s.net.sent = (packet) => {
      raw = packet.view.getInt32(packet.start + 4)
      return true
    }
    s.connect({}, { localPort: port })
    s.run(0)
    return raw
  }
  t.equal((iss(1, 1000, 4_000_000) - iss(1, 1000, 0)) | 0, 1_000_000, 'one every 4 us')
  t.not(iss(1, 1000, 0), iss(1, 1001, 0))
  t.not(iss(1, 1000, 0), iss(2, 1000, 0))
})

t.test('abort and close in SYN-SENT', async (t) => {
  const s = new Script()
  const c = s.connect()
  s.skip()
  s.call(() => c.abort())
  s.out()
  s.tells('closed ECONNABORTED aborted')
  const d = s.connect()
  s.skip()
  t.throws(() => d.write(new Uint8Array(1)), { code: 'ENOTCONN' })
  s.call(() => d.close())
  s.tells('closed')
  t.equal(s.withinCall, 0)
})

t.teardown(() => {
  if (packetsInUse() !== 0) throw new Error(`${packetsInUse()} packets left`)
})
