/** What every header we send holds, and what is read of those that arrive (RFC 9293 §3.1, §3.2, §3.7.1). */
import t from 'tap'
import { tcpSettings } from '../../../../layers/transport/tcp/settings.ts'
import { endpoint, Tcb } from '../../../../layers/transport/tcp/tcb.ts'
import type { Connection } from '../../../../src/api/sockets.ts'
import { parseAddress } from '../../../../src/kernel/address.ts'
import { seconds } from '../../../../src/kernel/clock.ts'
import { referenceChecksum } from '../../network/ipv4/stand.ts'
import { Script } from './script.ts'

const SYN = 0x02
const URG = 0x20

/** Keeps the octets of everything a script sends from here on. */
function listenIn(s: Script, segments: Uint8Array[]): void {
  const { sent } = s.net
  s.net.sent = (packet, to) => {
    segments.push(packet.bytes().slice())
    return sent(packet, to)
  }
}

/** Opening, data both ways with a hole, a loss, probes, closing, an old segment, a stranger: all that TCP makes. */
function talk(s: Script, timestamps: boolean, end: (c: Connection) => void): void {
  const first = timestamps ? ',ts 1000 0' : ''
  const later = timestamps ? ' <nop,nop,ts 1001 0>' : ''
  const c = s.connect({ keepAlive: true, keepAliveIdle: seconds(5) })
  s.run(seconds(1))
  s.in(`S. 0:0 ack 1 <mss 999,sackOK${first},ws 7>`)
  s.run(0)
  s.write(c, 1)
  s.run(0)
  s.write(c, 999, 1)
  s.in(`. 11:21 ack 1${later}`, `. 31:41 ack 1${later}`)
  s.run(seconds(1))
  s.in(`. 1:11 ack 1001${later}`)
  s.run(seconds(9))
  s.call(() => end(c))
  s.run(0)
  s.in(`F. 41:41 ack 1002${later}`, `. 21:31 ack 1002${later}`)
  s.run(0)
  s.in(`. 1:2 ack 1002${later}`)
  s.ports[1] = 7
  s.in('S 0:0', '. 5:8 ack 9')
  s.run(0)
}

/** Such talks with every choice of options, to an orderly end and to a reset. */
function talks(): Uint8Array[] {
  const segments: Uint8Array[] = []
  for (let choice = 0; choice < 8; choice++) {
    const timestamps = (choice & 1) !== 0
    const tcp = { timestamps, sack: (choice & 2) !== 0, windowScaling: (choice & 4) !== 0 }
    for (const end of [(c: Connection) => c.shutdown('write'), (c: Connection) => c.abort()]) {
      const s = new Script({ tcp })
      listenIn(s, segments)
      talk(s, timestamps, end)
    }
  }
  return segments
}

/** The kinds of options in order, and 'bad' for what is not an option with its length, nor padding of zeros. */
function optionsOf(octets: Uint8Array): (number | 'bad')[] {
  const header = octets.subarray(20, ((octets[12] as number) >> 4) * 4)
  const kinds: (number | 'bad')[] = []
  for (let at = 0; at < header.length; ) {
    const kind = header[at] as number
    if (kind === 0) return header.subarray(at).some((octet) => octet !== 0) ? [...kinds, 'bad'] : kinds
    const length = kind === 1 ? 1 : (header[at + 1] ?? 0)
    if (length < (kind === 1 ? 1 : 2) || at + length > header.length) return [...kinds, 'bad']
    kinds.push(kind)
    at += length
  }
  return kinds
}

const flagsOf = (octets: Uint8Array) => octets[13] as number
const isSyn = (octets: Uint8Array) => (flagsOf(octets) & SYN) !== 0

t.test('every kind of segment carries the checksum of header, data and addresses (MUST-2)', async (t) => {
  const segments = talks()
  const kinds = new Set(segments.map(flagsOf))
  t.same(
    [...kinds].sort((a, b) => a - b),
    [0x02, 0x04, 0x10, 0x11, 0x14, 0x18],
    'S, R, ., F., R., P.',
  )
  const pseudo = (length: number) => [10, 0, 0, 1, 10, 0, 0, 2, 0, 6, length >> 8, length & 255]
  const whole = segments.map((octets) => Uint8Array.of(...pseudo(octets.length), ...octets))
  t.ok(whole.some(({ length }) => length % 2 === 1))
  t.same(
    whole.map(referenceChecksum).filter((sum) => sum !== 0),
    [],
  )
})

t.test('options fill the header, each with its length, or are followed by zeros (MUST-68, MUST-69)', async (t) => {
  const kinds = talks().flatMap(optionsOf)
  t.same([...new Set(kinds)].sort(), [1, 2, 3, 4, 5, 8])
})

t.test('an MSS is in every SYN (SHLD-5) and nowhere else, as are the other offers (MUST-65)', async (t) => {
  const segments = talks()
  t.ok(segments.filter(isSyn).every((octets) => optionsOf(octets).includes(2)))
  const others = segments.filter((octets) => !isSyn(octets)).flatMap(optionsOf)
  t.same([...new Set(others)].sort(), [1, 5, 8], 'nop, SACK, timestamps')
})

t.test('nothing we send is urgent (SHLD-13)', async (t) => {
  t.equal(talks().filter((octets) => (flagsOf(octets) & URG) !== 0).length, 0)
})

t.test('the MSS we announce is what our network takes in one packet (MUST-67, SHLD-6)', async (t) => {
  for (const mtu of [576, 1500, 9000, 65_535]) {
    const s = new Script({ mtu, tcp: { sack: false, timestamps: false, windowScaling: false } })
    s.connect()
    s.out(`S 0:0 <mss ${mtu - 40}>`)
    s.connect({ maxSegment: 65_495 })
    s.out(`S 0:0 <mss ${mtu - 40}>`)
    s.ports[0] = 80
    s.listen()
    s.in('S 0:0')
    s.out(`S. 0:0 ack 1 <mss ${mtu - 40}>`)
  }
  const s = new Script({ mtu: 576, tcp: { sack: false, timestamps: false, windowScaling: false } })
  s.net.linkMtu = 1500
  s.connect()
  s.out('S 0:0 <mss 1460>')
  s.in('S. 0:0 ack 1 <mss 1460>')
  s.run(0)
  t.equal([...s.sockets.list()][0]?.info()?.maxSegment, 536, 'the way out is narrower than the way in')
})

t.test('without the option, an IPv6 peer is taken to accept 1220 octets (MUST-15)', async (t) => {
  const settings = tcpSettings({})
  const [local, remote] = ['2001:db8::1', '2001:db8::2'].map((text) => endpoint(parseAddress(text), 1))
  if (local === undefined || remote === undefined) throw new Error('no addresses')
  const tcb = new Tcb(false, local, remote, 0, settings.connection, settings, {
    reassembly: { used: 0, limit: 0 },
    growth: { used: 0, limit: 0 },
  })
  t.equal(tcb.mss, 1220)
  t.equal(tcb.peerMss, 1220)
})

t.test('end of list, no-operation and MSS are understood (MUST-4)', async (t) => {
  const s = new Script()
  const c = s.connect()
  s.skip()
  const synAck = s.bytes('S. 0:0 ack 1 <nop,mss 700,eol,mss 1300>')
  t.equal(synAck[25], 0, 'behind the first MSS the list ends')
  s.raw(synAck)
  s.tells('established')
  t.equal(c.info().maxSegment, 700)
})
