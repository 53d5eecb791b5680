/** The window follows what the application reads in a round trip, within the bounds of connection and node. */
import t from 'tap'
import { ReceiveSpace } from '../../../../layers/transport/tcp/receive-space.ts'
import { ms, seconds } from '../../../../src/kernel/clock.ts'
import { transfer } from './bottleneck.ts'
import { Script } from './script.ts'

const MIB = 1_048_576
/** 200 Mbit/s with 100 ms there and back: 2.5 MB are under way. */
const LONG = { forth: { delay: ms(50), rate: 25_000_000, queue: 10_000_000 }, back: { delay: ms(50) } }
const BULK = { octets: 50_000_000, ...LONG, options: { sendBuffer: 16 * MIB } }

t.test('a long path with a quick reader is filled', async (t) => {
  const held = await transfer({ ...BULK, tcp: { maxBufferGrowth: 0 } })
  const free = await transfer(BULK)
  t.ok(held.goodput < MIB / 0.1, `${held.goodput} octets/s: a window a round trip`)
  t.ok(free.goodput > 15_000_000, `${free.goodput} octets/s`)
  t.ok(free.info.sndWnd > 4 * MIB, `the peer offers ${free.info.sndWnd}`)
  const bounded = await transfer({ ...BULK, tcp: { maxBufferGrowth: MIB / 2 } })
  t.ok(
    bounded.info.sndWnd > 1.2 * MIB && bounded.info.sndWnd <= 1.5 * MIB,
    `${bounded.info.sndWnd} by the node's bound`,
  )
  const told = await transfer({ ...BULK, options: { sendBuffer: 16 * MIB, receiveBuffer: 2 * MIB } })
  t.ok(told.info.sndWnd > 1.5 * MIB && told.info.sndWnd <= 2 * MIB, 'who sets a buffer has that one')
})

t.test('the send queue grows to two congestion windows', async (t) => {
  const held = await transfer({ ...BULK, options: {}, tcp: { maxSendBuffer: MIB } })
  const free = await transfer({ ...BULK, options: {} })
  t.ok(held.goodput < MIB / 0.1, `${held.goodput} octets/s: a queue a round trip`)
  t.ok(free.goodput > 14_000_000, `${free.goodput} octets/s`)
  const told = await transfer({ ...BULK, options: { sendBuffer: 2 * MIB } })
  t.ok(told.goodput < (2 * MIB) / 0.1, `${told.goodput} octets/s: who sets a buffer has that one`)
})

t.test('what may wait to be sent does not bound what is under way', async (t) => {
  for (const notSentLowWater of [16_384, MIB / 4]) {
    const marked = await transfer({ ...BULK, options: { notSentLowWater } })
    t.ok(marked.goodput > 14_000_000, `${marked.goodput} octets/s with a mark of ${notSentLowWater}`)
    const told = await transfer({ ...BULK, options: { notSentLowWater, sendBuffer: 2 * MIB } })
    t.ok(told.goodput > (1.3 * MIB) / 0.1, `${told.goodput} octets/s: the whole buffer may be`)
  }
})

t.test('the send queue of a short path stays as it is, however long the queue on the way', async (t) => {
  const [forth, back] = [{ delay: ms(0.4), rate: 25_000_000, queue: 8 * MIB }, { delay: ms(0.4) }]
  const { info } = await transfer({ octets: 20_000_000, forth, back })
  t.ok(info.srtt <= ms(1) + seconds(MIB / 25_000_000), `${info.srtt} us there and back: what waits is a queue of 1 MiB`)
})

t.test('half a window in a round trip doubles it, less does not', (t) => {
  const budget = { used: 0, limit: 1000 }
  const space = new ReceiveSpace(budget, 0, seconds(1))
  t.notOk(space.isDue(49, 100))
  t.ok(space.isDue(50, 100))
  space.advance(50, 100, 10_000, ms(10), seconds(1) + ms(10))
  t.equal(space.grown, 100)
  t.notOk(space.isDue(149, 200), 'half of the new one counts from there')
  space.advance(150, 200, 10_000, ms(10), seconds(2))
  t.equal(space.grown, 100, 'it took too long')
  space.advance(250, 200, 250, ms(10), seconds(2))
  t.equal(space.grown, 150, 'as large as a window may be')
  t.equal(budget.used, 150)
  const other = new ReceiveSpace(budget, 0, 0)
  other.advance(5000, 10_000, 100_000, ms(10), 0)
  t.equal(other.grown, 850, 'as much as the node has left')
  other.advance(10_000, 10_850, 100_000, ms(10), 0)
  t.equal(other.grown, 850)
  other.release()
  space.release()
  t.equal(budget.used, 0)
  t.end()
})

t.test('a reader that is slow keeps the window it has', async (t) => {
  const s = new Script({ tcp: { connection: { receiveBuffer: 8192 } } })
  const c = s.connect()
  s.run(ms(10))
  s.skip()
  s.in('S. 0:0 ack 1 <mss 1000,nop,ws 7>')
  s.skip()
  const buffer = new Uint8Array(1000)
  const give = (from: number, slow: boolean): void => {
    for (let at = from; at < from + 8000; at += 1000) {
      s.in(`. ${at}:${at + 1000} ack 1`)
      s.run(slow ? ms(20) : 0)
      t.equal(c.read(buffer), 1000)
      s.run(0)
    }
  }
  give(1, true)
  t.ok(c.info().rcvWnd <= 8192, `${c.info().rcvWnd}`)
  give(8001, false)
  t.ok(c.info().rcvWnd > 14_000, `${c.info().rcvWnd}`)
})

t.test('a receiver measures by the first data that echoes a timestamp', async (t) => {
  const s = new Script()
  const c = s.passive('mss 1000,sackOK,ts 1000 0')
  const stamp = (): number => Number(/ts (-?\d+)/.exec(s.lastPacket?.options ?? '')?.[1])
  const sent = stamp()
  s.run(ms(80))
  s.in(`. 1:1001 ack 1 <nop,nop,ts 1100 ${sent}>`)
  s.run(ms(50))
  s.in(`. 1001:2001 ack 1 <nop,nop,ts 1100 ${sent}>`)
  t.equal(c.info().receiverRoundTrip, ms(80), 'the second tells nothing')
})

t.test('or without timestamps, by the time it takes until what was offered has come', async (t) => {
  const space = new ReceiveSpace({ used: 0, limit: 0 }, 0, 0)
  space.arrives(1000, 4000, ms(10))
  space.arrives(3000, 2000, ms(30))
  t.equal(space.roundTrip, 0)
  space.arrives(5000, 4000, ms(60))
  t.equal(space.roundTrip, ms(50))
  space.arrives(9000, 4000, ms(90))
  t.equal(space.roundTrip, ms(30), 'the shorter counts at once')
  space.arrives(13_000, 4000, ms(200))
  t.equal(space.roundTrip, ms(40), 'the longer in part')
})
