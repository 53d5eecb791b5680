import fc from 'fast-check'
import t from 'tap'
import { NeighbourCache } from '../../../layers/network/neighbour-cache.ts'
import { type NeighbourOptions, UNRESOLVED } from '../../../layers/network/neighbours.ts'
import { IpAddress } from '../../../src/kernel/address.ts'
import { seconds } from '../../../src/kernel/clock.ts'
import { Packet, packetsInUse } from '../../../src/kernel/packet.ts'
import { SeededRandom } from '../../../src/kernel/random.ts'

const made = (options: NeighbourOptions = {}) => new NeighbourCache(options, new SeededRandom([1, 2, 3, 4]))
const host = (n: number) => IpAddress.ipv4(0x0a00_0000 + n)
const packet = () => Packet.take(0, 10)

function stateOf(cache: NeighbourCache, address: IpAddress): string | undefined {
  return cache.list().find((entry) => entry.address.equals(address))?.state
}

/** Takes everything that has come out. @returns how many were [answered, undeliverable, overflowing]. */
function drain(cache: NeighbourCache): [number, number, number] {
  const counts: [number, number, number] = [0, 0, 0]
  while (cache.output() !== undefined);
  for (const [i, take] of [() => cache.take(), () => cache.takeUndeliverable(), () => cache.takeOverflow()].entries()) {
    for (let one = take(); one !== undefined; one = take()) {
      one.release()
      counts[i] = (counts[i] as number) + 1
    }
  }
  return counts
}

t.test('the states in order, by their deadlines', (t) => {
  const cache = made({ reachable: seconds(30) })
  const address = host(1)
  t.equal(cache.deadline, Number.POSITIVE_INFINITY)
  t.equal(cache.offer(address, packet(), 0), UNRESOLVED)
  t.ok(cache.output()?.address.equals(address))
  t.equal(cache.output(), undefined)
  t.equal(cache.deadline, seconds(1))
  cache.learn(address, 77, true, false, seconds(0.5))
  t.equal(stateOf(cache, address), 'reachable')
  t.same(drain(cache), [1, 0, 0])
  t.equal(cache.peer, 77)
  t.equal(cache.usable(address), 77)
  const until = cache.deadline
  t.ok(until >= seconds(15.5) && until <= seconds(46), 'a half to one and a half of the mean')
  cache.expire(until)
  t.equal(stateOf(cache, address), 'stale')
  t.equal(cache.usable(address), UNRESOLVED, 'its next use has to be told')
  t.equal(cache.deadline, Number.POSITIVE_INFINITY, 'stale entries cost no timer')
  const unused = packet()
  t.equal(cache.offer(address, unused, until), 77)
  unused.release()
  t.equal(stateOf(cache, address), 'delay')
  t.equal(cache.deadline, until + seconds(5))
  cache.expire(until + seconds(5))
  t.equal(stateOf(cache, address), 'probe')
  t.equal(cache.output()?.linkAddress, 77)
  t.equal(cache.usable(address), 77, 'used on trust while probing')
  for (let n = 6; n <= 8; n++) cache.expire(until + seconds(n))
  t.equal(stateOf(cache, address), undefined)
  t.equal(cache.usable(address), UNRESOLVED)
  t.end()
})

t.test('an answer while nobody asks proves nothing', (t) => {
  const cache = made()
  cache.learn(host(1), 5, false, true, 0)
  t.equal(stateOf(cache, host(1)), 'stale')
  cache.learn(host(1), 6, true, false, 0)
  t.equal(stateOf(cache, host(1)), 'stale')
  cache.confirm(host(1), 0)
  t.equal(stateOf(cache, host(1)), 'reachable')
  cache.learn(host(1), 6, false, false, 0)
  t.equal(stateOf(cache, host(1)), 'reachable', 'the same address again changes nothing')
  t.equal(cache.learn(host(2), 6, true, false, 0), false)
  t.end()
})

t.test('confirmation renews what it is told of, no more often than it has to', (t) => {
  const cache = made({ reachable: seconds(30) })
  cache.confirm(host(1), 0)
  t.equal(stateOf(cache, host(1)), undefined, 'it makes no entry')
  cache.learn(host(1), 5, false, true, 0)
  cache.confirm(host(1), 0)
  const first = cache.deadline
  cache.confirm(host(1), seconds(1))
  t.equal(cache.deadline, first, 'while it is fresh')
  cache.confirm(host(1), Math.ceil(first * 0.6))
  t.equal(cache.deadline, first + Math.ceil(first * 0.6))
  cache.setPermanent(host(2), 6, 0)
  cache.confirm(host(2), 0)
  t.equal(stateOf(cache, host(2)), 'permanent')
  cache.offer(host(3), packet(), 0)
  cache.confirm(host(3), 0)
  t.equal(stateOf(cache, host(3)), 'incomplete', 'nothing can have reached it')
  cache.clear(0)
  drain(cache)
  t.end()
})

t.test('what waits is a use of an address that nobody has proven (RFC 4861 §7.3.3)', (t) => {
  const cache = made()
  cache.offer(host(1), packet(), 0)
  cache.learn(host(1), 5, false, true, 0)
  t.same(drain(cache), [1, 0, 0])
  t.equal(stateOf(cache, host(1)), 'delay')
  t.equal(cache.deadline, seconds(5))
  t.end()
})

t.test('neighbours met together are not asked together (RFC 4861 §6.3.2)', (t) => {
  const random = new SeededRandom([1, 2, 3, 4])
  const times = Array.from({ length: 20 }, () => {
    const cache = new NeighbourCache({ reachable: seconds(30) }, random)
    cache.learn(host(1), 5, false, true, 0)
    cache.confirm(host(1), 0)
    return cache.deadline
  })
  t.ok(times.every((time) => time >= seconds(15) && time <= seconds(45.001)))
  t.ok(Math.max(...times) - Math.min(...times) > seconds(15))
  t.end()
})

t.test('each time a neighbour is asked, it is asked as often as the first time', (t) => {
  const cache = made({ retransmit: seconds(1), tries: 3 })
  cache.learn(host(1), 5, false, true, 0)
  for (let again = 0; again < 3; again++) {
    cache.doubt(host(1), 0)
    for (let at = 1; at < 3; at++) cache.expire(seconds(at))
    t.equal(stateOf(cache, host(1)), 'probe')
    cache.learn(host(1), 5, true, false, 0)
    t.equal(stateOf(cache, host(1)), 'reachable')
  }
  t.end()
})

t.test('a link that goes down leaves what was entered by hand', (t) => {
  const cache = made()
  cache.setPermanent(host(1), 5, 0)
  cache.learn(host(2), 6, false, true, 0)
  cache.clear(0)
  t.same(
    cache.list().map(({ state, linkAddress }) => [state, linkAddress]),
    [['permanent', 5]],
  )
  t.end()
})

t.test('addresses of one hash are found, and forgotten, each by itself', (t) => {
  // Without a secret, the last two words are merely combined.
  const plain = { uint32: () => 0, octets: (n: number) => new Uint8Array(n) }
  const addresses = [4, 3, 2].map((n) => new IpAddress(0xfd00_0000, 0, n, n ^ 7))
  for (const gone of addresses) {
    const cache = new NeighbourCache({}, plain)
    for (const [i, address] of addresses.entries()) cache.learn(address, i + 1, false, true, 0)
    t.ok(cache.forget(gone, 0))
    t.notOk(cache.forget(gone, 0))
    const known = addresses.map((address) => cache.linkAddressOf(address))
    t.same(
      known,
      addresses.map((address, i) => (address === gone ? UNRESOLVED : i + 1)),
    )
  }
  t.end()
})

t.test('who is doubted is asked at once, and forgotten when he does not answer (RFC 9293 §3.8.3)', (t) => {
  const cache = made({ reachable: seconds(30), retransmit: seconds(1), tries: 3 })
  cache.doubt(host(1), 0)
  t.equal(stateOf(cache, host(1)), undefined, 'it makes no entry')
  for (const confirmed of [true, false]) {
    cache.learn(host(1), 5, false, true, 0)
    if (confirmed) cache.confirm(host(1), 0)
    drain(cache)
    cache.doubt(host(1), 0)
    t.equal(stateOf(cache, host(1)), 'probe')
    t.equal(cache.output()?.linkAddress, 5)
    t.equal(cache.usable(host(1)), 5, 'used meanwhile')
    cache.doubt(host(1), 0)
    t.equal(cache.output(), undefined, 'asked once')
    cache.learn(host(1), 5, true, false, 0)
    t.equal(stateOf(cache, host(1)), 'reachable')
    cache.doubt(host(1), 0)
    for (let at = 1; at <= 3; at++) cache.expire(seconds(at))
    t.equal(stateOf(cache, host(1)), undefined)
    drain(cache)
  }
  cache.setPermanent(host(2), 6, 0)
  cache.doubt(host(2), 0)
  t.equal(stateOf(cache, host(2)), 'permanent')
  t.end()
})

t.test('who is told of another link address without override keeps the one it has, and checks it', (t) => {
  const cache = made({ retransmit: seconds(1) })
  t.equal(cache.dispute(host(1), 5, 0), false, 'nobody is known')
  cache.learn(host(1), 5, false, true, 0)
  cache.confirm(host(1), 0)
  t.equal(cache.dispute(host(1), 5, 0), false)
  t.equal(stateOf(cache, host(1)), 'reachable')
  t.equal(cache.dispute(host(1), 6, 0), true)
  t.equal(stateOf(cache, host(1)), 'stale')
  t.equal(cache.linkAddressOf(host(1)), 5)
  t.end()
})

t.test('times that change hold for states entered from then on', (t) => {
  const cache = made({ reachable: seconds(30), retransmit: seconds(1) })
  cache.setTimes(seconds(1), seconds(7))
  cache.learn(host(1), 5, false, true, 0)
  cache.confirm(host(1), 0)
  t.ok(cache.deadline >= seconds(0.5) && cache.deadline <= seconds(1.501))
  cache.doubt(host(1), 0)
  t.equal(cache.deadline, seconds(7))
  cache.setTimes(0, 0)
  cache.offer(host(2), packet(), 0)
  t.equal(cache.deadline, seconds(7), '0 changes nothing')
  cache.clear(0)
  drain(cache)
  t.end()
})

t.test('both families are kept apart, also where their last words agree', (t) => {
  const cache = made()
  const six = new IpAddress(0xfd00_0000, 0, 0, 0x0a00_0001)
  cache.learn(host(1), 4, false, true, 0)
  cache.learn(six, 6, false, true, 0)
  cache.confirm(host(1), 0)
  cache.confirm(six, 0)
  t.equal(cache.usable(host(1)), 4)
  t.equal(cache.usable(six), 6)
  t.equal(cache.forget(six, 0), true)
  t.equal(cache.usable(six), UNRESOLVED)
  t.equal(cache.usable(host(1)), 4)
  t.end()
})

t.test('a scan takes no more than half of the room', (t) => {
  const cache = made({ entries: 8 })
  for (let n = 0; n < 4; n++) cache.learn(host(n), n, false, true, 0)
  for (let n = 100; n < 150; n++) cache.offer(host(n), packet(), 0)
  for (let n = 0; n < 4; n++) t.equal(stateOf(cache, host(n)), 'stale')
  t.equal(cache.list().length, 8)
  t.same(drain(cache), [0, 46, 0], 'those that were pushed out count as unreachable')
  cache.clear(0)
  t.same(drain(cache), [0, 4, 0])
  t.end()
})

t.test('room for packets that wait is given back', (t) => {
  const cache = made({ waiting: 2, waitingInAll: 3 })
  for (let round = 0; round < 5; round++) {
    for (let n = 0; n < 3; n++) cache.offer(host(n), packet(), 0)
    t.same(drain(cache), [0, 0, 0], 'three have room')
    cache.offer(host(3), packet(), 0)
    t.same(drain(cache), [0, 0, 1])
    cache.learn(host(0), 1, true, false, 0)
    cache.forget(host(1), 0)
    t.same(drain(cache), [1, 1, 0])
    cache.clear(0)
    drain(cache)
  }
  t.end()
})

t.test('property: whatever happens, bounds hold, deadlines do not pass, and no packet is lost', (t) => {
  const step = fc.record({
    what: fc.constantFrom('offer', 'offer', 'learn', 'confirm', 'forget', 'permanent', 'expire', 'clear'),
    who: fc.nat(12),
    solicited: fc.boolean(),
    after: fc.nat(seconds(4)),
  })
  const before = packetsInUse()
  let took = 0
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120, size: 'max' }), (steps) => {
      const cache = made({ entries: 6, waiting: 3, waitingInAll: 7 })
      let now = 0
      for (const { what, who, solicited, after } of steps) {
        if (what === 'offer') {
          const offered = packet()
          if (cache.offer(host(who), offered, now) !== UNRESOLVED) offered.release()
        } else if (what === 'learn') cache.learn(host(who), who, solicited, who < 6, now)
        else if (what === 'confirm') cache.confirm(host(who), now)
        else if (what === 'forget') cache.forget(host(who), now)
        else if (what === 'permanent' && who < 3) cache.setPermanent(host(who), who, now)
        else if (what === 'clear') cache.clear(now)
        else {
          now += after
          cache.expire(now)
          drain(cache)
          if (cache.deadline <= now) return false
        }
        if (solicited) drain(cache)
        if (packetsInUse() - before > 7 + steps.length || cache.list().length > 7) return false
      }
      cache.clear(now)
      drain(cache)
      took = Math.max(took, steps.length)
      return packetsInUse() === before
    }),
    { numRuns: 1000 },
  )
  t.equal(packetsInUse(), before)
  t.ok(took > 50, 'long enough to matter')
  t.end()
})
