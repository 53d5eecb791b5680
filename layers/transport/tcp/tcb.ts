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
import type { Instant } from '../../../src/kernel/clock.ts'
import { Path } from '../../network/service.ts'
import { type Congestion, NewReno } from './congestion.ts'
import { Reassembly, type ReassemblyBudget } from './reassembly.ts'
import type { ReceiveQueue } from './receive-queue.ts'
import { RoundTrip } from './rtt.ts'
import { SackBlocks } from './sack-blocks.ts'
import type { SendBuffer } from './send-buffer.ts'
import type { TcpSettings } from './settings.ts'

/** Not running. */
export const NEVER: Instant = Number.POSITIVE_INFINITY

/** Send MSS when the peer names none (RFC 9293 §3.7.1 MUST-15). */
export const DEFAULT_MSS_IPV4 = 536
export const DEFAULT_MSS_IPV6 = 1220

/** Segments acknowledged at once at the start of a connection, while the peer's window grows by our ACKs. */
const QUICK_ACKS = 16

/** What the connection has to tell its owner; bits of `Tcb.events`. */
export const ESTABLISHED = 1
export const READABLE = 2
export const WRITABLE = 4
export const DRAINED = 8
export const SOFT_ERROR = 16
/** Over: `Tcb.failure` says why. */
export const OVER = 32

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

/** What loss recovery is doing. */
export type Recovery =
  | 'open'
  /** Fast recovery after three duplicate ACKs (RFC 6582). */
  | 'fast'
  /** Slow start over what was outstanding when the retransmission timer ran out. */
  | 'timeout'

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
  /** Where the retransmission after a timeout has got to; only while `Tcb.goingBack`. */
  rtx = 0
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

/** Deadlines of a connection. */
class Deadlines {
  /** RTO, or the persist timer when `Tcb.persisting`. */
  retransmit: Instant = NEVER
  delayedAck: Instant = NEVER
  keepAlive: Instant = NEVER
  /** Linger, or FIN-WAIT-2 of an orphan. */
  closing: Instant = NEVER
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
  /** Link the connection is bound to, or 0. */
  readonly link: number

  readonly snd: SendSequence = new SendSequence()
  readonly rcv: ReceiveSequence = new ReceiveSequence()
  readonly deadlines: Deadlines = new Deadlines()
  readonly rtt: RoundTrip = new RoundTrip()
  readonly congestion: Congestion = new NewReno()
  /** Taken when first needed: an idle connection has neither. */
  sendBuffer: SendBuffer | null = null
  receiveQueue: ReceiveQueue | null = null
  reassembly: Reassembly | null = null
  /** Made with the first segment that arrives out of order or twice; only while `sack`. */
  sackBlocks: SackBlocks | null = null
  private readonly budget: ReassemblyBudget

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
  /** SND.UNA at the last such error that made us send again. */
  lastTooBig = 0

  /** Both sides may send SACK blocks (RFC 2018 §2). */
  sack = false
  /** Both sides send timestamps. */
  timestamps = false
  /** Ours are the clock in milliseconds plus this. */
  tsOffset = 0
  tsRecent = 0
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

  recovery: Recovery = 'open'
  /** What had been sent when the loss was found: recovery lasts until all of it is acknowledged. */
  recover = 0
  dupAcks = 0
  /** `snd.rtx` counts, not `snd.nxt`: everything from there on is taken as lost. */
  goingBack = false
  /** The first unacknowledged segment is to be sent again now. */
  resendFirst = false
  /** ACKs in this fast recovery that acknowledged a part of what was outstanding. */
  partialAcks = 0
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
  /** Round trip being timed: until `timedSeq` is acknowledged; -1: none. */
  timedAt: Instant = -1
  timedSeq = 0
  /** End of the last segment sent that was not full (Minshall's variant of Nagle). */
  smallEnd = 0
  /** End of the last write: the segment that ends there carries PSH. */
  pushEnd = 0
  /** Most in flight at a transmission since `windowMark` was sent: did the sender use its cwnd? */
  maxFlight = 0
  windowMark = 0
  /** Data segments sent in the current turn. */
  burst = 0
  lastSentAt: Instant = 0
  /** When the network was last told that the peer can be reached. */
  confirmedAt: Instant = Number.NEGATIVE_INFINITY
  lastReceivedAt: Instant = 0

  /** A SYN or SYN-ACK is to be sent now. */
  synDue = false
  ackNow = false
  /** The ACK must not wait for the end of the batch: duplicate ACKs are counted by the peer. */
  ackEach = false
  quickAcks: number = QUICK_ACKS
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
    budget: ReassemblyBudget,
  ) {
    this.passive = passive
    this.local = local
    this.remote = remote
    this.ports = (local.port << 16) | remote.port
    this.link = link
    this.options = options
    this.settings = settings
    this.budget = budget
    if (!remote.address.isIpv4) this.mss = this.peerMss = DEFAULT_MSS_IPV6
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

  /** Sent and neither acknowledged nor taken as lost (FlightSize). */
  get flightSize(): number {
    return ((this.goingBack ? this.snd.rtx : this.snd.nxt) - this.snd.una) | 0
  }

  get readableOctets(): number {
    return this.receiveQueue === null ? 0 : this.receiveQueue.length
  }

  get queuedOctets(): number {
    return this.sendBuffer === null ? 0 : this.sendBuffer.length
  }

  /** The list of segments out of order, made when first needed. */
  reassemble(): Reassembly {
    this.reassembly ??= new Reassembly(this.budget)
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
    this.sendBuffer?.clear()
    this.sendBuffer = null
    const { deadlines } = this
    deadlines.retransmit = deadlines.delayedAck = deadlines.keepAlive = deadlines.closing = NEVER
    this.synDue = this.ackNow = this.probeDue = this.resendFirst = this.goingBack = false
  }

  /** Nothing more will be read. */
  releaseReceiving(): void {
    this.receiveQueue?.clear()
    this.receiveQueue = null
    this.reassembly?.clear()
    this.reassembly = null
    this.sackBlocks = null
  }
}

/** An endpoint that is not scratch. */
export function endpoint(address: IpAddress, port: number): Endpoint {
  return { address: new IpAddress(address.w0, address.w1, address.w2, address.w3), port }
}
