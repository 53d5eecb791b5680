import t from 'tap'
import { Boundary, type Tap } from '../../src/kernel/boundary.ts'
import type { User } from '../../src/kernel/layer.ts'
import { Packet, packetsInUse, poisonReleased } from '../../src/kernel/packet.ts'

poisonReleased(true)

interface To {
  port: number
}
const REASONS = { queueFull: '', badChecksum: 'RFC 1071 §1' } as const

let now = 0
function boundary(): Boundary<To, keyof typeof REASONS> {
  return new Boundary('A/eth0/ethernet', 'ethernet', REASONS, { now: () => now })
}

function packet(...octets: number[]): Packet {
  const made = Packet.take(0, 100)
  made.append(Uint8Array.from(octets))
  return made
}

/** A super-segment of three: 20 octets of header at its start, 25 of payload in segments of 10. */
function superSegment(): Packet {
  const made = packet(...new Array<number>(45).fill(7))
  made.segmentOctets = 10
  made.checksumStart = made.start
  made.headerOctets = 20
  return made
}

class Receiver implements User<To> {
  readonly log: string[] = []
  readonly name: string

  constructor(name = 'user') {
    this.name = name
  }

  receive(packet: Packet, from: To): void {
    this.log.push(`${this.name} got ${packet.bytes().join(' ')} from ${from.port}`)
    packet.release()
  }

  ready(): void {
    this.log.push(`${this.name} ready`)
  }

  linkChanged(state: string, reason: string): void {
    this.log.push(`${this.name} ${state}: ${reason}`)
  }
}

const from = { port: 5 }

t.test('counts packets of the wire and their octets, each way', async (t) => {
  const b = boundary()
  b.attach(new Receiver())
  for (const each of [packet(1, 2, 3), superSegment()]) {
    b.down(each, from)
    each.release()
  }
  t.ok(b.up(superSegment(), from, 0))
  t.match(b, { txPackets: 4, txOctets: 3 + 85, rxPackets: 3, rxOctets: 85 }, 'each segment has headers')
})

t.test('hands what arrives to the user of the selector, or of everything', async (t) => {
  const b = boundary()
  const ip = new Receiver('ip')
  const arp = new Receiver('arp')
  const all = new Receiver('all')
  const orphan = packet(9)
  t.equal(b.up(orphan, from, 0x800), false, 'nobody is there')
  t.same([...orphan.bytes()], [9], 'so it still belongs to the caller')
  b.drop(orphan, 'queueFull')

  const detachIp = b.attach(ip, 0x800)
  const detachArp = b.attach(arp, 0x806)
  t.throws(() => b.attach(all, 0x800), { message: /has a user for 2048 already/ })
  t.equal(b.up(packet(1), from, 0x800), true)
  t.equal(b.up(packet(2), from, 0x806), true)
  t.equal(b.up(packet(3), from, 0x800), true)
  t.same([ip.log, arp.log], [['ip got 1 from 5', 'ip got 3 from 5'], ['arp got 2 from 5']])

  const detachAll = b.attach(all)
  t.throws(() => b.attach(ip), { message: /has a user already/ })
  b.up(packet(4), from, 0x800)
  t.same(all.log, ['all got 4 from 5'], 'who takes everything comes first')
  detachAll()
  detachAll()
  b.up(packet(5), from, 0x800)
  t.equal(ip.log.at(-1), 'ip got 5 from 5')

  detachIp()
  const late = packet(6)
  t.equal(b.up(late, from, 0x800), false)
  late.release()
  b.attach(all, 0x800)
  detachIp()
  t.equal(b.up(packet(7), from, 0x800), true, 'a stale detach does not put out its successor')
  detachArp()
  t.equal(packetsInUse(), 0)
})

t.test('tells all users when the service is ready, and of the link', async (t) => {
  const b = boundary()
  const users = [new Receiver('all'), new Receiver('ip'), new Receiver('arp')] as const
  b.attach(users[0])
  b.attach(users[1], 1)
  b.attach(users[2], 2)
  b.attach({ receive: (packet) => packet.release() }, 3)
  b.ready()
  b.linkChanged('down', 'unplugged')
  t.same(
    users.map(({ log }) => log),
    ['all', 'ip', 'arp'].map((name) => [`${name} ready`, `${name} down: unplugged`]),
  )
})

t.test('drops are counted by reason and release the packet', async (t) => {
  const b = boundary()
  t.same(
    [...b.drops],
    [
      ['queueFull', 0],
      ['badChecksum', 0],
    ],
    'every reason is there from the start',
  )
  const gone = packet(1)
  b.drop(gone, 'badChecksum')
  b.drop(packet(2), 'badChecksum')
  b.count('queueFull')
  t.same(
    [...b.drops],
    [
      ['queueFull', 1],
      ['badChecksum', 2],
    ],
  )
  t.throws(() => gone.release(), { message: /released twice/ })
  t.equal(packetsInUse(), 0)
})

/** Writes down what it sees. */
function spy(name: string, log: unknown[]): Tap<To> {
  return {
    packet: (packet, address, direction, at) => log.push([name, direction, [...packet.bytes()], address.port, at]),
    drop: (packet, reason, rfc, at) => log.push([name, 'drop', [...packet.bytes()], reason, rfc, at]),
    note: (packet, event, reason, rfc, at) => log.push([name, event, packet?.length ?? null, reason, rfc, at]),
  }
}

t.test('taps see what passes, what is dropped and what is noted, and come and go', async (t) => {
  const b = boundary()
  b.attach(new Receiver())
  const log: unknown[] = []
  b.note(null, 'unheard', '', '')
  t.equal(b.watched, false)
  const stopA = b.watch(spy('a', log))
  now = 10
  b.up(packet(1), from, 0)
  const stopB = b.watch(spy('b', log))
  t.equal(b.watched, true)
  now = 20
  const down = packet(2)
  b.down(down, { port: 6 })
  b.note(down, 'retransmit', 'timeout', 'RFC 6298 §5.4')
  b.note(null, 'stateChange', 'ESTABLISHED', '')
  b.drop(down, 'badChecksum')
  stopA()
  stopA()
  now = 30
  b.up(packet(3), from, 0)
  stopB()
  b.up(packet(4), from, 0)
  t.equal(b.watched, false)
  const both = (...event: unknown[]) => ['a', 'b'].map((name) => [name, ...event])
  t.same(log, [
    ['a', 'up', [1], 5, 10],
    ...both('down', [2], 6, 20),
    ...both('retransmit', 1, 'timeout', 'RFC 6298 §5.4', 20),
    ...both('stateChange', null, 'ESTABLISHED', '', 20),
    ...both('drop', [2], 'badChecksum', 'RFC 1071 §1', 20),
    ['b', 'up', [3], 5, 30],
  ])
})

t.test('a tap may stop itself or another while it is told', async (t) => {
  const b = boundary()
  b.attach(new Receiver())
  const log: unknown[] = []
  const stops = [
    b.watch({
      packet: () => {
        for (const stop of stops) stop()
        log.push('first')
      },
    }),
    b.watch({ packet: () => log.push('second') }),
  ]
  b.up(packet(1), from, 0)
  b.up(packet(2), from, 0)
  t.same(log, ['first', 'second'], 'the round that has begun is finished')
})

t.test('a tap may leave out what it does not care for', async (t) => {
  const b = boundary()
  b.watch({})
  b.down(packet(1), from)
  b.note(null, 'event', '', '')
  const unwanted = packet(2)
  b.drop(unwanted, 'queueFull')
  t.equal(b.drops.get('queueFull'), 1)
})
