/** The calls of the system that scripts make, over `node.top.stream`. */
import type { Connection, IpAddress, StreamSockets } from '../../../src/index.ts'
import { Failure, Unsupported } from '../failure.ts'
import type { CallAction, Value } from '../language/script.ts'
import { Arguments, numberOf } from './arguments.ts'
import { MSG, O_NONBLOCK, O_RDWR } from './constants.ts'
import { Epoll } from './epoll.ts'
import { receiveNotice } from './error-messages.ts'
import { deferConnect, FAST_OPEN, sendOpening } from './fast-open.ts'
import { type Attempt, at, DONE, failed, type Outcome, outcomeOf } from './outcome.ts'
import { type After, pollSockets } from './poll.ts'
import { LinuxSocket } from './socket.ts'
import { getSocketOption, setSocketOption } from './socket-options.ts'
import { receive, receiveMessage, send } from './transfer.ts'

/** Where calls go that do not say. */
export interface Place {
  readonly remote: IpAddress
  readonly bindPort: number
  readonly connectPort: number
  /** net.ipv4.tcp_fastopen. */
  readonly fastOpen: number
}

/** The script's time. */
export interface Timing {
  /** Microseconds since it began, and what a time may differ by. */
  now(): number
  readonly toleranceUs: number
  readonly after: After
}

/** What the interpreter wants to know. */
export interface CallListener {
  created(socket: LinuxSocket): void
  listening(port: number): void
  connecting(socket: LinuxSocket, connection: Connection): void
  accepted(socket: LinuxSocket, connection: Connection): void
}

type Call = (args: Arguments) => Attempt

/** Options of a listener that its SYN-ACKs go by. */
const OF_HANDSHAKES: readonly string[] = ['TCP_FASTOPEN', 'TCP_MAXSEG']

export class Calls {
  /** Something has happened that a blocked call may have waited for. */
  changed = true
  private readonly descriptors = new Map<number, LinuxSocket>()
  private readonly epolls = new Map<number, Epoll>()
  private readonly stream: StreamSockets['stream']
  private readonly place: Place
  private readonly listener: CallListener
  private readonly timing: Timing

  constructor(stream: StreamSockets['stream'], place: Place, listener: CallListener, timing: Timing) {
    this.stream = stream
    this.place = place
    this.listener = listener
    this.timing = timing
  }

  private readonly calls: Readonly<Record<string, Call>> = {
    socket: (args) => at(this.socket(args)),
    bind: (args) => at(this.bind(args)),
    listen: (args) => at(this.listen(args)),
    accept: (args) => this.accept(args),
    accept4: (args) => this.accept(args),
    connect: (args) => this.connect(args),
    close: (args) => at(this.close(args)),
    shutdown: (args) => at(this.shutdown(args)),
    fcntl: (args) => at(this.fcntl(args)),
    ioctl: (args) => at(this.ioctl(args)),
    setsockopt: (args) => at(this.setOption(args)),
    getsockopt: (args) => at(getSocketOption(this.of(args), args)),
    poll: (args) =>
      pollSockets(
        args,
        (fd) => this.descriptors.get(fd),
        (us, action) => this.afterwards(us, action),
      ),
    read: (args) => receive(this.of(args), args.number(2), 0, args),
    recv: (args) => receive(this.of(args), args.number(2), args.number(3), args),
    recvfrom: (args) => receive(this.of(args), args.number(2), args.number(3), args),
    readv: (args) => receive(this.of(args), this.total(args.list(1), args), 0, args),
    epoll_create: (args) => at(this.epollCreate(args)),
    epoll_create1: (args) => at(this.epollCreate(args)),
    epoll_ctl: (args) => at(this.epollControl(args)),
    epoll_wait: (args) => this.epoll(args).wait(args, (us, action) => this.afterwards(us, action)),
    recvmsg: (args) =>
      (args.number(2) & MSG.ERRQUEUE) !== 0
        ? receiveNotice(this.of(args), args, this.timing.toleranceUs)
        : receiveMessage(this.of(args), this.total(this.vectors(args), args), args.number(2), args),
    write: (args) => this.send(args.octets(1, args.number(2)), 0, args),
    send: (args) => this.send(args.octets(1, args.number(2)), args.number(3), args),
    sendto: (args) => this.send(args.octets(1, args.number(2)), args.number(3), args),
    writev: (args) => send(this.of(args), new Uint8Array(this.total(args.list(1), args)), 0, args),
    sendmsg: (args) => this.sendMessage(args),
  }

  /** @throws Unsupported — there is no such call here. */
  start(call: CallAction, line: number): Attempt {
    if (!Object.hasOwn(this.calls, call.name)) throw new Unsupported(line, `the call ${call.name}()`)
    return (this.calls[call.name] as Call)(new Arguments(call, line))
  }

  /** Something may have happened: error queues hear of it. */
  settle(): void {
    for (const { connection, errors } of this.descriptors.values()) {
      if (connection !== undefined) errors.settle(connection, this.timing.now())
    }
  }

  private afterwards(us: number, action: () => void): void {
    this.timing.after(us, () => {
      action()
      this.changed = true
    })
  }

  private of(args: Arguments): LinuxSocket {
    const fd = args.number(0)
    const socket = this.descriptors.get(fd)
    if (socket === undefined) throw new Failure(args.line, `no file descriptor ${fd}`)
    return socket
  }

  /** A new descriptor: of the number the script gives it, also if it had given it before. */
  private free(args: Arguments): number {
    const { result } = args.call
    return result.kind === 'number' && result.value >= 0 ? result.value : 3 + this.descriptors.size
  }

  private add(args: Arguments): [number, LinuxSocket] {
    const fd = this.free(args)
    const socket = new LinuxSocket(() => {
      this.changed = true
    })
    this.descriptors.set(fd, socket)
    return [fd, socket]
  }

  private epollCreate(args: Arguments): Outcome {
    const result = this.free(args)
    this.epolls.set(result, new Epoll())
    return { result }
  }

  private epoll(args: Arguments): Epoll {
    const epoll = this.epolls.get(args.number(0))
    if (epoll === undefined) throw new Failure(args.line, `no epoll descriptor ${args.number(0)}`)
    return epoll
  }

  /** epoll_ctl(epfd, operation, fd, {events=…, fd=…}) */
  private epollControl(args: Arguments): Outcome {
    const socket = this.descriptors.get(args.number(2))
    if (socket === undefined) return failed('EBADF')
    const operation = args.word(1)
    const events = operation === 'EPOLL_CTL_DEL' ? 0 : numberOf(args.field(args.at(3), 'events'), args.line)
    return this.epoll(args).control(operation, args.number(2), socket, events)
  }

  private socket(args: Arguments): Outcome {
    if (args.at(1).kind === 'word' && args.word(1) !== 'SOCK_STREAM') throw args.unsupported(args.word(1))
    const protocol = args.word(2)
    if (protocol !== 'IPPROTO_TCP' && protocol !== 'any') throw args.unsupported(protocol)
    const [fd, socket] = this.add(args)
    socket.nonBlocking = (args.number(1) & O_NONBLOCK) !== 0
    this.listener.created(socket)
    return { result: fd }
  }

  private bind(args: Arguments): Outcome {
    this.of(args).bound = portOf(args, 1) ?? this.place.bindPort
    return DONE
  }

  private listen(args: Arguments): Outcome {
    const socket = this.of(args)
    if (socket.listener !== undefined) return DONE
    // Linux lets one more than the backlog wait.
    socket.backlog = args.number(1) + 1
    const { server, listeners } = FAST_OPEN
    if ((this.place.fastOpen & (server | listeners)) === (server | listeners) && !socket.options.has('fastOpen')) {
      socket.set('fastOpen', socket.backlog)
    }
    return this.beginListen(socket)
  }

  private beginListen(socket: LinuxSocket): Outcome {
    const { backlog } = socket
    const port = socket.bound ?? 0
    try {
      const handler = {
        acceptable: () => {
          this.changed = true
        },
      }
      socket.listener = this.stream.listen({ port, backlog, options: socket.initialOptions }, handler)
      this.listener.listening(socket.listener.local.port)
      return DONE
    } catch (error) {
      return outcomeOf(error)
    }
  }

  private setOption(args: Arguments): Outcome {
    const socket = this.of(args)
    const clientOff = (this.place.fastOpen & FAST_OPEN.client) === 0
    if (args.word(2) === 'TCP_FASTOPEN_CONNECT' && clientOff) return failed('EOPNOTSUPP')
    const outcome = setSocketOption(socket, args)
    // What concerns the handshakes to come, for a listener of ours is said when it begins.
    if (!OF_HANDSHAKES.includes(args.word(2)) || socket.listener === undefined) return outcome
    socket.listener.close()
    return this.beginListen(socket)
  }

  private send(octets: Uint8Array, flags: number, args: Arguments): Attempt {
    const socket = this.of(args)
    const attempt = this.sendOrOpen(socket, octets, flags, args)
    return () => {
      const outcome = attempt()
      if (outcome !== undefined && outcome.result > 0) {
        socket.errors.wrote(outcome.result, (flags & MSG.ZEROCOPY) !== 0)
      }
      return outcome
    }
  }

  private sendOrOpen(socket: LinuxSocket, octets: Uint8Array, flags: number, args: Arguments): Attempt {
    const opens = socket.deferred || ((flags & MSG.FASTOPEN) !== 0 && socket.connection === undefined)
    if (!opens) {
      const connecting = socket.connection !== undefined && !socket.established && !socket.over
      if (connecting && (flags & MSG.FASTOPEN) !== 0) return at(failed('EALREADY'))
      return send(socket, octets, flags, args)
    }
    if ((this.place.fastOpen & FAST_OPEN.client) === 0) return at(failed('EOPNOTSUPP'))
    if (isUnspecified(args, 4)) return at(failed('EOPNOTSUPP'))
    if (args.isNull(1) && octets.length > 0) return at(failed('EFAULT'))
    const mayWait = !socket.nonBlocking && (flags & MSG.DONTWAIT) === 0
    const attempt = sendOpening(socket, octets, mayWait, () => this.open(socket, args, 4, true))
    if (socket.connection !== undefined) this.listener.connecting(socket, socket.connection)
    return attempt
  }

  private open(socket: LinuxSocket, args: Arguments, index: number, fastOpen: boolean): Connection {
    const request = {
      address: this.place.remote,
      port: portOf(args, index) ?? this.place.connectPort,
      localPort: socket.bound,
      options: fastOpen ? { ...socket.initialOptions, fastOpen: 1 } : socket.initialOptions,
    }
    return this.stream.connect(request, socket.handler)
  }

  private accept(args: Arguments): Attempt {
    const listening = this.of(args)
    return () => {
      const { listener } = listening
      if (listener === undefined) return failed('EINVAL')
      const connection = listener.accept()
      if (connection === undefined) return listening.nonBlocking ? failed('EAGAIN') : undefined
      const [fd, socket] = this.add(args)
      socket.nonBlocking = args.call.name === 'accept4' && (args.number(3) & O_NONBLOCK) !== 0
      socket.adopt(connection, listening)
      this.listener.accepted(socket, connection)
      return { result: fd }
    }
  }

  private connect(args: Arguments): Attempt {
    const socket = this.of(args)
    if (isUnspecified(args, 1)) {
      socket.disconnect()
      return at(DONE)
    }
    if (socket.deferred) return at(failed('EISCONN'))
    if (socket.connection === undefined) {
      const outcome = this.beginConnect(socket, args)
      if (outcome !== undefined) return at(outcome)
    } else if (socket.connected) return at(failed('EISCONN'))
    else if (!socket.established && !socket.over) return at(failed('EALREADY'))
    return () => {
      if (socket.over && !socket.established) return failed(socket.takeError() ?? 'ECONNABORTED')
      if (!socket.established) return undefined
      socket.connected = true
      return DONE
    }
  }

  private beginConnect(socket: LinuxSocket, args: Arguments): Outcome | undefined {
    const { fastOpenConnect } = socket
    const deferred = fastOpenConnect ? deferConnect(socket, () => this.open(socket, args, 1, true)) : undefined
    if (deferred !== undefined) return deferred
    try {
      socket.connection = this.open(socket, args, 1, fastOpenConnect)
    } catch (error) {
      return outcomeOf(error)
    }
    this.listener.connecting(socket, socket.connection)
    return socket.nonBlocking ? failed('EINPROGRESS') : undefined
  }

  private close(args: Arguments): Outcome {
    const fd = args.number(0)
    if (this.epolls.delete(fd)) return DONE
    const { listener, connection } = this.of(args)
    this.descriptors.delete(fd)
    for (const epoll of this.epolls.values()) epoll.forget(fd)
    listener?.close()
    connection?.close()
    return DONE
  }

  private shutdown(args: Arguments): Outcome {
    const socket = this.of(args)
    const { connection } = socket
    if (connection === undefined || socket.over) return failed('ENOTCONN')
    const how = args.word(1)
    // To Linux's TCP, SHUT_RD means nothing: what arrives is acknowledged and can be read all the same.
    try {
      if (how !== 'SHUT_RD') connection.shutdown('write')
    } catch (error) {
      return outcomeOf(error)
    }
    if (how !== 'SHUT_WR') socket.readShut = true
    if (how !== 'SHUT_RD') socket.writeShut = true
    this.changed = true
    return DONE
  }

  private fcntl(args: Arguments): Outcome {
    const socket = this.of(args)
    const command = args.word(1)
    if (command === 'F_GETFL') return { result: O_RDWR | (socket.nonBlocking ? O_NONBLOCK : 0) }
    if (command !== 'F_SETFL') throw args.unsupported(command)
    socket.nonBlocking = (args.number(2) & O_NONBLOCK) !== 0
    return DONE
  }

  private ioctl(args: Arguments): Outcome {
    const { connection } = this.of(args)
    const request = args.word(1)
    if (request !== 'SIOCINQ' && request !== 'FIONREAD' && request !== 'SIOCOUTQ') throw args.unsupported(request)
    if (connection === undefined) return failed('EINVAL')
    const got = request === 'SIOCOUTQ' ? connection.queuedOctets : connection.readableOctets
    const expected = args.first(2)
    if (expected.kind === 'any' || numberOf(expected, args.line) === got) return DONE
    return { ...DONE, differs: `${request}: expected ${numberOf(expected, args.line)}, got ${got}` }
  }

  private sendMessage(args: Arguments): Attempt {
    if (args.field(args.at(1), 'msg_control').kind !== 'any') throw args.unsupported('control messages')
    return this.send(new Uint8Array(this.total(this.vectors(args), args)), args.number(2), args)
  }

  /** The vectors of a struct msghdr. */
  private vectors(args: Arguments): readonly Value[] {
    const vectors = args.field(args.at(1), 'msg_iov')
    return vectors.kind === 'list' ? vectors.items : []
  }

  /** Octets of vectors: `[{..., 100}, {..., 20}]`. */
  private total(vectors: readonly Value[], args: Arguments): number {
    return vectors.reduce((sum, vector) => {
      const length = vector.kind === 'list' ? vector.items[1] : undefined
      if (length === undefined) throw args.unsupported('a vector without length')
      return sum + numberOf(length, args.line)
    }, 0)
  }
}

/** AF_UNSPEC instead of an address: none, or no longer. */
function isUnspecified(args: Arguments, index: number): boolean {
  const address = args.at(index)
  return address.kind === 'word' && address.name === 'AF_UNSPEC'
}

/** The port of `{sa_family = AF_INET, sin_port = htons(80), …}`, or of AF_INET6's; undefined for `...`. */
function portOf(args: Arguments, index: number): number | undefined {
  const address = args.at(index)
  if (address.kind === 'any') return undefined
  const family = args.field(address, 'sa_family')
  if (family.kind === 'word' && !/^AF_INET6?$/.test(family.name)) throw args.unsupported(family.name)
  const port = args.field(address, 'sin6_port')
  return numberOf(port.kind === 'any' ? args.field(address, 'sin_port') : port, args.line)
}
