import assert from 'node:assert'
import fc from 'fast-check'
import t from 'tap'
import type { TcpOptions } from '../../../../layers/transport/tcp/settings.ts'
import { optionsOf, SynCookies, timestampWith } from '../../../../layers/transport/tcp/syn-cookie.ts'
import type { Flow } from '../../../../layers/transport/tcp/table.ts'
import type { ListenRequest } from '../../../../src/api/sockets.ts'
import { parseAddress } from '../../../../src/kernel/address.ts'
import { seconds } from '../../../../src/kernel/clock.ts'
import { holds } from '../../../property.ts'
import { Script } from './script.ts'

const KEY = [1, 2, 3, 4] as const

const flow = (remote: string, port: number): Flow => ({
  local: { address: parseAddress('10.0.0.1'), port: 80 },
  remote: { address: parseAddress(remote), port },
  scope: 0,
})

t.test('a cookie says the segment size, to who holds the key, for one to two periods', (t) => {
  const cookies = new SynCookies(KEY)
  const peer = flow('10.0.0.2', 1234)
  const mssOf = fc.integer({ min: 0, max: 65_535 })
  const instant = fc.integer({ min: 0, max: 2 ** 40 })
  holds(
    t,
    'for any SYN at any time',
    fc.property(fc.integer(), mssOf, instant, (irs, mss, now) => {
      const iss = cookies.make(peer, irs, mss, now)
      const size = cookies.mssOf(peer, irs, iss, now)
      assert(size >= 216 && (mss < 216 || size <= mss), 'never more than the peer takes')
      assert.equal(cookies.mssOf(peer, irs, iss, now + seconds(60)), size)
      assert.equal(cookies.mssOf(peer, irs, iss, now + seconds(128)), 0, 'too late')
      assert.equal(cookies.mssOf(peer, irs, iss, now + seconds(32 * 64)), 0, 'when the periods have gone round')
    }),
  )
  const iss = cookies.make(peer, 7, 1460, 0)
  t.equal(cookies.mssOf(peer, 7, iss, 0), 1460)
  t.equal(cookies.mssOf(peer, 7, cookies.make(peer, 7, 1459, 0), 0), 1440)
  t.equal(cookies.mssOf(peer, 7, cookies.make(peer, 7, 0, 0), 0), 216, 'a peer that names no size')
  t.equal(cookies.mssOf(peer, 8, iss, 0), 0, 'of another SYN')
  t.equal(cookies.mssOf(flow('10.0.0.2', 1235), 7, iss, 0), 0, 'of another port')
  t.equal(cookies.mssOf(flow('10.0.0.3', 1234), 7, iss, 0), 0, 'of another host')
  t.equal(new SynCookies([1, 2, 3, 5]).mssOf(peer, 7, iss, 0), 0, 'of another node')
  t.end()
})

t.test('a guess is all but never right', (t) => {
  const cookies = new SynCookies(KEY)
  const peer = flow('10.0.0.2', 1234)
  let right = 0
  for (let i = 0; i < 200_000; i++) if (cookies.mssOf(peer, 0, Math.imul(i, 0x9e37_79b1), 0) > 0) right++
  // Of 2^32 numbers 2 periods x 8 sizes are cookies: 200,000 guesses hit 0.0007 of them on average.
  t.equal(right, 0)
  t.end()
})

t.test('a timestamp carries the other options, and is not of the future', (t) => {
  const shifts = fc.constantFrom(-1, 0, 7, 14)
  holds(
    t,
    'for any options at any time',
    fc.property(fc.integer(), shifts, fc.boolean(), fc.boolean(), (clock, windowShift, sackPermitted, ecn) => {
      const options = { windowShift, sackPermitted, ecn }
      const stamp = timestampWith(clock, options)
      const ago = (clock - stamp) | 0
      assert(ago >= 0 && ago < 128)
      assert.deepEqual(optionsOf(stamp), options)
    }),
  )
  t.end()
})

/** A node that remembers one handshake, whose place is taken. */
function flooded(tcp: TcpOptions = {}, listen: Partial<ListenRequest> = {}): Script {
  const s = new Script({ tcp: { maxSynReceived: 1, ...tcp } })
  s.listen(listen)
  s.ports[1] = 39_999
  s.in('S 0:0')
  s.skip()
  s.ports[1] = 40_000
  return s
}

/** TSval of the last segment sent. */
const stampOf = (s: Script): string => /ts (\d+)/.exec(s.lastPacket?.options ?? '')?.[1] ?? ''

t.test('a SYN that cannot be remembered is answered, and its ACK makes the connection', async (t) => {
  const s = flooded()
  s.in('S 0:0 win 1000 <mss 1400,sackOK,ts 700 0,nop,ws 7>')
  s.out('S. 0:0 ack 1 win 65535 <mss 1460,sackOK,ts * *,nop,ws 8>')
  const stamp = stampOf(s)
  const cookie = s.rawSeq(0)
  t.equal(s.drops('synQueueFull'), 1, 'counted')
  s.run(seconds(60))
  t.equal([...s.sockets.list()].length, 2, 'nothing is remembered but the listener and the other handshake')
  s.skip()
  s.setIss(cookie)
  s.in(`. 1:11 ack 1 win 500 <nop,nop,ts 760 ${stamp}>`)
  s.tells('acceptable', 'readable')
  const [c] = s.accepted
  t.equal(c?.state, 'ESTABLISHED')
  t.match(c?.info(), { maxSegment: 1360 - 12, sndWnd: 500 << 7 }, 'with what the SYN had said')
  s.out('. 1:1 ack 11 <nop,nop,ts * *>')
  s.in(`. 21:31 ack 1 win 500 <nop,nop,ts 761 ${stamp}>`)
  s.out('. 1:1 ack 11 <nop,nop,ts * *,nop,nop,sack 21:31>')
})

t.test('without timestamps nothing but the segment size comes back, so nothing else is agreed on', async (t) => {
  const s = flooded()
  s.in('SEW 0:0 win 1000 <mss 1000,sackOK,nop,nop,nop,ws 7>')
  s.out('S. 0:0 ack 1 win 65535 <mss 1460>')
  s.in('. 1:1 ack 1 win 500')
  s.tells('acceptable')
  t.match(s.accepted[0]?.info(), { maxSegment: 536, sndWnd: 500 })
})

t.test('ECN is agreed on through a cookie', async (t) => {
  const s = flooded()
  s.in('SEW 0:0 <mss 1000,nop,nop,ts 700 0>')
  s.out('SE. 0:0 ack 1 <mss 1460,nop,nop,ts * *>')
  s.in(`. 1:1 ack 1 <nop,nop,ts 760 ${stampOf(s)}>`)
  s.tells('acceptable')
  s.call(() => s.accepted[0]?.write(Uint8Array.of(1)))
  s.skip()
  t.equal(s.lastPacket?.ecn, 2, 'data goes as ECT(0)')
})

t.test('an ACK with a wrong, old or unexpected cookie is answered by a reset', async (t) => {
  const s = flooded()
  s.in('S 0:0')
  s.out('S. 0:0 ack 1')
  s.in('. 1:1 ack 2')
  s.out('R 2:2')
  s.in('. 2:2 ack 1')
  s.out('R 1:1')
  s.run(seconds(128))
  s.skip()
  s.in('. 1:1 ack 1')
  s.out('R 1:1')
  t.equal(s.drops('noConnection'), 3)
})

t.test('a full backlog does not lose who comes with a cookie', async (t) => {
  const s = new Script({ tcp: { maxSynReceived: 1 } })
  const listener = s.call(() =>
    s.sockets.listen({ port: 80, backlog: 1 }, { acceptable: () => s.told.push('acceptable') }),
  )
  s.ports[1] = 39_998
  s.in('S 0:0')
  s.skip()
  const remembered = s.rawSeq(0)
  s.ports[1] = 40_000
  s.in('S 0:0')
  s.out('S. 0:0 ack 1')
  const cookie = s.rawSeq(0)
  s.ports[1] = 39_998
  s.setIss(remembered)
  s.in('. 1:1 ack 1')
  s.tells('acceptable')
  s.ports[1] = 40_000
  s.setIss(cookie)
  s.in('. 1:11 ack 1')
  s.out()
  t.equal(s.drops('backlogFull'), 1)
  s.call(() => listener.accept())
  s.in('. 1:11 ack 1')
  s.tells('acceptable')
  s.out('. 1:1 ack 11')
})

t.test('who wants none gets none', async (t) => {
  const s = flooded({ synCookies: false })
  s.in('S 0:0')
  s.out()
  t.equal(s.drops('synQueueFull'), 1)
})

t.test('a SYN to which there is no way back is not answered', async (t) => {
  const s = flooded()
  s.net.path = () => 'ENETUNREACH'
  s.in('S 0:0')
  s.out()
  t.equal(s.drops('synQueueFull'), 1)
  t.equal(s.packets, 0)
})
