/** An attacker on the kernel's side of a stand who sees what passes and forges what he likes: scapy, told what to send. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as wait } from 'node:timers/promises'
import type { Cleaning, Namespace } from './helpers.ts'
import { OURS, THEIRS } from './stand.ts'

const PROGRAM = join(import.meta.dirname, 'attacker.py')
/** Debian's, which has Debian's scapy. */
const PYTHON = '/usr/bin/python3'

/** A segment that the node sent. */
export interface Seen {
  /** As scapy writes them: 'A', 'RA', 'PA'. */
  readonly flags: string
  readonly seq: number
  readonly ack: number
  readonly length: number
  /** Where it goes to. */
  readonly port: number
  /** TSval and TSecr. */
  readonly timestamps: readonly [number, number] | null
}

/** A segment to forge; sequence numbers wrap. */
export interface ForgedSegment {
  readonly sport: number
  readonly dport: number
  readonly flags: string
  readonly seq: number
  readonly ack?: number
  readonly timestamps?: readonly [number, number]
  readonly payload?: string
  readonly times?: number
  /** How many answers are waited for, however long they take; default 0. */
  readonly expected?: number
}

/** An ICMP error to forge, about a segment that went from our `sport` to the kernel's `dport`. */
export interface ForgedError {
  readonly type: number
  readonly code: number
  readonly sport: number
  readonly dport: number
  readonly seq: number
  readonly mtu?: number
  readonly times?: number
}

export interface Attacker {
  /** Listens for half a second, or while something is done. @returns the last segment from a port of ours. */
  learn(port: number, meanwhile?: () => Promise<unknown>): Promise<Seen>
  /** Sends a segment. @returns what was answered, also what was not expected and came within a quarter of a second. */
  tcp(segment: ForgedSegment): Promise<Seen[]>
  icmp(error: ForgedError): Promise<void>
}

/** Starts one; he goes with the test. */
export async function attacker(t: Cleaning, { name }: Namespace): Promise<Attacker> {
  const args = ['netns', 'exec', name, PYTHON, PROGRAM, 'x0', THEIRS, OURS]
  const child = spawn('ip', args, { stdio: ['pipe', 'pipe', 'inherit'] })
  const gone = once(child, 'close')
  t.teardown(() => {
    child.stdin.end()
    return gone
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const next = async (): Promise<string> => {
    const { value, done } = await lines.next()
    if (done) throw new Error('the attacker has ended')
    return value
  }
  await next()
  const tell = async (command: object): Promise<string> => {
    child.stdin.write(`${JSON.stringify(command)}\n`)
    return next()
  }
  const ask = async (command: object): Promise<unknown> => JSON.parse(await tell(command))
  return {
    async learn(port, meanwhile = () => wait(500)) {
      await tell({ learn: port })
      await meanwhile()
      const seen = (await ask({})) as Seen | null
      if (seen === null) throw new Error(`port ${port} has sent nothing`)
      return seen
    },
    tcp: async (segment) => (await ask({ tcp: segment })) as Seen[],
    icmp: async (error) => void (await ask({ icmp: error })),
  }
}
