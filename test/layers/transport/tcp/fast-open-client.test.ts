/** TCP Fast Open, the side that connects (RFC 7413 §4.1.3, §4.2.1). */
import t from 'tap'
import type { TcpOptions } from '../../../../layers/transport/tcp/settings.ts'
import type { Connection } from '../../../../src/api/sockets.ts'
import { parseAddress } from '../../../../src/kernel/address.ts'
import { ms, seconds } from '../../../../src/kernel/clock.ts'
import { octetAt, Script } from './script.ts'

const PLAIN: TcpOptions = { sack: false, timestamps: false, windowScaling: false }

const script = (options: TcpOptions = {}): Script => new Script({ tcp: { ...PLAIN, ...options } })

/** Gets rid of a connection, so that nothing of it comes in between. */
function abort(s: Script, c: Connection): void {
  s.call(() => c.abort())
  s.skip()
  s.told = []
}

/** Asks for a cookie, and gets it. */
function warm(s: Script, answer = 'mss 1000,fo abcd1234'): void {
  const c = s.connect({ fastOpen: 1 })
  s.out('S 0:0 <mss 1460,fo,nop,nop>')
  s.in(`S. 0:0 ack 1 <${answer}>`)
  s.out('. 1:1 ack 1')
  abort(s, c)
}

t.test('off by default: no option, and no write before the handshake', async (t) => {
  const s = script()
  const c = s.connect()
  t.throws(() => s.write(c, 10), { code: 'ENOTCONN' })
  s.out('S 0:0 <mss 1460>')
})

t.test('without a cookie it is asked for, and what was written waits', async (t) => {
  const s = script()
  const c = s.connect({ fastOpen: 1 })
  t.equal(c.writableOctets, 0)
  t.equal(s.write(c, 10), 0)
  s.out('S 0:0 <mss 1460,fo,nop,nop>')
  s.in('S. 0:0 ack 1 <mss 1000,fo abcd1234>')
  s.tells('established', 'writable')
  t.equal(c.info().synDataAccepted, false)
})

t.test('with a cookie, data goes with the SYN, as much as the options leave of the MSS that is known', async (t) => {
  const s = script()
  warm(s)
  const c = s.connect({ fastOpen: 1 })
  t.equal(c.writableOctets, 960)
  t.equal(s.write(c, 2000), 960)
  t.equal(c.writableOctets, 0)
  s.out('S 0:960 <mss 1460,fo abcd1234,nop,nop>')
  t.same(s.lastPayload.subarray(0, 2), [octetAt(0), octetAt(1)], 'the data is what was written')
  t.equal(s.write(c, 10), 0, 'the SYN is gone')
  s.in('S. 0:0 ack 961 <mss 1460>')
  s.out('. 961:961 ack 1')
  s.tells('established', 'writable')
  t.equal(c.queuedOctets, 0)
  t.match(c.info(), { synDataAccepted: true, octetsSent: 960, outstanding: 0 })
  t.equal(s.write(c, 100, 960), 100)
  s.out('P. 961:1061 ack 1')
  s.in('. 1:1 ack 1061')
  abort(s, c)
  s.connect({ fastOpen: 1 })
  s.out('S 0:0 <mss 1460,fo abcd1234,nop,nop>')
  s.close()
  t.equal(s.packets, 0)
})

t.test('the rest of a request answers the SYN-ACK: what comes then waits for an answer, like its ACK', async (t) => {
  for (const waits of [true, false]) {
    const s = script()
    warm(s)
    const c = s.connect({ fastOpen: 1 })
    t.equal(s.write(c, 2000), 960)
    s.skip()
    s.in('S. 0:0 ack 961 <mss 1460>')
    if (!waits) s.out('. 961:961 ack 1')
    s.write(c, 1040, 960)
    s.out('P. 961:2001 ack 1')
    s.in('P. 1:501 ack 2001')
    if (waits) {
      s.out()
      s.run(ms(40))
    }
    s.out('. 2001:2001 ack 501')
    t.equal(c.readableOctets, 500)
  }
})

t.test('the answer may come before our ACK', async (t) => {
  const s = script()
  warm(s)
  const c = s.connect({ fastOpen: 1 })
  s.write(c, 10)
  s.skip()
  s.in('S. 0:0 ack 11 <mss 1000>', '. 1:501 ack 11')
  s.out('. 11:11 ack 501')
  t.equal(s.read(c, 1000, 0), 500)
})

t.test('data that the SYN-ACK leaves out is sent again at once, wholly or in part', async (t) => {
  for (const taken of [0, 4]) {
    const s = script()
    warm(s)
    const c = s.connect({ fastOpen: 1 })
    s.write(c, 10)
    s.out('S 0:10 <mss 1460,fo abcd1234,nop,nop>')
    s.in(`S. 0:0 ack ${1 + taken} <mss 1000,fo abcd1234>`)
    s.out(`P. ${1 + taken}:11 ack 1`)
    t.match(c.info(), { synDataAccepted: false, octetsSent: 10 })
    s.in('. 1:1 ack 11')
    t.equal(c.queuedOctets, 0)
    abort(s, c)
  }
})

t.test('nothing waits for data that goes again, though it is smaller than a segment (Nagle)', async (t) => {
  const s = script()
  warm(s)
  const c = s.connect({ fastOpen: 1 })
  t.equal(s.write(c, 2000), 960)
  s.skip()
  s.in('S. 0:0 ack 1 win 20000 <mss 1000>')
  s.out('P. 1:961 ack 1')
  t.equal(s.write(c, 1500, 960), 1500)
  s.out('. 961:1961 ack 1', 'P. 1961:2461 ack 1')
  t.equal(s.write(c, 10, 2460), 10)
  s.out()
})

t.test('more than was sent is not acknowledged', async (t) => {
  const s = script()
  warm(s)
  const c = s.connect({ fastOpen: 1 })
  s.write(c, 10)
  s.skip()
  s.in('S. 0:0 ack 12 <mss 1000>')
  s.out('R 12:12')
  t.equal(c.state, 'SYN-SENT')
})

t.test('a SYN that goes again has neither option nor data; a late answer to the first one counts still', async (t) => {
  const s = script()
  warm(s)
  const c = s.connect({ fastOpen: 1 })
  s.write(c, 10)
  s.out('S 0:10 <mss 1460,fo abcd1234,nop,nop>')
  s.run(seconds(1))
  s.out('S 0:0 <mss 1460>')
  s.in('S. 0:0 ack 11 <mss 1000>')
  s.out('. 11:11 ack 1')
  t.equal(c.info().synDataAccepted, true)
})

t.test('a router for whose link the SYN is too long has it sent again at once, without the data', async (t) => {
  const s = script()
  warm(s)
  const c = s.connect({ fastOpen: 1 })
  s.write(c, 900)
  s.out('S 0:900 <mss 1460,fo abcd1234,nop,nop>')
  t.equal(s.icmp(0, { code: 'EMSGSIZE', reason: 'fragmentationNeeded', mtu: 840 }), true)
  s.out('S 0:0 <mss 1460>')
  s.in('S. 0:0 ack 1 <mss 1000>')
  s.out('. 1:801 ack 1', 'P. 801:901 ack 1')
  t.equal(c.info().synDataAccepted, false)
})

t.test('simultaneous open: the data goes after the handshake', async (t) => {
  const s = script()
  warm(s)
  const c = s.connect({ fastOpen: 1 })
  s.write(c, 10)
  s.skip()
  s.in('S 0:0 <mss 1000>')
  s.out('S. 0:0 ack 1 <mss 1460>')
  s.in('. 1:1 ack 1')
  s.out('P. 1:11 ack 1')
  t.equal(c.state, 'ESTABLISHED')
})

t.test('a server to which SYNs with data are lost twice is spared for a while', async (t) => {
  const s = script()
  warm(s)
  const lose = (first: string, ...again: string[]) => {
    const c = s.connect({ fastOpen: 1 })
    s.write(c, 10)
    s.out(first)
    if (again.length === 0) {
      abort(s, c)
      return
    }
    s.run(seconds(1))
    s.out(...again)
    s.in('S. 0:0 ack 1 <mss 1000>')
    s.out('P. 1:11 ack 1')
    abort(s, c)
  }
  lose('S 0:10 <mss 1460,fo abcd1234,nop,nop>', 'S 0:0 <mss 1460>')
  lose('S 0:10 <mss 1460,fo abcd1234,nop,nop>', 'S 0:0 <mss 1460>')
  lose('S 0:0 <mss 1460>')
  s.run(seconds(240))
  lose('S 0:10 <mss 1460,fo abcd1234,nop,nop>', 'S 0:0 <mss 1460>')
  s.run(seconds(240))
  lose('S 0:0 <mss 1460>')
  s.run(seconds(240))
  lose('S 0:10 <mss 1460,fo abcd1234,nop,nop>', 'S 0:0 <mss 1460>')
  t.pass('twice as long')
})

t.test('three timeouts in a row pause it for everybody, twice as long each time', async (t) => {
  const s = script({ fastOpen: { blackHolePause: seconds(100) } })
  const swallow = () => {
    const c = s.connect({ fastOpen: 1 })
    s.run(0)
    s.in('S. 0:0 ack 1 <mss 1000>')
    s.write(c, 10)
    s.run(seconds(8))
    abort(s, c)
  }
  const isPaused = () => {
    const c = s.connect({ fastOpen: 1 }, { address: parseAddress('10.0.0.3') })
    s.run(0)
    const paused = !s.lastPacket?.options.includes('fo')
    abort(s, c)
    return paused
  }
  const down = s.connect({ fastOpen: 1 })
  s.run(seconds(8))
  abort(s, down)
  t.equal(isPaused(), false, 'a server that is down proves nothing')
  swallow()
  t.equal(isPaused(), true)
  s.run(seconds(100))
  t.equal(isPaused(), false)
  swallow()
  s.run(seconds(150))
  t.equal(isPaused(), true)
  s.run(seconds(50))
  t.equal(isPaused(), false)
})

t.test('cookies: 4 to 16 octets, even; what is none changes nothing; an unsolicited one is not kept', async (t) => {
  const s = script()
  warm(s, 'mss 1000,fo 00000000')
  const next = (cookie: string, answer: string) => {
    const c = s.connect({ fastOpen: 1 })
    s.out(`S 0:0 <mss 1460,${cookie}>`)
    s.in(`S. 0:0 ack 1 <mss 1000,${answer}>`)
    s.out('. 1:1 ack 1')
    abort(s, c)
  }
  next('fo 00000000,nop,nop', 'fo 1122')
  next('fo 00000000,nop,nop', 'fo 11223344aa')
  next('fo 00000000,nop,nop', 'fo 000102030405060708090a0b0c0d0e0f10')
  next('fo 00000000,nop,nop', 'fo 000102030405060708090a0b0c0d0e0f')
  next('fo 000102030405060708090a0b0c0d0e0f,nop,nop', 'fo 112233445566')
  next('fo 112233445566', 'nop')
  next('fo 112233445566', 'nop')
  const other = { address: parseAddress('10.0.0.3') }
  const c = s.connect({}, other)
  s.out('S 0:0 <mss 1460>')
  t.equal(c.get('fastOpen'), 0)
  abort(s, c)
})

t.test('a server that does not answer is asked once in the format of the experiment', async (t) => {
  const s = script()
  const next = (option: string, answer: string) => {
    const c = s.connect({ fastOpen: 1 })
    s.out(`S 0:0 <mss 1460,${option}>`)
    s.in(`S. 0:0 ack 1 <mss 1000,${answer}>`)
    s.out('. 1:1 ack 1')
    abort(s, c)
  }
  next('fo,nop,nop', 'nop')
  next('foexp', 'nop')
  next('fo,nop,nop', 'nop')
  next('fo,nop,nop', 'foexp aabbccdd')
  next('foexp aabbccdd', 'nop')
  t.equal(s.packets, 0)
})

t.test('servers are remembered up to a bound, the one used longest ago gives way', async (t) => {
  const s = script({ fastOpen: { servers: 2 } })
  const known = (last: number) => {
    s.peer.setIpv4((10 << 24) | last)
    const c = s.connect({ fastOpen: 1 })
    s.run(0)
    const known = s.lastPacket?.options !== 'mss 1460,fo,nop,nop'
    s.in(`S. 0:0 ack 1 <mss 1000,fo abcd${1000 + last}>`)
    abort(s, c)
    return known
  }
  t.same([known(2), known(3), known(2), known(4), known(2), known(3)], [false, false, true, false, true, false])
})

t.test('without cookies, where the node is told so, the first SYN has data', async (t) => {
  const s = script({ fastOpen: { requireCookie: false } })
  const c = s.connect({ fastOpen: 1 })
  t.equal(s.write(c, 2000), 1420)
  s.out('S 0:1420 <mss 1460>')
  s.in('S. 0:0 ack 1421 <mss 1000>')
  t.equal(c.info().synDataAccepted, true)
})

t.test('a close before the SYN leaves sends nothing', async (t) => {
  const s = script()
  warm(s)
  const c = s.connect({ fastOpen: 1 })
  s.write(c, 10)
  s.call(() => c.close())
  s.out()
  t.equal(s.packets, 0)
})
