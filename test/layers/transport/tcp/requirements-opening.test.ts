/** OPEN as the application sees it (RFC 9293 §3.5, §3.9.1.1, §3.9.2.3): ports, addresses, who asked first, how long to try. */
import t from 'tap'
import { parseAddress } from '../../../../src/kernel/address.ts'
import { seconds } from '../../../../src/kernel/clock.ts'
import { Script } from './script.ts'

const OTHER = '10.0.0.9'

/** A node with a second address; `sources` fills with those of what it sends. */
function twoAddresses() {
  const s = new Script()
  const sources: string[] = []
  const { sent } = s.net
  s.net.sent = (packet, to) => {
    sources.push(String(to.source))
    return sent(packet, to)
  }
  s.net.setAddresses(s.net.local, parseAddress(OTHER))
  return { s, sources }
}

t.test('SYN-RECEIVED by an active open: a RST is a refusal (MUST-11)', async (t) => {
  const s = new Script()
  const c = s.connect()
  s.skip()
  s.in('S 0:0')
  s.out('S. 0:0 ack 1')
  t.equal(c.state, 'SYN-RECEIVED')
  s.in('R 1:1')
  s.tells('closed ECONNREFUSED reset')
  t.equal([...s.sockets.list()].length, 0)
})

t.test('a passive open adds a listener or fails, and leaves all others as they are (MUST-41)', async (t) => {
  const s = new Script()
  const c = s.passive()
  s.ports[1] = 40_001
  s.in('S 0:0')
  s.out('S. 0:0 ack 1')
  t.throws(() => s.listen(), { code: 'EADDRINUSE' })
  s.listen({ port: 81 })
  t.same([...s.sockets.list()].map(({ state, local, remote }) => `${state} ${local.port} ${remote?.port}`).sort(), [
    'ESTABLISHED 80 40000',
    'LISTEN 80 undefined',
    'LISTEN 81 undefined',
    'SYN-RECEIVED 80 40001',
  ])
  s.in('. 1:1 ack 1')
  s.tells('acceptable')
  t.equal(s.accepted.length, 2)
  s.write(c, 10)
  t.equal(s.skip(), 1)
})

t.test('a port can be listened on while connections of it are being opened (MUST-42)', async (t) => {
  for (const state of ['SYN-SENT', 'SYN-RECEIVED']) {
    const s = new Script()
    const c = s.connect({}, { localPort: 80 })
    s.skip()
    if (state === 'SYN-RECEIVED') s.in('S 0:0')
    s.run(0)
    t.equal(c.state, state)
    const iss = s.rawSeq(0)
    s.skip()
    s.listen({ port: 80 })
    s.ports[1] = 40_001
    s.in('S 0:0')
    s.out('S. 0:0 ack 1')
    s.in('. 1:1 ack 1')
    s.tells('acceptable')
    s.ports[1] = 40_000
    s.setIss(iss)
    s.in('S. 0:0 ack 1')
    s.tells('established')
    t.equal(c.state, 'ESTABLISHED')
  }
})

t.test('an open may name the local address (MUST-43)', async (t) => {
  const { s, sources } = twoAddresses()
  const c = s.connect({}, { localAddress: parseAddress(OTHER) })
  s.run(0)
  t.equal(String(c.local.address), OTHER)
  t.same(sources, [OTHER])
  s.ports[0] = 80
  s.listen({ address: parseAddress(OTHER) })
  s.raw(s.bytes('S 0:0'), { to: '10.0.0.1' })
  s.run(0)
  t.equal(s.lastPacket?.flags, 'R.')
  s.raw(s.bytes('S 0:0'), { to: OTHER })
  s.run(0)
  t.equal(s.lastPacket?.flags, 'S.')
  t.same(sources, [OTHER, '10.0.0.1', OTHER])
})

t.test('else the network chooses it before the SYN (MUST-44), and it stays to the end (MUST-45)', async (t) => {
  const { s, sources } = twoAddresses()
  let choice = OTHER
  const asked: boolean[] = []
  const path = s.net.path.bind(s.net)
  s.net.path = (destination, source, link, into) => {
    asked.push(source.isUnspecified)
    const none = path(destination, source, link, into)
    if (source.isUnspecified) into.source.set(parseAddress(choice))
    return none
  }
  const c = s.connect()
  t.equal(asked[0], true)
  t.equal(String(c.local.address), OTHER)
  s.run(0)
  choice = '10.0.0.1'
  s.net.generation++
  s.raw(s.bytes('S. 0:0 ack 1'), { to: OTHER })
  s.tells('established')
  s.write(c, 10)
  s.run(0)
  s.call(() => c.abort())
  s.run(0)
  t.same(sources, [OTHER, OTHER, OTHER, OTHER], 'SYN, ACK, data, RST')
})

t.test('a SYN that is sent again seven times is tried for three minutes (MUST-23)', async (t) => {
  const s = new Script()
  const c = s.connect({ synRetries: 7 })
  s.run(seconds(180))
  s.tells()
  t.equal(c.state, 'SYN-SENT')
  t.equal(s.skip(), 8)
  s.run(seconds(180))
  s.tells('closed ETIMEDOUT retransmissionTimeout')
})
