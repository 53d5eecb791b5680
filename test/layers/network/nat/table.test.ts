/** The table of a translation, by calls on virtual time. */
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
const [A, B] = [0xc0a8_0002 | 0, 0xc0a8_0003 | 0]
const [S, T] = [0xc633_6401 | 0, 0xcb00_7109 | 0]
const [FIN, SYN, RST, ACK] = [1, 2, 4, 16] as const

const table = (options: Partial<NatOptions> = {}) =>
  new NatTable(natSettings({ link: 'wan', ...options }), new SeededRandom([1, 2, 3, 4]))

/** What a segment says; in numbers, the flags alone. */
const segment = (said: number | Partial<Segment>) =>
  Object.assign(new Segment(), typeof said === 'number' ? { flags: said } : said)

/** What is sent from inside. */
const sends = (
  of: NatTable,
  protocol: number,
  host: number,
  port: number,
  remote: number,
  remotePort: number,
  said: number | Partial<Segment>,
  now: number,
) => of.outbound(protocol, host, port, remote, remotePort, segment(said), now)

/** Who gets what arrives at a port outside, if it may pass. */
function arrives(
  of: NatTable,
  protocol: number,
  port: number,
  remote: number,
  remotePort: number,
  now: number,
  said: number | Partial<Segment> = 0,
) {
  const mapping = of.mappingOutside(protocol, port)
  if (mapping === null) return 'none'
  return of.admits(mapping, remote, remotePort, segment(said), now)
    ? `${mapping.insideAddress & 255}:${mapping.insidePort}`
    : 'refused'
}

/** Both directions of a connection from A to S. */
const connection = (nat: NatTable) => ({
  out: (said: number | Partial<Segment>, now: number) => sends(nat, TCP, A, 5000, S, 80, said, now),
  into: (said: number | Partial<Segment>, now: number) => arrives(nat, TCP, 5000, S, 80, now, said),
})

t.test('a port is kept, whoever it talks to; two hosts do not get the same one', async (t) => {
  const nat = table()
  t.equal(sends(nat, UDP, A, 5000, S, 53, 0, 0), 5000)
  t.equal(sends(nat, UDP, A, 5000, T, 99, 0, 0), 5000, 'endpoint-independent')
  const other = sends(nat, UDP, B, 5000, S, 53, 0, 0)
  t.not(other, 5000)
  t.equal(other % 2, 0, 'of the same parity')
  t.ok(other >= 1024)
  t.equal(sends(nat, TCP, B, 5000, S, 53, SYN, 0), 5000, 'protocols have ports of their own')
  t.equal(sends(nat, UDP, A, 123, S, 123, 0, 0), 123)
  const low = sends(nat, UDP, B, 123, S, 123, 0, 0)
  t.ok(low < 1024 && low % 2 === 1, `well-known stays well-known: ${low}`)
  t.equal(arrives(nat, UDP, 5000, S, 53, 0), '2:5000')
  t.equal(arrives(nat, UDP, other, S, 53, 0), '3:5000')
  t.equal(sends(nat, ICMP, A, 0, S, 0, 0, 0), 0, 'an identifier may be 0')
  t.not(sends(nat, ICMP, B, 0, S, 0, 0, 0), 0)
  t.equal(nat.size, 8)
})

t.test('who may answer', async (t) => {
  for (const [filtering, expected] of [
    ['endpointIndependent', ['2:5000', '2:5000', '2:5000']],
    ['address', ['2:5000', '2:5000', 'refused']],
    ['addressAndPort', ['2:5000', 'refused', 'refused']],
  ] as const) {
    const nat = table({ filtering })
    sends(nat, UDP, A, 5000, S, 53, 0, 0)
    const got = [
      arrives(nat, UDP, 5000, S, 53, 0),
      arrives(nat, UDP, 5000, S, 54, 0),
      arrives(nat, UDP, 5000, T, 53, 0),
    ]
    t.strictSame(got, expected, filtering)
  }
})

t.test('sessions of UDP are kept by what is sent from inside alone', async (t) => {
  const nat = table()
  sends(nat, UDP, A, 5000, S, 53, 0, 0)
  t.equal(nat.deadline, seconds(300))
  arrives(nat, UDP, 5000, S, 53, seconds(200))
  t.equal(nat.deadline, seconds(300))
  sends(nat, UDP, A, 5000, T, 53, 0, seconds(100))
  sends(nat, UDP, A, 5000, S, 53, 0, seconds(250))
  nat.expire(seconds(400))
  t.equal(arrives(nat, UDP, 5000, T, 53, seconds(400)), 'refused', 'that session has ended')
  t.equal(arrives(nat, UDP, 5000, S, 53, seconds(400)), '2:5000', 'this has not')
  nat.expire(seconds(550))
  t.equal(arrives(nat, UDP, 5000, S, 53, seconds(550)), 'none', 'and with the last the mapping')
  t.equal(nat.size, 0)
  t.equal(nat.deadline, Number.POSITIVE_INFINITY)
  sends(nat, ICMP, A, 7, S, 0, 0, 0)
  t.equal(nat.deadline, seconds(60))
})

t.test('sessions of TCP live as their connections do', async (t) => {
  const nat = table()
  const { out, into } = connection(nat)
  out(SYN, 0)
  t.equal(nat.deadline, seconds(240), 'opening')
  into(SYN | ACK, seconds(1))
  t.equal(nat.deadline, seconds(1 + 240), 'still opening: a scan of ports leaves no more than this')
  out(ACK, seconds(1))
  t.equal(nat.deadline, seconds(1 + 7440), 'open, since both have acknowledged (RFC 5382 §5)')
  out(FIN | ACK, seconds(2))
  t.equal(nat.deadline, seconds(2 + 7440), 'half closed is open')
  into(FIN | ACK, seconds(3))
  t.equal(nat.deadline, seconds(3 + 240), 'closed')
  out(ACK, seconds(4))
  t.equal(nat.deadline, seconds(4 + 240))
  out(SYN, seconds(5))
  into(SYN | ACK, seconds(6))
  out(ACK, seconds(6))
  t.equal(nat.deadline, seconds(6 + 7440), 'and anew')
  into(RST, seconds(7))
  t.equal(nat.deadline, seconds(7 + 240), 'reset')
  nat.expire(seconds(247))
  t.equal(nat.size, 0)
})

/** A connection that is open: from inside 1000, from outside 9000 is expected next, 500 octets of each. */
function opened(nat: NatTable) {
  const { out, into } = connection(nat)
  out({ flags: SYN, seq: 999, last: 999, window: 500 }, 0)
  into({ flags: SYN | ACK, seq: 8999, last: 8999, ack: 1000, window: 500 }, 0)
  out({ flags: ACK, seq: 1000, last: 999, ack: 9000, window: 500 }, 0)
  return { out, into }
}

t.test('what ends a connection is heeded where the other end would heed it', async (t) => {
  const OPEN = seconds(1 + 7440)
  const OVER = seconds(2 + 240)
  const after = (said: Partial<Segment>, outbound = false) => {
    const nat = table()
    const { out, into } = opened(nat)
    out({ flags: ACK, seq: 1000, last: 999, ack: 9000, window: 500 }, seconds(1))
    if (outbound) out(said, seconds(2))
    else t.equal(into(said, seconds(2)), '2:5000', 'it is translated whatever it is')
    return nat.deadline
  }
  for (const seq of [9000, 9001, 9500]) t.equal(after({ flags: RST, seq }), OVER, `${seq} is within the window`)
  for (const seq of [0, 8999, 9501, 0x7fff_0000, -9000]) t.equal(after({ flags: RST, seq }), OPEN, `${seq} is not`)
  t.equal(after({ flags: RST, seq: 1000 }, true), OVER)
  t.equal(after({ flags: RST, seq: 1501 }, true), OPEN, 'nor does it refresh (RFC 7857)')

  // What a side says it has sent last, both sides have to.
  const closes = (last: number) => {
    const nat = table()
    const { out, into } = opened(nat)
    out({ flags: FIN | ACK, seq: 1000, last: 1000, ack: 9000, window: 500 }, seconds(1))
    into({ flags: FIN | ACK, seq: last, last, ack: 1001, window: 500 }, seconds(2))
    return nat.deadline
  }
  t.equal(closes(9000), OVER)
  t.equal(closes(20_000), seconds(2 + 7440))
})

t.test('windows are as large as their scale makes them', async (t) => {
  for (const [scale, seq, ends] of [
    [7, 9000 + 500 * 128, true],
    [7, 9001 + 500 * 128, false],
    [0, 9501, false],
  ] as const) {
    const nat = table()
    const { out, into } = connection(nat)
    out({ flags: SYN, seq: 999, last: 999, window: 500, scale }, 0)
    into({ flags: SYN | ACK, seq: 8999, last: 8999, ack: 1000, window: 500, scale: 3 }, 0)
    out({ flags: ACK, seq: 1000, last: 999, ack: 9000, window: 500 }, 0)
    into({ flags: RST, seq }, 0)
    t.equal(nat.deadline, seconds(ends ? 240 : 7440), `${seq} by ${scale}`)
  }
})

t.test('a connection that goes on was not reset, and one reset is kept no longer', async (t) => {
  const nat = table()
  const { out, into } = opened(nat)
  into({ flags: RST, seq: 9100 }, seconds(1))
  t.equal(nat.deadline, seconds(241))
  into({ flags: RST, seq: 9100 }, seconds(2))
  t.equal(nat.deadline, seconds(241), 'resets keep nothing')
  // A receiver answers what is within its window, but not what it expects (RFC 5961 §3.2).
  out({ flags: ACK, seq: 1000, last: 999, ack: 9000, window: 500 }, seconds(3))
  t.equal(nat.deadline, seconds(3 + 7440))
  into({ flags: RST, seq: 9000 }, seconds(4))
  nat.expire(seconds(244))
  t.equal(nat.size, 0)
})

t.test('forwards stay, and what answers there keeps the port', async (t) => {
  const nat = table({ forwards: [{ protocol: 'tcp', port: 8080, to: '192.168.0.2:80' }] })
  t.equal(arrives(nat, TCP, 8080, S, 999, 0, SYN), '2:80')
  t.equal(sends(nat, TCP, A, 80, S, 999, SYN | ACK, 0), 8080)
  t.not(sends(nat, TCP, B, 8080, S, 80, SYN, 0), 8080, 'nobody else gets it')
  nat.expire(seconds(10_000))
  t.equal(arrives(nat, TCP, 8080, T, 1, 0, SYN), '2:80')
  nat.clear()
  t.equal(arrives(nat, TCP, 8080, T, 1, 0, SYN), '2:80')
})

t.test('all is bounded, and one host does not take it all', async (t) => {
  const nat = table({ maxSessions: 100, maxSessionsPerHost: 60 })
  const many = (address: number) =>
    Array.from({ length: 200 }, (_, i) => sends(nat, UDP, address, 2000 + i, S, 53, 0, i)).filter(
      (port) => !isRefusal(port),
    )
  t.equal(many(A).length, 60)
  t.equal(many(B).length, 40)
  t.equal(nat.size, 100)
  t.equal(sends(nat, UDP, A, 2000, S, 53, 0, 500), 2000, 'those that are there go on')
  nat.clear()
  t.equal(nat.size, 0)
  t.equal(sends(nat, UDP, A, 2000, S, 53, 0, 500), 2000)
})

t.test('what answers at a forward gets out when there is no room for a session', async (t) => {
  const forwards = [{ protocol: 'tcp', port: 8080, to: '192.168.0.2:80' } as const]
  const nat = table({ forwards, maxSessions: 3, maxSessionsPerHost: 2 })
  sends(nat, UDP, A, 1, S, 53, 0, 0)
  sends(nat, UDP, A, 2, S, 53, 0, 0)
  t.equal(sends(nat, TCP, A, 80, S, 999, SYN | ACK, 0), 8080, 'its host has no more')
  sends(nat, UDP, B, 1, S, 53, 0, 0)
  t.equal(sends(nat, TCP, A, 80, S, 999, SYN | ACK, 0), 8080, 'nobody has')
  t.equal(sends(nat, TCP, A, 81, S, 999, SYN | ACK, 0), HOST_FULL)
  t.equal(nat.size, 3)
  nat.clear()
  t.equal(sends(nat, TCP, A, 80, S, 999, RST | ACK, 0), 8080, 'a refusal is no session')
  t.equal(nat.size, 0)
})

t.test('a scan of the ports of one remote host makes no long chain', async (t) => {
  const nat = table()
  for (let port = 1; port <= 8192; port++) sends(nat, UDP, A, 5000, S, port, 0, 0)
  t.equal(nat.size, 8192)
  type Link = { readonly next: Link | null }
  const lengths = (Reflect.get(nat, 'sessions') as (Link | null)[]).map((head) => {
    let length = 0
    for (let link = head; link !== null; link = link.next) length++
    return length
  })
  t.ok(Math.max(...lengths) < 16)
  t.equal(arrives(nat, UDP, 5000, S, 9999, 0), '2:5000', 'the address is one that was sent to')
  nat.expire(seconds(301))
  t.equal(nat.size, 0)
  t.ok((Reflect.get(nat, 'remotes') as (Link | null)[]).every((head) => head === null))
})

t.test('ports that are reserved, and those of a range and parity that is used up', async (t) => {
  const nat = table({ reserved: [5000, 7], maxSessions: 2000, maxSessionsPerHost: 2000 })
  t.not(sends(nat, UDP, A, 5000, S, 53, 0, 0), 5000)
  const got: number[] = []
  for (let i = 1; i <= 1100; i++) got.push(sends(nat, UDP, i, 7, S, 7, 0, 0))
  t.equal(new Set(got).size, 1100)
  // 1 to 1023 without 7.
  t.ok(got.slice(0, 511).every((port) => port < 1024 && port % 2 === 1))
  t.ok(got.slice(511, 1022).every((port) => port > 0 && port < 1024 && port % 2 === 0))
  t.ok(got.slice(1022).every((port) => port >= 1024 && port % 2 === 1))
})

t.test('options that make no sense', async (t) => {
  const refuses = (options: Partial<NatOptions>, code: string) =>
    t.throws(() => natSettings({ link: 'wan', ...options }), { code }, JSON.stringify(options))
  refuses({ link: '' }, 'ERR_INVALID_ARG_VALUE')
  refuses({ filtering: 'none' as 'address' }, 'ERR_INVALID_ARG_VALUE')
  refuses({ maxSessions: 0 }, 'ERR_OUT_OF_RANGE')
  refuses({ inside: ['fd00::/8'] }, 'ERR_INVALID_ARG_VALUE')
  refuses({ timeouts: { udp: 5 } }, 'ERR_OUT_OF_RANGE')
  refuses({ reserved: [70_000] }, 'ERR_OUT_OF_RANGE')
  for (const to of ['192.168.0.2:0', '192.168.0.2:x', 'host:80', 'fd00::1', '192.168.0.2:1:2']) {
    refuses({ forwards: [{ protocol: 'tcp', port: 80, to }] }, 'ERR_INVALID_ARG_VALUE')
  }
  refuses({ forwards: [{ protocol: 'sctp' as 'tcp', port: 80, to: '192.168.0.2' }] }, 'ERR_INVALID_ARG_VALUE')
  refuses({ forwards: [{ protocol: 'tcp', port: 0, to: '192.168.0.2:80' }] }, 'ERR_OUT_OF_RANGE')
  const [one, two] = [
    { protocol: 'tcp', port: 80, to: '192.168.0.2:80' } as const,
    { protocol: 'tcp', port: 81, to: '192.168.0.2:80' } as const,
  ]
  refuses({ forwards: [one, two] }, 'ERR_INVALID_ARG_VALUE')
  refuses({ forwards: [one, one] }, 'ERR_INVALID_ARG_VALUE')
})

t.test('all of a range is given before anybody is refused', async (t) => {
  const nat = table({ maxSessions: 2 ** 17, maxSessionsPerHost: 2 ** 17 })
  const got = new Set<number>()
  for (let i = 0; i < 64_512; i++) got.add(sends(nat, TCP, i, 40_000, S, 1, SYN, 0))
  t.equal(got.size, 64_512, 'each another')
  t.notOk(got.has(FULL))
  t.equal(sends(nat, TCP, B, 40_000, S, 1, SYN, 0), FULL, 'the well-known ones are not for him')
  nat.clear()
  t.equal(sends(nat, TCP, B, 40_000, S, 1, SYN, 0), 40_000)
})

t.test('properties', async (t) => {
  const step = fc.record({
    protocol: fc.constantFrom(TCP, UDP, ICMP),
    host: fc.constantFrom(A, B, 77),
    port: fc.constantFrom(1, 2, 1023, 5000, 5001, 65_535),
    remote: fc.constantFrom(S, T),
    remotePort: fc.constantFrom(53, 80),
    flags: fc.constantFrom(SYN, ACK, SYN | ACK, FIN | ACK, RST),
    wait: fc.constantFrom(0, seconds(30), seconds(100), seconds(400)),
    inbound: fc.boolean(),
  })
  holds(
    t,
    'mappings are one to one while they live, and answers come back to who asked',
    fc.property(
      fc.array(step, { maxLength: 80 }),
      fc.constantFrom('endpointIndependent', 'address', 'addressAndPort'),
      (steps, filtering) => {
        const nat = table({ filtering, maxSessions: 20, maxSessionsPerHost: 12 })
        let now = 0
        for (const { protocol, host, port, remote, remotePort, flags, wait, inbound } of steps) {
          now += wait
          nat.expire(now)
          assert.ok(nat.deadline > now)
          if (inbound) {
            arrives(nat, protocol, port, remote, remotePort, now, flags)
            continue
          }
          const before = nat.mappingInside(protocol, host, port)?.outsidePort
          const outside = sends(nat, protocol, host, port, remote, remotePort, flags, now)
          if (isRefusal(outside)) {
            assert.ok(nat.size >= 12)
            continue
          }
          if (before !== undefined) assert.equal(outside, before)
          if (protocol === TCP && flags === RST) continue
          assert.equal(arrives(nat, protocol, outside, remote, remotePort, now, ACK), `${host & 255}:${port}`)
          const inside = [...nat.entries()].map((m) => `${m.protocol} ${m.insideAddress} ${m.insidePort}`)
          assert.equal(new Set(inside).size, inside.length)
          assert.ok(nat.size <= 20)
        }
        nat.expire(now + seconds(8000))
        assert.equal(nat.size, 0)
        assert.equal([...nat.entries()].length, 0)
      },
    ),
    { numRuns: 300 },
  )
})
