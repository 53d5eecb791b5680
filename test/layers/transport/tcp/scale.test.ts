/** What happens with each segment and each change does not depend on how many connections are open: by counting. */
import t from 'tap'
import { FlowTable } from '../../../../layers/transport/tcp/table.ts'
import { endpoint } from '../../../../layers/transport/tcp/tcb.ts'
import type { Connection } from '../../../../src/api/sockets.ts'
import { IpAddress, parseAddress } from '../../../../src/kernel/address.ts'
import { ms, seconds } from '../../../../src/kernel/clock.ts'
import { hashKey } from '../../../../src/kernel/keyed-hash.ts'
import { Timer, Timers } from '../../../../src/kernel/timers.ts'
import { Script } from './script.ts'

const HOURS_2 = seconds(7200)

/** A node with so many connections, idle but for their keepalive timers; the last is the one that the script speaks for. */
function idle(n: number): { s: Script; c: Connection } {
  const s = new Script()
  let c = s.established({ keepAlive: true })
  for (let i = 1; i < n; i++) c = s.established({ keepAlive: true })
  s.run(seconds(2))
  s.skip()
  return { s, c }
}

/** Times that the wheel sorts a timer while requests and answers go to and fro on one of so many connections. */
function sortings(n: number): number {
  const { s, c } = idle(n)
  const count = countSortings(s.timers)
  for (let i = 0; i < 500; i++) {
    s.write(c, 10, 10 * i)
    s.run(ms(1))
    s.in(`. ${1 + 10 * i}:${11 + 10 * i} ack ${11 + 10 * i}`)
    s.read(c)
    s.run(ms(1))
  }
  t.ok(s.skip() >= 500)
  s.close()
  return count()
}

function countSortings(timers: Timers): () => number {
  let count = 0
  const inside = timers as unknown as { insert(timer: Timer): void } // private: where a timer is put into a slot or the heap
  const insert = inside.insert.bind(timers)
  inside.insert = (timer) => {
    count++
    insert(timer)
  }
  return () => count
}

t.test('timers: a segment costs the same number of operations, however many connections are open', async (t) => {
  const few = sortings(10)
  const many = sortings(2000)
  t.ok(few < 4 * 500, `${few} for 500 requests and answers`)
  t.ok(Math.abs(many - few) <= 50, `${many} instead of ${few}`)
})

t.test('timers: each of ten thousand is sorted once a level at the most, and never without reason', async (t) => {
  const timers = new Timers()
  let fired = 0
  const target = { expire: () => fired++ }
  for (let i = 0; i < 10_000; i++) timers.arm(new Timer(target), HOURS_2 + i * 1000)
  const count = countSortings(timers)
  for (let now = 0; now < seconds(60); now += ms(1)) timers.advance(now)
  t.equal(count(), 0, 'a minute in which none is due')
  timers.advance(HOURS_2 + seconds(20))
  t.equal(fired, 10_000)
  t.ok(count() <= 4 * 10_000, `${count()} sortings`)
})

t.test('the table finds a connection among fifty thousand in two steps, whatever their ports', async (t) => {
  const table = new FlowTable(hashKey(new Uint8Array(16).fill(7)))
  const local = endpoint(parseAddress('10.0.0.1'), 80)
  for (let i = 0; i < 50_000; i++) {
    const remote = endpoint(new IpAddress(0, 0, 0xffff, 0x0a00_0000 + (i >> 8)), 1024 + (i & 0xff) * 16)
    table.add({ local, remote, scope: 0 })
  }
  const { slots, mask } = table as unknown as { slots: Int32Array; mask: number } // private: pairs of hash and place
  let steps = 0
  for (let i = 0; i <= mask; i++) {
    if (slots[2 * i + 1] !== 0) steps += 1 + ((i - ((slots[2 * i] as number) & mask)) & mask)
  }
  t.ok(steps / table.size < 2, `${steps / table.size} steps`)
})

t.test(
  'a network that changes again and again is followed once a turn, by those who have something to send',
  async (t) => {
    const { s, c } = idle(1000)
    s.write(c, 10)
    s.out('P. 1:11 ack 1')
    let asked = 0
    let paths = 0
    const isLocal = s.net.isLocal.bind(s.net)
    const path = s.net.path.bind(s.net)
    s.net.isLocal = (address) => {
      asked++
      return isLocal(address)
    }
    s.net.path = (destination, source, link, into) => {
      paths++
      return path(destination, source, link, into)
    }
    for (let i = 0; i < 100; i++) s.net.setAddresses(s.net.local)
    s.run(0)
    t.equal(asked, 1000)
    t.equal(paths, 1)
    s.close()
    s.run(0)
    t.equal(s.timers.size, 0)
  },
)
