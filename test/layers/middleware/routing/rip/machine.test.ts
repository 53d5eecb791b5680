/** One router of RIP and what its neighbours say, in the order of RFC 2453 §3. */
import t from 'tap'
import { rip2 } from '../../../../../layers/middleware/routing/rip/rip2.ts'
import { ripng } from '../../../../../layers/middleware/routing/rip/ripng.ts'
import type { Interface } from '../../../../../layers/middleware/routing/rip/route.ts'
import { filter } from '../../../../../layers/middleware/routing/service.ts'
import { parsePrefix } from '../../../../../src/kernel/address.ts'
import { ms, seconds } from '../../../../../src/kernel/clock.ts'
import { message, type Said, Stand } from './pair.ts'

const NET = '10.9.0.0/16'

t.test('it asks for everything, and says what it knows', async (t) => {
  const stand = new Stand()
  t.strictSame(stand.lately(), ['eth0 * request everything', 'eth1 * request everything'])
  stand.rip.announce(parsePrefix(NET), 1, 0)
  t.strictSame(stand.lately(), ['eth0 * response 10.9.0.0/16=1', 'eth1 * response 10.9.0.0/16=1'], 'at once')
  stand.run(seconds(36))
  const regular = stand.lately()
  t.ok(regular.length >= 2 && regular.every((line) => line.endsWith('response 10.9.0.0/16=1')), 'and regularly')
  stand.run(seconds(300))
  const rounds = stand.lately().length / 2
  t.ok(rounds >= 8 && rounds <= 12, `${rounds} updates in 300 s`)
})

t.test('a way is learnt, poisoned towards where it leads, and passed on', async (t) => {
  const stand = new Stand()
  stand.lately()
  stand.hear(0, '10.0.0.2', [NET, 3])
  t.equal(stand.way(NET), '10.0.0.2 eth0 4')
  t.strictSame(stand.lately(), ['eth0 * response 10.9.0.0/16=16', 'eth1 * response 10.9.0.0/16=4'])
  stand.hear(1, '10.0.1.3', [NET, 3])
  t.equal(stand.way(NET), '10.0.0.2 eth0 4', 'one as good is no reason to change')
  stand.hear(1, '10.0.1.3', [NET, 2])
  t.equal(stand.way(NET), '10.0.1.3 eth1 3')
  stand.hear(0, '10.0.0.2', [NET, 16])
  t.equal(stand.way(NET), '10.0.1.3 eth1 3', 'only its own router can take it back')
  stand.hear(1, '10.0.1.3', [NET, 7])
  t.equal(stand.way(NET), '10.0.1.3 eth1 8', 'which is also believed when it gets worse')
  stand.hear(1, '10.0.1.3', [NET, 15])
  t.equal(stand.way(NET), 'unreachable')
  stand.hear(0, '10.0.0.2', ['10.8.0.0/16', 15])
  t.equal(stand.way('10.8.0.0/16'), 'unknown', 'what cannot be reached is not remembered')
})

t.test('triggered updates say only what has changed, and rest for 1 to 5 s', async (t) => {
  const stand = new Stand().run(seconds(2)) // the first regular update is over by then
  stand.hear(0, '10.0.0.2', [NET, 1])
  stand.lately()
  stand.hear(0, '10.0.0.2', ['10.7.0.0/16', 1]).hear(0, '10.0.0.2', ['10.6.0.0/16', 1])
  stand.run(ms(999))
  t.strictSame(stand.lately(), [], 'not within a second')
  stand.run(seconds(5))
  t.ok(stand.lately().includes('eth1 * response 10.7.0.0/16=2 10.6.0.0/16=2'))
})

t.test('what nobody confirms is unreachable after 180 s, and forgotten after 120 s more', async (t) => {
  const stand = new Stand().hear(0, '10.0.0.2', [NET, 1]).run(seconds(170))
  stand.hear(0, '10.0.0.2', [NET, 1]).run(seconds(179))
  t.equal(stand.way(NET), '10.0.0.2 eth0 2')
  stand.lately()
  stand.run(seconds(6))
  t.equal(stand.way(NET), 'unreachable')
  t.ok(stand.lately().includes('eth1 * response 10.9.0.0/16=16'), 'which is said')
  stand.hear(1, '10.0.1.3', [NET, 5])
  t.equal(stand.way(NET), '10.0.1.3 eth1 6', 'any other way is better')
  stand.hear(1, '10.0.1.3', [NET, 16]).run(seconds(119))
  t.equal(stand.way(NET), 'unreachable')
  stand.run(seconds(2))
  t.equal(stand.way(NET), 'unknown')
})

t.test('an equal way replaces one that has not been heard of for long', async (t) => {
  const stand = new Stand().hear(0, '10.0.0.2', [NET, 1]).run(seconds(89)).hear(1, '10.0.1.3', [NET, 1])
  t.equal(stand.way(NET), '10.0.0.2 eth0 2')
  stand.run(seconds(2)).hear(1, '10.0.1.3', [NET, 1])
  t.equal(stand.way(NET), '10.0.1.3 eth1 2')
})

t.test('next hops', async (t) => {
  const stand = new Stand().hear(0, '10.0.0.2', [NET, 1, { nextHop: '10.0.0.7' }])
  t.equal(stand.way(NET), '10.0.0.7 eth0 2')
  stand.hear(0, '10.0.0.2', [NET, 1, { nextHop: '10.0.1.7' }])
  t.equal(stand.way(NET), '10.0.0.2 eth0 2', 'one that is not on the link')
  stand.hear(0, '10.0.0.2', [NET, 1, { nextHop: '10.0.0.1' }])
  t.equal(stand.way(NET), '10.0.0.2 eth0 2', 'ourselves')
  const six = new Stand(ripng).hear(
    0,
    'fe80::2',
    ['fd00:1::/64', 1],
    ['fe80::7', 255],
    ['fd00:2::/64', 1],
    ['::', 255],
    ['fd00:3::/64', 1],
  )
  t.equal(six.way('fd00:1::/64'), 'fe80::2 eth0 2')
  t.equal(six.way('fd00:2::/64'), 'fe80::7 eth0 2', 'of all after it')
  t.equal(six.way('fd00:3::/64'), 'fe80::2 eth0 2', 'until it is taken back')
  six.hear(
    0,
    'fe80::2',
    ['fd00:4::/64', 1],
    ['2001:db8::7', 255],
    ['fd00:5::/64', 1],
    ['ff02::9', 255],
    ['fd00:6::/64', 1],
  )
  for (const net of ['fd00:4::/64', 'fd00:5::/64', 'fd00:6::/64']) t.equal(six.way(net), 'fe80::2 eth0 2')
})

t.test('requests are answered', async (t) => {
  const stand = new Stand().hear(0, '10.0.0.2', [NET, 1])
  stand.lately()
  stand.hearOctets(0, '10.0.0.5', Uint8Array.of(1, 2, 0, 0, ...new Array(19).fill(0), 16))
  t.strictSame(stand.lately(), ['eth0 10.0.0.5:520 response 10.9.0.0/16=16'], 'everything, with split horizon')
  stand.ask(0, '10.0.0.5', 4000, [NET, 0], ['10.1.0.0/16', 0])
  t.strictSame(stand.lately(), ['eth0 10.0.0.5:4000 response 10.9.0.0/16=2 10.1.0.0/16=16'], 'single routes, without')
  for (let i = 0; i < 20; i++) stand.ask(0, '10.0.0.5', 4000, [NET, 0])
  t.equal(stand.lately().length, 8, 'no more than ten a second')
  t.equal(stand.rip.drops.get('tooManyRequests'), 12)
})

t.test('messages that are not for us', async (t) => {
  const stand = new Stand()
  const good = message(rip2, 2, [[NET, 1]])
  const altered = (at: number, value: number): Uint8Array =>
    Uint8Array.from(good, (octet, i) => (i === at ? value : octet))
  const refused = (reason: string, from: string, octets: Uint8Array, port?: number): void => {
    stand.rip.drops.clear()
    stand.hearOctets(0, from, octets, port)
    t.strictSame([...stand.rip.drops], [[reason, 1]], reason)
    t.equal(stand.way(NET), 'unknown')
  }
  refused('badLength', '10.0.0.2', good.subarray(0, 23))
  refused('badLength', '10.0.0.2', new Uint8Array(3))
  refused('badVersion', '10.0.0.2', altered(1, 1))
  refused('badCommand', '10.0.0.2', altered(0, 3))
  refused('badPort', '10.0.0.2', good, 521)
  refused('notNeighbour', '10.0.1.2', good)
  refused('own', '10.0.0.1', good)
  refused('badMetric', '10.0.0.2', altered(23, 17))
  const authentic = message(rip2, 2, [
    [NET, 1],
    [NET, 1],
  ])
  authentic.set([0xff, 0xff], 4)
  refused('authenticated', '10.0.0.2', authentic)
  stand.hearOctets(0, '10.0.0.2', altered(1, 3))
  t.equal(stand.way(NET), '10.0.0.2 eth0 2', 'a later version is read as ours')
})

t.test('bounds', async (t) => {
  const stand = new Stand(rip2, { destinations: 30 })
  for (let i = 0; i < 100; i++) stand.hear(0, '10.0.0.2', [`10.9.${i}.0/24`, 1])
  t.equal([...stand.rip.destinations].length, 30)
  t.equal(stand.rip.drops.get('tooMany'), 70)
  stand.lately()
  stand.run(seconds(40))
  const sizes = new Set(stand.lately().map((line) => line.split('=').length - 1))
  t.ok(Math.max(...sizes) <= 25, 'no more than 25 entries in a message')
  t.equal(stand.rip.announce(parsePrefix('10.1.0.0/16'), 1, stand.now), false)
})

t.test('as many neighbours are remembered as a small network has, and those that are silent give way', async (t) => {
  const stand = new Stand(rip2, { destinations: 1 }, { prefixes: [parsePrefix('10.0.0.1/8')] })
  const known = (): string[] =>
    stand.rip.neighbours(stand.links[0] as Interface, stand.now).map(({ address }) => address.toString())
  for (let i = 0; i < 300; i++) stand.hear(0, `10.1.${i >> 8}.${i & 255}`, [NET, 1])
  t.equal(known().length, 256)
  t.notOk(known().includes('10.1.1.7'))
  stand.run(seconds(120)).hear(0, '10.1.0.0', [NET, 1])
  stand.run(seconds(61)).hear(0, '10.1.1.7', [NET, 1])
  t.same(known().sort(), ['10.1.0.0', '10.1.1.7'])
})

t.test('what is our own stays so', async (t) => {
  const stand = new Stand()
  stand.rip.announce(parsePrefix(NET), 5, 0)
  stand.hear(0, '10.0.0.2', [NET, 1])
  t.match(stand.rip.find(parsePrefix(NET)), { own: 5, metric: 5, interface: null })
  stand.run(seconds(400))
  t.equal(stand.rip.find(parsePrefix(NET))?.metric, 5, 'without end')
  stand.lately()
  t.equal(stand.rip.withdraw(parsePrefix(NET), stand.now), true)
  stand.run(seconds(6))
  t.match(stand.lately(), ['eth0 * response 10.9.0.0/16=16', 'eth1 * response 10.9.0.0/16=16'])
  t.equal(stand.rip.withdraw(parsePrefix(NET), stand.now), false)
  stand.hear(0, '10.0.0.2', [NET, 1])
  t.equal(stand.way(NET), '10.0.0.2 eth0 2')
})

t.test('a link that goes takes its ways along; leaving, everybody is told', async (t) => {
  const stand = new Stand().hear(0, '10.0.0.2', [NET, 1]).hear(1, '10.0.1.2', ['10.8.0.0/16', 1]).run(seconds(20))
  stand.lately()
  const [eth0] = stand.links
  if (eth0 === undefined) throw new Error('no link')
  stand.rip.detach(eth0, stand.now)
  t.equal(stand.way(NET), 'unreachable')
  t.strictSame(stand.lately(), ['eth1 * response 10.9.0.0/16=16'])
  stand.rip.close()
  t.strictSame(stand.lately(), ['eth1 * response 10.9.0.0/16=16 10.8.0.0/16=16'])
  t.equal(stand.rip.deadline, Number.POSITIVE_INFINITY)
})

t.test('filters, cost, and a link that only listens', async (t) => {
  const only: Said[] = [
    [NET, 1],
    ['10.8.0.0/16', 1],
    ['10.7.0.0/16', 1],
  ]
  const stand = new Stand(
    rip2,
    {
      filters: {
        accept: filter(
          [
            { prefix: NET, action: 'allow', metric: 2 },
            { prefix: '10.8.0.0/16', action: 'deny' },
          ],
          'allow',
          16,
        ),
        announce: filter([{ prefix: '10.7.0.0/16', action: 'deny' }], 'allow', 16),
      },
    },
    { cost: 4 },
  )
  stand.lately()
  stand.hear(0, '10.0.0.2', ...only)
  t.strictSame(
    [NET, '10.8.0.0/16', '10.7.0.0/16'].map((net) => stand.way(net)),
    ['10.0.0.2 eth0 7', 'unknown', '10.0.0.2 eth0 5'],
  )
  t.strictSame(stand.lately(), ['eth0 * response 10.9.0.0/16=16', 'eth1 * response 10.9.0.0/16=7'])
  const quiet = new Stand(rip2, {}, { passive: true }).hear(0, '10.0.0.2', [NET, 1]).ask(0, '10.0.0.2', 520, [NET, 0])
  quiet.run(seconds(100))
  t.equal(quiet.way(NET), '10.0.0.2 eth0 2')
  t.strictSame(quiet.lately(), [])
})
