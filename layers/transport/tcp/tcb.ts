/**
 * The transmission control block (RFC 9293 §3.3.1): everything a connection's protocol knows, and nothing it does.
 *
 *   snd    una ─────────────── nxt ───────────── una + wnd        rcv    nxt ─────────────── nxt + wnd
 *          │ in flight        │ may be sent     │                        │ will be accepted │
 *
 * Sequence numbers are int32; sizes are octets; instants that are not set are Infinity.
 */
import type { ConnectionOptions, ConnectionState, Endpoint } from '../../../src/api/sockets.ts'
import { IpAddress } from '../../../src/kernel/address.ts'
import type { Duration, Instant } from '../../../src/kernel/clock.ts'
import { Path } from '../../network/service.ts'
import { congestion } from './congestion.ts'
import type { FastOpen } from './fast-open.ts'
import { Growth, type GrowthBudget, sendQueueFor } from './growth.ts'
import type { MtuSearch } from './mtu-search.ts'
import { Reassembly, type ReassemblyBudget } from './reassembly.ts'
import type { ReceiveQueue } from './receive-queue.ts'
import { ReceiveSpace } from './receive-space.ts'
import { RoundTrip } from './rtt.ts'
import { SackBlocks } from './sack-blocks.ts'
import type { SendBuffer } from './send-buffer.ts'
import { Sender } from './sender.ts'
import type { TcpSettings } from './settings.ts'

/** Not running. */
export const NEVER: Instant = Number.POSITIVE_INFINITY

/** Send MSS when the peer names none (RFC 9293 §3.7.1 MUST-15). */
export const DEFAULT_MSS_IPV4 = 536
export const DEFAULT_MSS_IPV6 = 1220

/** What the timer of what is outstanding will mean: a timeout, a tail loss probe, or the end of RACK's patience. */
export type RetransmitTimer = 'rto' | 'probe' | 'reorder'

/** What the connection has to tell its owner; bits of `Tcb.events`. */
export const ESTABLISHED = 1
export const READABLE = 2
export const WRITABLE = 4
export const DRAINED = 8
export const SOFT_ERROR = 16
/** Over: `Tcb.failure` says why. */
export const OVER = 32
/** Sent again R1 times without an answer (RFC 9293 §3.8.3). */
export const UNANSWERED = 64

/** Why a connection is over; becomes a NetError once somebody wants to hear it. */
export interface Failure {
  readonly code: string
  readonly message: string
  readonly reason: string
  readonly rfc: string
}

/** Tells taps why a segment that carries nothing new was sent. */
export interface SegmentNote {
  readonly event: 'retransmit' | 'probe'
  readonly reason: string
  readonly rfc: string
}

class SendSequence {
  iss = 0
  una = 0
  nxt = 0
  /** The peer's window, scaled; may lie below what is in flight when the peer shrinks it. */
  wnd = 0
  wl1 = 0
  wl2 = 0
  /** The largest window the peer has offered. */
  maxWnd = 0
  /** Behind the last octet written: where a FIN goes. */
  end = 0
  /** Shift of the windows that the peer sends. */
  shift = 0
}

class ReceiveSequence {
  irs = 0
  nxt = 0
  /** What we have offered and not yet received: the right edge never moves to the left. */
  wnd = 0
  /** Shift of the windows we send; -1: not negotiated, as yet or at all. */
  shift = -1
  /** Acknowledged last (Last.ACK.sent of RFC 7323). */
  acked = 0
}

/** What the connections of a node share. */
export interface Budgets {
  readonly reassembly: ReassemblyBudget
  /** Of windows and send queues. */
  readonly growth: GrowthBudget
}

/** Deadlines of a connection. */
class Deadlines {
  /** What `Tcb.timer` says, or the persist timer when `Tcb.persisting`. */
  retransmit: Instant = NEVER
  delayedAck: Instant = NEVER
  keepAlive: Instant = NEVER
  /** Linger, or FIN-WAIT-2 of an orphan. */
  closing: Instant = NEVER
  /** A unit waits for its time. */
  pacing: Instant = NEVER
}

export class Tcb {
  state: ConnectionState = 'CLOSED'
  /** The handshake has been completed. */
  established = false
  /** The OPEN was passive (RFC 9293 §3.10.7.4 MUST-11). */
  readonly passive: boolean
  readonly local: Endpoint
  readonly remote: Endpoint
  /** Both ports as the header's first word. */
  readonly ports: number
  readonly settings: TcpSettings
  options: Readonly<ConnectionOptions>
  /** Link the connection is bound to, or 0; that of a link-local peer. */
  readonly link: number

  readonly snd: SendSequence = new SendSequence()
  readonly rcv: ReceiveSequence = new ReceiveSequence()
  readonly deadlines: Deadlines = new Deadlines()
  readonly rtt: RoundTrip
  /** Made with the first data that is sent. */
  sender: Sender | null = null
  /** Taken when first needed: an idle connection has neither. */
  sendBuffer: SendBuffer | null = null
  receiveQueue: ReceiveQueue | null = null
  reassembly: Reassembly | null = null
  /** Made with the first segment that arrives out of order or twice; only while `sack`. */
  sackBlocks: SackBlocks | null = null
  /** How far the window and the send queue have grown; null where they have not. */
  receiveSpace: ReceiveSpace | null = null
  sendSpace: Growth | null = null
  private readonly budgets: Budgets

  /** The way to the peer, as of `pathGeneration`. */
  readonly path: Path = new Path()
  pathGeneration = -1
  /** Largest payload of a segment we send: by the peer's MSS, the path and the options in every segment. */
  mss: number = DEFAULT_MSS_IPV4
  /** Largest payload the peer takes, by its MSS option. */
  peerMss: number = DEFAULT_MSS_IPV4
  /** What our MSS option says. */
  announcedMss: number = DEFAULT_MSS_IPV4
  /** Path MTU learnt for this connection alone, from an ICMP error; 0: the path's. */
  pathMtu = 0
  /** What probes say of the path's MTU; null as long as nothing makes us doubt what the network says. */
  search: MtuSearch | null = null
  mtuProbes = 0

  /** Both sides may send SACK blocks (RFC 2018 §2). */
  sack = false
  /** Both sides send timestamps. */
  timestamps = false
  /** Ours are the clock in milliseconds plus this. */
  tsOffset = 0
  tsRecent = 0
  /** The ACK at hand echoes a timestamp of ours, this one. */
  echoes = false
  lastEcho = 0

  /** Both sides use ECN (RFC 3168 §6.1.1). */
  ecn = false
  /** Whatever is sent says that a router had marked a packet, until the peer says that it has slowed down (§6.1.3). */
  ecnEcho = false
  /** The next new data says that we have slowed down (§6.1.2). */
  cwrDue = false
  /** The segment that `output` gave last may be marked instead of dropped (ECT(0)). */
  ect = false
  tsRecentAt: Instant = 0

  /** The application sends no more: a FIN follows the data. */
  finQueued = false
  /** A FIN that arrived before its turn; only while `finSeen`. */
  finSeq = 0
  finSeen = false
  /** The peer's FIN has been received in order. */
  finReceived = false
  /** Nobody reads: data is discarded (`shutdown('read')`). */
  readShut = false
  /** The application has called `close`; data that still comes resets the connection (RFC 2525 §2.17). */
  orphan = false

  /** Only with Fast Open (RFC 7413). */
  fastOpen: FastOpen | null = null
  /** User timeout by the peer's option; 0: none (RFC 5482 §3.1). */
  adoptedTimeout = 0
  /** Ours has changed: the option goes with the next ACK. */
  userTimeoutDue = false

  /** SYNs or SYN-ACKs that had to be sent again. */
  lostSyns = 0
  timer: RetransmitTimer = 'rto'
  /** A tail loss probe is to be sent now. */
  tailProbeDue = false
  /** Timeouts in a row without progress, and the exponent they left for the RTO. */
  retransmits = 0
  backoff = 0
  /** The retransmission timer is the persist timer. */
  persisting = false
  /** Persist or keepalive probes without an answer. */
  probes = 0
  /** A probe is to be sent now. */
  probeDue = false
  /** A segment that is not full may go, whatever Nagle, cork and silly windows say (RFC 9293 §3.8.6.2.1 (4)). */
  override = false
  /** When what is unacknowledged now began to be; for the user timeout. */
  unackedSince: Instant = 0
  /** When the SYN was sent; -1: more than once. */
  timedAt: Instant = -1
  /** End of the last segment sent that was not full (Minshall's variant of Nagle). */
  smallEnd = 0
  /** End of the last write: the segment that ends there carries PSH. */
  pushEnd = 0
  /** The writer has more to write: until something is acknowledged, what does not fill a segment waits. */
  more = false
  /** SND.UNA when it said so. */
  moreSince = 0
  lastSentAt: Instant = 0
  /** When the network was last told that the peer can be reached. */
  confirmedAt: Instant = Number.NEGATIVE_INFINITY
  lastReceivedAt: Instant = 0

  /** A SYN or SYN-ACK is to be sent now. */
  synDue = false
  ackNow = false
  /** The ACK must not wait for the end of the batch: duplicate ACKs are counted by the peer. */
  ackEach = false
  /** Acknowledgments that are still to be sent at once (`ack-policy.ts`). */
  quickAcks = 0
  /** What arrives is answered by data: an acknowledgment on its own waits for that. */
  interactive = false
  /** When data last arrived; -1: never. */
  lastDataAt: Instant = -1
  /** Largest payload received: what the peer's full segments look like. */
  rcvMss: number = DEFAULT_MSS_IPV4
  challengeAt: Instant = 0
  challenges = 0

  events = 0
  /** `readable` has been told and the queue not been emptied since. */
  readableTold = false
  wantsWritable = false
  wantsDrained = false
  failure: Failure | null = null
  /** An ICMP error that may pass; what a timeout is blamed on (RFC 1122 §4.2.3.9). */
  softFailure: Failure | null = null

  /** What the segment that `output` gave last was, when it was not new; the owner tells the taps. */
  note: SegmentNote | null = null
  segmentsSent = 0
  segmentsReceived = 0
  retransmitted = 0
  /** Timeouts that turned out to be none, and were undone. */
  spuriousTimeouts = 0
  /** Octets of payload: handed to the network for the first time, and received in order. */
  octetsSent = 0
  octetsReceived = 0

  constructor(
    passive: boolean,
    local: Endpoint,
    remote: Endpoint,
    link: number,
    options: Readonly<ConnectionOptions>,
    settings: TcpSettings,
    budgets: Budgets,
  ) {
    this.passive = passive
    this.local = local
    this.remote = remote
    this.ports = (local.port << 16) | remote.port
    this.link = link
    this.options = options
    this.settings = settings
    this.budgets = budgets
    this.rtt = new RoundTrip(settings.maxRto)
    if (!remote.address.isIpv4) this.mss = this.peerMss = DEFAULT_MSS_IPV6
  }

  /** Data is delivered and sent in SYN-RECEIVED (RFC 7413 §4.2.2). */
  get early(): boolean {
    return this.fastOpen?.early === true
  }

  /** How long sent data may stay unacknowledged; 0: by retransmissions. */
  get userTimeout(): Duration {
    return this.options.userTimeout > 0 ? this.options.userTimeout : this.adoptedTimeout
  }

  /** Octets of the network header without options. */
  get networkHeaderOctets(): number {
    return this.remote.address.isIpv4 ? 20 : 40
  }

  /** Our FIN has been sent, and acknowledged. */
  get finAcked(): boolean {
    return this.finQueued && ((this.snd.una - this.snd.end) | 0) > 0
  }

  /** Our FIN has been sent. */
  get finSent(): boolean {
    return this.finQueued && ((this.snd.nxt - this.snd.end) | 0) > 0
  }

  /** Sent and not acknowledged. */
  get outstanding(): number {
    return (this.snd.nxt - this.snd.una) | 0
  }

  /** Believed to be in the network (FlightSize). */
  get flightSize(): number {
    return this.sender === null ? this.outstanding : this.sender.board.pipe(this.outstanding)
  }

  /** There is data, or a FIN, that has not been sent. */
  get hasUnsent(): boolean {
    const unsent = (this.snd.end - this.snd.nxt) | 0
    return unsent > 0 || (unsent === 0 && this.finQueued)
  }

  /** One lost SYN may be a timeout of 1 s that was too short; from the second on the path is to blame (RFC 6928 §2). */
  get initialWindow(): number {
    return (this.lostSyns > 1 ? 1 : this.settings.initialWindow) * this.mss
  }

  get readableOctets(): number {
    return this.receiveQueue === null ? 0 : this.receiveQueue.length
  }

  /** Octets that may wait to be read: the largest window to offer. */
  get receiveLimit(): number {
    return this.options.receiveBuffer + (this.receiveSpace === null ? 0 : this.receiveSpace.grown)
  }

  /** The first data has arrived: from here on it is seen how fast the application reads. */
  watchReading(now: Instant): void {
    if (this.receiveSpace !== null || this.options.receiveBuffer !== this.settings.connection.receiveBuffer) return
    this.receiveSpace = new ReceiveSpace(this.budgets.growth, 0, now)
  }

  /** The application has read; see `ReceiveSpace`. @param clock is asked once in half a window. */
  noteReading(clock: { now(): Instant }): void {
    const { receiveSpace: space, receiveLimit: limit, rcv, settings } = this
    const read = this.octetsReceived - this.readableOctets
    if (space === null || !space.isDue(read, limit)) return
    const most = Math.min(settings.maxReceiveBuffer, 0xffff << Math.max(rcv.shift, 0))
    space.advance(read, limit, most, Math.max(this.rtt.srtt, space.roundTrip), clock.now())
  }

  /** Octets that may wait to be acknowledged. */
  get sendLimit(): number {
    return this.options.sendBuffer + (this.sendSpace === null ? 0 : this.sendSpace.grown)
  }

  /**
   * The send queue is full: it grows as far as the path has a use for it. A connection that was told its `sendBuffer` keeps to that.
   * @returns whether there is more room now.
   */
  growSending(): boolean {
    const { options, settings, sender } = this
    if (sender === null || options.sendBuffer !== settings.connection.sendBuffer) return false
    const wanted = sendQueueFor(sender, settings.maxSendBuffer) - this.sendLimit
    if (wanted <= 0) return false
    this.sendSpace ??= new Growth(this.budgets.growth)
    return this.sendSpace.grow(wanted)
  }

  get queuedOctets(): number {
    return this.sendBuffer === null ? 0 : this.sendBuffer.length
  }

  /** The sending side, made when first needed. */
  sending(now: Instant): Sender {
    if (this.sender === null) {
      const algorithm = congestion(this.options.congestionControl)
      this.sender = new Sender(algorithm, this.mss, this.initialWindow, this.snd.una)
      if (this.rtt.srtt > 0) this.sender.minRtt.sample(this.rtt.srtt, now)
      this.sender.srtt = this.rtt.srtt
    }
    return this.sender
  }

  /** The list of segments out of order, made when first needed. */
  reassemble(): Reassembly {
    this.reassembly ??= new Reassembly(this.budgets.reassembly)
    return this.reassembly
  }

  /** [seq, end) waits for what is missing in front of it (RFC 2018 §4). */
  sackOutOfOrder(seq: number, end: number): void {
    if (!this.sack) return
    this.sackBlocks ??= new SackBlocks()
    this.sackBlocks.add(seq, end)
  }

  /** [seq, end) had been received before (RFC 2883 §4). */
  sackDuplicate(seq: number, end: number): void {
    if (!this.sack || !this.settings.dsack) return
    this.sackBlocks ??= new SackBlocks()
    this.sackBlocks.duplicate(seq, end)
  }

  /** TSval of a segment sent now: milliseconds (RFC 7323 §5.4 wants 1 ms to 1 s). */
  tsval(now: Instant): number {
    return (Math.floor(now / 1000) + this.tsOffset) | 0
  }

  /** Ends the connection: everything it holds is given back, and `OVER` is left to be told. */
  end(failure: Failure | null): void {
    this.state = 'CLOSED'
    this.failure = failure
    this.events = (this.events & ~(READABLE | WRITABLE | DRAINED)) | OVER
    this.releaseSending()
    this.releaseReceiving()
  }

  /** Nothing more will be sent. */
  releaseSending(): void {
    this.sendBuffer = this.sendBuffer?.end() ?? null
    this.sendSpace?.release()
    this.sendSpace = null
    const { deadlines } = this
    deadlines.retransmit = deadlines.delayedAck = deadlines.keepAlive = deadlines.closing = deadlines.pacing = NEVER
    this.synDue = this.ackNow = this.probeDue = this.tailProbeDue = false
    this.sender?.board.clear()
  }

  /** Nothing more will be read. */
  releaseReceiving(): void {
    this.receiveQueue = this.receiveQueue?.end() ?? null
    this.reassembly?.clear()
    this.reassembly = null
    this.receiveSpace?.release()
    this.receiveSpace = null
    this.sackBlocks = null
  }
}

/** An endpoint that is not scratch. */
export function endpoint(address: IpAddress, port: number, zone = ''): Endpoint {
  return { address: new IpAddress(address.w0, address.w1, address.w2, address.w3), port, zone }
}
