/** What the queues of all connections may hold of a thread's packet memory, and that the rest goes on. */
import t from 'tap'
import type { Connection } from '../../../../src/api/sockets.ts'
import { ms } from '../../../../src/kernel/clock.ts'
import type { Packet } from '../../../../src/kernel/packet.ts'
import { CHUNK_OCTETS, reserveSlab, slab } from '../../../../src/kernel/slab.ts'
import { octetAt, Script } from './script.ts'

const MIB = 1 << 20
const SLAB = 8 * MIB
/** Octets that each connection is to send. */
const WANTED = 600_000

reserveSlab(SLAB)

/** The peers of a server, one from each port. */
class Peers {
  readonly s = new Script()
  readonly connections: readonly Connection[]
  private readonly iss: number[] = []

  constructor(count: number) {
    const { s } = this
    s.listen()
    for (let i = 0; i < count; i++) {
      s.ports = [80, 1000 + i]
      s.in('S 0:0 <mss 1400>')
      s.skip()
      this.iss.push(s.rawSeq(0))
      s.in('. 1:1 ack 1')
      s.skip()
    }
    this.connections = s.accepted
  }

  /** What follows comes from this one. */
  is(i: number): void {
    this.s.ports = [80, 1000 + i]
    this.s.setIss(this.iss[i] as number)
  }

  /** All are gone, and what they held. */
  end(): readonly [packets: number, chunks: number] {
    for (const c of this.connections) this.s.call(() => c.abort())
    this.s.run(0)
    return [this.s.packets, this.s.chunks]
  }
}

t.test('data that nobody reads leaves room for those who do', async (t) => {
  const peers = new Peers(300)
  const { s, connections } = peers
  const last = connections.length - 1
  // A window each, 19 MB in all: more than there is.
  for (let at = 1; at < 64_000; at += 1400) {
    for (let i = 0; i < last; i++) {
      peers.is(i)
      s.in(`. ${at}:${at + 1400} ack 1`)
    }
    s.skip()
  }
  t.ok(s.drops('memoryFull') > 1000)
  t.ok(s.packets * 2048 <= SLAB / 2, `${s.packets} packets are held`)
  const reader = connections[last] as Connection
  peers.is(last)
  let got = 0
  for (; got < 140_000; got += 1400) {
    s.in(`. ${got + 1}:${got + 1401} ack 1`)
    s.run(0)
    if (s.read(reader, 2000, got) !== 1400) break
  }
  t.equal(got, 140_000)
  // Once there is room, what was not taken in comes again.
  const first = connections[0] as Connection
  const had = first.readableOctets
  t.ok(had > 0 && had < 60_000)
  t.equal(s.read(first, MIB, 0), had)
  peers.is(0)
  s.in(`. ${had + 1}:${had + 1401} ack 1`)
  s.run(0)
  t.equal(s.read(first, MIB, had), 1400)
  t.same(peers.end(), [0, 0])
})

t.test('who has much to send waits for room, who has nothing yet is told, and no octet goes astray', async (t) => {
  const peers = new Peers(30)
  const { s, connections } = peers
  const written = connections.map((c) => {
    let n = 0
    try {
      for (let taken = -1; n < WANTED && taken !== 0; n += taken) taken = s.write(c, 100_000, n)
    } catch (error) {
      t.match(error, { code: 'ENOMEM', reason: 'slabExhausted' })
    }
    return n
  })
  t.ok(written.includes(0))
  t.ok(slab().chunksInUse * CHUNK_OCTETS <= SLAB / 2)
  // One that waits goes on where it had to stop, octet by octet.
  const at = written.findIndex((n) => n > 0 && n < WANTED)
  const c = connections[at] as Connection
  peers.is(at)
  let got = 0
  const look = (packet: Packet): boolean => {
    const { view, start, end, octets } = packet
    const header = (view.getUint8(start + 12) >> 4) * 4
    if (view.getUint16(start + 2) !== s.ports[1] || view.getInt32(start + 4) !== s.rawSeq(1 + got)) return true
    for (let i = start + header; i < end; i++, got++) {
      if (octets[i] !== octetAt(got)) throw new Error(`octet ${got} is wrong`)
    }
    return true
  }
  s.net.sent = look
  s.told = []
  const total = (written[at] as number) + 200_000
  for (let put = written[at] as number, turns = 0; got < total && turns < 5000; turns++) {
    s.in(`. 1:1 ack ${got + 1}`)
    s.run(ms(1))
    if (s.told.includes('writable')) put += s.write(c, total - put, put)
    s.told = []
  }
  t.equal(got, total)
  t.same(peers.end(), [0, 0])
})
