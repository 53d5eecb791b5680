/**
 * An iperf3 server (TCP) on netstrata's sockets: measure a stack of ours with the iperf3 that every system has.
 *
 *   tsx examples/iperf3-server.ts tap0 10.0.0.2/24      then, on the host:  ip addr add 10.0.0.1/24 dev tap0
 *                                                                           iperf3 -c 10.0.0.2 [-R | --bidir] [-P 4]
 *
 * The client leads; one connection for control, and one for each stream:
 *
 *   client                                    server
 *   cookie (37 octets) ───────────────────►
 *                      ◄─────────────────────  9 parameter exchange
 *   length, JSON ─────────────────────────►
 *                      ◄───────────────────── 10 create streams
 *   on each stream: cookie ───────────────►
 *                      ◄─────────────────────  1 test start,  2 test running
 *   ════════ data, either way or both ════════
 *   4 test end ───────────────────────────►     (ends the streams it sends on)
 *                      ◄───────────────────── 13 exchange results
 *   length, JSON ─────────────────────────►
 *                      ◄─────────────────────    length, JSON
 *                      ◄───────────────────── 14 display results
 *   16 done ──────────────────────────────►
 *
 * Unlike iperf3 itself, it serves several clients at once. Not here: UDP (-u), which is refused as not implemented.
 */
import type { Duplex } from 'node:stream'
import { pathToFileURL } from 'node:url'
import { boot, ethernet, ip, ipv4, sockets, stack, tapDevice, tcp, udp } from '../src/index.ts'

/** The states of the control connection that a server sends or hears: one octet each. */
const STATE = {
  testStart: 1,
  testRunning: 2,
  testEnd: 4,
  parameterExchange: 9,
  createStreams: 10,
  exchangeResults: 13,
  displayResults: 14,
  done: 16,
  accessDenied: 255,
  serverError: 254,
} as const

/** iperf3's number for "an option you are trying to set is not implemented yet". */
const NOT_IMPLEMENTED = 13
const COOKIE_OCTETS = 37
const MAX_JSON_OCTETS = 65_536
const MAX_STREAMS = 128
const MAX_TESTS = 64
const DEFAULT_BLOCK_OCTETS = 131_072
/** How long a client may take over each of its steps besides the test itself. */
const STEP_MS = 30_000
const FOR_EVER = Number.POSITIVE_INFINITY

/** One direction of one test, when it has ended. */
export interface StreamReport {
  readonly id: number
  /** From the server's side. */
  readonly direction: 'received' | 'sent'
  readonly octets: number
}

export interface TestReport {
  readonly seconds: number
  readonly streams: readonly StreamReport[]
}

export interface Iperf3Options {
  /** Told of each test that has come to its end. */
  readonly ended?: (report: TestReport) => void
  /** Told of each that has not: the client went away, or did not keep to the protocol. */
  readonly failed?: (error: Error) => void
}

/**
 * The server as a listener of connections: `node.net.createServer(iperf3(…)).listen(5201)`. It takes connections of
 * `node:net` as well.
 */
export function iperf3(options: Iperf3Options = {}): (socket: Duplex) => void {
  const tests = new Map<string, Test>()
  return (socket) => {
    serve(socket, tests, options).catch((error) => {
      socket.destroy()
      options.failed?.(error)
    })
  }
}

async function serve(socket: Duplex, tests: Map<string, Test>, options: Iperf3Options): Promise<void> {
  socket.on('error', () => {}) // Whoever waits for it hears of it; after that it does not matter.
  const cookie = (await read(socket, COOKIE_OCTETS)).toString('latin1')
  const running = tests.get(cookie)
  if (running !== undefined) return running.join(socket)
  if (tests.size >= MAX_TESTS) return say(socket, STATE.accessDenied)
  const test = new Test(socket)
  tests.set(cookie, test)
  try {
    options.ended?.(await test.run())
  } finally {
    tests.delete(cookie)
    test.close()
  }
}

/** What the client asks for. */
interface Parameters {
  readonly parallel: number
  /** The server sends. */
  readonly reverse: boolean
  readonly bidirectional: boolean
  readonly blockOctets: number
  /** Seconds at the beginning that do not count. */
  readonly omit: number
}

class Test {
  private readonly control: Duplex
  private readonly streams: Stream[] = []
  private parameters: Parameters | undefined
  private complete = (): void => {}

  constructor(control: Duplex) {
    this.control = control
  }

  async run(): Promise<TestReport> {
    const { control } = this
    say(control, STATE.parameterExchange)
    const asked = await readJson(control)
    if (asked.udp === true) {
      refuse(control, NOT_IMPLEMENTED)
      throw new Error('the client asks for UDP')
    }
    this.parameters = parametersOf(asked)
    const all = within<void>(STEP_MS, control, (resolve) => {
      this.complete = resolve
      return () => {}
    })
    say(control, STATE.createStreams)
    await all
    say(control, STATE.testStart)
    say(control, STATE.testRunning)
    const seconds = await this.measure(this.parameters.omit)
    say(control, STATE.exchangeResults)
    await readJson(control)
    sayJson(control, this.results(seconds))
    say(control, STATE.displayResults)
    await expect(control, STATE.done)
    return { seconds, streams: this.streams.map((stream) => stream.report()) }
  }

  /** Another connection came with the test's cookie. */
  join(socket: Duplex): void {
    const { parameters, streams } = this
    const expected = parameters === undefined ? 0 : parameters.parallel * (parameters.bidirectional ? 2 : 1)
    if (parameters === undefined || streams.length >= expected) {
      socket.destroy()
      return
    }
    // A test both ways opens the streams towards us first.
    const sends = parameters.bidirectional ? streams.length >= parameters.parallel : parameters.reverse
    // iperf3 counts 1, 3, 4, 5 …: results are told apart by these.
    const id = streams.length === 0 ? 1 : streams.length + 2
    streams.push(new Stream(socket, id, sends ? parameters.blockOctets : undefined))
    if (streams.length === expected) this.complete()
  }

  close(): void {
    for (const stream of this.streams) stream.close()
    this.control.end()
  }

  /** @returns seconds from the first octet that counts to the client's word that it is over. */
  private async measure(omit: number): Promise<number> {
    let began = performance.now()
    const timer = setTimeout(() => {
      began = performance.now()
      for (const stream of this.streams) stream.octets = 0
    }, omit * 1000)
    if (omit === 0) clearTimeout(timer)
    try {
      for (const stream of this.streams) stream.start()
      await expect(this.control, STATE.testEnd, FOR_EVER)
      return (performance.now() - began) / 1000
    } finally {
      clearTimeout(timer)
      for (const stream of this.streams) stream.stop()
    }
  }

  private results(seconds: number): object {
    return {
      cpu_util_total: 0,
      cpu_util_user: 0,
      cpu_util_system: 0,
      // We do not count retransmissions per test.
      sender_has_retransmits: 0,
      streams: this.streams.map(({ id, octets }) => ({
        id,
        bytes: octets,
        retransmits: -1,
        jitter: 0,
        errors: 0,
        packets: 0,
        start_time: 0,
        end_time: seconds,
      })),
    }
  }
}

/** One connection of a test, which only sends or only receives. */
class Stream {
  readonly id: number
  octets = 0
  private readonly socket: Duplex
  private readonly block: Buffer | undefined
  private running = false

  /** @param blockOctets how much to send at once; undefined: receive. */
  constructor(socket: Duplex, id: number, blockOctets: number | undefined) {
    this.socket = socket
    this.id = id
    this.block = blockOctets === undefined ? undefined : Buffer.alloc(blockOctets)
    if (this.block !== undefined) socket.on('drain', () => this.send())
    // What arrives on a stream that we send on does not count, but is taken.
    socket.on('data', (chunk: Buffer) => {
      if (this.block === undefined) this.octets += chunk.length
    })
  }

  start(): void {
    this.running = true
    this.send()
  }

  /** A client that receives takes what there is, and then waits for the end of the stream. */
  stop(): void {
    this.running = false
    if (this.block !== undefined) this.socket.end()
  }

  close(): void {
    this.running = false
    this.socket.destroy()
  }

  report(): StreamReport {
    return { id: this.id, direction: this.block === undefined ? 'received' : 'sent', octets: this.octets }
  }

  private send(): void {
    if (this.block === undefined) return
    while (this.running && !this.socket.destroyed) {
      this.octets += this.block.length
      if (!this.socket.write(this.block)) return
    }
  }
}

function parametersOf(asked: Record<string, unknown>): Parameters {
  const number = (name: string, least: number, most: number, otherwise: number): number => {
    const value = asked[name] ?? otherwise
    if (typeof value === 'number' && value >= least && value <= most) return value
    throw new Error(`the client asks for ${name} ${value}`)
  }
  return {
    parallel: Math.floor(number('parallel', 1, MAX_STREAMS, 1)),
    reverse: asked.reverse === true || asked.reverse === 1,
    bidirectional: asked.bidirectional === true || asked.bidirectional === 1,
    blockOctets: Math.floor(number('len', 1, 1_048_576, DEFAULT_BLOCK_OCTETS)),
    omit: number('omit', 0, 600, 0),
  }
}

function say(control: Duplex, state: number): void {
  control.write(Buffer.of(state))
}

function sayJson(control: Duplex, value: object): void {
  const text = Buffer.from(JSON.stringify(value))
  const length = Buffer.alloc(4)
  length.writeUInt32BE(text.length)
  control.write(Buffer.concat([length, text]))
}

/** What iperf3 prints for `error`, a number of its own. The second word is errno. */
function refuse(control: Duplex, error: number): void {
  const message = Buffer.alloc(9)
  message.writeUInt8(STATE.serverError, 0)
  message.writeUInt32BE(error, 1)
  control.write(message)
}

async function readJson(control: Duplex): Promise<Record<string, unknown>> {
  const length = (await read(control, 4)).readUInt32BE()
  if (length > MAX_JSON_OCTETS) throw new Error(`the client announces ${length} octets of JSON`)
  const value: unknown = JSON.parse((await read(control, length)).toString())
  if (typeof value !== 'object' || value === null) throw new Error('the client sends no object')
  return { ...value }
}

async function expect(control: Duplex, state: number, limitMs = STEP_MS): Promise<void> {
  const said = (await read(control, 1, limitMs)).readUInt8()
  if (said !== state) throw new Error(`the client says ${said}, not ${state}`)
}

/** Takes exactly so many octets from a socket that is not flowing. @throws Error — it ended, failed or took too long. */
function read(socket: Duplex, octets: number, limitMs = STEP_MS): Promise<Buffer> {
  return within(limitMs, socket, (resolve) => {
    const take = (): void => {
      const chunk: Buffer | null = octets === 0 ? Buffer.alloc(0) : socket.read(octets)
      // At the end, `read` gives what is left.
      if (chunk !== null && chunk.length === octets) resolve(chunk)
    }
    socket.on('readable', take)
    take()
    return () => socket.off('readable', take)
  })
}

/**
 * Waits for one thing of a client, but not for ever.
 * @param begin starts the wait, and returns what ends it.
 * @throws Error — the connection was over first, or `limitMs` have passed.
 */
function within<T>(limitMs: number, socket: Duplex, begin: (resolve: (value: T) => void) => () => void): Promise<T> {
  return new Promise((resolve, reject) => {
    let end = (): void => {}
    const settle = (): void => {
      clearTimeout(timer)
      socket.off('end', over).off('close', over).off('error', failed)
      end()
    }
    const failed = (error: Error): void => {
      settle()
      reject(error)
    }
    const over = (): void => failed(new Error('the client has closed the connection'))
    const late = (): void => failed(new Error(`the client has not gone on within ${limitMs} ms`))
    const timer = limitMs === FOR_EVER ? undefined : setTimeout(late, limitMs)
    socket.on('end', over).on('close', over).on('error', failed)
    let settled = false
    end = begin((value) => {
      settled = true
      settle()
      resolve(value)
    })
    if (settled) end()
  })
}

async function main([device, address]: readonly (string | undefined)[]): Promise<void> {
  if (device === undefined || address === undefined) {
    console.error('usage: tsx examples/iperf3-server.ts DEVICE ADDRESS/LENGTH     (such as: tap0 10.0.0.2/24)')
    process.exitCode = 2
    return
  }
  const node = await boot(
    stack(
      tapDevice({ name: device, vnetHdr: true }),
      ethernet(),
      ip(ipv4({ address })),
      sockets(tcp({ connection: { noDelay: true } }), udp()),
    ),
  )
  const server = node.net.createServer(
    iperf3({
      ended({ seconds, streams }) {
        for (const { id, direction, octets } of streams) {
          console.log(`[${id}] ${direction} ${octets} octets, ${((octets * 8) / seconds / 1e6).toFixed(0)} Mbit/s`)
        }
      },
      failed: (error) => console.error(error.message),
    }),
  )
  server.listen(5201, () => console.log(`an iperf3 server on ${address} behind ${device}; end it with Ctrl-C`))
  process.once('SIGINT', () => void node.close())
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await main(process.argv.slice(2))
