/** More octets each way on one connection than there are sequence numbers: what lags behind by half a circle would show. */
import t from 'tap'
import {
  type Blueprint,
  type Connection,
  cable,
  ethernet,
  ip,
  ipv4,
  type PhysicalService,
  Simulation,
  type Sockets,
  seconds,
  sockets,
  stack,
  tcp,
  udp,
} from '../../src/index.ts'
import { parseAddress } from '../../src/kernel/address.ts'
import { leakCheck } from '../../src/testing.ts'

const TOTAL = 2 ** 32 + 2 ** 24
const CHUNK_OCTETS = 65_536
/** A quarter of the circle in, one side pauses until the other is through half of it. */
const PAUSE_AT = 2 ** 30
const RESUME_AT = 2 ** 31 + 2 ** 24

/** The data: a chunk says which it is, and the octet at a position within it tells the position. */
function chunk(number: number): Uint8Array {
  PATTERN_VIEW.setUint32(0, number)
  return PATTERN
}
const PATTERN = Uint8Array.from({ length: CHUNK_OCTETS }, (_, i) => (i * 7 + (i >> 8)) & 255)
const PATTERN_VIEW = new DataView(PATTERN.buffer)

/** One end: writes all that the other is to read, and looks at the ends of every chunk that it reads. */
class End {
  readonly connection: Connection
  written = 0
  read = 0
  wrong = 0
  pausing = false
  private readonly into = new Uint8Array(CHUNK_OCTETS)
  private readonly view = new DataView(this.into.buffer)

  constructor(connection: Connection) {
    this.connection = connection
  }

  write(): void {
    const { connection } = this
    while (this.written < TOTAL && !(this.pausing && this.written >= PAUSE_AT)) {
      const at = this.written % CHUNK_OCTETS
      const taken = connection.write(chunk(Math.floor(this.written / CHUNK_OCTETS)), at, CHUNK_OCTETS - at)
      this.written += taken
      if (taken === 0) return
    }
  }

  take(): void {
    for (;;) {
      const at = this.read % CHUNK_OCTETS
      const n = this.connection.read(this.into, at, CHUNK_OCTETS - at)
      if (n === 0) return
      this.read += n
      if (this.read % CHUNK_OCTETS === 0) this.check(this.read / CHUNK_OCTETS - 1)
    }
  }

  private check(number: number): void {
    const last = CHUNK_OCTETS - 1
    if (this.view.getUint32(0) !== number || this.into[last] !== PATTERN[last]) this.wrong++
  }
}

const host = (link: Blueprint<PhysicalService<'ethernet'>>, address: string): Blueprint<Sockets> =>
  stack(link, ethernet(), ip(ipv4({ address })), sockets(tcp(), udp()))

t.test('four gigabytes each way', async (t) => {
  const sim = new Simulation({ seed: 1 })
  const leaks = leakCheck(sim)
  const [left, right] = cable({ medium: 'ethernet', offload: true })
  const a = sim.boot('A', host(left, '10.0.0.1/24'))
  const b = sim.boot('B', host(right, '10.0.0.2/24'))
  const ends: End[] = []
  const pump = (): void => {
    for (const end of ends) {
      end.take()
      end.write()
    }
  }
  const handler = { readable: pump, writable: pump, established: pump }
  b.top.stream.listen({ port: 7 }, { acceptable: (listener) => take(listener.accept()) })
  function take(connection: Connection | undefined): void {
    if (connection === undefined) return
    connection.handler = handler
    const end = new End(connection)
    end.pausing = true
    ends.push(end)
    pump()
  }
  const connection = a.top.stream.connect({ address: parseAddress('10.0.0.2'), port: 7 }, handler)
  await sim.runUntil(() => ends.length === 1, seconds(1))
  const [far] = ends as [End]
  const near = new End(connection)
  ends.push(near)
  pump()
  await sim.runUntil(() => near.written > RESUME_AT, seconds(3600))
  t.equal(far.written, PAUSE_AT, 'one side has been silent for more than half of the circle')
  far.pausing = false
  pump()
  await sim.runUntil(() => near.read === TOTAL && far.read === TOTAL, seconds(3600))
  t.equal(near.read, TOTAL)
  t.equal(far.read, TOTAL)
  t.equal(near.wrong + far.wrong, 0, 'every chunk is the one that comes next')
  t.equal(near.connection.info().retransmits + far.connection.info().retransmits, 0)
  near.connection.close()
  far.connection.close()
  await sim.run(seconds(120))
  await sim.close()
  t.same(leaks.list(), [])
})
