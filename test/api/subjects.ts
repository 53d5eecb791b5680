/** The implementations that the API's behaviour is checked on; Node's own is the judge of the others. */
import nodeDgram from 'node:dgram'
import nodeNet from 'node:net'
import tap, { type Test } from 'tap'
import { tcp } from '../../layers/transport/index.ts'
import { type HostSockets, hostSockets } from '../../src/api/host-sockets.ts'
import type { Dgram, Net } from '../../src/api/node-net.ts'
import type { StreamSockets } from '../../src/api/sockets.ts'
import { ms, seconds } from '../../src/kernel/clock.ts'
import { boot } from '../../src/runtime/real-time.ts'
import { Simulation } from '../../src/runtime/simulation.ts'
import { NetworkDouble, Wire } from '../layers/transport/tcp/network-double.ts'

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
  /** Waits by the subject's clock. */
  sleep(ms: number): Promise<void>
  close(): Promise<void>
}

const LOCALHOST = '127.0.0.1'

const realTime = {
  address: LOCALHOST,
  clientAddress: LOCALHOST,
  run: <T>(body: () => Promise<T>): Promise<T> => body(),
  sleep: (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms)),
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

/** Our classes over our TCP, between two hosts of a simulation. */
export async function inSimulation(): Promise<Subject> {
  const sim = new Simulation()
  const host = (name: string, address: string) => {
    let network: NetworkDouble | undefined
    const node = sim.boot<StreamSockets>(name, (env) => {
      network = new NetworkDouble(env, address)
      return tcp()(network, env)
    })
    return { net: node.net, network: network as NetworkDouble }
  }
  const a = host('A', '10.0.0.1')
  const b = host('B', '10.0.0.2')
  const random = sim.random('wire')
  new Wire(a.network, b.network, sim.timers, () => sim.now(), random)
  new Wire(b.network, a.network, sim.timers, () => sim.now(), random)
  return {
    real: false,
    client: a.net,
    server: b.net,
    address: '10.0.0.2',
    clientAddress: '10.0.0.1',
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
  ['our TCP', inSimulation],
]

/** A test that has to pass on every subject. */
export function check(title: string, body: (t: Test, subject: Subject) => Promise<void>): void {
  for (const [name, make] of SUBJECTS) {
    tap.test(`${name}: ${title}`, { timeout: 10_000 }, async (t) => {
      const subject = await make()
      try {
        await subject.run(() => body(t, subject))
      } finally {
        await subject.close()
      }
    })
  }
}
