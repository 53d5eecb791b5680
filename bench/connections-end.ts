/**
 * The process of the connections bench: `connections-end.ts N`. Two hosts at a cable with N connections between them, all
 * with keepalive on. Prints one line of JSON (`Cost`).
 */
import type { Connection, Listener } from '../src/api/sockets.ts'
import { type Instant, ms, seconds } from '../src/kernel/clock.ts'
import { slab } from '../src/kernel/slab.ts'
import { Timer, Timers } from '../src/kernel/timers.ts'
import { sleep } from './harness.ts'
import { cablePair, type Pair } from './hosts.ts'

/** What N open connections make of it. */
export interface Cost {
  /** Processor time of a segment with its part of both hosts, in ns: on ten connections, and on all in turn. */
  readonly few: number
  readonly all: number
  /** To move a timer among one for each connection, and to turn the wheel by a millisecond in which nothing is due, in ns. */
  readonly arm: number
  readonly turn: number
  /** Memory of a connection, both ends of it, in octets. */
  readonly octets: number
}

/** Connections with a request under way at any time: the same however many are open. */
const ACTIVE = 10
/** Octets of a request, and of its answer: a segment each. */
const REQUEST = 1000
/** A port towards one of these is free 16,384 times. */
const PORTS = 8
/** Handshakes under way at a time. */
const CONCURRENT = 100
const IDLE = seconds(7200)

const [count, milliseconds] = process.argv.slice(2).map(Number) as [number, number]

/** Octets of the heap, outside of it, and of the slab's pages. */
function used(): number {
  for (let i = 0; i < 4; i++) globalThis.gc?.()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external + slab().reservedOctets
}

/** All of them, from A to B, which answers every request. */
async function open({ a, b, ip }: Pair, n: number): Promise<Connection[]> {
  const octets = new Uint8Array(REQUEST)
  const options = { keepAlive: true, noDelay: true }
  const answering = {
    readable(connection: Connection) {
      for (let got = connection.read(octets); got > 0; got = connection.read(octets)) connection.write(octets, 0, got)
    },
  }
  const listening = {
    acceptable(ready: Listener) {
      for (let c = ready.accept(); c !== undefined; c = ready.accept()) c.handler = answering
    },
  }
  const listeners = Array.from({ length: PORTS }, () => b.top.stream.listen({ port: 0, options }, listening))
  const one = (i: number): Promise<Connection> =>
    new Promise((resolve, reject) => {
      const { port } = (listeners[i % PORTS] as Listener).local
      const closed = (_connection: Connection, error: Error | null): void => reject(error)
      a.top.stream.connect({ address: ip, port, options }, { established: resolve, closed })
    })
  const opened: Connection[] = []
  while (opened.length < n) {
    const batch = Math.min(CONCURRENT, n - opened.length)
    opened.push(...(await Promise.all(Array.from({ length: batch }, (_, i) => one(opened.length + i)))))
  }
  return opened
}

/**
 * Requests on `connections`, so that each has its turn, and so many segments a turn of the event loop as there are requests
 * under way. @returns processor time of a segment, in ns.
 */
function exchange(connections: readonly Connection[], ms: number): Promise<number> {
  const octets = new Uint8Array(REQUEST)
  const started = performance.now()
  const before = process.cpuUsage()
  let turn = 0
  let answers = 0
  let under = 0
  return new Promise((resolve) => {
    const next = (): void => {
      const connection = connections[turn++ % connections.length] as Connection
      under++
      connection.handler = handler
      connection.write(octets)
    }
    const handler = {
      readable(connection: Connection) {
        let got = 0
        for (let n = connection.read(octets); n > 0; n = connection.read(octets)) got += n
        if (got !== REQUEST) throw new Error(`${got} octets arrived of ${REQUEST}`)
        answers++
        under--
        if (performance.now() - started < ms) next()
        else if (under === 0) {
          const { user, system } = process.cpuUsage(before)
          resolve(((user + system) * 1000) / (2 * answers))
        }
      },
    }
    for (let i = 0; i < ACTIVE; i++) next()
  })
}

/** @returns ns of one call, of so many in a row: the least of several rounds. */
function perCall(calls: number, call: (i: number) => void): number {
  let least = Number.POSITIVE_INFINITY
  for (let round = 0; round < 5; round++) {
    const started = performance.now()
    for (let i = 0; i < calls; i++) call(i)
    least = Math.min(least, performance.now() - started)
  }
  return (least * 1e6) / calls
}

/** Timers like those of idle connections, and one that moves like that of a busy one. */
function timers(n: number): Pick<Cost, 'arm' | 'turn'> {
  const wheel = new Timers()
  const idle = { expire: (): void => {} }
  for (let i = 0; i < n; i++) wheel.arm(new Timer(idle), IDLE + i * 100)
  const busy = new Timer(idle)
  let now: Instant = 0
  const arm = perCall(5e5, (i) => wheel.arm(busy, now + ms(200) + (i & 0xfff)))
  const turn = perCall(5e5, () => {
    now += ms(1)
    wheel.advance(now)
  })
  return { arm, turn }
}

// Nodes that wait for a timer alone do not keep a process alive.
setInterval(() => {}, 1000)
const pair = await cablePair()
// What is made once is not counted.
await open(pair, 1)
await sleep(200)
const before = used()
const connections = await open(pair, count)
await sleep(200)
const octets = (used() - before) / count
const few = connections.slice(0, ACTIVE)
await exchange(few, 2 * milliseconds)
await exchange(connections, milliseconds)
const cost: Cost = {
  few: await exchange(few, milliseconds),
  all: await exchange(connections, milliseconds),
  ...timers(count),
  octets,
}
console.log(JSON.stringify(cost))
process.exit(0)
