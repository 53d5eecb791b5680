/** What a machine that runs makes of other rules and other uses of links, and what its neighbours hear of it. */
import t from 'tap'
import type { Interface, InterfaceSettings } from '../../../../../layers/middleware/routing/babel/interface.ts'
import { INFINITY } from '../../../../../layers/middleware/routing/babel/tlv.ts'
import { filter, type RouteRule, type SaidFilters } from '../../../../../layers/middleware/routing/service.ts'
import { ms, seconds } from '../../../../../src/kernel/clock.ts'
import { Peer, prefix, Stand } from './pair.ts'

const ONE = 'fd00:1::/64'
const TWO = 'fd00:2::/64'

const rules = (...all: RouteRule[]) => filter(all, 'allow', INFINITY)
const only = (lines: string[], pattern: RegExp): string[] => lines.filter((line) => pattern.test(line))

/** Tells a stand what differs, and lets it speak. */
function become(stand: Stand, filters: Partial<SaidFilters>, uses: readonly Partial<InterfaceSettings>[] = []): void {
  const changed = uses.map((use, i) => {
    const on = stand.links[i] as Interface
    return [on, { ...on.settings, ...use }] as const
  })
  stand.babel.reconfigure(filters, new Map(changed), stand.now)
  stand.collect()
}

/** A stand with a neighbour on each link, which both know ways to `ONE`; to `TWO` only the first has one. */
function between() {
  const stand = new Stand()
  const [near, far] = [new Peer(0, 2).meet(stand), new Peer(1, 3).meet(stand)]
  near.update(stand, ONE, 10, 1, 9)
  far.update(stand, ONE, 20, 1, 9)
  near.update(stand, TWO, 10)
  stand.run(seconds(2))
  stand.lately()
  return { stand, near, far }
}

t.test('what is refused now is as if it had been retracted, and the rest stays', async (t) => {
  const { stand, near } = between()
  const deny = rules({ prefix: TWO, action: 'deny' }, { prefix: ONE, interface: 'eth0', action: 'deny' })
  become(stand, { accept: deny })
  t.equal(stand.way(ONE), 'fe80::3 116', 'the next best is taken')
  t.equal(stand.way(TWO), 'unreachable')
  t.strictSame(only(stand.lately(), /route\?/), ['eth0 * route? all', 'eth1 * route? all'], 'all is asked for again')
  stand.run(ms(100))
  t.strictSame(only(stand.lately(), /fd00:2::/), ['eth0 * update fd00:2::/64 65535', 'eth1 * update fd00:2::/64 65535'])
  near.update(stand, TWO, 10)
  t.equal(stand.way(TWO), 'unreachable')
  become(stand, { accept: rules() })
  t.equal(stand.way(TWO), 'unreachable', 'until it is said again')
  t.equal(only(stand.lately(), /route\? all/).length, 2)
  near.update(stand, TWO, 10)
  t.equal(stand.way(TWO), 'fe80::2 106')
})

t.test('a way that costs more by the rules is as feasible as it was', async (t) => {
  const { stand } = between()
  become(stand, { accept: rules({ prefix: TWO, action: 'allow', metric: 500 }) })
  t.equal(stand.way(TWO), 'fe80::2 606')
  t.strictSame(only(stand.lately(), /seqno\?/), [])
  stand.run(seconds(1))
  t.strictSame(only(stand.lately(), /eth1.*fd00:2::/), ['eth1 * update fd00:2::/64 606'], 'and neighbours hear of it')
  become(stand, { accept: rules({ prefix: ONE, interface: 'eth0', action: 'allow', metric: 500 }) })
  t.equal(stand.way(TWO), 'fe80::2 106')
  stand.run(seconds(30))
  t.equal(stand.way(ONE), 'fe80::3 116')
})

t.test('a link hears no more of what is denied there, twice, and again of what is allowed', async (t) => {
  const { stand } = between()
  stand.babel.announce(prefix('fd00:7::/64'), 0, stand.now)
  stand.run(seconds(1))
  stand.lately()
  become(stand, { announce: rules({ prefix: 'fd00::/16', interface: 'eth1', action: 'deny' }) })
  const retractions = [ONE, TWO, 'fd00:7::/64'].map((text) => `eth1 * update ${text} 65535`)
  t.strictSame(only(stand.lately(), /update/).sort(), retractions)
  stand.run(ms(1100))
  t.strictSame(only(stand.lately(), /update/).sort(), retractions, 'a word may be lost')
  become(stand, { announce: rules({ prefix: TWO, action: 'deny' }) })
  t.strictSame(only(stand.lately(), /update/).sort(), [`eth1 * update ${ONE} 106`, 'eth1 * update fd00:7::/64 0'])
  become(stand, { announce: rules({ prefix: TWO, action: 'allow', metric: 7 }) })
  t.strictSame(only(stand.lately(), /update/), [`eth1 * update ${TWO} 113`])
  become(stand, { announce: rules({ prefix: TWO, action: 'deny' }) })
  become(stand, { announce: rules() })
  stand.lately()
  stand.run(seconds(3))
  t.strictSame(only(stand.lately(), /65535/), [], 'what is taken back and said again is not taken back once more')
})

t.test('split horizon comes and goes', async (t) => {
  const { stand } = between()
  become(stand, {}, [{ splitHorizon: false }])
  t.strictSame(only(stand.lately(), /update/).sort(), [`eth0 * update ${ONE} 106`, `eth0 * update ${TWO} 106`])
  become(stand, {}, [{ splitHorizon: true }])
  t.strictSame(only(stand.lately(), /update/).sort(), [`eth0 * update ${ONE} 65535`, `eth0 * update ${TWO} 65535`])
})

t.test('neighbours hear soon of another cost, and of other intervals', async (t) => {
  const { stand, near } = between()
  stand.run(seconds(10))
  stand.lately()
  become(stand, {}, [{ rxcost: 300, helloInterval: seconds(1), updateInterval: seconds(2) }])
  t.equal(stand.way(ONE), 'fe80::2 106', 'which is theirs to tell us')
  stand.run(ms(200))
  t.match(only(stand.lately(), /eth0/), [/hello/, `eth0 * ihu ${near.address} 300`])
  stand.run(seconds(10))
  const said = stand.lately()
  t.ok(only(said, /^eth0 \* hello/).length >= 10, 'hellos each second')
  t.ok(only(said, /^eth1 \* hello/).length <= 3, 'on that link alone')
  become(stand, {}, [{ helloInterval: seconds(4), updateInterval: seconds(16) }])
  stand.run(seconds(20))
  t.ok(only(stand.lately(), /^eth0 \* hello/).length <= 7)
})

t.test('updates come as often as they are to', async (t) => {
  const { stand } = between()
  stand.babel.announce(prefix('fd00:7::/64'), 0, stand.now)
  stand.run(seconds(17))
  stand.lately()
  become(stand, {}, [{}, { updateInterval: seconds(1) }])
  stand.run(seconds(5))
  t.ok(only(stand.lately(), /^eth1 \* update fd00:7/).length >= 5)
})

t.test('what a link without loss costs is another matter for another type', async (t) => {
  const { stand } = between()
  become(stand, {}, [{ type: 'wireless', rxcost: 256 }])
  t.equal(stand.way(TWO), 'fe80::2 266', 'at once, and for the ways by it')
  become(stand, {}, [{ rxcost: 280 }])
  t.equal(stand.way(TWO), 'fe80::2 290', 'also where it is little')
})

t.test('hellos to each neighbour alone begin and end', async (t) => {
  const { stand } = between()
  const alone = () => only(stand.lately(), /^eth0 fe80::2 hello/).length
  become(stand, {}, [{ unicastHelloInterval: seconds(1) }])
  stand.run(seconds(5))
  const some = alone()
  t.ok(some >= 4 && some <= 6, `${some} in five seconds`)
  become(stand, {}, [{ unicastHelloInterval: 0 }])
  stand.run(seconds(5))
  t.equal(alone(), 0)
})

t.test('nothing is said where nothing differs', async (t) => {
  const { stand } = between()
  become(stand, {})
  t.strictSame(stand.lately(), [])
})

t.test('neighbours of a link that is left are told, those of others not', async (t) => {
  const { stand } = between()
  stand.babel.retire(stand.links[1] as Interface)
  stand.collect()
  t.strictSame(stand.lately(), ['eth1 * retract all'])
})
