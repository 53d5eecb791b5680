/** When neighbours are told of what changed, and where not (RFC 8966 §3.7). */
import t from 'tap'
import { ms, seconds } from '../../../../../src/kernel/clock.ts'
import { Peer, prefix, Stand } from './pair.ts'

const NET = 'fd00:5::/64'
const updates = (stand: Stand): string[] => stand.lately().filter((line) => line.includes(' update '))

t.test('a metric that changes much is told soon, one that changes little with all others', async (t) => {
  const stand = new Stand()
  const near = new Peer(0, 2).meet(stand)
  new Peer(1, 3).meet(stand)
  near.update(stand, NET, 304, 1, 9)
  stand.run(seconds(1)).lately()
  near.update(stand, NET, 329, 2, 9)
  t.strictSame(updates(stand.run(seconds(1))), [], 'a sixteenth of 400 is little')
  near.update(stand, NET, 330, 3, 9)
  t.strictSame(updates(stand.run(seconds(1))), [
    'eth0 * update fd00:5::/64 65535', // split horizon: whoever heard of it there forgets it
    'eth1 * update fd00:5::/64 426',
  ])
})

t.test('what is urgent does not wait for what is not', async (t) => {
  const stand = new Stand()
  const peer = new Peer(0, 2).meet(stand)
  stand.babel.announce(prefix(NET), 0, stand.now)
  stand.hear(peer, (writer) => writer.seqnoRequest(prefix(NET), (stand.babel.seqno + 1) & 0xffff, 9, 0, 1))
  t.strictSame(updates(stand.run(ms(30))), ['eth0 * update fd00:5::/64 0'])
})

t.test('without split horizon a way is also told where it leads', async (t) => {
  for (const splitHorizon of [true, false]) {
    const stand = new Stand({}, { splitHorizon })
    new Peer(0, 2).meet(stand).update(stand, NET, 10)
    t.strictSame(updates(stand.run(seconds(1))), splitHorizon ? [] : ['eth0 * update fd00:5::/64 106'])
  }
})

t.test('256 neighbours of a link are heard, unless more are asked for', async (t) => {
  const stand = new Stand()
  for (let n = 0; n < 300; n++) new Peer(0, 2 + n).hello(stand)
  t.equal(stand.links[0]?.neighbours.length, 256)
})
