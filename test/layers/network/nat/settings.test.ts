/** A table that takes other settings: connections go on as far as these let them. */
import assert from 'node:assert'
import fc from 'fast-check'
import t from 'tap'
import { natSettings } from '../../../../layers/network/nat/options.ts'
import { Segment } from '../../../../layers/network/nat/segment.ts'
import { FULL, NatTable } from '../../../../layers/network/nat/table.ts'
import type { NatOptions } from '../../../../src/api/rules.ts'
import { seconds } from '../../../../src/kernel/clock.ts'
import { SeededRandom } from '../../../../src/kernel/random.ts'
import { holds } from '../../../property.ts'

const [ICMP, TCP, UDP] = [1, 6, 17] as const
const INSIDE = 0xc0a8_0000 | 0
const SERVER = 0xc633_6400 | 0
const [SYN, ACK] = [2, 16] as const

const settings = (options: Partial<NatOptions> = {}) => natSettings({ link: 'wan', ...options })
const table = (options: Partial<NatOptions> = {}) => new NatTable(settings(options), new SeededRandom([1, 2, 3, 4]))

const segment = (flags: number) => Object.assign(new Segment(), { flags })

const always = () => true

/** Every session as text, with the port outside that it has. */
const seen = (of: NatTable): string[] =>
  [...of.all()].map(({ remote: { mapping, address }, remotePort }) => {
    const { protocol, insideAddress, insidePort, outsidePort } = mapping
    return `${protocol} ${insideAddress & 255}:${insidePort} as ${outsidePort} to ${address & 255}:${remotePort}`
  })

t.test('sessions keep their ports, their age and the state of their connection', async (t) => {
  const nat = table()
  nat.outbound(UDP, INSIDE + 2, 5000, SERVER, 53, segment(0), 0)
  const other = nat.outbound(UDP, INSIDE + 3, 5000, SERVER, 53, segment(0), seconds(100))
  nat.outbound(TCP, INSIDE + 2, 6000, SERVER, 80, segment(SYN), 0)
  const mapping = nat.mappingOutside(TCP, 6000)
  if (mapping === null) throw new Error('no mapping')
  nat.admits(mapping, SERVER, 80, segment(SYN | ACK), seconds(1))
  nat.outbound(TCP, INSIDE + 2, 6000, SERVER, 80, segment(ACK), seconds(1))
  const had = seen(nat)
  nat.become(
    settings({ timeouts: { udp: seconds(200) }, forwards: [{ protocol: 'udp', port: 7000, to: '192.168.0.9' }] }),
    always,
  )
  t.same(seen(nat), had)
  t.equal(nat.deadline, seconds(200), 'counted from when it was used last')
  nat.expire(seconds(299))
  t.equal(nat.size, 2)
  t.equal(nat.outbound(UDP, INSIDE + 3, 5000, SERVER, 54, segment(0), seconds(299)), other)
  nat.outbound(TCP, INSIDE + 2, 6000, SERVER, 80, segment(ACK), seconds(300))
  nat.expire(seconds(300 + 7439))
  t.same(seen(nat), [`6 2:6000 as 6000 to 0:80`], 'an open connection is still open')
  nat.expire(seconds(300 + 7440))
  t.equal(nat.size, 0)
  t.equal([...nat.entries()].length, 1, 'the forward is left')
})

t.test('what the settings do not allow ends', async (t) => {
  const busy = (): NatTable => {
    const nat = table({ forwards: [{ protocol: 'tcp', port: 8080, to: '192.168.0.2:80' }] })
    for (const [host, port] of [
      [2, 5000],
      [2, 5001],
      [3, 5002],
      [4, 5003],
    ] as const) {
      nat.outbound(TCP, INSIDE + host, port, SERVER, 443, segment(SYN), 0)
    }
    nat.outbound(TCP, INSIDE + 2, 80, SERVER, 9999, segment(SYN), 0)
    return nat
  }
  const next = busy()
  const forwards = [{ protocol: 'tcp', port: 5001, to: '192.168.0.9:5001' }] as const
  next.become(settings({ reserved: [5000], forwards }), (address) => address !== INSIDE + 4)
  t.same(seen(next).sort(), ['6 2:80 as 8080 to 0:9999', '6 3:5002 as 5002 to 0:443'], 'one outlives its forward')
  t.equal(next.mappingOutside(TCP, 8080)?.permanent, false, 'as any other')
  const moved = busy()
  moved.become(settings({ forwards: [{ protocol: 'tcp', port: 8081, to: '192.168.0.2:80' }] }), always)
  t.notOk(
    seen(moved).some((text) => text.startsWith('6 2:80 ')),
    'a port inside has one port outside',
  )
  const small = busy()
  small.become(settings({ maxSessions: 2 }), always)
  t.same(seen(small), ['6 2:80 as 8080 to 0:9999', '6 4:5003 as 5003 to 0:443'], 'those used last are left')
  const fair = busy()
  fair.become(settings({ maxSessionsPerHost: 1 }), always)
  t.same(seen(fair).sort(), ['6 2:80 as 8080 to 0:9999', '6 3:5002 as 5002 to 0:443', '6 4:5003 as 5003 to 0:443'])
})

t.test('more sessions than before find each other', async (t) => {
  const nat = table({ maxSessions: 1000, maxSessionsPerHost: 1000 })
  const use = (n: number) => nat.outbound(UDP, INSIDE + (n % 7), 5000 + (n % 300), SERVER + (n >> 5), n, segment(0), n)
  const ports = Array.from({ length: 1000 }, (_, n) => use(n))
  t.equal(use(1000), FULL)
  nat.become(settings({ maxSessions: 2 ** 16, maxSessionsPerHost: 2 ** 16 }), always)
  t.same(
    ports.map((_, n) => use(n)),
    ports,
  )
  t.equal(nat.size, 1000)
  t.not(use(1000), FULL)
})

/** Which sessions go on, found the long way: those first that last longest, and of a kind those that were used last. */
function survivors(nat: NatTable, after: Partial<NatOptions>, gone: number): string[] {
  const { forwards, reserved, maxSessions, maxSessionsPerHost } = settings(after)
  const texts = seen(nat)
  const left = new Map<number, number>()
  return [...nat.all()].flatMap(({ remote: { mapping } }, i) => {
    const { protocol, insideAddress, insidePort, outsidePort } = mapping
    const isInsideOf = (one: (typeof forwards)[number]) =>
      one.insideAddress === insideAddress && one.insidePort === insidePort
    const those = forwards.filter((one) => one.protocol === protocol && (one.port === outsidePort || isInsideOf(one)))
    const isReserved = protocol !== ICMP && reserved.has(outsidePort) && those.length === 0
    const fits = those.every((one) => one.port === outsidePort && isInsideOf(one))
    const total = [...left.values()].reduce((sum, count) => sum + count, 0)
    const ofHost = left.get(insideAddress) ?? 0
    if (insideAddress === gone || isReserved || !fits || total >= maxSessions || ofHost >= maxSessionsPerHost) return []
    left.set(insideAddress, ofHost + 1)
    return [texts[i] as string]
  })
}

t.test('whatever went before, a table with other settings is sound', async (t) => {
  const use = fc.record({
    protocol: fc.constantFrom(ICMP, TCP, UDP),
    host: fc.integer({ min: 2, max: 5 }),
    port: fc.integer({ min: 5000, max: 5005 }),
    server: fc.nat(2),
    at: fc.nat(60),
  })
  const options = fc.record({
    maxSessions: fc.integer({ min: 1, max: 30 }),
    maxSessionsPerHost: fc.integer({ min: 1, max: 30 }),
    reserved: fc.subarray([5000, 5001]),
    forwards: fc.subarray([
      { protocol: 'tcp' as const, port: 5002, to: '192.168.0.2:5002' },
      { protocol: 'udp' as const, port: 5003, to: '192.168.0.4' },
    ]),
  })
  holds(
    t,
    'as many as there is room for, as they were; and all ends',
    fc.property(fc.array(use, { maxLength: 60 }), options, options, fc.nat(5), (uses, before, after, gone) => {
      const next = table(before)
      for (const { protocol, host, port, server, at } of uses.sort((a, b) => a.at - b.at))
        next.outbound(protocol, INSIDE + host, port, SERVER + server, 80, segment(SYN), seconds(at))
      const expected = survivors(next, after, INSIDE + gone)
      next.become(settings(after), (address) => address !== INSIDE + gone)
      const has = seen(next)
      assert.deepEqual([...has].sort(), expected.sort())
      assert.equal(new Set(has).size, next.size)
      assert.ok(next.size <= after.maxSessions)
      for (const { remote, remotePort } of [...next.all()]) {
        const { mapping, address } = remote
        assert.equal(next.mappingOutside(mapping.protocol, mapping.outsidePort), mapping)
        assert.ok(next.hasSession(mapping, address, remotePort))
      }
      let last = 0
      while (next.size > 0) {
        assert.ok(next.deadline >= last, 'in the order in which they end')
        last = next.deadline
        next.expire(last)
      }
      assert.equal([...next.entries()].length, after.forwards.length, 'no port is left taken')
      const [again, fresh] = [next, table(after)].map((one) =>
        [5000, 5001, 5002, 5003, 5004].map((port) => one.outbound(UDP, INSIDE + 9, port, SERVER, 1, segment(0), last)),
      )
      const isKept = (ports: number[] | undefined) => ports?.map((port, i) => port === 5000 + i)
      assert.deepEqual(isKept(again), isKept(fresh))
    }),
  )
})
