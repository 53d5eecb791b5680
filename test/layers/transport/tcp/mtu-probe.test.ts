/** Path MTU discovery by what gets through (RFC 4821): black holes, probes of data, and what else may befall them. */
import t from 'tap'
import type { TcpOptions } from '../../../../layers/transport/tcp/settings.ts'
import type { Connection, ConnectionOptions } from '../../../../src/api/sockets.ts'
import { ms, seconds } from '../../../../src/kernel/clock.ts'
import { transfer } from './bottleneck.ts'
import { Script, type ScriptOptions } from './script.ts'

interface Opened {
  readonly s: Script
  readonly c: Connection
  /** 'event reason RFC' of each segment that the taps were told of. */
  readonly notes: string[]
}

/** Established with a round trip of 100 ms by a peer that takes 1460 octets and has SACK. */
function open(
  tcp: TcpOptions = {},
  options: Partial<ConnectionOptions> = {},
  more: ScriptOptions = {},
  agreed = 'mss 1460,sackOK',
): Opened {
  const s = new Script({ ...more, tcp })
  const notes: string[] = []
  s.tcpBoundary.watch({ note: (_packet, event, reason, rfc) => notes.push(`${event} ${reason} ${rfc}`) })
  const c = s.connect(options)
  s.skip()
  s.run(ms(100))
  s.in(`S. 0:0 ack 1 win 65535 <${agreed}>`)
  s.skip()
  return { s, c, notes }
}

const searching: TcpOptions = { mtuProbing: 'always', baseSegment: 512 }
/** Two segments of 512, a probe of 1460 octets, and others behind it. */
function probing(options: Partial<ConnectionOptions> = {}, more: ScriptOptions = {}, agreed?: string): Opened {
  const opened = open(searching, options, more, agreed)
  opened.s.write(opened.c, 20_000)
  return opened
}
const FLIGHT = [
  '. 1:513 ack 1',
  'P. 513:1025 ack 1',
  '. 1025:2485 ack 1',
  '. 2485:2997 ack 1',
  'P. 2997:3509 ack 1',
  '. 3509:4021 ack 1',
  'P. 4021:4533 ack 1',
  '. 4533:5045 ack 1',
]
/** Behind what was sent last. */
const end = ({ lastPacket }: Script): number => (lastPacket?.seq ?? 0) + (lastPacket?.length ?? 0)
const sack = (ack: number, block: string) => `. 1:1 ack ${ack} <nop,nop,sack ${block}>`

// ── black holes

t.test('the third timeout in a row makes segments small, and further ones smaller (RFC 4821 §7.7)', async (t) => {
  const { s, c, notes } = open({ tailLossProbe: false })
  s.write(c, 2920)
  s.out('. 1:1461 ack 1', 'P. 1461:2921 ack 1')
  for (const wait of [300, 600]) {
    s.run(ms(wait))
    s.out('. 1:1461 ack 1')
  }
  s.run(ms(1200))
  s.out('. 1:1025 ack 1')
  t.match(c.info(), { pathMtu: 1064, maxSegment: 1024, cwnd: 1024 })
  s.run(ms(2400))
  s.out('. 1:513 ack 1')
  s.run(ms(4800))
  s.out('. 1:513 ack 1')
  t.match(c.info(), { pathMtu: 552, maxSegment: 512 })
  t.same(notes.slice(1), [
    'retransmit rto RFC 6298 §5.4',
    'retransmit blackHole RFC 4821 §7.7',
    'retransmit blackHole RFC 4821 §7.7',
    'retransmit rto RFC 6298 §5.4',
  ])
  s.in('. 1:1 ack 513')
  s.in('. 1:1 ack 2921')
  t.equal(c.queuedOctets, 0)
  s.tells('established')
})

t.test('what has arrived of the size speaks against a black hole, for two timeouts more', async (t) => {
  const { s, c } = open({ tailLossProbe: false })
  s.write(c, 2920)
  s.out('. 1:1461 ack 1', 'P. 1461:2921 ack 1')
  s.in(sack(1, '1461:2921'))
  s.run(ms(5000))
  t.match(c.info(), { timeouts: 4, maxSegment: 1460 })
  s.run(ms(4800))
  t.match(c.info(), { timeouts: 5, maxSegment: 1024 })
})

t.test(
  'nothing becomes smaller when it was not large, when there is a better reason, or when nobody wants it',
  async (t) => {
    for (const [what, tcp, options, octets, error] of [
      ['small segments', {}, {}, 1000, false],
      ['off', { mtuProbing: 'off' }, {}, 1460, false],
      ['fragments are allowed', {}, { pathMtuDiscovery: false }, 1460, false],
      ['a router says that the host is away', {}, {}, 1460, true],
    ] as const) {
      const { s, c } = open(tcp, options)
      s.write(c, octets)
      s.skip()
      if (error) s.icmp(1, { code: 'EHOSTUNREACH', reason: 'hostUnreachable' })
      s.run(seconds(5))
      t.ok(c.info().timeouts >= 3, what)
      t.equal(c.info().maxSegment, 1460, what)
    }
  },
)

t.test('a delay is no black hole: when what was large turns out to have arrived, all is as before', async (t) => {
  const forth = { rate: 2_000_000, delay: ms(10), stall: [ms(200), seconds(3)] as const }
  const { info, again, took } = await transfer({ octets: 2_000_000, forth })
  t.ok((again.blackHole ?? 0) > 0, 'it was suspected')
  t.match(info, { pathMtu: 1500, maxSegment: 1448, mtuProbes: 0 })
  t.ok(took < seconds(4.2), `${took} µs`)
})

t.test('an outage is none either: the first probe that arrives shows it', async (t) => {
  const forth = { rate: 2_000_000, delay: ms(10), mtu: (now: number) => (now > ms(200) && now < seconds(3) ? 0 : 1500) }
  const { info } = await transfer({ octets: 2_000_000, forth })
  t.match(info, { pathMtu: 1500, maxSegment: 1448, mtuProbes: 1 })
})

for (const [name, tcp, segment] of [
  ['SACK', {}, 0],
  ['super-segments', {}, 65_535],
  ['neither SACK nor timestamps', { sack: false, timestamps: false }, 0],
] as const) {
  t.test(`a path that drops what is large and says nothing: no more than a pause, with ${name}`, async (t) => {
    const octets = 1_000_000
    const forth = { rate: 2_000_000, delay: ms(10) }
    // Of three timeouts, 220 ms at first; the handshake, a tail loss probe and the queue come to it.
    const pause = 7 * ms(220) + ms(150)
    for (const mtu of [1492, 1400, 1280, 1100]) {
      const { silence, info, again } = await transfer({ octets, segment, tcp, forth: { ...forth, mtu: () => mtu } })
      t.ok(silence < pause, `${mtu}: ${silence} µs`)
      t.ok(info.pathMtu <= mtu && info.pathMtu > mtu - 8, `${info.pathMtu} of ${mtu}`)
      t.equal(again.rto, 2)
      t.ok(info.mtuProbes <= 16, `${info.mtuProbes} probes`)
    }
    const { silence, info } = await transfer({ octets, segment, tcp, forth: { ...forth, mtu: () => 600 } })
    t.ok(silence < pause + 8 * ms(220), `600, after the fourth: ${silence} µs`)
    t.ok(info.pathMtu > 592 && info.pathMtu <= 600)
  })
}

t.test('where packets are lost besides, a peer without SACK costs a third of the time at most', async (t) => {
  for (const seed of [1, 2]) {
    const flow = { octets: 500_000, seed, forth: { rate: 2_000_000, delay: ms(10), loss: 100, mtu: () => 1400 } }
    const sacked = await transfer(flow)
    const without = await transfer({ ...flow, tcp: { sack: false, timestamps: false } })
    for (const { info } of [sacked, without]) t.ok(info.pathMtu > 1376 && info.pathMtu <= 1400, `${info.pathMtu}`)
    t.ok(without.took < sacked.took * 1.33, `${without.took} µs, with SACK ${sacked.took}`)
  }
})

t.test('a path that becomes narrow in the middle of a transfer, and wide again', async (t) => {
  const mtu = (now: number) => (now > seconds(2) && now < seconds(4) ? 1300 : 1500)
  const { info, took } = await transfer({ octets: 3_000_000, forth: { rate: 500_000, delay: ms(10), mtu } })
  t.ok(took < seconds(10), `${took} µs`)
  t.ok(info.pathMtu > 1292, `${info.pathMtu}: it is not searched again before ten minutes`)
})

t.test('a path that becomes wide is noticed after ten minutes', async (t) => {
  const mtu = (now: number) => (now < seconds(300) ? 1300 : 1500)
  const forth = { rate: 2_000_000, delay: ms(10), mtu }
  const { info } = await transfer({ octets: 2_000_000, write: 200_000, pause: seconds(100), forth })
  t.match(info, { pathMtu: 1500, maxSegment: 1448 })
})

// ── probes

t.test('a probe that arrives makes all segments as large (RFC 4821 §7.6.1)', async (t) => {
  const { s, c, notes } = probing()
  s.out(...FLIGHT)
  t.same(notes, ['probe pathMtu RFC 4821 §7.5'])
  t.match(c.info(), { maxSegment: 512, pathMtu: 552, mtuProbes: 1 })
  const { cwnd } = c.info()
  s.in('. 1:1 ack 1025')
  s.skip()
  t.equal(c.info().maxSegment, 512)
  s.in('. 1:1 ack 2485')
  t.match(c.info(), { maxSegment: 1460, pathMtu: 1500 })
  t.equal(c.info().cwnd, cwnd + 2484, 'octets of a window do not change by it')
  s.skip()
  t.equal(s.lastPacket?.length, 1460)
})

t.test(
  'a probe that is lost alone goes again in small segments, and leaves cwnd as it is (RFC 4821 §7.6.2)',
  async (t) => {
    for (const agreed of ['mss 1460,sackOK', 'mss 1460']) {
      const { s, c, notes } = probing({}, {}, agreed)
      s.out(...FLIGHT)
      s.run(ms(100))
      s.in('. 1:1 ack 1025')
      s.out('. 5045:5557 ack 1', 'P. 5557:6069 ack 1', '. 6069:6581 ack 1', 'P. 6581:7093 ack 1')
      const { cwnd } = c.info()
      if (agreed.endsWith('OK')) s.in(sack(1025, '2485:2997'), sack(1025, '2485:4021'))
      else s.in('. 1:1 ack 1025', '. 1:1 ack 1025', '. 1:1 ack 1025')
      s.run(0)
      const { congestionState, cwnd: after, ssthresh } = c.info()
      t.same([congestionState, after], ['loss', cwnd], 'as Linux calls it')
      t.ok(ssthresh > 1_000_000, 'it is in slow start still')
      s.skip()
      t.same(
        notes.filter((note) => note.includes('pathMtuProbe')),
        Array(3).fill('retransmit pathMtuProbe RFC 4821 §7.6.2'),
      )
      s.in('. 1:1 ack 7093')
      s.skip()
      s.in('. 1:1 ack 9000')
      t.match(c.info(), { congestionState: 'open', lost: 0, maxSegment: 512 })
      t.ok(c.info().cwnd > cwnd)
    }
  },
)

t.test('another loss beside it is one: the window is reduced, and the probe proves nothing', async (t) => {
  const { s, c } = probing()
  s.skip()
  s.run(ms(100))
  s.in('. 1:1 ack 1025')
  s.skip()
  s.in(sack(1025, '3509:5045'))
  t.match(c.info(), { congestionState: 'recovery', lost: 1460 + 1024 })
  t.ok(c.info().ssthresh < 6144)
  s.skip()
  const { s: later, c: d } = probing()
  later.skip()
  later.run(ms(100))
  later.in('. 1:1 ack 1025')
  later.skip()
  later.in(sack(1025, '2485:4021'))
  later.skip()
  t.equal(d.info().congestionState, 'loss')
  later.run(ms(50))
  later.in(sack(1025, '2485:4021 4533:5045'))
  t.equal(d.info().congestionState, 'recovery', 'also when it shows later')
})

t.test('a probe of a super-segment link is one packet', async (t) => {
  const { s } = probing({}, { segment: 65_535, checksum: true })
  const seen: (readonly [number, number])[] = []
  const { sent } = s.net
  s.net.sent = (packet, to) => {
    seen.push([packet.length - 20, packet.segmentOctets])
    return sent(packet, to)
  }
  s.run(0)
  t.ok(
    seen.some(([octets, segment]) => octets === 1460 && segment === 0),
    JSON.stringify(seen),
  )
})

t.test('what the peer takes, not what the link does, is the largest probe', async (t) => {
  const { s, c } = probing({}, {}, 'mss 1000,sackOK')
  s.skip()
  s.in('. 1:1 ack 5045')
  t.match(c.info(), { maxSegment: 1000, pathMtu: 1040 })
})

t.test('none without enough to send behind it, nor while something is amiss', async (t) => {
  const { s, c } = open(searching)
  s.write(c, 3000)
  s.skip()
  t.equal(c.info().mtuProbes, 0)
  const { s: small, c: d } = open(searching)
  small.in('. 1:1 ack 1 win 3000')
  small.write(d, 20_000)
  small.skip()
  t.equal(d.info().mtuProbes, 0, 'a small window')
  const { s: records, c: e } = open(searching)
  records.write(e, 700)
  e.endRecord()
  records.write(e, 20_000, 700)
  records.skip()
  t.equal(e.info().mtuProbes, 0, 'no segment holds octets of two records')
})

// ── what routers say

t.test(
  'a router that speaks of the probe: it goes again at once, and what the router says is probed next',
  async (t) => {
    const { s, c } = probing()
    s.out(...FLIGHT)
    const { cwnd } = c.info()
    t.notOk(s.icmp(9000, { code: 'EMSGSIZE', reason: 'fragmentationNeeded', mtu: 1300 }), 'forged: not in flight')
    t.equal(c.info().lost, 0)
    t.ok(s.icmp(1025, { code: 'EMSGSIZE', reason: 'fragmentationNeeded', mtu: 1300 }))
    s.out('. 1025:1537 ack 1', '. 1537:2049 ack 1', 'P. 2049:2485 ack 1')
    t.match(c.info(), { cwnd, maxSegment: 512, lost: 1460 })
    s.in('. 1:1 ack 5045')
    s.skip()
    s.in('. 1:1 ack 7093')
    s.run(0)
    t.equal(c.info().mtuProbes, 2)
    s.in(`. 1:1 ack ${end(s)}`)
    t.match(c.info(), { maxSegment: 1260, pathMtu: 1300 })
  },
)

t.test('a report that the probe fits into changes nothing', async (t) => {
  const { s, c } = probing()
  s.skip()
  s.icmp(1025, { code: 'EMSGSIZE', reason: 'fragmentationNeeded', mtu: 1500 })
  s.out()
  t.match(c.info(), { lost: 0, pathMtu: 552 })
})

t.test('a report about this connection is forgotten with the path it was about', async (t) => {
  const { s, c } = open()
  s.write(c, 1460)
  s.skip()
  s.icmp(1, { code: 'EMSGSIZE', reason: 'fragmentationNeeded', mtu: 1000 })
  s.skip()
  t.equal(c.info().pathMtu, 1000)
  s.in('. 1:1 ack 1461')
  s.net.setMtu(1500)
  s.write(c, 1460, 1460)
  s.out('P. 1461:2921 ack 1')
  t.equal(c.info().pathMtu, 1500)
})
