/** What is said to neighbours, and what their hellos and IHUs come to (RFC 8966 §3.4). */
import t from 'tap'
import { ms, seconds } from '../../../../../src/kernel/clock.ts'
import { Peer, Stand } from './pair.ts'

const NET = 'fd00:5::/64'
const count = (said: string[], pattern: RegExp): number => said.filter((line) => pattern.test(line)).length

t.test('IHUs go with every third hello', async (t) => {
  const stand = new Stand()
  new Peer(0, 2).meet(stand)
  stand.run(seconds(10)).lately()
  const said = stand.run(seconds(120)).lately()
  const [hellos, ihus] = [count(said, /eth0 \* hello/), count(said, /eth0 \* ihu/)]
  t.ok(hellos >= 29 && hellos <= 32, `${hellos}`)
  t.ok(Math.abs(ihus - hellos / 3) <= 1, `${ihus} of ${hellos}`)
})

t.test('an IHU without an address is for whoever hears it', async (t) => {
  const stand = new Stand()
  const peer = new Peer(0, 2)
  peer.hello(stand)
  peer.hello(stand)
  stand.hear(peer, (writer) => writer.ihu(null, 77, 60_000))
  peer.update(stand, NET, 0)
  t.equal(stand.way(NET), 'fe80::2 77')
})

t.test('a hello that promises no other is none that could be late', async (t) => {
  const stand = new Stand()
  const peer = new Peer(0, 2).meet(stand)
  peer.update(stand, NET, 0)
  peer.hello(stand, 0)
  stand.run(seconds(60))
  t.equal(stand.way(NET), 'fe80::2 96')
})

t.test('hellos to all and to us alone are counted apart', async (t) => {
  const stand = new Stand()
  const peer = new Peer(0, 2).meet(stand)
  peer.update(stand, NET, 0)
  const alone = (seqno: number): unknown => stand.hear(peer, (writer) => writer.hello(seqno, 100, true))
  alone(1000)
  t.equal(stand.way(NET), 'fe80::2 96', 'numbers of their own')
  const other = new Peer(0, 3)
  for (const seqno of [1000, 1001]) stand.hear(other, (writer) => writer.hello(seqno, 100, true))
  stand.hear(other, (writer) => writer.ihu(null, 96, 60_000))
  other.update(stand, 'fd00:6::/64', 0)
  t.equal(stand.way('fd00:6::/64'), 'fe80::3 96', 'either kind will do')
  stand.run(seconds(3))
  t.equal(stand.way('fd00:6::/64'), 'unreachable', 'and is missed when it is late')
  t.equal(stand.way(NET), 'fe80::2 96')
})

t.test('a wireless link that wavers costs the same as long as it makes no difference', async (t) => {
  const stand = new Stand({}, { type: 'wireless', rxcost: 256 })
  const peer = new Peer(0, 2)
  const hello = (seqno: number): unknown => stand.hear(peer, (writer) => writer.hello(seqno, 60_000))
  for (let i = 0; i < 16; i++) hello(i)
  stand.hear(peer, (writer) => writer.ihu(null, 256, 60_000))
  peer.update(stand, NET, 0)
  t.equal(stand.way(NET), 'fe80::2 256')
  hello(17)
  t.equal(stand.way(NET), 'fe80::2 256', 'of 16 one was lost')
  hello(19)
  t.equal(stand.way(NET), 'fe80::2 293', 'two: an eighth more')
})

t.test('a crowd of strangers does not make us say more hellos', async (t) => {
  const stand = new Stand({ neighbours: 2 })
  stand.run(seconds(5)).lately()
  for (let n = 0; n < 200; n++) {
    new Peer(0, 2 + n).hello(stand)
    stand.run(ms(20))
  }
  const hellos = count(stand.lately(), /eth0 \* hello/)
  t.ok(hellos >= 5 && hellos <= 9, `in 4 s one every 0.5 s, an eighth of the interval, at the most: ${hellos}`)
})
