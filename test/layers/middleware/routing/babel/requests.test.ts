/** Requests (RFC 8966 §3.8): who is answered, with what, and how often. */
import t from 'tap'
import { ms, seconds } from '../../../../../src/kernel/clock.ts'
import { OURS, Peer, prefix, Stand } from './pair.ts'

const NET = 'fd00:5::/64'
const only = (said: string[], pattern: RegExp): string[] => said.filter((line) => pattern.test(line))

t.test('strangers are neither believed nor answered, whatever they say', async (t) => {
  const stand = new Stand()
  stand.babel.announce(prefix(NET), 0, stand.now)
  stand.run(seconds(1))
  stand.lately()
  const stranger = new Peer(0, 5)
  const words: Parameters<Stand['hear']>[1][] = [
    (writer) => writer.ihu(OURS, 96, 400),
    (writer) => writer.update(prefix('fd00:6::/64'), { routerHigh: 0, routerLow: 5, seqno: 1, metric: 0 }, 400, null),
    (writer) => writer.retractAll(400),
    (writer) => writer.routeRequest(null),
    (writer) => writer.routeRequest(prefix(NET)),
    (writer) => writer.seqnoRequest(prefix(NET), stand.babel.seqno, 9, 0, 1),
    (writer) => writer.ackRequest(7, 100),
  ]
  for (const [i, say] of words.entries()) {
    stand.hear(stranger, say)
    t.equal(stand.babel.drops.get('stranger'), i + 1)
    t.strictSame(stand.lately(), [])
  }
})

t.test('who asks for everything without end is told it now and then (§3.8.1.1)', async (t) => {
  const stand = new Stand()
  const peer = new Peer(0, 2).meet(stand)
  stand.babel.announce(prefix(NET), 0, stand.now)
  stand.run(seconds(16))
  stand.lately()
  for (let i = 0; i < 1000; i++) stand.hear(peer, (writer) => writer.routeRequest(null)).run(ms(20))
  const times = only(stand.lately(), /eth0 \* update/).length
  t.ok(times >= 9 && times <= 11, `in 20 s every 2 s, an eighth of the interval: ${times}`)
})

t.test('a request for a newer number is answered where there is an answer (§3.8.1.2)', async (t) => {
  const stand = new Stand()
  const [near, far] = [new Peer(0, 2).meet(stand), new Peer(1, 3).meet(stand)]
  const own = stand.babel.seqno
  stand.babel.announce(prefix('fd00:7::/64'), 0, stand.now)
  near.update(stand, NET, 10, 1, 9)
  stand.run(seconds(1))
  stand.lately()
  const ask = (text: string, seqno: number, router: number): string[] =>
    stand.hear(far, (writer) => writer.seqnoRequest(prefix(text), seqno, 9, 0, router)).lately()
  t.strictSame(ask(NET, 2, 8), ['eth1 fe80::3 update fd00:5::/64 106'], 'of another router')
  t.strictSame(ask('fd00:7::/64', own + 1, 9), ['eth1 fe80::3 update fd00:7::/64 0'])
  t.equal(stand.babel.seqno, own, 'nobody else makes us take a new one')
  t.strictSame(ask('fd00:8::/64', 1, 9), [], 'what we know nothing of')
  near.update(stand, NET, 0xffff, 1, 9)
  stand.run(seconds(9))
  stand.lately()
  t.equal(stand.way(NET), 'unreachable')
  t.strictSame(ask(NET, 1, 9), [], 'nor is there a word on what is not to be reached')
})

t.test('our number grows by one at a time, and not more often than every 50 ms', async (t) => {
  const stand = new Stand()
  const peer = new Peer(0, 2).meet(stand)
  const own = stand.babel.seqno
  stand.babel.announce(prefix(NET), 0, stand.now)
  for (let i = 0; i < 10; i++) {
    stand.hear(peer, (writer) => writer.seqnoRequest(prefix(NET), (stand.babel.seqno + 1) & 0xffff, 9, 0, 1))
    stand.run(ms(25))
  }
  t.equal((stand.babel.seqno - own) & 0xffff, 5)
})

t.test('a request of ours is over with the word that it asked for, and no other', async (t) => {
  const stand = new Stand()
  const [near, far] = [new Peer(0, 2).meet(stand), new Peer(1, 3).meet(stand)]
  near.update(stand, NET, 100, 5, 9)
  stand.run(seconds(1))
  far.update(stand, NET, 196, 5, 9)
  near.update(stand, NET, 0xffff, 5, 9)
  stand.run(ms(40)).lately()
  const pending = (): number | undefined => stand.babel.table.destinations.find(prefix(NET))?.request?.seqno
  t.equal(pending(), 6)
  far.update(stand, NET, 197, 5, 9)
  t.equal(pending(), 6, 'an older number')
  far.update(stand, NET, 197, 7, 8)
  t.equal(pending(), 6, 'a number of another router')
  far.update(stand, NET, 197, 6, 9)
  t.equal(pending(), undefined)
  t.equal(stand.way(NET), 'fe80::3 293')
})

t.test('a request goes on to another who may know, when the one that was asked is gone', async (t) => {
  const stand = new Stand()
  const [near, far, third] = [2, 3, 4].map((n) => new Peer(n === 2 ? 0 : 1, n).meet(stand)) as [Peer, Peer, Peer]
  near.update(stand, NET, 100, 1, 9)
  stand.run(seconds(1))
  far.update(stand, NET, 196, 1, 9)
  third.update(stand, NET, 200, 1, 9)
  near.update(stand, NET, 0xffff, 1, 9)
  stand.run(ms(40))
  t.match(only(stand.lately(), /seqno\?/).at(-1), /eth1 fe80::3 seqno\?/)
  far.update(stand, NET, 0xffff, 1, 9)
  stand.run(ms(600))
  t.match(only(stand.lately(), /seqno\?/), [/eth1 fe80::4 seqno\? fd00:5::\/64 2 255/])
})

t.test('a request is not sent back to who asks', async (t) => {
  const stand = new Stand()
  const [near, far] = [new Peer(0, 2).meet(stand), new Peer(1, 3).meet(stand)]
  near.update(stand, NET, 10, 1, 9)
  far.update(stand, NET, 500, 1, 9)
  stand.run(seconds(1))
  stand.lately()
  stand.hear(near, (writer) => writer.seqnoRequest(prefix(NET), 2, 9, 0, 9))
  t.strictSame(stand.lately(), ['eth1 fe80::3 seqno? fd00:5::/64 2 8'])
  const alone = new Stand()
  const lone = new Peer(0, 2).meet(alone)
  lone.update(alone, NET, 10, 1, 9)
  alone.run(seconds(1)).lately()
  alone.hear(lone, (writer) => writer.seqnoRequest(prefix(NET), 2, 9, 0, 9))
  t.strictSame(alone.lately(), [])
})

t.test('requests wait twice as long each time', async (t) => {
  const stand = new Stand()
  const [near, far] = [new Peer(0, 2).meet(stand), new Peer(1, 3).meet(stand)]
  near.update(stand, NET, 100, 1, 9)
  stand.run(seconds(1))
  far.update(stand, NET, 196, 1, 9)
  near.update(stand, NET, 0xffff, 1, 9)
  t.equal(only(stand.lately(), /seqno\?/).length, 1, 'at once')
  const began = stand.now
  const at: number[] = []
  for (let i = 0; i < 900; i++) {
    if (only(stand.run(ms(10)).lately(), /seqno\?/).length > 0) at.push((stand.now - began) / ms(100))
  }
  t.strictSame(at, [5, 15, 35])
  t.equal(stand.babel.table.destinations.find(prefix(NET))?.request, null, 'and end')
})

t.test('who is only behind is asked for the number that we know', async (t) => {
  const stand = new Stand()
  const [near, far] = [new Peer(0, 2).meet(stand), new Peer(1, 3).meet(stand)]
  near.update(stand, NET, 100, 5, 9)
  stand.run(seconds(1))
  far.update(stand, NET, 50, 4, 9)
  t.match(only(stand.lately(), /seqno\?/), ['eth1 fe80::3 seqno? fd00:5::/64 5 255'])
})

t.test('requests of our own are bounded, and make room when they end', async (t) => {
  const stand = new Stand()
  const [near, far] = [new Peer(0, 2).meet(stand), new Peer(1, 3).meet(stand)]
  const nets = Array.from({ length: 1030 }, (_, i) => `fd01:${i.toString(16)}::/64`)
  for (const net of nets) near.update(stand, net, 100, 1, 9)
  stand.run(seconds(1))
  for (const net of nets) far.update(stand, net, 196, 1, 9)
  for (const times of [1024, 0]) {
    stand.lately()
    stand.hear(near, (writer) => writer.retractAll(400))
    t.equal(only(stand.lately(), /seqno\?/).length, times)
  }
  stand.run(seconds(10)).lately()
  for (const net of nets) far.update(stand, net, 196, 1, 9)
  t.equal(only(stand.lately(), /seqno\?/).length, 1024)
})

t.test('a request that ends leaves nothing of a destination that nobody speaks of', async (t) => {
  const stand = new Stand()
  const [near, far] = [new Peer(0, 2).meet(stand), new Peer(1, 3).meet(stand)]
  near.update(stand, NET, 10, 1, 9)
  stand.hear(far, (writer) => writer.seqnoRequest(prefix(NET), 2, 9, 0, 9))
  stand.babel.detach(stand.links[0] as (typeof stand.links)[0], stand.now)
  t.equal(stand.babel.table.destinations.all.length, 1)
  stand.run(seconds(10))
  t.equal(stand.babel.table.destinations.all.length, 0)
})
