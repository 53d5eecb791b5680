/**
 * Two TCPs with a bottleneck between them, on virtual time: a rate, a queue that drops what does not fit, a delay, and
 * whatever else a test does to packets. One direction carries data, the other acknowledgments.
 */
import type { NetworkAddressing } from '../../../../layers/network/service.ts'
import type { TcpOptions } from '../../../../layers/transport/tcp/settings.ts'
import { tcp } from '../../../../layers/transport/tcp/tcp.ts'
import type {
  CongestionControl,
  Connection,
  ConnectionInfo,
  ConnectionOptions,
  Listener,
  StreamSockets,
} from '../../../../src/api/sockets.ts'
import type { IpAddress } from '../../../../src/kernel/address.ts'
import { type Duration, type Instant, ms, seconds } from '../../../../src/kernel/clock.ts'
import type { Env } from '../../../../src/kernel/env.ts'
import type { Packet } from '../../../../src/kernel/packet.ts'
import { below, type SeededRandom } from '../../../../src/kernel/random.ts'
import { Timer } from '../../../../src/kernel/timers.ts'
import { Simulation } from '../../../../src/runtime/simulation.ts'
import { NetworkDouble, octetsOnWire } from './network-double.ts'
import { octetAt } from './script.ts'

/** What is done to the packets of one direction. */
export interface Hardship {
  /** One way. */
  delay: Duration
  /** Octets a second; 0: without limit. */
  rate: number
  /** Octets that wait for the rate at the most; further packets are dropped, or marked where ECN allows it. */
  queue: number
  /** Octets that may wait before packets are marked; 0: none is. */
  markAbove: number
  /** Fraction of 10,000. */
  loss: number
  /** Loses the data packets with these numbers, counted from 0. */
  lose: (n: number) => boolean
  /** Nothing arrives between these instants; all that is due then comes at the second. */
  stall: readonly [from: Instant, until: Instant]
  /** Largest IPv4 packet that is carried at that instant; what is larger is lost without a word. */
  mtu: (now: Instant) => number
  /** More delay for the data packet with this number. */
  late: (n: number) => Duration
}

const NONE: Hardship = {
  delay: ms(10),
  rate: 0,
  queue: 1_000_000,
  markAbove: 0,
  loss: 0,
  lose: () => false,
  stall: [0, 0],
  mtu: () => Number.POSITIVE_INFINITY,
  late: () => 0,
}

class Direction {
  readonly hardship: Hardship
  dropped = 0
  marked = 0
  carried = 0
  private readonly sim: Simulation
  private readonly to: NetworkDouble
  private readonly random: SeededRandom
  private busyUntil = 0
  private count = 0

  constructor(from: NetworkDouble, to: NetworkDouble, sim: Simulation, name: string, hardship: Partial<Hardship>) {
    this.hardship = { ...NONE, ...hardship }
    this.sim = sim
    this.to = to
    this.random = sim.random(name) as SeededRandom
    from.sent = (packet, address) => this.carry(packet, address)
  }

  /** @returns whether the packet is to be released: it was dropped. */
  private carry(packet: Packet, to: NetworkAddressing): boolean {
    const { rate, queue, markAbove, loss, lose, mtu, late, stall, delay } = this.hardship
    const hasData = packet.length > (packet.view.getUint8(packet.start + 12) >> 4) * 4
    const n = hasData ? this.count++ : -1
    const now = this.sim.now()
    const waiting = rate === 0 ? 0 : (Math.max(this.busyUntil - now, 0) * rate) / seconds(1)
    const lost = below(this.random, 10_000) < loss || (hasData && lose(n)) || octetsOnWire(packet) > mtu(now)
    if (lost || waiting + packet.length > queue) {
      this.dropped++
      return true
    }
    this.carried++
    let mark = to.trafficClass
    if (markAbove > 0 && waiting > markAbove && (mark & 3) !== 0) {
      mark |= 3
      this.marked++
    }
    const leaves = Math.max(this.busyUntil, now) + (rate === 0 ? 0 : (packet.length * seconds(1)) / rate)
    this.busyUntil = leaves
    const at = Math.round(leaves) + delay + (hasData ? late(n) : 0)
    this.deliver(packet, to, mark, at >= stall[0] ? Math.max(at, stall[1]) : at)
    return false
  }

  private deliver(packet: Packet, to: NetworkAddressing, trafficClass: number, at: number): void {
    const from = this.to.addressing(to, trafficClass)
    this.sim.timers.arm(new Timer({ expire: () => this.to.arrive(packet, from) }), at)
  }
}

export interface Flow {
  readonly seed?: number
  readonly octets: number
  readonly forth?: Partial<Hardship>
  readonly back?: Partial<Hardship>
  readonly options?: Partial<ConnectionOptions>
  readonly tcp?: TcpOptions
  readonly segment?: number
  /** Writes so much at once, and waits that long in between. */
  readonly write?: number
  readonly pause?: Duration
  /** Gives up after; default 1000 s. */
  readonly within?: Duration
}

export interface Outcome {
  /** From the SYN to the last octet. */
  readonly took: Duration
  /** Octets a second. */
  readonly goodput: number
  /** The longest time in which nothing arrived in order. */
  readonly silence: Duration
  /** Reasons of what was sent again, and how often. */
  readonly again: Readonly<Record<string, number>>
  readonly info: ConnectionInfo
  readonly dropped: number
  readonly marked: number
}

/** Two nodes and what is between them. */
interface Testbed {
  readonly sim: Simulation
  readonly a: StreamSockets['stream']
  readonly b: StreamSockets['stream']
  readonly address: IpAddress
  readonly forth: Direction
  /** Reasons of what A has sent again, and how often. */
  readonly again: Record<string, number>
}

function testbed(flow: Omit<Flow, 'octets'>): Testbed {
  const sim = new Simulation({ seed: flow.seed ?? 1 })
  const doubles: NetworkDouble[] = []
  const boot = (name: string, address: string) =>
    sim.boot(name, (env: Env) => {
      const double = new NetworkDouble(env, address)
      double.segment = flow.segment ?? 0
      double.checksum = flow.segment !== undefined
      doubles.push(double)
      return tcp(flow.tcp)(double, env)
    })
  const a = boot('A', '10.0.0.1')
  const b = boot('B', '10.0.0.2')
  const [da, db] = doubles as [NetworkDouble, NetworkDouble]
  const forth = new Direction(da, db, sim, 'forth', flow.forth ?? {})
  new Direction(db, da, sim, 'back', flow.back ?? {})
  const again: Record<string, number> = {}
  const note = (_packet: Packet, event: string, reason: string) => {
    if (event === 'retransmit' || reason === 'tailLoss') again[reason] = (again[reason] ?? 0) + 1
  }
  a.boundaries.find(({ name }) => name === 'A/tcp')?.watch({ note })
  return { sim, a: a.top.stream, b: b.top.stream, address: db.local, forth, again }
}

/**
 * Connections that share the bottleneck, each with as much to send as it can, the second a second after the first and so on.
 * @returns octets that each has delivered between `from` and `until`.
 */
export async function share(
  flow: Omit<Flow, 'octets'>,
  algorithms: readonly CongestionControl[],
  from: Duration,
  until: Duration,
): Promise<number[]> {
  const { sim, a, b, address } = testbed(flow)
  const buffer = new Uint8Array(65_536)
  const got = algorithms.map(() => 0)
  algorithms.forEach((congestionControl, i) => {
    const readable = (c: Connection): void => {
      for (let n = c.read(buffer); n > 0; n = c.read(buffer)) if (sim.now() >= from) (got[i] as number) += n
    }
    const options = { ...flow.options, congestionControl }
    const acceptable = (listener: Listener): void => {
      const c = listener.accept() as Connection
      c.handler = { readable }
      readable(c)
    }
    b.listen({ port: 80 + i, options }, { acceptable })
  })
  const write = (c: Connection): void => {
    while (c.write(buffer) === buffer.length);
  }
  for (const [i, congestionControl] of algorithms.entries()) {
    const options = { ...flow.options, congestionControl }
    a.connect({ address, port: 80 + i, options }, { established: write, writable: write })
    await sim.run(seconds(1))
  }
  await sim.run(until - sim.now())
  await sim.close()
  return got
}

/** Sends `octets` from A to B, which checks each. @throws Error — an octet was wrong, or it took too long. */
export async function transfer(flow: Flow): Promise<Outcome> {
  const { sim, a, b, address, forth, again } = testbed(flow)
  let got = 0
  const buffer = new Uint8Array(65_536)
  let [silence, lastAt] = [0, 0]
  const readable = (c: Connection): void => {
    for (let n = c.read(buffer); n > 0; n = c.read(buffer)) {
      silence = Math.max(silence, sim.now() - lastAt)
      lastAt = sim.now()
      for (let i = 0; i < n; i++) if (buffer[i] !== octetAt(got + i)) throw new Error(`octet ${got + i} is wrong`)
      got += n
    }
  }
  b.listen(
    { port: 80, options: flow.options },
    {
      acceptable: (listener) => {
        const c = listener.accept() as Connection
        c.handler = { readable }
        readable(c)
      },
    },
  )
  let put = 0
  const chunk = new Uint8Array(flow.write ?? 65_536)
  const write = (c: Connection): void => {
    while (put < flow.octets) {
      const n = Math.min(chunk.length, flow.octets - put)
      for (let i = 0; i < n; i++) chunk[i] = octetAt(put + i)
      const taken = c.write(chunk, 0, n)
      put += taken
      if (flow.pause !== undefined && put < flow.octets) {
        void sim.sleep(flow.pause).then(() => write(c))
        return
      }
      if (taken < n) return
    }
  }
  const connection = a.connect(
    { address, port: 80, options: flow.options },
    { established: write, writable: flow.pause === undefined ? write : () => {} },
  )
  await sim.runUntil(() => got === flow.octets, flow.within ?? seconds(1000))
  const took = sim.now()
  if (got !== flow.octets) throw new Error(`${got} of ${flow.octets} octets after ${took / seconds(1)} s`)
  // The last ACKs.
  await sim.run(seconds(2))
  const info = connection.info()
  await sim.close()
  const goodput = (flow.octets * seconds(1)) / took
  return { took, goodput, silence, again, info, dropped: forth.dropped, marked: forth.marked }
}
