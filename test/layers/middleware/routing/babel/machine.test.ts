import t from 'tap'
import { INFINITY } from '../../../../../layers/middleware/routing/babel/tlv.ts'
import { filter } from '../../../../../layers/middleware/routing/service.ts'
import { parseAddress } from '../../../../../src/kernel/address.ts'
import { ms, seconds } from '../../../../../src/kernel/clock.ts'
import { OURS, Peer, prefix, Stand } from './pair.ts'

const NET = 'fd00:5::/64'
const only = (said: string[], pattern: RegExp): string[] => said.filter((line) => pattern.test(line))

t.test('two that meet greet each other, and ask for everything', async (t) => {
  const stand = new Stand().run(seconds(1))
  const peer = new Peer(0, 2)
  t.match(only(stand.lately(), /eth0/), [/eth0 \* hello \d+/], 'one hello so far')
  peer.hello(stand)
  stand.run(ms(600))
  t.match(only(stand.lately(), /eth0/), [/hello/, /ihu fe80::2 65535/], 'a hello is too little to trust it')
  peer.hello(stand)
  stand.run(ms(600))
  t.match(only(stand.lately(), /eth0/), [/hello/, /ihu fe80::2 96/], 'two are enough, and it hears so')
  stand.hear(peer, (writer) => writer.ihu(OURS, 96, 1200))
  t.strictSame(stand.lately(), ['eth0 fe80::2 route? all'])
  stand.hear(peer, (writer) => writer.ihu(parseAddress('fe80::9'), 0xffff, 1200))
  peer.update(stand, NET, 0)
  t.equal(stand.way(NET), 'fe80::2 96', 'what it says to others is none of our business')
})

t.test('a wired link is lost with two of three hellos, and its routes with it', async (t) => {
  const stand = new Stand()
  const peer = new Peer(0, 2).meet(stand)
  peer.hello(stand, 100) // each second from now on
  peer.update(stand, NET, 10)
  t.equal(stand.way(NET), 'fe80::2 106')
  stand.run(ms(1400))
  t.equal(stand.way(NET), 'fe80::2 106', 'one may be late')
  stand.run(ms(1300))
  t.equal(stand.way(NET), 'unreachable', 'packets do not go by a shorter prefix now')
  stand.run(seconds(30))
  t.equal(stand.links[0]?.neighbours.length, 0, 'sixteen, and it is no neighbour')
  t.equal(stand.way(NET), 'unknown')
})

t.test('each neighbour gets hellos of its own, where these are asked for', async (t) => {
  const stand = new Stand({}, { unicastHelloInterval: seconds(1) })
  new Peer(0, 2).meet(stand)
  new Peer(1, 3).meet(stand)
  stand.run(seconds(1))
  stand.lately()
  stand.run(seconds(8))
  const said = stand.lately()
  for (const to of ['eth0 fe80::2', 'eth1 fe80::3', 'eth0 *']) {
    const seqnos = only(said, /hello/).flatMap((line) => (line.startsWith(to) ? [Number(line.split(' ')[3])] : []))
    t.ok(seqnos.length >= (to.endsWith('*') ? 2 : 8), `${to}: ${seqnos}`)
    t.strictSame(
      seqnos,
      seqnos.map((_, i) => ((seqnos[0] as number) + i) & 0xffff),
      'each is counted by itself',
    )
  }
  stand.babel.detach(stand.links[1] as (typeof stand.links)[1], stand.now)
  stand.lately()
  stand.run(seconds(4))
  t.strictSame(only(stand.lately(), /fe80::3/), [], 'who is gone gets none')
  stand.babel.close()
  t.equal(stand.babel.deadline, Number.POSITIVE_INFINITY)
  const plain = new Stand()
  new Peer(0, 2).meet(plain)
  t.strictSame(only(plain.run(seconds(20)).lately(), /fe80::2 hello/), [])
})

t.test('an IHU is void after three and a half of its intervals', async (t) => {
  const stand = new Stand()
  const peer = new Peer(0, 2).meet(stand)
  peer.update(stand, NET, 10)
  stand.hear(peer, (writer) => writer.ihu(OURS, 96, 100))
  stand.run(ms(3400))
  t.equal(stand.way(NET), 'fe80::2 106')
  stand.run(ms(200))
  t.equal(stand.way(NET), 'unreachable')
})

t.test('a wireless link costs what it loses, both ways', async (t) => {
  const stand = new Stand({}, { type: 'wireless', rxcost: 256 })
  const peer = new Peer(0, 2)
  stand.hear(peer, (writer) => {
    for (let i = 0; i < 16; i++) if (i % 2 === 1) writer.hello(i, 60_000) // every other one
    writer.ihu(OURS, 512, 60_000) // and so does it
  })
  peer.update(stand, NET, 0)
  t.match(stand.way(NET), /fe80::2 (9\d\d|10\d\d|11\d\d)$/, '1 / (0.5 * 0.5) of 256, near enough')
})

t.test('the better way is taken, a worse one when it is gone', async (t) => {
  const stand = new Stand()
  const [near, far] = [new Peer(0, 2).meet(stand), new Peer(1, 3).meet(stand)]
  near.update(stand, NET, 100, 1, 9)
  far.update(stand, NET, 50, 1, 9)
  t.equal(stand.way(NET), 'fe80::3 146')
  far.update(stand, NET, 0xffff, 1, 9)
  t.equal(stand.way(NET), 'fe80::2 196', 'at once: nothing was announced yet that would forbid it')
})

t.test('a way that has become a little better is taken when it has been so for a while', async (t) => {
  const stand = new Stand()
  const [near, far] = [new Peer(0, 2).meet(stand), new Peer(1, 3).meet(stand)]
  near.update(stand, NET, 100, 1, 9)
  far.update(stand, NET, 110, 1, 9)
  stand.run(seconds(10))
  far.update(stand, NET, 95, 1, 9)
  t.equal(stand.way(NET), 'fe80::2 196')
  stand.run(seconds(10))
  t.equal(stand.way(NET), 'fe80::3 191')
})

t.test('a way that has been better, but is not now, is no reason to change', async (t) => {
  const stand = new Stand()
  const [near, far] = [new Peer(0, 2).meet(stand), new Peer(1, 3).meet(stand)]
  near.update(stand, NET, 100, 1, 9)
  stand.run(seconds(1))
  far.update(stand, NET, 200, 1, 9) // at 296, and not feasible
  near.update(stand, NET, 254, 2, 9)
  stand.run(seconds(30))
  far.update(stand, NET, 300, 3, 9) // feasible, at 396 now
  t.equal(stand.way(NET), 'fe80::2 350')
})

t.test('what was announced makes worse words of others unfeasible', async (t) => {
  const stand = new Stand()
  const [near, far] = [new Peer(0, 2).meet(stand), new Peer(1, 3).meet(stand)]
  near.update(stand, NET, 100, 1, 9)
  stand.run(seconds(1)) // it is announced at 196
  t.match(stand.lately().join('\n'), /eth1 \* update fd00:5::\/64 196/)
  far.update(stand, NET, 196, 1, 9)
  stand.lately()
  near.update(stand, NET, 0xffff, 1, 9)
  t.equal(stand.way(NET), 'unreachable', 'it may well be our own word that came back')
  stand.run(ms(40))
  const said = stand.lately()
  t.match(said.join('\n'), /eth1 fe80::3 seqno\? fd00:5::\/64 2 255/, 'a newer one would be free of doubt')
  t.match(said.join('\n'), /eth1 \* update fd00:5::\/64 65535/, 'others are told at once')
  stand.run(seconds(8))
  t.equal(only(stand.lately(), /seqno\?/).length, 3, 'asked four times, less and less often')
  far.update(stand, NET, 196, 2, 9)
  t.equal(stand.way(NET), 'fe80::3 292')
})

t.test('an unfeasible word of the one in use is not taken, but a newer one asked for', async (t) => {
  const stand = new Stand()
  const near = new Peer(0, 2).meet(stand)
  new Peer(1, 3).meet(stand)
  near.update(stand, NET, 100)
  stand.run(seconds(1))
  stand.lately()
  near.update(stand, NET, 300)
  t.equal(stand.way(NET), 'fe80::2 196')
  t.match(stand.lately(), [/eth0 fe80::2 seqno\? fd00:5::\/64 2/])
  near.update(stand, NET, 300, 2)
  t.equal(stand.way(NET), 'fe80::2 396')
})

t.test('IPv4 goes by the next hop that was said', async (t) => {
  const stand = new Stand()
  const peer = new Peer(0, 2).meet(stand)
  peer.update(stand, '10.5.0.0/16', 0)
  t.equal(stand.way('10.5.0.0/16'), '10.0.0.2 96')
  stand.hear(peer, (writer) => writer.retractAll(400))
  t.equal(stand.way('10.5.0.0/16'), 'unreachable')
})

t.test('our own: announced soon, again for whoever asks, taken back at once', async (t) => {
  const stand = new Stand()
  const peer = new Peer(0, 2).meet(stand)
  stand.babel.announce(prefix(NET), 0, stand.now)
  stand.run(ms(300))
  t.match(only(stand.lately(), /update/), [/eth0 \* update fd00:5::\/64 0/], 'where somebody hears it')
  stand.hear(peer, (writer) => writer.routeRequest(prefix(NET)))
  t.strictSame(stand.lately(), ['eth0 fe80::2 update fd00:5::/64 0'])
  stand.hear(peer, (writer) => writer.routeRequest(prefix('fd00:9::/64')))
  t.strictSame(stand.lately(), ['eth0 fe80::2 update fd00:9::/64 65535'], 'what we do not have')
  const seqno = stand.babel.seqno
  stand.hear(peer, (writer) => writer.seqnoRequest(prefix(NET), (seqno + 1) & 0xffff, 5, 0, 1)).run(ms(30))
  t.equal(stand.babel.seqno, (seqno + 1) & 0xffff)
  t.strictSame(only(stand.lately(), /update/), ['eth0 * update fd00:5::/64 0'])
  stand.babel.withdraw(prefix(NET), stand.now)
  stand.run(ms(30))
  t.strictSame(only(stand.lately(), /update/), ['eth0 * update fd00:5::/64 65535'])
  stand.run(seconds(3))
  t.strictSame(
    only(stand.lately(), /update/),
    ['eth0 * update fd00:5::/64 65535'],
    'once more, for whom that was lost on',
  )
})

t.test('requests are passed on, once, and not for ever', async (t) => {
  const stand = new Stand()
  const [near, far] = [new Peer(0, 2).meet(stand), new Peer(1, 3).meet(stand)]
  near.update(stand, NET, 10, 1, 9)
  stand.run(seconds(1))
  stand.lately()
  const ask = (hops: number): unknown => stand.hear(far, (writer) => writer.seqnoRequest(prefix(NET), 2, hops, 0, 9))
  ask(1)
  t.strictSame(stand.lately(), [], 'it has come far enough')
  ask(9)
  ask(9)
  t.strictSame(stand.lately(), ['eth0 fe80::2 seqno? fd00:5::/64 2 8'])
  near.update(stand, NET, 10, 2, 9)
  stand.run(ms(30))
  t.match(only(stand.lately(), /eth1 .*update/), [/eth1 \* update fd00:5::\/64 106/], 'whoever asked gets it at once')
  ask(9)
  t.match(stand.lately(), [/eth1 fe80::3 update fd00:5::\/64 106/], 'and is answered from what is known')
})

t.test('a selected route is asked about before it expires', async (t) => {
  const stand = new Stand()
  const peer = new Peer(0, 2).meet(stand)
  stand.hear(peer, (writer) => {
    writer.update(prefix(NET), { routerHigh: 0, routerLow: 2, seqno: 1, metric: 0 }, 100, null)
  })
  stand.lately()
  stand.run(seconds(8))
  const asked = 'eth0 fe80::2 route? fd00:5::/64'
  t.strictSame(only(stand.lately(), /route\?/), [asked, asked, asked], 'three times, as one may be lost')
  stand.run(seconds(2))
  t.equal(stand.way(NET), 'unreachable')
  stand.run(seconds(300))
  t.equal(stand.babel.table.destinations.all.length, 0, 'and everything is forgotten')
})

t.test('an acknowledgment is given to who wants one', async (t) => {
  const stand = new Stand()
  const peer = new Peer(0, 2).meet(stand)
  stand.lately()
  stand.hear(peer, (writer) => writer.ackRequest(77, 100))
  t.strictSame(stand.lately(), ['eth0 fe80::2 ack 77'])
})

t.test('taking leave', async (t) => {
  const stand = new Stand()
  new Peer(0, 2).meet(stand)
  stand.lately()
  stand.babel.close()
  stand.collect()
  t.strictSame(stand.lately(), ['eth0 * retract all', 'eth1 * retract all'])
  t.equal(stand.babel.deadline, Number.POSITIVE_INFINITY)
})

t.test('a link that is detached takes its routes away', async (t) => {
  const stand = new Stand()
  const [near, far] = [new Peer(0, 2).meet(stand), new Peer(1, 3).meet(stand)]
  near.update(stand, NET, 10, 1, 9)
  far.update(stand, NET, 20, 1, 9)
  stand.babel.detach(stand.links[0] as (typeof stand.links)[0], stand.now)
  t.equal(stand.way(NET), 'fe80::3 116')
})

t.test('filters: what is taken in, and what is passed on', async (t) => {
  const stand = new Stand({
    filters: {
      accept: filter([{ prefix: 'fd00:5::/32', maxLength: 64, action: 'allow', metric: 5 }], 'deny', INFINITY),
      announce: filter([{ prefix: 'fd00:5:1::/48', interface: 'eth1', action: 'deny' }], 'allow', INFINITY),
    },
  })
  const near = new Peer(0, 2).meet(stand)
  new Peer(1, 3).meet(stand)
  stand.lately()
  for (const text of ['fd00:5:1::/64', 'fd00:5:2::/64', 'fd00:5:2::/65', 'fd00:6::/64']) near.update(stand, text, 10)
  t.equal(stand.way('fd00:5:2::/64'), 'fe80::2 111')
  t.equal(stand.way('fd00:5:2::/65'), 'unknown')
  t.equal(stand.way('fd00:6::/64'), 'unknown')
  t.equal(stand.babel.drops.get('filtered'), 2)
  stand.run(seconds(1))
  t.strictSame(only(stand.lately(), /update/), ['eth1 * update fd00:5:2::/64 111'])
})

t.test('neighbours that lie or flood are bounded, and harm nobody else', async (t) => {
  const stand = new Stand({ routesPerNeighbour: 50, destinations: 80, neighbours: 3 })
  const [good, bad] = [new Peer(0, 2).meet(stand), new Peer(1, 3).meet(stand)]
  good.update(stand, NET, 10, 1, 9)
  stand.run(seconds(1))
  for (let i = 0; i < 200; i++) bad.update(stand, `fd01:${i.toString(16)}::/64`, 1)
  t.equal(bad.router, 3)
  t.equal(stand.babel.drops.get('tooManyRoutes'), 150)
  t.equal(stand.babel.table.destinations.all.length, 51)
  for (let i = 0; i < 100; i++) bad.update(stand, 'fd01:1::/64', 1, 1, 100 + i)
  t.ok((stand.babel.table.destinations.find(prefix('fd01:1::/64'))?.sources?.users ?? 0) <= 1)
  for (let i = 0; i < 10; i++) new Peer(1, 20 + i).meet(stand)
  t.equal(stand.links[1]?.neighbours.length, 3)
  t.ok((stand.babel.drops.get('tooManyNeighbours') ?? 0) >= 8)
  const own = stand.babel.seqno
  stand.babel.announce(prefix('fd00:7::/64'), 0, stand.now)
  for (let i = 1; i < 100; i++) {
    stand.hear(bad, (writer) => writer.seqnoRequest(prefix('fd00:7::/64'), (own + i) & 0xffff, 9, 0, 1))
  }
  t.equal(stand.babel.seqno, (own + 1) & 0xffff, 'one seqno at a time')
  stand.lately()
  for (let i = 0; i < 100; i++) stand.hear(bad, (writer) => writer.routeRequest(null))
  stand.run(ms(1500))
  t.ok(only(stand.lately(), /update fd00:7/).length <= 4, 'everything is not said for each that asks')
  bad.update(stand, NET, 0, 1, 1)
  t.equal(stand.way(NET), 'fe80::2 106', 'our own router-id in the mouth of another')
  stand.hear(bad, (writer) => writer.retractAll(400))
  t.equal(stand.way(NET), 'fe80::2 106')
})

t.test('strangers, and who is not on the link', async (t) => {
  const stand = new Stand()
  const stranger = new Peer(0, 5)
  stranger.update(stand, NET, 0)
  t.equal(stand.way(NET), 'unknown', 'no hello, no route')
  t.equal(stand.babel.drops.get('stranger'), 1)
  const [link] = stand.links
  if (link === undefined) throw new Error('no link')
  const hello = Uint8Array.of(42, 2, 0, 8, 4, 6, 0, 0, 0, 1, 1, 144)
  stand.babel.input(link, hello, 0, hello.length, parseAddress('2001:db8::1'), null, 0)
  stand.babel.input(link, hello, 0, hello.length, OURS, null, 0)
  t.equal(stand.babel.drops.get('notLinkLocal'), 1)
  t.equal(stand.babel.drops.get('own'), 1)
  t.equal(link.neighbours.length, 0)
})

t.test('nobody leads to what is no station of the network', async (t) => {
  const stand = new Stand()
  const peer = new Peer(0, 2).meet(stand)
  const v6 = ['ff02::/16', 'fe80::/64', '::1/128', '::/128']
  const v4 = ['127.0.0.0/8', '127.1.2.3/32', '224.0.0.0/4', '239.1.0.0/16', '240.0.0.0/4', '0.0.0.0/8']
  for (const text of [...v6, ...v4]) {
    peer.update(stand, text, 0)
    t.equal(stand.way(text), 'unknown', text)
  }
  // ::ffff:10.1.2.3/128 in the encoding of IPv6: no destination of IPv4.
  const mapped = [8, 26, 2, 0, 128, 0, 1, 144, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 1, 2, 3]
  stand.hearOctets(peer, Uint8Array.of(42, 2, 0, 40, 6, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, ...mapped))
  t.equal(stand.babel.table.destinations.all.length, 0)
  t.equal(stand.babel.drops.get('martian'), v6.length + v4.length + 1)
  for (const text of ['0.0.0.0/0', '::/0', '128.0.0.0/1', 'fd00::/8']) {
    peer.update(stand, text, 0)
    t.match(stand.way(text), / 96$/, text)
  }
})

t.test('a request for a route is always answered', async (t) => {
  const stand = new Stand({
    filters: { announce: filter([{ prefix: 'fd00:6::/64', action: 'deny' }], 'allow', INFINITY) },
  })
  const [near, far] = [new Peer(0, 2).meet(stand), new Peer(1, 3).meet(stand)]
  near.update(stand, NET, 10)
  stand.babel.announce(prefix('fd00:6::/64'), 0, stand.now)
  stand.lately()
  const ask = (from: Peer, text: string) =>
    only(stand.hear(from, (writer) => writer.routeRequest(prefix(text))).lately(), /update/)
  t.strictSame(ask(near, NET), ['eth0 fe80::2 update fd00:5::/64 65535'], 'who leads there itself')
  t.strictSame(ask(far, 'fd00:6::/64'), ['eth1 fe80::3 update fd00:6::/64 65535'], 'who is not to know of it')
  t.strictSame(ask(far, NET), ['eth1 fe80::3 update fd00:5::/64 106'])
})

t.test('what is no longer ours is forgotten', async (t) => {
  for (const heard of [true, false]) {
    const stand = new Stand({ destinations: 4 })
    if (heard) new Peer(0, 2).meet(stand)
    for (let i = 0; i < 9; i++) {
      const own = prefix(`fd00:${i}::/64`)
      t.ok(stand.babel.announce(own, 0, stand.now))
      stand.run(i % 2 === 0 ? seconds(1) : ms(1))
      stand.babel.withdraw(own, stand.now)
      stand.run(seconds(3))
      t.equal(stand.babel.table.destinations.all.length, 0)
    }
  }
})

t.test('a neighbour that asks for everything leaves room for what we need', async (t) => {
  const stand = new Stand()
  const [good, near, bad] = [new Peer(0, 2).meet(stand), new Peer(0, 4).meet(stand), new Peer(1, 3).meet(stand)]
  for (let i = 0; i < 1024; i++) good.update(stand, `fd01:${i.toString(16)}::/64`, 10, 1, 9)
  good.update(stand, NET, 10, 1, 9)
  stand.run(seconds(1))
  near.update(stand, NET, 500, 1, 9)
  stand.lately()
  for (let i = 0; i < 1024; i++) {
    stand.hear(bad, (writer) => writer.seqnoRequest(prefix(`fd01:${i.toString(16)}::/64`), 2, 9, 0, 9))
  }
  t.equal(only(stand.lately(), /seqno\?/).length, 512)
  good.update(stand, NET, 0xffff, 1, 9)
  stand.run(ms(30))
  t.match(only(stand.lately(), /seqno\?/), [/eth0 fe80::4 seqno\? fd00:5::\/64 2/])
})

t.test('nothing is timed after leave was taken, whatever was asked for', async (t) => {
  const stand = new Stand()
  const [near, far] = [new Peer(0, 2).meet(stand), new Peer(1, 3).meet(stand)]
  near.update(stand, NET, 100, 1, 9)
  stand.run(seconds(1))
  far.update(stand, NET, 196, 1, 9)
  near.update(stand, NET, 0xffff, 1, 9)
  for (const link of [...stand.links]) stand.babel.detach(link, stand.now)
  stand.babel.close()
  t.equal(stand.babel.deadline, Number.POSITIVE_INFINITY)
})

t.test('who is heard and cannot hear us gives way when there are too many', async (t) => {
  const stand = new Stand({ neighbours: 3 })
  const good = new Peer(0, 2).meet(stand)
  for (let i = 0; i < 9; i++) new Peer(0, 20 + i).hello(stand)
  const late = new Peer(0, 3).meet(stand)
  t.strictSame(
    stand.links[0]?.neighbours.map(({ cost }) => cost),
    [96, 0xffff, 96],
  )
  late.update(stand, NET, 0)
  t.equal(stand.way(NET), 'fe80::3 96')
  new Peer(0, 4).meet(stand)
  new Peer(0, 5).hello(stand)
  t.equal(stand.babel.drops.get('tooManyNeighbours'), 1, 'three that work stay')
  good.hello(stand)
})
