/**
 * What runs on the node under test: listeners that read, do not read, close at once or never accept; sockets that
 * answer, are paused, or are connected; and interceptions decided in every way. Everything is bounded by itself, so that
 * whatever grows is the stack's.
 */
import type {
  Connection,
  ConnectionHandler,
  DatagramSocket,
  Listener,
  Sockets,
  StreamRequest,
} from '../../src/api/sockets.ts'
import { IpAddress } from '../../src/kernel/address.ts'
import { NetError } from '../../src/kernel/errors.ts'
import { below, type Random } from '../../src/kernel/random.ts'
import type { Node } from '../../src/runtime/node.ts'

export const LISTENERS: readonly number[] = [7, 9, 21, 22, 23, 80]
export const DATAGRAM_PORTS: readonly number[] = [53, 54, 55, 67, 99]
/** Interceptions of this port are never decided. */
export const UNDECIDED_PORT = 1

const MOST_CONNECTIONS = 40
const MOST_OPEN = 8

export class Application {
  private readonly node: Node<Sockets>
  private readonly random: Random
  private readonly station: IpAddress
  private readonly scratch = new Uint8Array(4096)
  private readonly kept = new Set<Connection>()
  private readonly stops: (() => void)[] = []
  private readonly paused: DatagramSocket
  private readonly talker: DatagramSocket
  /** Sockets of intercepted flows. */
  private readonly accepted: DatagramSocket[] = []
  private lazy: Listener | undefined
  private opening = 0

  /** @param station a neighbour to talk to. @param intercept prefix to intercept. */
  constructor(node: Node<Sockets>, random: Random, station: number, intercept: string) {
    this.node = node
    this.random = random
    this.station = IpAddress.ipv4(station)
    const { stream, datagram } = node.top
    this.listen(7, this.echo())
    this.listen(9, {}, { receiveBuffer: 4096 })
    this.listen(21, {}, {}, (connection) => connection.close())
    this.listen(22, {}, {}, (connection) => connection.shutdown('read'))
    this.lazy = stream.listen({ port: 23, backlog: 2 }, { acceptable: () => {} })
    const server = node.net.createServer((socket) => {
      socket.on('error', () => {})
      socket.setTimeout(20_000, () => socket.destroy())
      socket.pipe(socket)
    })
    server.listen(80)
    const answer: DatagramSocket = datagram.bind(
      { port: 53 },
      {
        message: (_socket, octets, start, length, from) => {
          if (from.port !== 0) attempt(() => answer.send(octets, start, length, from.address, from.port))
        },
      },
    )
    this.paused = datagram.bind({ port: 54, options: { receiveBuffer: 2048 } }, {})
    this.paused.pause()
    this.talker = datagram.bind({ port: 55 }, {})
    this.talker.connect(this.station, 5000)
    datagram.bind({ port: 67 }, {})
    const decide = (request: StreamRequest) => this.decideStream(request)
    this.stops.push(stream.intercept({ prefix: intercept }, decide))
    this.stops.push(
      datagram.intercept({ prefix: intercept }, (request) => {
        const how = request.destination.port === UNDECIDED_PORT ? 4 : below(random, 4)
        if (how === 0) attempt(() => this.shortLived(request.accept({})))
        else if (how === 1) request.reset()
        else if (how === 2) request.unreachable()
        else if (how === 3) request.drop()
      }),
    )
  }

  /** What an application does by itself; called now and then. */
  poke(): void {
    const { random, node, station } = this
    const { stream, icmp } = node.top
    switch (below(random, 8)) {
      case 0:
        if (this.opening < MOST_OPEN) attempt(() => this.open())
        return
      case 1:
        attempt(() => this.talker.send(this.scratch, 0, below(random, 2000)))
        return
      case 2:
        attempt(() => icmp.echo({ address: station, size: below(random, 2000) }, () => {}))
        return
      case 3:
        this.paused.resume()
        return
      case 4:
        this.paused.pause()
        return
      case 5:
        this.lazy?.close()
        this.lazy = stream.listen({ port: 23, backlog: 2 }, { acceptable: () => {} })
        return
      case 6:
        this.writeToAll()
        return
      default:
        this.kept.values().next().value?.close()
    }
  }

  /** Ends every connection the application still has. */
  finish(): void {
    for (const connection of this.kept) connection.abort()
    this.kept.clear()
    this.lazy?.close()
    this.lazy = undefined
    for (const socket of this.accepted.splice(0)) socket.close()
    this.paused.resume()
  }

  /** Takes the interceptions away again. */
  stopIntercepting(): void {
    for (const stop of this.stops.splice(0)) stop()
  }

  private writeToAll(): void {
    for (const connection of this.kept) {
      if (connection.writableOctets > 0) attempt(() => connection.write(this.scratch, 0, below(this.random, 4096)))
    }
  }

  private open(): void {
    const port = 9000 + below(this.random, 4)
    this.opening++
    const handler = this.echo()
    const connection = this.node.top.stream.connect(
      { address: this.station, port, options: { synRetries: 2, userTimeout: 5_000_000 } },
      {
        ...handler,
        closed: () => {
          this.opening--
          this.kept.delete(connection)
        },
      },
    )
    this.kept.add(connection)
  }

  private listen(
    port: number,
    handler: ConnectionHandler,
    options: { receiveBuffer?: number } = {},
    accepted: (connection: Connection) => void = () => {},
  ): void {
    this.node.top.stream.listen(
      { port, backlog: 8, options },
      {
        acceptable: (listener) => {
          for (let next = listener.accept(); next !== undefined; next = listener.accept()) {
            this.keep(next, handler)
            accepted(next)
          }
        },
      },
    )
  }

  private keep(connection: Connection, handler: ConnectionHandler): void {
    connection.handler = { ...handler, closed: () => this.kept.delete(connection) }
    this.kept.add(connection)
    if (this.kept.size <= MOST_CONNECTIONS) return
    const oldest = this.kept.values().next().value as Connection
    this.kept.delete(oldest)
    if (below(this.random, 2) === 0) oldest.abort()
    else oldest.close()
  }

  private echo(): ConnectionHandler {
    return {
      readable: (connection) => {
        for (;;) {
          const octets = connection.read(this.scratch)
          if (octets === 0) break
          attempt(() => connection.write(this.scratch, 0, octets))
        }
        if (connection.ended) connection.close()
      },
    }
  }

  private decideStream(request: StreamRequest): void {
    if (request.destination.port === UNDECIDED_PORT) return
    switch (below(this.random, 5)) {
      case 0:
        request.reset()
        return
      case 1:
        request.unreachable()
        return
      case 2:
        request.drop()
        return
      default:
        attempt(() => this.keep(request.accept({}), this.echo()))
    }
  }

  private shortLived(socket: DatagramSocket): void {
    this.accepted.push(socket)
    if (this.accepted.length > MOST_OPEN) this.accepted.shift()?.close()
  }
}

/** Does what may be refused, for a reason of the network. */
function attempt(action: () => unknown): void {
  try {
    action()
  } catch (error) {
    if (!NetError.is(error)) throw error
  }
}
