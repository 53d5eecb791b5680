/**
 * What hostile peers are held against: while they do their worst, a download and an upload between us and the kernel run
 * through the same TAP device. Neither may stall or be spoilt, and what the node holds must stay bounded.
 */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { Readable } from 'node:stream'
import { setTimeout as wait } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type t from 'tap'
import type { Node, Sockets } from '../../src/index.ts'
import { slab } from '../../src/kernel/slab.ts'
import { type Cleaning, until } from './helpers.ts'
import { payload, type Received, received, type Sending } from './payload.ts'
import { OURS, type Stand, stand } from './stand.ts'

/** Longest time that a transfer may make no progress, but for what the machine gives to others. */
const STALL_MS = 2000
/**
 * By then the sockets have put what they will on the heap of this process, once and for all: 16 MB, which must not be taken for
 * what a flood leaves there (src/api/node-net/chunks.ts).
 */
const SETTLED_OCTETS = 16 << 20
let settled = false
/** Between two blocks of a transfer: it is to be steady, and leave the machine to the enemy. */
const PACE_MS = 10

export type Asserting = Cleaning & Pick<typeof t, 'equal' | 'ok' | 'same' | 'comment'>

/** A node, and the transfers that must survive. */
export interface Siege extends Stand {
  /** The kernel's ports of the transfers: with ours, 80, all that an attacker may know of them. */
  readonly ports: readonly number[]
  /** Lets the transfers come to their end, holds that they are whole and never stalled, and closes the node. */
  relieve(): Promise<void>
}

/** Boots both ends and begins the transfers. */
export async function besieged(t: Asserting): Promise<Siege> {
  const place = await stand(t, 'tap')
  const { node, kernel } = place
  const pulses = [new Pulse(), new Pulse()] as const
  let going = true
  const sending = [steady(() => going), steady(() => going)] as const
  let uploaded: Received | undefined
  const server = createServer(async (request, response) => {
    if (request.method === 'GET') {
      pulses[0].through(sending[0].stream).pipe(response)
      return
    }
    uploaded = await received(pulses[1].through(request))
    response.end()
  })
  await once(node.net.attach(server).listen(80), 'listening')
  const url = `http://${OURS}/`
  const down = kernel.run('bash', '-o', 'pipefail', '-c', `curl -sS ${url} | sha256sum`)
  const up = kernel.feed(sending[1].stream, 'curl', '-sS', '-T', '-', url)
  await until(() => pulses.every(({ beats }) => beats > 10), 'both transfers are under way')
  if (!settled) await until(() => sending[1].sent().octets > SETTLED_OCTETS, 'the heap is as large as it gets')
  settled = true
  return {
    ...place,
    ports: [...node.top.stream.list()].flatMap(({ remote }) => (remote === undefined ? [] : [remote.port])),
    async relieve() {
      going = false
      const [downloaded, fed] = await Promise.all([down, up])
      t.equal(downloaded.code, 0, 'the download ends well')
      t.equal(downloaded.output.slice(0, 64), sending[0].sent().hash, 'and is what was sent')
      t.same(fed, { code: 0, output: '' }, 'the upload ends well')
      t.same(uploaded, sending[1].sent(), 'and is what was sent')
      for (const [i, { longestMs }] of pulses.entries())
        t.ok(longestMs < STALL_MS, `${i === 0 ? 'download' : 'upload'}: no progress for ${longestMs} ms at the most`)
      await node.close()
    },
  }
}

/** The payload for as long as `more` says so, a block at a time. */
function steady(more: () => boolean): Sending {
  const sending = payload(more)
  async function* paced(): AsyncGenerator<Buffer> {
    for await (const block of sending.stream) {
      yield block
      await wait(PACE_MS)
    }
  }
  return { ...sending, stream: Readable.from(paced(), { objectMode: false }) }
}

/** How steadily a stream flows. */
class Pulse {
  beats = 0
  longestMs = 0

  through(stream: Readable): Readable {
    const pulse = this
    async function* watched(): AsyncGenerator<Buffer> {
      let last = performance.now() - kept()
      for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
        yield chunk
        pulse.beats++
        const now = performance.now() - kept()
        pulse.longestMs = Math.max(pulse.longestMs, Math.round(now - last))
        last = now
      }
    }
    return Readable.from(watched(), { objectMode: false })
  }
}

/** Milliseconds for which this thread was ready to run, and had no processor. */
function kept(): number {
  const [, nanoseconds = 0] = readFileSync('/proc/thread-self/schedstat', 'utf8').split(' ').map(Number)
  return nanoseconds / 1e6
}

/** Handshakes that a node has begun and not completed. */
export function halfOpen(node: Node<Sockets>): number {
  let count = 0
  for (const { state } of node.top.stream.list()) if (state === 'SYN-RECEIVED') count++
  return count
}

/** A counter of a boundary, or of one of its drop reasons; summed over all reasons without one. */
export function dropped(node: Node<unknown>, layer: string, reason?: string): number {
  const drops = node.snapshot().find(({ name }) => name.endsWith(`/${layer}`))?.drops ?? {}
  if (reason !== undefined) return drops[reason] ?? 0
  return Object.values(drops).reduce((sum, count) => sum + count, 0)
}

let collect: (() => void) | undefined

/** Octets that are held: what is reachable of the heap, and the pages of the slab. */
export function memory(): { heap: number; slab: number } {
  setFlagsFromString('--expose-gc')
  collect ??= runInNewContext('gc') as () => void
  collect()
  return { heap: process.memoryUsage().heapUsed, slab: slab().reservedOctets }
}
