/** The table of a translation, by calls on virtual time. */
import assert from 'node:assert'
import fc from 'fast-check'
import t from 'tap'
import { type NatOptions, natSettings } from '../../../../layers/network/nat/options.ts'
import { FULL, NatTable } from '../../../../layers/network/nat/table.ts'
import { seconds } from '../../../../src/kernel/clock.ts'
import { SeededRandom } from '../../../../src/kernel/random.ts'
import { holds } from '../../../property.ts'

const [ICMP, TCP, UDP] = [1, 6, 17] as const
const [A, B] = [0xc0a8_0002 | 0, 0xc0a8_0003 | 0]
const [S, T] = [0xc633_6401 | 0, 0xcb00_7109 | 0]
const [FIN, SYN, RST, ACK] = [1, 2, 4, 16] as const

const table = (options: Partial<NatOptions> = {}) =>
  new NatTable(natSettings({ link: 'wan', ...options }), new SeededRandom([1, 2, 3, 4]))

/** Who gets what arrives at a port outside, if it may pass. */
function arrives(
  of: NatTable,
  protocol: number,
  port: number,
  remote: number,
  remotePort: number,
  now: number,
  flags = 0,
) {
  const mapping = of.mappingOutside(protocol, port)
  if (mapping === null) return 'none'
  return of.admits(mapping, remote, remotePort, flags, now)
    ? `${mapping.insideAddress & 255}:${mapping.insidePort}`
    : 'refused'
}

t.test('a port is kept, whoever it talks to; two hosts do not get the same one', async (t) => {
  const nat = table()
  t.equal(nat.outbound(UDP, A, 5000, S, 53, 0, 0), 5000)
  t.equal(nat.outbound(UDP, A, 5000, T, 99, 0, 0), 5000, 'endpoint-independent')
  const other = nat.outbound(UDP, B, 5000, S, 53, 0, 0)
  t.not(other, 5000)
  t.equal(other % 2, 0, 'of the same parity')
  t.ok(other >= 1024)
  t.equal(nat.outbound(TCP, B, 5000, S, 53, SYN, 0), 5000, 'protocols have ports of their own')
  t.equal(nat.outbound(UDP, A, 123, S, 123, 0, 0), 123)
  const low = nat.outbound(UDP, B, 123, S, 123, 0, 0)
  t.ok(low < 1024 && low % 2 === 1, `well-known stays well-known: ${low}`)
  t.equal(arrives(nat, UDP, 5000, S, 53, 0), '2:5000')
  t.equal(arrives(nat, UDP, other, S, 53, 0), '3:5000')
  t.equal(nat.outbound(ICMP, A, 0, S, 0, 0, 0), 0, 'an identifier may be 0')
  t.not(nat.outbound(ICMP, B, 0, S, 0, 0, 0), 0)
  t.equal(nat.size, 8)
})

t.test('who may answer', async (t) => {
  for (const [filtering, expected] of [
    ['endpointIndependent', ['2:5000', '2:5000', '2:5000']],
    ['address', ['2:5000', '2:5000', 'refused']],
    ['addressAndPort', ['2:5000', 'refused', 'refused']],
  ] as const) {
    const nat = table({ filtering })
    nat.outbound(UDP, A, 5000, S, 53, 0, 0)
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
  nat.outbound(UDP, A, 5000, S, 53, 0, 0)
  t.equal(nat.deadline, seconds(300))
  arrives(nat, UDP, 5000, S, 53, seconds(200))
  t.equal(nat.deadline, seconds(300))
  nat.outbound(UDP, A, 5000, T, 53, 0, seconds(100))
  nat.outbound(UDP, A, 5000, S, 53, 0, seconds(250))
  nat.expire(seconds(400))
  t.equal(arrives(nat, UDP, 5000, T, 53, seconds(400)), 'refused', 'that session has ended')
  t.equal(arrives(nat, UDP, 5000, S, 53, seconds(400)), '2:5000', 'this has not')
  nat.expire(seconds(550))
  t.equal(arrives(nat, UDP, 5000, S, 53, seconds(550)), 'none', 'and with the last the mapping')
  t.equal(nat.size, 0)
  t.equal(nat.deadline, Number.POSITIVE_INFINITY)
  nat.outbound(ICMP, A, 7, S, 0, 0, 0)
  t.equal(nat.deadline, seconds(60))
})

t.test('sessions of TCP live as their connections do', async (t) => {
  const nat = table()
  const out = (flags: number, now: number) => nat.outbound(TCP, A, 5000, S, 80, flags, now)
  const into = (flags: number, now: number) => arrives(nat, TCP, 5000, S, 80, now, flags)
  out(SYN, 0)
  t.equal(nat.deadline, seconds(240), 'opening')
  into(SYN | ACK, seconds(1))
  t.equal(nat.deadline, seconds(1 + 7440), 'open')
  out(FIN | ACK, seconds(2))
  t.equal(nat.deadline, seconds(2 + 7440), 'half closed is open')
  into(FIN | ACK, seconds(3))
  t.equal(nat.deadline, seconds(3 + 240), 'closed')
  out(ACK, seconds(4))
  t.equal(nat.deadline, seconds(4 + 240))
  out(SYN, seconds(5))
  into(SYN | ACK, seconds(6))
  t.equal(nat.deadline, seconds(6 + 7440), 'and anew')
  into(RST, seconds(7))
  t.equal(nat.deadline, seconds(7 + 240), 'reset')
  nat.expire(seconds(247))
  t.equal(nat.size, 0)
})

t.test('forwards stay, and what answers there keeps the port', async (t) => {
  const nat = table({ forwards: [{ protocol: 'tcp', port: 8080, to: '192.168.0.2:80' }] })
  t.equal(arrives(nat, TCP, 8080, S, 999, 0, SYN), '2:80')
  t.equal(nat.outbound(TCP, A, 80, S, 999, SYN | ACK, 0), 8080)
  t.not(nat.outbound(TCP, B, 8080, S, 80, SYN, 0), 8080, 'nobody else gets it')
  nat.expire(seconds(10_000))
  t.equal(arrives(nat, TCP, 8080, T, 1, 0, SYN), '2:80')
  nat.clear()
  t.equal(arrives(nat, TCP, 8080, T, 1, 0, SYN), '2:80')
})

t.test('all is bounded, and one host does not take it all', async (t) => {
  const nat = table({ maxSessions: 100, maxSessionsPerHost: 60 })
  const many = (address: number) =>
    Array.from({ length: 200 }, (_, i) => nat.outbound(UDP, address, 2000 + i, S, 53, 0, i)).filter(
      (port) => port !== FULL,
    )
  t.equal(many(A).length, 60)
  t.equal(many(B).length, 40)
  t.equal(nat.size, 100)
  t.equal(nat.outbound(UDP, A, 2000, S, 53, 0, 500), 2000, 'those that are there go on')
  nat.clear()
  t.equal(nat.size, 0)
  t.equal(nat.outbound(UDP, A, 2000, S, 53, 0, 500), 2000)
})

t.test('a scan of the ports of one remote host makes no long chain', async (t) => {
  const nat = table()
  for (let port = 1; port <= 8192; port++) nat.outbound(UDP, A, 5000, S, port, 0, 0)
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

t.test('ports that are reserved, and none left', async (t) => {
  const nat = table({ reserved: [5000] })
  t.not(nat.outbound(UDP, A, 5000, S, 53, 0, 0), 5000)
  const full = table({ maxSessions: 2000, maxSessionsPerHost: 2000 })
  // Of the well-known ports half are odd.
  const low = new Set<number>()
  for (let i = 1; i <= 512; i++) low.add(full.outbound(UDP, i, 7, S, 7, 0, 0))
  t.equal(low.size, 512)
  t.ok([...low].every((port) => port % 2 === 1 && port < 1024))
  t.equal(full.outbound(UDP, 601, 7, S, 7, 0, 0), FULL)
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
          const outside = nat.outbound(protocol, host, port, remote, remotePort, flags, now)
          if (outside === FULL) {
            assert.ok(nat.size >= 12)
            continue
          }
          if (before !== undefined) assert.equal(outside, before)
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
