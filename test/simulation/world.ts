/** What simulations of whole networks are made of: transfers that know whether every octet came, and how to watch them. */
import { createHash } from 'node:crypto'
import type { NetStreams } from '../../src/api/node-net.ts'
import type { Sockets } from '../../src/api/sockets.ts'
import type { Connection, ConnectionOptions, NetError, Node, Simulation } from '../../src/index.ts'
import { parseAddress } from '../../src/kernel/address.ts'

/** Pseudo-random octets, the same for the same number (Marsaglia's xorshift; quality does not matter here). */
export function octetsOf(number: number, length: number): Uint8Array {
  const words = new Int32Array(Math.ceil(length / 4))
  let state = Math.imul(number + 1, 0x9e37_79b1) | 1 | 0
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    words[i] = state
  }
  return new Uint8Array(words.buffer, 0, length)
}

export const sha256 = (octets: Uint8Array): string => createHash('sha256').update(octets).digest('hex')

/** A transfer over `node.net`, and what became of it. */
export interface Transfer {
  /** Virtual time at which the client knew that all had arrived; undefined until then. */
  readonly doneAt: number | undefined
  /** The server's hash of what it received is that of what was sent. */
  readonly intact: boolean
  readonly error: NodeJS.ErrnoException | undefined
}

/** Hashes whatever each connection brings, and answers with the hash when it ends. */
export function hashServer(node: Node<NetStreams>, port: number): void {
  const server = node.net.createServer({ allowHalfOpen: true }, (socket) => {
    const hash = createHash('sha256')
    socket.on('data', (chunk: Buffer) => hash.update(chunk))
    socket.on('end', () => socket.end(hash.digest('hex')))
    socket.on('error', () => socket.destroy())
  })
  server.listen(port)
}

/** Sends octets to a `hashServer`, as fast as the socket takes them. */
export function transfer(
  sim: Simulation,
  from: Node<NetStreams>,
  to: string,
  port: number,
  octets: Uint8Array,
): Transfer {
  const result: { doneAt: number | undefined; intact: boolean; error: NodeJS.ErrnoException | undefined } = {
    doneAt: undefined,
    intact: false,
    error: undefined,
  }
  const socket = from.net.connect({ host: to, port, allowHalfOpen: true })
  let answer = ''
  socket.setEncoding('latin1')
  socket.on('data', (text) => {
    answer += String(text)
  })
  socket.on('end', () => {
    result.doneAt = sim.now()
    result.intact = answer === sha256(octets)
  })
  socket.on('error', (error: NodeJS.ErrnoException) => {
    result.error = error
  })
  socket.end(octets)
  return result
}

/** One direction of a connection by the small API: counts what was written, acknowledged and read, and compares octets. */
export class Stream {
  readonly connection: Connection
  /** The end that receives, once it is accepted. */
  receiver: Connection | undefined
  readonly octets: Uint8Array
  written = 0
  read = 0
  /** Of what was read, everything is what was written. */
  intact = true
  senderClosed = false
  senderError: NetError | null = null
  receiverClosed = false
  receiverError: NetError | null = null
  softErrors: string[] = []
  /** While set, the receiver does not read. */
  reading = true
  private acked = 0
  private readonly into = new Uint8Array(65_536)

  constructor(
    from: Node<Sockets>,
    to: Node<Sockets>,
    address: string,
    octets: Uint8Array,
    options: { port?: number; sender?: Partial<ConnectionOptions>; receiver?: Partial<ConnectionOptions> } = {},
  ) {
    const { port = 9000, sender, receiver } = options
    this.octets = octets
    to.top.stream.listen({ port, options: receiver }, { acceptable: (listener) => this.accept(listener.accept()) })
    this.connection = from.top.stream.connect(
      { address: parseAddress(address), port, options: sender },
      {
        established: () => this.write(),
        writable: () => this.write(),
        closed: (_connection, error) => {
          this.senderClosed = true
          this.senderError = error
        },
        softError: (_connection, error) => this.softErrors.push(error.code),
      },
    )
  }

  /** Octets the receiver's stack has acknowledged, when last looked; it must never lose one of them. */
  get acknowledged(): number {
    if (!this.senderClosed) this.acked = this.written - this.connection.queuedOctets
    return this.acked
  }

  /** The sender's end is over; looks, as a condition of `runUntil`, at what is acknowledged until then. */
  get over(): boolean {
    return this.acknowledged >= 0 && this.senderClosed
  }

  /** Octets the receiver has, read or not. */
  get received(): number {
    return this.read + (this.receiver?.readableOctets ?? 0)
  }

  get complete(): boolean {
    return this.intact && this.read === this.octets.length
  }

  /** Reads what there is, and goes on reading. */
  resume(): void {
    this.reading = true
    if (this.receiver !== undefined) this.readAll(this.receiver)
  }

  private accept(connection: Connection | undefined): void {
    if (connection === undefined) return
    this.receiver = connection
    connection.handler = {
      readable: () => {
        if (this.reading) this.readAll(connection)
      },
      closed: (_connection, error) => {
        this.receiverClosed = true
        this.receiverError = error
      },
    }
    if (this.reading) this.readAll(connection)
  }

  private readAll(connection: Connection): void {
    for (let n = connection.read(this.into); n > 0; n = connection.read(this.into)) {
      const expected = Buffer.from(this.octets.buffer, this.octets.byteOffset + this.read, n)
      if (expected.compare(this.into, 0, n) !== 0) this.intact = false
      this.read += n
    }
    if (connection.ended) connection.close()
  }

  private write(): void {
    const { connection, octets } = this
    this.written += connection.write(octets, this.written, octets.length - this.written)
    if (this.written === octets.length) connection.close()
  }
}

/** The sum of one drop reason over all boundaries of a simulation whose names end so: 'cable', 'tcp', 'eth0/impair'. */
export function drops(sim: Simulation, layer: string, reason: string): number {
  let count = 0
  for (const node of sim.nodes.values()) {
    for (const boundary of node.snapshot()) {
      if (boundary.name.endsWith(`/${layer}`)) count += boundary.drops[reason] ?? 0
    }
  }
  return count
}
