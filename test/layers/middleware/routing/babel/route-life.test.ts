/** How long routes and sources live, and how many of them there may be (RFC 8966 §3.5, §3.7.3). */
import t from 'tap'
import { ms, seconds } from '../../../../../src/kernel/clock.ts'
import { Peer, prefix, Stand } from './pair.ts'

const NET = 'fd00:5::/64'
const QUESTION = 'eth0 fe80::2 route? fd00:5::/64'
const questions = (stand: Stand): number => stand.lately().filter((line) => line === QUESTION).length

/** An update of NET by router 9 that is good for 3.5 intervals. */
function say(stand: Stand, peer: Peer, metric: number, interval = 100): void {
  stand.hear(peer, (writer) =>
    writer.update(prefix(NET), { routerHigh: 0, routerLow: 9, seqno: 1, metric }, interval, null),
  )
}

t.test('a route lives three and a half intervals from when it was last heard of', async (t) => {
  const stand = new Stand()
  const peer = new Peer(0, 2).meet(stand)
  say(stand, peer, 0, 1000)
  stand.run(seconds(34)).lately()
  say(stand, peer, 0, 1000)
  stand.run(seconds(34))
  t.equal(questions(stand), 0, 'the same word renews it')
  stand.run(seconds(2))
  t.equal(questions(stand), 1)
  for (const metric of [1, 1, 2]) {
    say(stand, peer, metric)
    t.equal(questions(stand.run(seconds(6))), 2)
  }
  say(stand, peer, 2)
  t.equal(questions(stand.run(seconds(9))), 3, 'there is time for three questions after each answer')
  t.equal(stand.way(NET), 'unreachable')
})

t.test('a shorter interval counts at once', async (t) => {
  const stand = new Stand()
  const peer = new Peer(0, 2).meet(stand)
  for (const before of [60_000, 100]) {
    say(stand, peer, 0, before)
    if (before === 100) stand.run(seconds(20)) // it has ended, and is not forgotten yet
    say(stand, peer, 0)
    t.equal(stand.way(NET), 'fe80::2 96')
    stand.run(seconds(10))
    t.equal(stand.way(NET), 'unreachable', `${before}`)
  }
})

t.test('a way that ended without a word is unreachable for a minute, then unknown', async (t) => {
  const stand = new Stand()
  say(stand, new Peer(0, 2).meet(stand), 0)
  stand.run(seconds(60))
  t.equal(stand.way(NET), 'unreachable')
  stand.run(seconds(10))
  t.equal(stand.way(NET), 'unknown')
})

t.test('what was announced is remembered for 180 s after it was for the last time', async (t) => {
  for (const [later, way] of [
    [170, 'unreachable'],
    [190, 'fe80::3 292'],
  ] as const) {
    const stand = new Stand()
    const [near, far] = [new Peer(0, 2).meet(stand), new Peer(1, 3).meet(stand)]
    for (let i = 0; i < 115; i++) {
      say(stand, near, 100)
      stand.run(seconds(3))
    }
    say(stand, near, 0xffff)
    stand.run(seconds(later))
    say(stand, far, 196)
    t.equal(stand.way(NET), way, `${later} s`)
  }
})

t.test('what somebody still speaks of is remembered', async (t) => {
  const stand = new Stand()
  const [near, far, third] = [2, 3, 4].map((n) => new Peer(n === 2 ? 0 : 1, n).meet(stand)) as [Peer, Peer, Peer]
  near.update(stand, NET, 100, 1, 9)
  stand.run(seconds(1))
  far.update(stand, NET, 10, 1, 8)
  stand.run(seconds(400))
  far.update(stand, NET, 0xffff, 1, 8)
  near.update(stand, NET, 0xffff, 1, 9)
  third.update(stand, NET, 196, 1, 9)
  t.equal(stand.way(NET), 'unreachable')
})

t.test('a router that changes with every word is followed sixteen times', async (t) => {
  const stand = new Stand()
  const bad = new Peer(1, 3).meet(stand)
  new Peer(0, 2).meet(stand)
  for (let i = 0; i < 20; i++) {
    bad.update(stand, NET, 10, 1, 100 + i)
    stand.run(seconds(1))
  }
  let sources = 0
  const destination = stand.babel.table.destinations.find(prefix(NET))
  for (let source = destination?.sources ?? null; source !== null; source = source.following) sources++
  t.equal(sources, 16)
  t.equal(stand.babel.drops.get('tooManySources'), 4)
})

t.test('a neighbour that has all the routes it may have gets no more, of whatever destinations', async (t) => {
  const stand = new Stand({ routesPerNeighbour: 2, destinations: 4 })
  const [near, far] = [new Peer(0, 2).meet(stand), new Peer(1, 3).meet(stand)]
  for (const n of [1, 2]) near.update(stand, `fd01:${n}::/64`, 10, 1, 9)
  for (const n of [3, 2, 1, 4]) far.update(stand, `fd01:${n}::/64`, 20, 1, 9)
  t.equal(stand.babel.drops.get('tooManyRoutes'), 2)
  t.equal(stand.links[1]?.neighbours[0]?.routeCount, 2)
  t.equal(stand.way('fd01:1::/64'), 'fe80::2 106')
  t.ok(stand.babel.announce(prefix('fd01:5::/64'), 0, stand.now))
  t.notOk(stand.babel.announce(prefix('fd01:6::/64'), 0, stand.now), 'four destinations are there')
  new Peer(1, 4).meet(stand).update(stand, 'fd01:7::/64', 1)
  t.equal(stand.babel.drops.get('tooManyDestinations'), 1)
})

t.test('an unfeasible word of another router ends the way by it (§3.5.3)', async (t) => {
  const stand = new Stand()
  const near = new Peer(0, 2).meet(stand)
  new Peer(1, 3).meet(stand)
  near.update(stand, NET, 50, 1, 8)
  stand.run(seconds(1))
  near.update(stand, NET, 60, 1, 9)
  stand.run(seconds(1))
  t.equal(stand.way(NET), 'fe80::2 156')
  near.update(stand, NET, 300, 1, 8)
  t.equal(stand.way(NET), 'unreachable')
})

t.test('a metric and a cost that are too much together lead nowhere', async (t) => {
  const stand = new Stand()
  const far = new Peer(0, 2).meet(stand, 65_000)
  for (const metric of [535, 600, 65_534]) {
    far.update(stand, NET, metric)
    t.equal(stand.way(NET), 'unreachable')
  }
  far.update(stand, NET, 534, 2)
  t.equal(stand.way(NET), 'fe80::2 65534')
})

t.test('our own words in the mouth of a neighbour take its way back', async (t) => {
  const stand = new Stand()
  const peer = new Peer(0, 2).meet(stand)
  peer.update(stand, NET, 10, 1, 9)
  peer.update(stand, NET, 10, 1, 1)
  t.equal(stand.way(NET), 'unreachable')
})

t.test('where an own destination was, the way of another is taken', async (t) => {
  const stand = new Stand()
  stand.babel.announce(prefix(NET), 0, stand.now)
  new Peer(0, 2).meet(stand).update(stand, NET, 10)
  stand.run(ms(500))
  t.equal(stand.way(NET), 'unreachable', 'it is ours')
  stand.babel.withdraw(prefix(NET), stand.now)
  t.equal(stand.way(NET), 'fe80::2 106')
})

t.test('a neighbour that is there again has its routes again at once', async (t) => {
  const stand = new Stand()
  const [near, far] = [new Peer(0, 2).meet(stand), new Peer(1, 3).meet(stand)]
  near.update(stand, NET, 10, 1, 9)
  far.update(stand, NET, 100, 1, 9)
  near.hello(stand, 100)
  stand.run(seconds(3))
  t.equal(stand.way(NET), 'fe80::3 196')
  near.hello(stand)
  near.hello(stand)
  t.equal(stand.way(NET), 'fe80::2 106', 'the metric of before does not wait to be believed')
})

t.test('a route that is gone is not taken for the one that is said next', async (t) => {
  const stand = new Stand()
  const peer = new Peer(0, 2).meet(stand)
  peer.update(stand, 'fd00:4::/64', 0, 1, 9)
  say(stand, peer, 0)
  peer.update(stand, 'fd00:4::/64', 0, 1, 9) // after this one comes NET, as it did before
  stand.run(seconds(100))
  t.equal(stand.way(NET), 'unknown')
  say(stand, peer, 0)
  t.equal(stand.way(NET), 'fe80::2 96')
})
