/** Two TCPs and a bad wire between them: whatever it does, every octet arrives once and in order, and nothing is left. */
import fc from 'fast-check'
import t from 'tap'
import { records } from '../../../../layers/transport/tcp/records.ts'
import type { TcpOptions } from '../../../../layers/transport/tcp/settings.ts'
import { tcp } from '../../../../layers/transport/tcp/tcp.ts'
import type { Connection, ConnectionHandler, ConnectionOptions, StreamSockets } from '../../../../src/api/sockets.ts'
import { ms, seconds } from '../../../../src/kernel/clock.ts'
import type { Env } from '../../../../src/kernel/env.ts'
import { packetsInUse } from '../../../../src/kernel/packet.ts'
import { below, SeededRandom } from '../../../../src/kernel/random.ts'
import { slab } from '../../../../src/kernel/slab.ts'
import { Simulation } from '../../../../src/runtime/simulation.ts'
import { NetworkDouble, type Trouble, Wire } from './network-double.ts'
import { octetAt } from './script.ts'

/** More by `RUNS=1000`. */
const RUNS = Number(process.env.RUNS ?? 60)

interface Plan {
  readonly seed: number
  readonly trouble: Partial<Trouble>
  readonly total: readonly [number, number]
  readonly options?: Partial<ConnectionOptions>
  readonly tcp?: TcpOptions
  readonly mtu?: number
  readonly segment?: number | undefined
  /** Octets a read or write takes at the most. */
  readonly bite?: number
  /** Reads wait this long, at the most. */
  readonly laziness?: number | undefined
}

interface Outcome {
  readonly trace: string
  readonly octets: number[]
  readonly errors: (string | null)[]
  readonly took: number
  readonly retransmits: number
}

/** One side: writes its share, reads the other's, checks it, and closes when it has both written and read all. */
class Side implements ConnectionHandler {
  got = 0
  put = 0
  error: string | null | undefined
  retransmits = 0
  private readonly plan: Plan
  private readonly total: number
  private readonly expected: number
  private readonly random: SeededRandom
  private readonly sim: Simulation
  private readonly buffer: Uint8Array

  constructor(plan: Plan, side: 0 | 1, sim: Simulation) {
    this.plan = plan
    this.total = plan.total[side]
    this.expected = plan.total[1 - side] as number
    this.random = new SeededRandom([plan.seed, side, 9, 9])
    this.sim = sim
    this.buffer = new Uint8Array(plan.bite ?? 70_000)
  }

  established(c: Connection): void {
    this.write(c)
  }

  writable(c: Connection): void {
    this.write(c)
  }

  readable(c: Connection): void {
    const { laziness } = this.plan
    if (laziness === undefined) this.read(c)
    else void this.sim.sleep(below(this.random, laziness)).then(() => this.read(c))
  }

  closed(c: Connection, error: Error | null): void {
    if (this.error !== undefined) throw new Error('closed twice')
    this.retransmits = c.info().retransmits
    this.error = error === null ? null : String(error)
  }

  /** The first octets go with the SYN, as many as fit (RFC 7413). */
  open(c: Connection): void {
    const n = Math.min(this.total, this.buffer.length)
    for (let i = 0; i < n; i++) this.buffer[i] = octetAt(i)
    this.put = c.write(this.buffer, 0, n)
  }

  write(c: Connection): void {
    while (this.put < this.total) {
      const n = Math.min(1 + below(this.random, this.buffer.length), this.total - this.put)
      for (let i = 0; i < n; i++) this.buffer[i] = octetAt(this.put + i)
      const taken = c.write(this.buffer, 0, n)
      this.put += taken
      if (taken < n) return
    }
    c.shutdown('write')
  }

  private read(c: Connection): void {
    for (;;) {
      const want = 1 + below(this.random, this.buffer.length)
      const n = c.read(this.buffer, 0, want)
      for (let i = 0; i < n; i++) {
        if (this.buffer[i] !== octetAt(this.got + i)) throw new Error(`octet ${this.got + i} is wrong`)
      }
      this.got += n
      if (this.got > this.expected) throw new Error('more than was sent')
      if (n === 0) return
    }
  }
}

async function run(plan: Plan): Promise<Outcome> {
  const packets = packetsInUse()
  const chunks = slab().chunksInUse
  const transmissions = records.used
  const sim = new Simulation({ seed: plan.seed })
  const doubles: NetworkDouble[] = []
  const boot = (name: string, address: string): StreamSockets['stream'] =>
    sim.boot(name, (env: Env) => {
      const double = new NetworkDouble(env, address)
      double.mtu = plan.mtu ?? 1500
      double.segment = plan.segment ?? 0
      double.checksum = plan.segment !== undefined
      doubles.push(double)
      return tcp(plan.tcp)(double, env)
    }).top.stream
  const a = boot('A', '10.0.0.1')
  const b = boot('B', '10.0.0.2')
  const [da, db] = doubles as [NetworkDouble, NetworkDouble]
  const wires = [
    new Wire(da, db, sim.timers, () => sim.now(), sim.random('ab'), plan.trouble),
    new Wire(db, da, sim.timers, () => sim.now(), sim.random('ba'), plan.trouble),
  ]
  const trace: string[] = []
  for (const wire of wires) wire.trace = trace
  const sides = [new Side(plan, 0, sim), new Side(plan, 1, sim)] as const
  b.listen(
    { port: 80, options: plan.options },
    {
      acceptable: (listener) => {
        const c = listener.accept() as Connection
        c.handler = sides[1]
        sides[1].write(c)
      },
    },
  )
  const connection = a.connect({ address: db.local, port: 80, options: plan.options }, sides[0])
  if (connection.get('fastOpen') > 0) sides[0].open(connection)
  await sim.runUntil(() => sides[0].error !== undefined && sides[1].error !== undefined, seconds(200_000))
  const took = sim.now()
  // What is left of the connections is TIME-WAIT; then nothing.
  await sim.run(seconds(700))
  const left = sim.timers.size
  const listed = [...a.list(), ...b.list()].length
  await sim.close()
  if (left !== 0) throw new Error(`${left} timers left`)
  if (listed !== 1) throw new Error('a connection left')
  if (packetsInUse() !== packets) throw new Error(`${packetsInUse() - packets} packets left`)
  if (records.used !== transmissions) throw new Error(`${records.used - transmissions} records left`)
  if (slab().chunksInUse !== chunks) throw new Error(`${slab().chunksInUse - chunks} chunks left`)
  return {
    trace: trace.join('\n'),
    octets: sides.map((side) => side.got),
    errors: sides.map((side) => side.error ?? null),
    took,
    retransmits: sides[0].retransmits + sides[1].retransmits,
  }
}

const CLEAN: Plan = { seed: 1, trouble: { delay: ms(5) }, total: [2_000_000, 300_000] }

t.test('a clean wire', async (t) => {
  const { octets, errors, retransmits } = await run(CLEAN)
  t.same(octets, [300_000, 2_000_000])
  t.same(errors, [null, null])
  t.equal(retransmits, 0)
})

t.test('super-segments', async (t) => {
  const { octets, retransmits } = await run({ ...CLEAN, segment: 65_535 })
  t.same(octets, [300_000, 2_000_000])
  t.equal(retransmits, 0)
})

t.test('5 % loss, duplication and reordering; the same seed gives the same trace, another does not', async (t) => {
  const trouble = { delay: ms(5), jitter: ms(4), loss: 50, duplicate: 20 }
  const plan: Plan = { seed: 3, trouble, total: [300_000, 100_000] }
  const first = await run(plan)
  t.same(first.octets, [100_000, 300_000])
  t.same(first.errors, [null, null])
  t.ok(first.retransmits > 0)
  t.equal((await run(plan)).trace, first.trace)
  t.not((await run({ ...plan, seed: 4 })).trace, first.trace)
})

t.test('any trouble, any sizes, any pattern of reads and writes', async (t) => {
  let runs = 0
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        seed: fc.integer({ min: 1, max: 1_000_000 }),
        trouble: fc.record({
          loss: fc.integer({ min: 0, max: 150 }),
          duplicate: fc.integer({ min: 0, max: 100 }),
          corrupt: fc.integer({ min: 0, max: 50 }),
          delay: fc.integer({ min: 0, max: 50_000 }),
          jitter: fc.integer({ min: 0, max: 50_000 }),
          hole: fc.constantFrom(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, 560, 1300),
        }),
        total: fc.tuple(fc.integer({ min: 0, max: 100_000 }), fc.integer({ min: 0, max: 40_000 })),
        bite: fc.integer({ min: 500, max: 30_000 }),
        laziness: fc.option(fc.integer({ min: 1, max: 3_000_000 }), { nil: undefined }),
        mtu: fc.constantFrom(100, 576, 1500, 9000),
        segment: fc.constantFrom(undefined, undefined, 65_535),
        options: fc.record({
          noDelay: fc.boolean(),
          congestionControl: fc.constantFrom('cubic', 'cubic', 'reno', 'none'),
          fastOpen: fc.constantFrom(0, 0, 1),
          sendBuffer: fc.integer({ min: 100, max: 100_000 }),
          receiveBuffer: fc.integer({ min: 100, max: 100_000 }),
        }),
        tcp: fc.record({
          timestamps: fc.boolean(),
          windowScaling: fc.boolean(),
          sack: fc.constantFrom(true, true, false),
          dsack: fc.boolean(),
          ecn: fc.constantFrom('off', 'accept', 'on'),
          tailLossProbe: fc.boolean(),
          forwardRto: fc.boolean(),
          initialWindow: fc.constantFrom(1, 10, 40),
          minTsoSegments: fc.constantFrom(1, 2, 10),
          mtuProbing: fc.constantFrom('blackHole', 'always'),
          retries: fc.constant(40),
          fastOpen: fc.constant({ requireCookie: false }),
          // TIME-WAIT outlasts the longest RTO: else the last FIN of a peer that heard nothing may meet a reset.
          maxSegmentLifetime: fc.constant(seconds(125)),
        }),
      }),
      async (drawn: Plan) => {
        // Where the link vouches for checksums, nobody notices damage.
        const sound = { ...drawn.trouble, corrupt: 0 }
        const plan = drawn.segment === undefined ? drawn : { ...drawn, trouble: sound }
        const { octets, errors } = await run(plan)
        if (octets[0] !== plan.total[1] || octets[1] !== plan.total[0]) throw new Error(`arrived: ${octets}`)
        if (errors.some((error) => error !== null)) throw new Error(String(errors))
        runs++
      },
    ),
    { numRuns: RUNS, seed: 42 },
  )
  t.equal(runs, RUNS)
})
