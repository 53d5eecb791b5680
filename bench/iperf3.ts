/**
 * The client's side of iperf3's protocol, so that the other end is the kernel's TCP under a program in C, while the
 * data goes through whichever API is measured. States are single octets; parameters and results are JSON behind their
 * length in four octets (iperf3's `iperf_api.h`).
 */
import { randomBytes } from 'node:crypto'
import type net from 'node:net'

const TEST_START = 1
const TEST_RUNNING = 2
const TEST_END = 4
const PARAM_EXCHANGE = 9
const CREATE_STREAMS = 10
const EXCHANGE_RESULTS = 13
const DISPLAY_RESULTS = 14
const IPERF_DONE = 16
const PORT = 5201

/** A connection that carries the test's data. */
export interface DataConnection {
  /** The test is on. */
  start(): void
  /** Sends nothing more. */
  stop(): void
  /** Octets received so far. */
  readonly received: number
  close(): void
}

export interface Test {
  /** The server sends. */
  readonly reverse: boolean
  readonly ms: number
  /** Opens the control connection. */
  connect(port: number): Promise<net.Socket>
  /** Opens the data connection, and sends `cookie` first. */
  open(port: number, cookie: Uint8Array): Promise<DataConnection>
}

/** Runs one test. @returns the receiver's rate in Gbit/s. */
export async function iperf3(test: Test): Promise<number> {
  const cookie = Buffer.from(`${randomBytes(18).toString('hex')}\0`)
  const control = new Control(await test.connect(PORT))
  control.send(cookie)
  await control.expect(PARAM_EXCHANGE)
  const time = Math.ceil(test.ms / 1000) + 10
  const parameters = { tcp: true, omit: 0, time, parallel: 1, len: 131_072, client_version: '3.9' }
  // That the name is there is what counts to iperf3.
  control.sendJson(test.reverse ? { ...parameters, reverse: true } : parameters)
  await control.expect(CREATE_STREAMS)
  const data = await test.open(PORT, cookie)
  await control.expect(TEST_START)
  await control.expect(TEST_RUNNING)
  data.start()
  const before = data.received
  const started = performance.now()
  await new Promise((resolve) => setTimeout(resolve, test.ms))
  const elapsed = performance.now() - started
  const received = data.received - before
  data.stop()
  control.send(Buffer.of(TEST_END))
  await control.expect(EXCHANGE_RESULTS)
  control.sendJson({
    cpu_util_total: 0,
    cpu_util_user: 0,
    cpu_util_system: 0,
    sender_has_retransmits: 0,
    streams: [
      {
        id: 1,
        bytes: received,
        retransmits: 0,
        jitter: 0,
        errors: 0,
        packets: 0,
        start_time: 0,
        end_time: elapsed / 1000,
      },
    ],
  })
  const results = (await control.json()) as { streams: { bytes: number }[] }
  await control.expect(DISPLAY_RESULTS)
  control.send(Buffer.of(IPERF_DONE))
  data.close()
  control.close()
  const octets = test.reverse ? received : (results.streams[0]?.bytes ?? 0)
  return (octets * 8) / elapsed / 1e6
}

/** The control connection: what arrives, in order. */
class Control {
  private readonly socket: net.Socket
  private pending = Buffer.alloc(0)
  private wake: () => void = () => {}
  private failure: Error | undefined

  constructor(socket: net.Socket) {
    this.socket = socket
    socket.on('data', (chunk) => {
      this.pending = Buffer.concat([this.pending, chunk])
      this.wake()
    })
    socket.on('error', (error) => this.fail(error))
    socket.on('close', () => this.fail(new Error('iperf3 has closed the control connection')))
  }

  send(octets: Uint8Array): void {
    this.socket.write(octets)
  }

  sendJson(value: unknown): void {
    const text = Buffer.from(JSON.stringify(value))
    const length = Buffer.alloc(4)
    length.writeUInt32BE(text.length)
    this.send(Buffer.concat([length, text]))
  }

  async expect(state: number): Promise<void> {
    const got = (await this.take(1)).readInt8()
    if (got !== state) throw new Error(`iperf3 is in state ${got} instead of ${state}`)
  }

  async json(): Promise<unknown> {
    const length = (await this.take(4)).readUInt32BE()
    return JSON.parse((await this.take(length)).toString())
  }

  close(): void {
    this.socket.end()
  }

  private fail(error: Error): void {
    this.failure ??= error
    this.wake()
  }

  private async take(n: number): Promise<Buffer> {
    while (this.pending.length < n) {
      if (this.failure !== undefined) throw this.failure
      await new Promise<void>((resolve) => {
        this.wake = resolve
      })
    }
    const taken = this.pending.subarray(0, n)
    this.pending = this.pending.subarray(n)
    return taken
  }
}
