/** The implementations that the API's behaviour is checked on; Node's own is the judge of the others. */
import nodeDgram from 'node:dgram'
import nodeNet from 'node:net'
import tap, { type Test } from 'tap'
import { type HostSockets, hostSockets } from '../../src/api/host-sockets.ts'
import type { Dgram, Net } from '../../src/api/node-net.ts'
import { boot } from '../../src/runtime/real-time.ts'

export interface Subject {
  readonly client: Net
  readonly server: Net
  readonly clientDgram: Dgram
  readonly serverDgram: Dgram
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
    clientDgram: dgram,
    serverDgram: dgram,
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
    clientDgram: node.dgram,
    serverDgram: node.dgram,
    close: () => node.close(),
  }
}

/** Makes a subject, afresh for each test. */
const SUBJECTS: readonly [name: string, make: () => Promise<Subject>][] = [
  ["Node's own", async () => nodesOwn()],
  ['hostSockets', onHost],
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
