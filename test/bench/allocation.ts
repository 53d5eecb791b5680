/**
 * The measurements of `allocation.test.ts`, in a process of their own: `allocation.ts forward|udp|tcp` moves many packets,
 * and prints how many octets of the heap each of them took.
 *
 * The young generation of this process is larger than all that is to be allocated, so nothing is collected meanwhile, and
 * what the heap has grown by is what was allocated. A first round lets compilers have their way and pools their size.
 */
import { PerformanceObserver } from 'node:perf_hooks'
import { getHeapStatistics } from 'node:v8'
import { cablePair } from '../../bench/hosts.ts'
import { routerStand } from '../../bench/router-stand.ts'
import { Sink, smallSink, smallSource } from '../../bench/streams.ts'

/** Moves `n` packets. */
type Move = (n: number) => Promise<void>

const WARM_UP = 300_000
const MEASURED = 200_000
/** What a segment carries at an MTU of 1500. */
const SEGMENT_OCTETS = 1448

const turn = (): Promise<void> => new Promise(setImmediate)

async function forwarding(): Promise<Move> {
  const stand = await routerStand()
  return async (n) => {
    const until = stand.received + n
    stand.start()
    while (stand.received < until) await turn()
    stand.stop()
  }
}

async function datagrams(): Promise<Move> {
  const { a, b, ip } = await cablePair()
  let received = 0
  const message = (): void => {
    received++
  }
  const receiver = b.top.datagram.bind({}, { message })
  const sender = a.top.datagram.bind({}, {})
  sender.connect(ip, receiver.local.port)
  const octets = new Uint8Array(64)
  return async (n) => {
    for (const until = received + n; received < until; ) {
      for (let i = 0; i < 64 && sender.send(octets, 0, octets.length); i++);
      await turn()
    }
  }
}

async function segments(): Promise<Move> {
  const { a, b, ip } = await cablePair()
  const sink = new Sink()
  const { local } = b.top.stream.listen(
    { port: 0 },
    {
      acceptable(listener) {
        const accepted = listener.accept()
        if (accepted !== undefined) accepted.handler = smallSink(sink)
      },
    },
  )
  const source = await smallSource(a.top, ip, local.port)
  return async (n) => {
    const until = sink.received + n * SEGMENT_OCTETS
    source.start()
    while (sink.received < until) await turn()
    source.stop()
  }
}

const MOVES: Readonly<Record<string, () => Promise<Move>>> = { forward: forwarding, udp: datagrams, tcp: segments }

/** What is compiled, and what fields turn out to hold, settles over two rounds and a while of rest. */
async function octetsPerPacket(move: Move): Promise<number> {
  for (let round = 0; round < 2; round++) {
    await move(WARM_UP)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  globalThis.gc?.()
  let collections = 0
  const observer = new PerformanceObserver((list) => {
    collections += list.getEntries().length
  })
  await new Promise((resolve) => setTimeout(resolve, 10))
  observer.observe({ entryTypes: ['gc'] })
  const before = getHeapStatistics().used_heap_size
  await move(MEASURED)
  const after = getHeapStatistics().used_heap_size
  await new Promise((resolve) => setTimeout(resolve, 10))
  if (collections > 0) throw new Error(`the heap was collected ${collections} times: the figure would be too small`)
  return (after - before) / MEASURED
}

const make = MOVES[process.argv[2] ?? '']
if (make === undefined) throw new Error(`which of ${Object.keys(MOVES).join(', ')}?`)
console.log(await octetsPerPacket(await make()))
process.exit(0)
