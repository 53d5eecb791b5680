/** Many connections that begin and end at any time, over queues that are used again: none reads what was written on another. */
import assert from 'node:assert'
import fc from 'fast-check'
import t from 'tap'
import { tcp } from '../../../../layers/transport/tcp/tcp.ts'
import type { Connection, ConnectionHandler, StreamSockets } from '../../../../src/api/sockets.ts'
import { ms, seconds } from '../../../../src/kernel/clock.ts'
import type { Env } from '../../../../src/kernel/env.ts'
import { packetsInUse, poisonReleased } from '../../../../src/kernel/packet.ts'
import { below, SeededRandom } from '../../../../src/kernel/random.ts'
import { slab } from '../../../../src/kernel/slab.ts'
import { Simulation } from '../../../../src/runtime/simulation.ts'
import { NetworkDouble, Wire } from './network-double.ts'

/** More by `RUNS=1000`. */
const RUNS = Number(process.env.RUNS ?? 25)
const CONNECTIONS = 24
/** Lengths of a write, or of a read: few octets are copied otherwise than many. */
const LENGTHS = [1, 3, 64, 65, 1000, 9000]

const octetOf = (stream: number, at: number): number => (Math.imul(stream, 97) + Math.imul(at, 31) + (at >> 8)) & 255

/** One end of a connection, which does anything at any time. */
class End implements ConnectionHandler {
  readonly stream: number
  got = 0
  private put = 0
  private over = false
  private readonly random: SeededRandom
  private readonly octets = new Uint8Array(9000)

  /** @param stream of what it writes; that of the other end differs in the last bit. */
  constructor(stream: number, random: SeededRandom) {
    this.stream = stream
    this.random = random
  }

  established(c: Connection): void {
    this.act(c)
  }

  readable(c: Connection): void {
    this.act(c)
  }

  writable(c: Connection): void {
    this.act(c)
  }

  drained(c: Connection): void {
    this.act(c)
  }

  closed(c: Connection): void {
    assert(!this.over, 'closed twice')
    this.read(c)
    this.over = true
  }

  act(c: Connection): void {
    if (this.over || c.state === 'SYN-SENT') return
    for (let n = below(this.random, 4); n > 0; n--) this.once(c, below(this.random, 40))
  }

  private once(c: Connection, what: number): void {
    if (what < 18) this.read(c)
    else if (what < 34) this.write(c)
    else if (what < 36) c.notifyDrained()
    else if (what < 37) c.shutdown('write')
    else if (what < 38) c.close()
    else if (what < 39) c.abort()
  }

  private write(c: Connection): void {
    if (c.writableOctets === 0) return
    const length = LENGTHS[below(this.random, LENGTHS.length)] as number
    for (let i = 0; i < length; i++) this.octets[i] = octetOf(this.stream, this.put + i)
    this.put += c.write(this.octets, 0, length)
  }

  private read(c: Connection): void {
    const n = c.read(this.octets, 0, LENGTHS[below(this.random, LENGTHS.length)])
    for (let i = 0; i < n; i++)
      assert.equal(this.octets[i], octetOf(this.stream ^ 1, this.got + i), `octet ${this.got + i}`)
    this.got += n
  }
}

/** @returns octets that were read. */
async function run(seed: number, loss: number, jitter: number): Promise<number> {
  const sim = new Simulation({ seed })
  const random = new SeededRandom([seed, 1, 2, 3])
  const doubles: NetworkDouble[] = []
  const boot = (name: string, address: string): StreamSockets['stream'] =>
    sim.boot(name, (env: Env) => {
      const double = new NetworkDouble(env, address)
      doubles.push(double)
      return tcp({ retries: 6, connection: { sendBuffer: 20_000, receiveBuffer: 20_000 } })(double, env)
    }).top.stream
  const [a, b] = [boot('A', '10.0.0.1'), boot('B', '10.0.0.2')]
  const [da, db] = doubles as [NetworkDouble, NetworkDouble]
  const trouble = { delay: ms(1), jitter, loss }
  new Wire(da, db, sim.timers, () => sim.now(), sim.random('ab'), trouble)
  new Wire(db, da, sim.timers, () => sim.now(), sim.random('ba'), trouble)
  const ends: [Connection, End][] = []
  const add = (c: Connection, stream: number): void => {
    const end = new End(stream, random)
    c.handler = end
    ends.push([c, end])
    end.act(c)
  }
  const streams = new Map<number, number>()
  const listener = b.listen(
    { port: 80 },
    {
      acceptable(ready) {
        for (let c = ready.accept(); c !== undefined; c = ready.accept()) add(c, streams.get(c.remote.port) as number)
      },
    },
  )
  for (let k = 0; k < CONNECTIONS; k++) {
    const c = a.connect({ address: db.local, port: 80 }, {})
    streams.set(c.local.port, 2 * k + 1)
    add(c, 2 * k)
    for (let i = 0; i < 6; i++) {
      await sim.run(ms(below(random, 4)))
      const [some, end] = ends[below(random, ends.length)] as [Connection, End]
      end.act(some)
    }
  }
  for (const [c] of ends) c.close()
  listener.close()
  await sim.run(seconds(2000))
  await sim.close()
  return ends.reduce((octets, [, end]) => octets + end.got, 0)
}

t.test('no octet of one connection on another, whenever they begin and end', async (t) => {
  poisonReleased(true)
  t.teardown(() => poisonReleased(false))
  let octets = 0
  await fc.assert(
    fc.asyncProperty(fc.nat(1e6), fc.constantFrom(0, 0, 50), fc.constantFrom(0, ms(3)), async (seed, loss, jitter) => {
      const before = [packetsInUse(), slab().chunksInUse]
      octets += await run(seed, loss, jitter)
      assert.deepEqual([packetsInUse(), slab().chunksInUse], before, 'nothing is left')
    }),
    { numRuns: RUNS, seed: 7 },
  )
  t.ok(octets > RUNS * 10_000, `${octets} octets were read`)
})
