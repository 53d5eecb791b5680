/** A table that is full: what makes room for another session, what never does, and who is refused. On virtual time. */
import assert from 'node:assert'
import fc from 'fast-check'
import t from 'tap'
import { natSettings } from '../../../../layers/network/nat/options.ts'
import { Segment } from '../../../../layers/network/nat/segment.ts'
import { FULL, HOST_FULL, isRefusal, NatTable } from '../../../../layers/network/nat/table.ts'
import type { NatOptions } from '../../../../src/api/rules.ts'
import { seconds } from '../../../../src/kernel/clock.ts'
import { SeededRandom } from '../../../../src/kernel/random.ts'
import { holds } from '../../../property.ts'

const [ICMP, TCP, UDP] = [1, 6, 17] as const
const INSIDE = 0xc0a8_0000 | 0
const SERVER = 0xc633_6401 | 0
const [FIN, SYN, RST, ACK] = [1, 2, 4, 16] as const

const table = (options: Partial<NatOptions> = {}) =>
  new NatTable(natSettings({ link: 'wan', ...options }), new SeededRandom([1, 2, 3, 4]))

type Kind = 'udp' | 'echo' | 'opening' | 'open' | 'reset' | 'closing' | 'closed'

/** Idle for how many seconds it has to be before it makes room. */
const LEAST: Readonly<Record<Kind, number>> = {
  closed: 0,
  opening: 10,
  reset: 10,
  echo: 60,
  udp: 120,
  closing: 240,
  open: Number.POSITIVE_INFINITY,
}

/** One host's port, and what it does with the server: what passes is what real ends would send. */
class Flow {
  private readonly nat: NatTable
  readonly host: number
  readonly port: number

  constructor(nat: NatTable, host: number, port: number) {
    this.nat = nat
    this.host = INSIDE + host
    this.port = port
  }

  /** Brings it to a state, from none. @returns the port outside, or a refusal. */
  becomes(kind: Kind, now: number): number {
    if (kind === 'udp') return this.nat.outbound(UDP, this.host, this.port, SERVER, 80, new Segment(), now)
    if (kind === 'echo') return this.nat.outbound(ICMP, this.host, this.port, SERVER, 0, new Segment(), now)
    const outside = this.out({ flags: SYN, seq: 999, last: 999 }, now)
    if (isRefusal(outside) || kind === 'opening') return outside
    this.into({ flags: SYN | ACK, seq: 8999, last: 8999, ack: 1000 }, now)
    this.out({ flags: ACK, seq: 1000, last: 999, ack: 9000 }, now)
    if (kind === 'reset') this.into({ flags: RST, seq: 9000 }, now)
    if (kind !== 'closing' && kind !== 'closed') return outside
    this.out({ flags: FIN | ACK, seq: 1000, last: 1000, ack: 9000 }, now)
    this.into({ flags: FIN | ACK, seq: 9000, last: 9000, ack: 1001 }, now)
    if (kind === 'closed') this.out({ flags: ACK, seq: 1001, last: 1000, ack: 9001 }, now)
    return outside
  }

  out(said: Partial<Segment>, now: number): number {
    return this.nat.outbound(TCP, this.host, this.port, SERVER, 80, this.segment(said), now)
  }

  into(said: Partial<Segment>, now: number): boolean {
    const mapping = this.nat.mappingInside(TCP, this.host, this.port)
    return mapping !== null && this.nat.admits(mapping, SERVER, 80, this.segment(said), now)
  }

  isThere(kind: Kind): boolean {
    const protocol = kind === 'udp' ? UDP : kind === 'echo' ? ICMP : TCP
    const mapping = this.nat.mappingInside(protocol, this.host, this.port)
    return mapping !== null && this.nat.hasSession(mapping, SERVER, protocol === ICMP ? 0 : 80)
  }

  private segment(said: Partial<Segment>): Segment {
    return Object.assign(new Segment(), { window: 500, ...said })
  }
}

/** As long as they may be, so that only the lack of room ends anything. */
const LONG = { udp: seconds(9000), tcp: seconds(9000), tcpTransitory: seconds(9000), icmp: seconds(9000) }

t.test('each kind of session makes room when it has been idle for its least time, and not before', async (t) => {
  for (const [kind, least] of Object.entries(LEAST) as [Kind, number][]) {
    const nat = table({ maxSessions: 2, maxSessionsPerHost: 2, timeouts: LONG })
    const [old, other] = [new Flow(nat, 2, 5000), new Flow(nat, 2, 5001)]
    old.becomes(kind, 0)
    other.becomes('open', 0)
    const end = least === Number.POSITIVE_INFINITY ? 8999 : least
    if (least > 0) {
      t.equal(new Flow(nat, 3, 5000).becomes('udp', seconds(end) - 1), FULL, `${kind} before`)
      t.ok(old.isThere(kind))
    }
    const port = new Flow(nat, 3, 5000).becomes('udp', seconds(end))
    t.equal(port, kind === 'open' ? FULL : 5000, `${kind} then`)
    t.equal(old.isThere(kind), kind === 'open')
    t.ok(other.isThere('open'))
    t.equal(nat.size, 2)
  }
})

t.test('those that are over go first, then those that are no more than an attempt', async (t) => {
  const order: Kind[] = ['closed', 'opening', 'echo', 'closing', 'udp']
  const nat = table({ maxSessions: 6, timeouts: LONG })
  const flows = [...order].reverse().map((kind, i) => ({ kind, flow: new Flow(nat, 2 + i, 5000) }))
  for (const { kind, flow } of flows) flow.becomes(kind, 0)
  new Flow(nat, 99, 1).becomes('open', 0)
  for (const [i, gone] of order.entries()) {
    new Flow(nat, 100 + i, 1).becomes('open', seconds(1000))
    const left = flows.filter(({ kind, flow }) => flow.isThere(kind)).map(({ kind }) => kind)
    t.strictSame(left.sort(), order.slice(i + 1).sort(), `${gone} has gone`)
  }
  t.equal(new Flow(nat, 200, 1).becomes('open', seconds(1000)), FULL)
  t.equal(nat.endedEarly, 5)
})

t.test('one that makes room for another of the same port takes nothing with it', async (t) => {
  const nat = table({ maxSessions: 1, maxSessionsPerHost: 1 })
  new Flow(nat, 2, 5000).becomes('closed', 0)
  t.equal(nat.outbound(TCP, INSIDE + 2, 5000, SERVER, 81, Object.assign(new Segment(), { flags: SYN }), 0), 5000)
  t.equal(nat.mappingOutside(TCP, 5000)?.sessions, 1)
  t.equal([...nat.entries()].length, 1)
})

t.test('connections that are over are nobody’s: a host that opened and closed many may go on', async (t) => {
  const nat = table({ maxSessions: 8, maxSessionsPerHost: 2 })
  for (let i = 0; i < 50; i++) t.equal(new Flow(nat, 2, 5000 + i).becomes('closed', i), 5000 + i)
  t.equal(nat.size, 8)
  new Flow(nat, 2, 1).becomes('open', 50)
  new Flow(nat, 2, 2).becomes('open', 50)
  t.equal(new Flow(nat, 2, 3).becomes('open', 50), HOST_FULL)
  const over = new Flow(nat, 2, 5049)
  t.ok(over.isThere('closed'))
  t.equal(over.out({ flags: SYN, seq: 5, last: 5 }, 51), HOST_FULL, 'one that begins anew is his again')
  t.ok(over.into({ flags: SYN, seq: 5, last: 5 }, 52), 'whoever knows it may ask')
  t.equal(over.out({ flags: SYN | ACK, seq: 5, last: 5, ack: 6 }, 53), HOST_FULL)
  t.equal(over.out({ flags: ACK, seq: 1001, last: 1000, ack: 9001 }, 54), 5049, 'and the last of the old one passes')
  nat.become(natSettings({ link: 'wan', maxSessions: 8, maxSessionsPerHost: 1 }), () => true)
  t.equal(nat.size, 7, 'other settings count them likewise')
})

t.test('a connection that begins anew is open again, from either side', async (t) => {
  for (const first of ['inside', 'outside']) {
    const nat = table({ maxSessions: 1, maxSessionsPerHost: 1 })
    const flow = new Flow(nat, 2, 5000)
    flow.becomes('closed', 0)
    if (first === 'inside') flow.becomes('open', seconds(1))
    else {
      flow.into({ flags: SYN, seq: 99, last: 99 }, seconds(1))
      flow.out({ flags: SYN | ACK, seq: 49, last: 49, ack: 100 }, seconds(1))
      flow.into({ flags: ACK, seq: 100, last: 99, ack: 50 }, seconds(1))
    }
    t.equal(nat.deadline, seconds(1 + 7440), first)
    t.equal(new Flow(nat, 3, 5000).becomes('udp', seconds(7440)), FULL)
  }
})

t.test('a FIN that was not acknowledged ends nothing early', async (t) => {
  const nat = table({ maxSessions: 1, maxSessionsPerHost: 1 })
  const flow = new Flow(nat, 2, 5000)
  flow.becomes('closing', 0)
  t.equal(new Flow(nat, 3, 5000).becomes('udp', seconds(239)), FULL)
  flow.out({ flags: ACK, seq: 1001, last: 1000, ack: 9000 }, seconds(239))
  t.equal(new Flow(nat, 3, 5000).becomes('udp', seconds(240)), FULL, 'an acknowledgement of something else')
  flow.out({ flags: ACK, seq: 1001, last: 1000, ack: 9001 }, seconds(240))
  t.equal(new Flow(nat, 3, 5000).becomes('udp', seconds(240)), 5000)
})

t.test('where one side of an open connection has gone, it keeps its time', async (t) => {
  const nat = table({ maxSessions: 1, maxSessionsPerHost: 1 })
  const flow = new Flow(nat, 2, 5000)
  flow.becomes('open', 0)
  // Sent again and again, and never acknowledged: whether the other is dead or only cut off, nobody here can tell.
  for (const at of [1, 3, 7, 15, 31, 63, 127, 247, 367, 487, 607, 727, 847]) {
    t.ok(flow.into({ flags: ACK, seq: 9000, last: 9099, ack: 1000 }, seconds(at)))
  }
  t.equal(nat.deadline, seconds(847 + 7440))
  t.equal(new Flow(nat, 3, 5000).becomes('udp', seconds(847 + 7439)), FULL)
  const half = table()
  new Flow(half, 2, 5000).out({ flags: ACK, seq: 1000, last: 1099, ack: 9000 }, 0)
  t.equal(half.deadline, seconds(240), 'one that was never heard from the other side is no open one')
})

t.test('nobody outside takes the room of those inside by what is answered at forwards', async (t) => {
  const forwards = [{ protocol: 'udp', port: 53, to: '192.168.0.2' } as const]
  const answers = (nat: NatTable, remotes: number) => {
    for (let i = 0; i < remotes; i++) {
      t.equal(nat.outbound(UDP, INSIDE + 2, 53, SERVER + i, 4000, new Segment(), 0), 53, 'all are answered')
    }
  }
  const host = table({ forwards, maxSessions: 100, maxSessionsPerHost: 20 })
  answers(host, 30)
  t.equal(host.size, 10, 'half of what the host may have')
  for (let i = 0; i < 10; i++) t.equal(new Flow(host, 2, 5000 + i).becomes('open', 0), 5000 + i)
  t.equal(new Flow(host, 2, 6000).becomes('open', 0), HOST_FULL)
  const all = table({ forwards, maxSessions: 20, maxSessionsPerHost: 20 })
  for (let i = 0; i < 15; i++) new Flow(all, 3, 5000 + i).becomes('closed', 0)
  for (let i = 0; i < 5; i++) new Flow(all, 4, 5020 + i).becomes('open', 0)
  answers(all, 30)
  t.equal(all.size, 20)
  t.equal(all.endedEarly, 5, 'with those that are over it is only half full')
  for (let i = 0; i < 10; i++) t.equal(new Flow(all, 5, 5050 + i).becomes('open', 0), 5050 + i)
  t.equal(new Flow(all, 5, 6000).becomes('open', 0), FULL)
})

/** Counts the sessions that are looked at for their age, and those that end. */
function counted(nat: NatTable): { looks: number; ends: number } {
  const count = { looks: 0, ends: 0 }
  const idle = Reflect.get(nat, 'idle') as { readonly all: readonly object[] }
  const wrap = (on: object, method: string, name: keyof typeof count) => {
    const plain = Reflect.get(on, method) as (...values: unknown[]) => unknown
    Reflect.set(on, method, (...values: unknown[]) => {
      count[name]++
      return plain.apply(on, values)
    })
  }
  for (const list of idle.all) wrap(list, 'sparable', 'looks')
  wrap(nat, 'end', 'ends')
  return count
}

t.test('ports that connections hold which are over are given to others, and the work is bounded', async (t) => {
  // 1,000 ports are left to those who want no well-known one.
  const reserved = Array.from({ length: 65_536 - 2024 }, (_, i) => 2024 + i)
  const nat = table({ reserved })
  for (let i = 0; i < 1000; i++) new Flow(nat, i % 50, 1024 + i).becomes(i < 900 ? 'closed' : 'open', 0)
  const count = counted(nat)
  for (let i = 0; i < 900; i++) {
    count.looks = 0
    count.ends = 0
    if (isRefusal(new Flow(nat, 1000 + i, 40_000).becomes('open', 1))) assert.fail(`${i} got none`)
    assert.ok(count.looks === 1 && count.ends === 1, `${count.looks} looks, ${count.ends} ends`)
  }
  count.looks = 0
  t.equal(new Flow(nat, 1, 40_000).becomes('open', 1), FULL, 'open ones hold them all')
  t.ok(count.looks <= 6)
  t.equal(nat.size, 1000)

  const shared = table({ reserved })
  for (let port = 1; port <= 20; port++) shared.outbound(TCP, INSIDE, 1024, SERVER, port, new Segment(), 0)
  for (let i = 1; i < 1000; i++) new Flow(shared, 3, 1024 + i).becomes('open', 0)
  const ends = counted(shared)
  const asks = () => new Flow(shared, 4, 40_000).becomes('open', seconds(10))
  t.equal(asks(), FULL, 'the one port that could make room has many sessions')
  t.equal(ends.ends, 8)
  t.equal(asks(), FULL)
  t.equal(asks(), 1024, 'until none is left')
})

t.test('properties', async (t) => {
  const step = fc.record({
    host: fc.integer({ min: 2, max: 5 }),
    port: fc.integer({ min: 5000, max: 5005 }),
    kind: fc.constantFrom<Kind>('udp', 'echo', 'opening', 'open', 'open', 'reset', 'closing', 'closed'),
    wait: fc.constantFrom(0, 0, 1, 9, 10, 60, 120),
  })
  interface Known {
    readonly flow: Flow
    readonly kind: Kind
    readonly used: number
  }
  holds(
    t,
    'only what may ends early, nobody is refused where something may, and no host takes more than its share',
    fc.property(fc.array(step, { minLength: 10, maxLength: 80 }), (steps) => {
      const [maxSessions, maxSessionsPerHost] = [6, 4]
      const nat = table({ maxSessions, maxSessionsPerHost, timeouts: LONG })
      let known: Known[] = []
      let now = 0
      for (const { host, port, kind, wait } of steps) {
        now += seconds(wait)
        // One flow has one protocol: so none becomes another kind behind the model's back.
        const flow = new Flow(nat, host, port + host * 1000 + (kind === 'udp' ? 100 : kind === 'echo' ? 200 : 0))
        if (known.some(({ flow: other }) => other.host === flow.host && other.port === flow.port)) continue
        const owned = known.filter((one) => one.flow.host === flow.host && one.kind !== 'closed').length
        const spare = known.some((one) => now - one.used >= seconds(LEAST[one.kind]))
        const expected =
          owned >= maxSessionsPerHost ? HOST_FULL : known.length >= maxSessions && !spare ? FULL : flow.port
        assert.equal(flow.becomes(kind, now), expected)
        const left = known.filter((one) => one.flow.isThere(one.kind))
        const gone = known.filter((one) => !left.includes(one))
        assert.equal(gone.length, known.length >= maxSessions && expected === flow.port ? 1 : 0)
        for (const one of gone) assert.ok(now - one.used >= seconds(LEAST[one.kind]), `${one.kind} since ${one.used}`)
        known = isRefusal(expected) ? left : [...left, { flow, kind, used: now }]
        assert.equal(nat.size, known.length)
      }
      nat.expire(now + seconds(9000))
      assert.equal(nat.size, 0)
      assert.equal((Reflect.get(nat, 'perHost') as Map<number, number>).size, 0, 'no host is left counted')
    }),
    { numRuns: 100 },
  )
})
