/** The implementations that the API's behaviour is checked on; Node's own is the judge of the others. */
import nodeDgram from 'node:dgram'
import nodeNet from 'node:net'
import tap, { type Test } from 'tap'
import { ethernet } from '../../layers/datalink/index.ts'
import { type Ipv4Options, ip, ipv4 } from '../../layers/network/index.ts'
import { cable } from '../../layers/physical/index.ts'
import { sockets } from '../../layers/transport/sockets.ts'
import { tcp } from '../../layers/transport/tcp/tcp.ts'
import { udp } from '../../layers/transport/udp/udp.ts'
import { type HostSockets, hostSockets } from '../../src/api/host-sockets.ts'
import type { Dgram, Icmp, Net } from '../../src/api/node-net.ts'
import { ms, seconds } from '../../src/kernel/clock.ts'
import { stack } from '../../src/kernel/stack.ts'
import { boot } from '../../src/runtime/real-time.ts'
import { Simulation } from '../../src/runtime/simulation.ts'

export interface Subject {
  readonly client: Net
  readonly server: Net
  readonly dgram?: Dgram
  /** Where the server side can be reached, and where the client side comes from. */
  readonly address: string
  readonly clientAddress: string
  /** Node's own: the expectations are taken from it. */
  readonly real: boolean
  /** Runs a test's body, on virtual time where the subject has it. */
  run<T>(body: () => Promise<T>): Promise<T>
  /** What the subject's clock shows, in ms. */
  now(): number
  /** Waits by that clock, and until what has come meanwhile was taken. */
  sleep(ms: number): Promise<void>
  close(): Promise<void>
}

const LOCALHOST = '127.0.0.1'

const realTime = {
  address: LOCALHOST,
  clientAddress: LOCALHOST,
  run: <T>(body: () => Promise<T>): Promise<T> => body(),
  now: () => performance.now(),
  sleep: async (ms: number): Promise<void> => {
    await new Promise((resolve) => setTimeout(resolve, ms))
    // On a busy machine the time may be over before the event loop has asked for what is there.
    for (let turn = 0; turn < 8; turn++) await new Promise((resolve) => setImmediate(resolve))
  },
}

/** Node's own modules have the shape in question: where they do not, a test fails. */
export function nodesOwn(): Subject {
  const net = nodeNet as unknown as Net
  const dgram = nodeDgram as unknown as Dgram
  return {
    ...realTime,
    real: true,
    client: net,
    server: net,
    dgram,
    close: async () => {},
  }
}

/** Our classes over the host's network. */
export async function onHost(): Promise<Subject> {
  const node = await boot<HostSockets>(hostSockets(), 'host')
  return {
    ...realTime,
    real: false,
    client: node.net,
    server: node.net,
    dgram: node.dgram,
    close: () => node.close(),
  }
}

/** Our classes over our stack, between two hosts of a simulation. */
export async function inSimulation(): Promise<Subject & { readonly icmp: Icmp; readonly dgram: Dgram }> {
  const sim = new Simulation()
  const [left, right] = cable({ delay: ms(1) })
  const host = (name: string, end: typeof left, options: Ipv4Options) =>
    sim.boot(name, stack(end, ethernet(), ip(ipv4(options)), sockets(tcp(), udp())))
  const a = host('A', left, { address: '10.0.0.1/24', gateway: '10.0.0.2' })
  const b = host('B', right, { address: '10.0.0.2/24' })
  return {
    real: false,
    client: a.net,
    server: b.net,
    dgram: a.dgram,
    icmp: a.icmp,
    address: '10.0.0.2',
    clientAddress: '10.0.0.1',
    now: () => sim.now() / 1000,
    sleep: (duration) => sim.sleep(ms(duration)),
    close: () => sim.close(),
    async run(body) {
      let over = false
      const finished = body().finally(() => {
        over = true
      })
      finished.catch(() => {})
      if (!(await sim.runUntil(() => over, seconds(600)))) throw new Error('nothing more happens in the simulation')
      return finished
    },
  }
}

/** Makes a subject, afresh for each test. */
const SUBJECTS: readonly [name: string, make: () => Promise<Subject>][] = [
  ["Node's own", async () => nodesOwn()],
  ['hostSockets', onHost],
  ['our stack', inSimulation],
]

/** A test that has to pass on every subject. */
export function check(title: string, body: (t: Test, subject: Subject) => Promise<void>): void {
  for (const [name, make] of SUBJECTS) {
    tap.test(`${name}: ${title}`, { timeout: 120_000 }, async (t) => {
      const subject = await make()
      try {
        await subject.run(() => body(t, subject))
      } finally {
        await subject.close()
      }
    })
  }
}
