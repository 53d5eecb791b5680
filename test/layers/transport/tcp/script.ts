/**
 * One segment a line: a node with TCP on one side, the test as its peer on the other, on a clock that only the test moves.
 *
 *   const s = new Script()
 *   const c = s.connect()
 *   s.out('S 0:0 <mss 1460,ts 0 0,ws 8>')    // all that was sent since the last call, no more and no less
 *   s.in('S. 0:0 ack 1 win 1000 <mss 1000>')
 *   s.out('. 1:1 ack 1')
 *
 * Flags are S F R P U, E for ECE, W for CWR, and `.` for ACK. Sequence numbers count from the initial one of their side; `a:b` covers the payload.
 * `win` is the number in the header. In `out`, what a line does not say (win, options) is not compared.
 */

import { type ErrorReport, NetworkAddressing, PROTOCOL } from '../../../../layers/network/service.ts'
import type { TcpLayer } from '../../../../layers/transport/tcp/live-settings.ts'
import type { TcpOptions } from '../../../../layers/transport/tcp/settings.ts'
import { tcp } from '../../../../layers/transport/tcp/tcp.ts'
import type {
  Connection,
  ConnectionHandler,
  ConnectionOptions,
  ConnectRequest,
  Listener,
  ListenRequest,
  StreamSockets,
} from '../../../../src/api/sockets.ts'
import { type IpAddress, parseAddress } from '../../../../src/kernel/address.ts'
import { Boundary, type Encapsulation, type Reasons } from '../../../../src/kernel/boundary.ts'
import { checksum, fold, pseudoHeaderIpv4, sum } from '../../../../src/kernel/checksum.ts'
import type { Duration, Instant } from '../../../../src/kernel/clock.ts'
import type { Env } from '../../../../src/kernel/env.ts'
import { Packet, packetsInUse } from '../../../../src/kernel/packet.ts'
import { SeededRandom } from '../../../../src/kernel/random.ts'
import { slab } from '../../../../src/kernel/slab.ts'
import { Timers } from '../../../../src/kernel/timers.ts'
import type { AnyBoundary } from '../../../../src/runtime/node.ts'
import { NetworkDouble } from './network-double.ts'
import { decodeOptions, encodeOptions, FLAGS, format, type Sent } from './segment-text.ts'

const LINE = /^([SFRPUEW.-]+) (-?\d+):(-?\d+)(?: ack (-?\d+))?(?: win (\d+))?(?: <(.*)>)?$/

export interface ScriptOptions {
  tcp?: TcpOptions
  mtu?: number
  /** The peer's initial sequence number. */
  irs?: number
  /** Network double's offer. */
  segment?: number
  checksum?: boolean
  /** Where the clock starts. */
  now?: Instant
  seed?: number
}

export class Script {
  readonly net: NetworkDouble
  readonly layer: TcpLayer
  readonly sockets: StreamSockets['stream']
  readonly timers: Timers = new Timers()
  readonly peer: IpAddress = parseAddress('10.0.0.2')
  /** What handlers were told: 'established', 'readable', 'closed ECONNRESET', … */
  told: string[] = []
  /** Handler calls that came within a call to the API; must stay 0. */
  withinCall = 0
  accepted: Connection[] = []
  now: Instant
  /** Octets of the last data segment sent, for those who look. */
  lastPayload: Uint8Array = new Uint8Array(0)
  lastPacket: Sent | undefined
  irs: number
  private iss: number | undefined
  private sent: Sent[] = []
  ports: [local: number, remote: number] = [80, 40_000]
  private calling = false
  private readonly packetsBefore = packetsInUse()
  private readonly chunksBefore = slab().chunksInUse
  private readonly boundaries: AnyBoundary[] = []
  private readonly cleanups: (() => void | Promise<void>)[] = []

  constructor(options: ScriptOptions = {}) {
    this.now = options.now ?? 1_000_000
    this.irs = options.irs ?? 1_000_000
    const clock = { now: () => this.now }
    const random = new SeededRandom([options.seed ?? 1, 2, 3, 4])
    const env: Env = {
      node: 'A',
      scope: '',
      clock,
      timers: this.timers,
      random: () => random,
      packet: Packet.take,
      boundary: <Address, Reason extends string>(
        layer: string,
        encapsulation: Encapsulation,
        reasons: Reasons<Reason>,
      ) => {
        const boundary = new Boundary<Address, Reason>(`A/${layer}`, encapsulation, reasons, clock)
        this.boundaries.push(boundary)
        return boundary
      },
      forget: () => {},
      starting: () => {},
      defer: (cleanup) => this.cleanups.push(cleanup),
      touched: () => {},
      hold: () => () => {},
      wire: () => {},
    }
    this.net = new NetworkDouble(env, '10.0.0.1')
    this.net.mtu = options.mtu ?? 1500
    this.net.segment = options.segment ?? 0
    this.net.checksum = options.checksum ?? false
    this.layer = tcp(options.tcp)
    this.sockets = this.layer(this.net, env).stream
    this.net.sent = (packet, to) => this.record(packet, to)
  }

  // ── the application's side

  connect(options?: Partial<ConnectionOptions>, request: Partial<ConnectRequest> = {}): Connection {
    this.ports[1] = request.port ?? 40_000
    const connection = this.call(() =>
      this.sockets.connect({ address: this.peer, port: this.ports[1], options, ...request }, this.handler),
    )
    this.ports[0] = connection.local.port
    return connection
  }

  listen(request: Partial<ListenRequest> = {}): Listener {
    return this.call(() =>
      this.sockets.listen(
        { port: 80, ...request },
        {
          acceptable: (listener) => {
            this.tell('acceptable')
            for (let c = listener.accept(); c !== undefined; c = listener.accept()) {
              c.handler = this.handler
              this.accepted.push(c)
            }
          },
        },
      ),
    )
  }

  readonly handler: ConnectionHandler = {
    established: () => this.tell('established'),
    readable: () => this.tell('readable'),
    writable: () => this.tell('writable'),
    drained: () => this.tell('drained'),
    closed: (_, error) => this.tell(error === null ? 'closed' : `closed ${error.code} ${error.reason}`),
    softError: (_, error) => this.tell(`softError ${error.code}`),
  }

  /** Runs `call` as the application would: no handler may be called meanwhile. */
  call<T>(call: () => T): T {
    this.calling = true
    try {
      return call()
    } finally {
      this.calling = false
    }
  }

  /** A connection that is established: by `connect`, with nothing agreed on but the MSS. */
  established(options?: Partial<ConnectionOptions>, mss = 1000, win = 65_535): Connection {
    const connection = this.connect(options)
    this.run(0)
    this.sent = []
    this.in(`S. 0:0 ack 1 win ${win} <mss ${mss}>`)
    this.out('. 1:1 ack 1')
    this.told = []
    return connection
  }

  /** The same by `listen`; `peerOptions` are those of the SYN. */
  passive(peerOptions = 'mss 1000', options?: Partial<ConnectionOptions>, win = 65_535): Connection {
    this.listen({ options })
    this.in(`S 0:0 win ${win} <${peerOptions}>`)
    this.run(0)
    this.sent = []
    const ts = peerOptions.includes('ts') ? ' <ts 1000 0>' : ''
    this.in(`. 1:1 ack 1 win ${win}${ts}`)
    this.run(0)
    this.told = []
    const connection = this.accepted.at(-1)
    if (connection === undefined) throw new Error('nothing was accepted')
    return connection
  }

  /** Writes `n` octets that depend on where they are in the stream. */
  write(connection: Connection, n: number, from = 0): number {
    const octets = new Uint8Array(n)
    for (let i = 0; i < n; i++) octets[i] = octetAt(from + i)
    return this.call(() => connection.write(octets))
  }

  /** Reads up to `n` octets. @returns how many; throws unless they are those `in` sends from stream position `from`. */
  read(connection: Connection, n = 1_000_000, from = -1): number {
    const into = new Uint8Array(n)
    const got = this.call(() => connection.read(into))
    for (let i = 0; from >= 0 && i < got; i++) {
      if (into[i] !== octetAt(from + i)) throw new Error(`octet ${i} of the read is wrong`)
    }
    return got
  }

  // ── the clock

  /** Lets time pass; everything that is due happens. */
  run(duration: Duration): void {
    const until = this.now + duration
    for (let next = this.timers.next(); next <= until; next = this.timers.next()) {
      this.now = Math.max(this.now, next)
      this.timers.advance(this.now, this.timers.nextAge)
    }
    this.now = until
  }

  // ── the peer's side

  /** A segment from the peer, or several; they are one batch: what follows from them is seen by `out` or `run`. */
  in(...lines: string[]): void {
    for (const line of lines) this.net.arrive(this.build(line), this.from())
  }

  /** The same, in a packet that a router has marked (CE). */
  arriveMarked(line: string): void {
    const from = this.from()
    from.trafficClass = 3
    this.net.arrive(this.build(line), from)
  }

  /** What the node has sent since, after all that is due now has been done. @throws Error — it is not that. */
  out(...lines: string[]): void {
    this.run(0)
    const sent = this.sent
    this.sent = []
    const got = sent.map((segment, i) => format(segment, lines[i] ?? ''))
    if (got.join('\n') !== lines.join('\n')) {
      throw new Error(`sent:\n  ${got.join('\n  ')}\nexpected:\n  ${lines.join('\n  ')}`)
    }
  }

  /** What was told since. @throws Error — it is not that. */
  tells(...events: string[]): void {
    this.run(0)
    const got = this.told
    this.told = []
    if (got.join() !== events.join()) throw new Error(`told: [${got.join(', ')}], expected: [${events.join(', ')}]`)
  }

  /** Forgets what was sent so far. @returns how many segments. */
  skip(): number {
    this.run(0)
    const { length } = this.sent
    this.sent = []
    return length
  }

  /** Drops counted for a reason. */
  drops(reason: string): number {
    return this.tcpBoundary.drops.get(reason) ?? 0
  }

  /** An ICMP error about a segment of ours with relative sequence number `seq`. @returns false when it is disowned. */
  icmp(seq: number, fill: Partial<Pick<ErrorReport, 'code' | 'reason' | 'hard' | 'mtu'>>): boolean {
    const quote = Packet.take(0, 64)
    quote.put(8)
    quote.view.setUint16(quote.start, this.ports[0])
    quote.view.setUint16(quote.start + 2, this.ports[1])
    quote.view.setInt32(quote.start + 4, ((this.iss ?? 0) + seq) | 0)
    const own = this.net.report((report) => {
      Object.assign(report, { code: 'EHOSTUNREACH', reason: 'hostUnreachable', hard: false, mtu: 0, ...fill })
      report.source.set(this.net.local)
      report.destination.set(this.peer)
      report.quoteStart = quote.start
      report.quoteEnd = quote.end
    })
    quote.release()
    return own
  }

  /** Packets and chunks held now that were not when the script began. */
  get packets(): number {
    return packetsInUse() - this.packetsBefore
  }

  get chunks(): number {
    return slab().chunksInUse - this.chunksBefore
  }

  /** Closes the node: nothing of it is left afterwards. */
  close(): void {
    for (const cleanup of this.cleanups.reverse()) void cleanup()
  }

  /** The boundary of TCP itself. */
  get tcpBoundary(): AnyBoundary {
    return this.boundaries.find(({ name }) => name === 'A/tcp') as AnyBoundary
  }

  /** A segment that no line can say, from octets of header and payload; its checksum is completed. */
  raw(octets: Uint8Array, options: { badChecksum?: boolean; to?: string; source?: string } = {}): void {
    const packet = Packet.take(54, octets.length + 4)
    packet.append(octets)
    const from = this.from()
    if (options.to !== undefined) from.destination.set(parseAddress(options.to))
    if (options.source !== undefined) from.source.set(parseAddress(options.source))
    if (octets.length >= 20) {
      packet.view.setUint16(packet.start + 16, 0)
      const pseudo = pseudoHeaderIpv4(from.source.w3, from.destination.w3, 6, octets.length)
      const right = checksum(packet.start, octets.length, pseudo)
      packet.view.setUint16(packet.start + 16, options.badChecksum ? right ^ 1 : right)
    }
    this.net.arrive(packet, from)
  }

  /** The octets of a line's segment. */
  bytes(line: string): Uint8Array {
    const packet = this.build(line)
    const octets = packet.bytes().slice()
    packet.release()
    return octets
  }

  private from(): NetworkAddressing {
    const from = new NetworkAddressing()
    from.source.set(this.peer)
    from.destination.set(this.net.local)
    from.protocol = PROTOCOL.tcp
    from.link = 1
    return from
  }

  private build(line: string): Packet {
    const match = LINE.exec(line)
    if (match === null) throw new Error(`not a segment: ${line}`)
    const [, flags = '', seq, end, ack, win, optionText] = match
    const options = encodeOptions(optionText ?? '', this.iss ?? 0)
    const length = Number(end) - Number(seq)
    const header = 20 + options.length
    const packet = Packet.take(54, header + length + 4)
    const at = packet.put(header + length)
    const { view } = packet
    view.setUint16(at, this.ports[1])
    view.setUint16(at + 2, this.ports[0])
    view.setInt32(at + 4, (this.irs + Number(seq)) | 0)
    view.setInt32(at + 8, ack === undefined ? 0 : ((this.iss ?? 0) + Number(ack)) | 0)
    let bits = 0
    for (const [letter, bit] of FLAGS) if (flags.includes(letter)) bits |= bit
    view.setInt32(at + 12, (header << 26) | (bits << 16) | Number(win ?? 65_535))
    view.setInt32(at + 16, 0)
    packet.octets.set(options, at + 20)
    const first = Number(seq) - (flags.includes('S') ? 0 : 1)
    for (let i = 0; i < length; i++) packet.octets[at + header + i] = octetAt(first + i)
    const pseudo = pseudoHeaderIpv4(this.peer.w3, this.net.local.w3, 6, header + length)
    view.setUint16(at + 16, checksum(at, header + length, pseudo))
    return packet
  }

  private record(packet: Packet, to: NetworkAddressing): boolean {
    const { view, start: at } = packet
    const word = view.getInt32(at + 12)
    const header = (word >>> 28) * 4
    const bits = (word >>> 16) & 0xff
    const flags = FLAGS.filter(([, bit]) => (bits & bit) !== 0)
      .map(([letter]) => letter)
      .join('')
    const length = packet.length - header
    const raw = view.getInt32(at + 4)
    if ((bits & 0x02) !== 0 || this.iss === undefined) this.iss = raw
    const reset = (bits & 0x04) !== 0
    this.verify(packet, to)
    const sent: Sent = {
      flags,
      seq: (raw - (this.iss as number)) | 0,
      length,
      ack: (bits & 0x10) !== 0 ? (view.getInt32(at + 8) - this.irs) | 0 : undefined,
      win: reset ? 0 : word & 0xffff,
      options: decodeOptions(packet.octets.subarray(at + 20, at + header), this.irs),
      destination: to.destination.toString(),
      segmentOctets: packet.segmentOctets,
      ecn: to.trafficClass & 3,
    }
    if (length > 0) this.lastPayload = packet.octets.slice(at + header, packet.end)
    this.lastPacket = sent
    this.sent.push(sent)
    return true
  }

  /** Every segment sent must have a right checksum, or the pseudo-header's sum where the link completes it (MUST-2). */
  private verify(packet: Packet, to: NetworkAddressing): void {
    const pseudo = pseudoHeaderIpv4(to.source.w3, to.destination.w3, 6, packet.length)
    if (packet.checksum === 'partial') {
      if (packet.view.getUint16(packet.start + 16) !== fold(pseudo)) throw new Error('bad partial checksum sent')
      if (packet.checksumStart !== packet.start || packet.checksumOffset !== 16) throw new Error('bad checksum place')
    } else if (fold(sum(packet.start, packet.length, pseudo)) !== 0xffff) {
      throw new Error('bad checksum sent')
    }
  }

  private tell(event: string): void {
    if (this.calling) this.withinCall++
    this.told.push(event)
  }

  /** Our sequence number `relative` as it stands in a header. */
  rawSeq(relative: number): number {
    return ((this.iss ?? 0) + relative) | 0
  }

  /** Pretends that our initial sequence number is another: for segments before there is any. */
  setIss(iss: number): void {
    this.iss = iss
  }
}

/** The octet at a position of either stream. */
export function octetAt(position: number): number {
  return (position * 31 + (position >> 8)) & 0xff
}
