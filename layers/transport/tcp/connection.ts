/**
 * A connection: the TCB and its timer below, the API above (`src/api/sockets.ts`).
 *
 * Segments, timers and calls of the API change the TCB at once, but what follows from it (telling the application,
 * sending) waits for `pump`, which the owner calls when the batch at hand is done. So a batch of segments is answered
 * by one ACK (RFC 9293 §3.10.7 MUST-58, MUST-59), and no handler runs within a call of the application.
 */
import type {
  Connection,
  ConnectionHandler,
  ConnectionInfo,
  ConnectionOptions,
  ConnectionState,
  Endpoint,
} from '../../../src/api/sockets.ts'
import type { Instant } from '../../../src/kernel/clock.ts'
import { Drive, type Pump } from '../../../src/kernel/drive.ts'
import { integer, invalidType, invalidValue } from '../../../src/kernel/errors.ts'
import type { Timed } from '../../../src/kernel/machine.ts'
import { resetSegment } from './build.ts'
import { congestion } from './congestion.ts'
import type { Acceptor, ConnectionOwner } from './connection-owner.ts'
import { ABORTED, TOO_MANY_ORPHANS } from './failures.ts'
import type { PendingFastOpens } from './fast-open-server.ts'
import { failureError, infoOf, notWritable } from './figures.ts'
import { allSent } from './limits.ts'
import type { Outlet } from './outlet.ts'
import { output, retryLater } from './output.ts'
import { updateMss } from './path-mtu.ts'
import { SendBuffer } from './send-buffer.ts'
import { withOption } from './settings.ts'
import { scopeOf } from './table.ts'
import {
  DRAINED,
  ESTABLISHED,
  type Failure,
  OVER,
  READABLE,
  SOFT_ERROR,
  type Tcb,
  UNANSWERED,
  WRITABLE,
} from './tcb.ts'
import { expireTimers, nextDeadline, startKeepAlive } from './timers.ts'
import { windowUpdateDue } from './window.ts'
import { canWrite, noteRoom, writeRoom } from './writing.ts'

/**
 * What a connection may send before others get their turn, and before its data leaves the caches: segments, as many of 1500
 * octets as a receiver merges into one packet of 64 KB; and octets, where segments are larger.
 */
const PUMP_SEGMENTS = 45
const PUMP_OCTETS = 262_144

/** Not for those above: the API gives it out as `Connection`. */
export class TcpConnection implements Connection, Timed, Pump {
  handler: ConnectionHandler
  readonly tcb: Tcb
  /** As of `Flow`. */
  readonly scope: number
  readonly drive: Drive
  /** Set until the connection is accepted. */
  acceptor: Acceptor | null = null
  /** It is on the owner's list of those to pump. */
  scheduled = false
  /** Segments find it. */
  linked = false
  /** Among the orphans that the owner counts. */
  counted = false
  /** It waits for the network to take packets again. */
  blocked = false
  /** It counts among the owner's handshakes. */
  handshaking = false
  /** It counts among these, too. */
  fastOpens: PendingFastOpens | null = null
  private readonly outlet: Outlet
  private readonly owner: ConnectionOwner
  private over = false

  constructor(tcb: Tcb, handler: ConnectionHandler, outlet: Outlet, owner: ConnectionOwner) {
    this.tcb = tcb
    this.scope = scopeOf(tcb.remote, tcb.link)
    this.handler = handler
    this.outlet = outlet
    this.owner = owner
    this.drive = new Drive(this, outlet.env.timers, this)
  }

  // ── the machine, as its owner and Drive see it

  get deadline(): Instant {
    return nextDeadline(this.tcb)
  }

  /** Sees to the timers that have run out. Drive pumps afterwards. */
  expire(now: Instant): void {
    const expiry = expireTimers(this.tcb, this.blocked, now)
    if (expiry === undefined) return
    if (expiry.reset) this.sendReset(now)
    this.tcb.end(expiry.failure)
  }

  /** Tells the application what happened, sends what can be sent, and sees whether the connection is over. */
  pump(now: Instant): void {
    if (this.handshaking && this.tcb.state !== 'SYN-RECEIVED') {
      this.handshaking = false
      this.owner.handshakeOver()
      this.fastOpens?.over(this.tcb.failure?.reason === 'reset', now)
    }
    if ((this.tcb.events & UNANSWERED) !== 0) this.outlet.network.doubt(this.tcb.remote.address, this.tcb.link)
    if (this.tcb.events !== 0) this.tellBeforeSending()
    this.send(now)
    noteRoom(this.tcb)
    this.settle(now)
    if (this.tcb.events !== 0) this.tell()
  }

  /** What the application does now needs no turn of its own: it is sent right afterwards, unless a handler throws. */
  private tellBeforeSending(): void {
    const { scheduled } = this
    let told = false
    this.scheduled = true
    try {
      this.tell()
      told = true
    } finally {
      this.scheduled = scheduled
      if (!told) this.outlet.schedule(this)
    }
  }

  /** Sends now what must not wait for the end of the batch. */
  sendAcks(now: Instant): void {
    this.tcb.ackEach = false
    this.send(now)
    this.drive.arm()
  }

  private send(now: Instant): void {
    const { tcb } = this
    if (this.blocked || tcb.state === 'CLOSED') return
    if (!this.outlet.route(tcb)) {
      retryLater(tcb, now)
      return
    }
    if (!this.outlet.mayTransmit(this)) return
    if (tcb.sender !== null) tcb.sender.unitLeft = 0
    for (let n = 0, octets = 0; n < PUMP_SEGMENTS && octets < PUMP_OCTETS; n++) {
      const packet = output(tcb, now)
      if (packet === null) {
        allSent(tcb, now)
        return
      }
      tcb.segmentsSent += packet.segments
      octets += packet.length
      if (!this.outlet.transmit(this, packet)) return
    }
    this.outlet.schedule(this)
  }

  /** Leaves the table when the protocol is done, and ends when the application has had everything. */
  private settle(now: Instant): void {
    const { tcb } = this
    if (tcb.state === 'TIME-WAIT' && this.linked) {
      tcb.releaseSending()
      this.owner.enterTimeWait(this, now)
    }
    if (tcb.state === 'CLOSED' && this.linked) this.owner.unlink(this)
    const done = tcb.state === 'TIME-WAIT' || tcb.state === 'CLOSED'
    if (!done || this.over || (tcb.events & OVER) !== 0) return
    if (tcb.orphan || (tcb.readableOctets === 0 && (tcb.events & READABLE) === 0))
      tcb.end(tcb.orphan ? null : tcb.failure)
    else this.owner.unread(this)
  }

  /** Calls the handlers for what happened. Each may call back at once. */
  private tell(): void {
    const { acceptor, tcb } = this
    const { events } = tcb
    if (acceptor === null) tcb.events = 0
    if (acceptor !== null) this.tellAcceptor(acceptor)
    else if ((events & OVER) === 0) this.tellProgress(events)
    else this.tellOver()
  }

  private tellProgress(events: number): void {
    this.outlet.env.touched()
    if ((events & ESTABLISHED) !== 0) this.handler.established?.(this)
    if ((events & UNANSWERED) !== 0) this.handler.unanswered?.(this)
    if ((events & SOFT_ERROR) !== 0 && this.tcb.softFailure !== null) {
      this.handler.softError?.(this, failureError(this.tcb, this.tcb.softFailure))
    }
    // A handler may have ended the connection: then `closed` is the last call.
    if ((events & READABLE) !== 0 && !this.tcb.orphan && this.tcb.readableTold) this.handler.readable?.(this)
    if ((events & WRITABLE) !== 0 && !this.tcb.finQueued) this.handler.writable?.(this)
    if ((events & ESTABLISHED) !== 0 && this.tcb.fastOpen?.goesOn(this.tcb) === true) this.tcb.interactive = true
    if ((events & DRAINED) !== 0 && !this.over) this.handler.drained?.(this)
  }

  private tellAcceptor(acceptor: Acceptor): void {
    const { tcb } = this
    tcb.events &= ~UNANSWERED
    if ((tcb.events & OVER) !== 0) {
      this.acceptor = null
      this.finish()
      acceptor.lost(this)
    } else if ((tcb.events & ESTABLISHED) !== 0) {
      tcb.events &= ~ESTABLISHED
      acceptor.completed(this)
    }
  }

  private tellOver(): void {
    this.finish()
    this.outlet.env.touched()
    const { failure } = this.tcb
    this.handler.closed?.(this, failure === null ? null : failureError(this.tcb, failure))
  }

  private finish(): void {
    this.over = true
    this.drive.stop()
    this.owner.unlink(this)
  }

  // ── what the owner does to it

  /** Ends the connection for a reason of the network's, without a word to the peer. */
  fail(failure: Failure): void {
    this.tcb.end(failure)
    this.outlet.schedule(this)
  }

  /** Resets the peer and ends. What was written goes first, as far as it may: a host's kernel would have sent it by then. */
  reset(failure: Failure | null): void {
    const now = this.outlet.now()
    if (this.tcb.established && this.tcb.hasUnsent) this.send(now)
    this.sendReset(now)
    this.tcb.end(failure)
    this.outlet.schedule(this)
  }

  private sendReset(now: Instant): void {
    const { tcb } = this
    switch (tcb.state) {
      case 'CLOSED':
      case 'LISTEN':
      case 'SYN-SENT':
      case 'TIME-WAIT':
        return
    }
    if (this.linked && this.outlet.route(tcb)) this.outlet.transmit(this, resetSegment(tcb, now))
  }

  // ── the API

  get state(): ConnectionState {
    return this.tcb.state
  }

  get local(): Endpoint {
    return this.tcb.local
  }

  get remote(): Endpoint {
    return this.tcb.remote
  }

  get link(): string {
    return this.outlet.network.linkName(this.tcb.link)
  }

  get readableOctets(): number {
    return this.tcb.readableOctets
  }

  get ended(): boolean {
    return this.tcb.finReceived && this.tcb.readableOctets === 0
  }

  get writableOctets(): number {
    return canWrite(this.tcb) ? writeRoom(this.tcb) : 0
  }

  get queuedOctets(): number {
    return this.tcb.queuedOctets
  }

  write(octets: Uint8Array, start = 0, length: number = octets.length - start, more = false): number {
    const { tcb } = this
    if (!(octets instanceof Uint8Array)) throw invalidType('octets', 'an instance of Uint8Array', octets)
    integer('start', start, 0, octets.length)
    integer('length', length, 0, octets.length - start)
    if (!canWrite(tcb)) throw notWritable(tcb, 'write')
    this.outlet.env.touched()
    if (length > tcb.sendLimit - tcb.queuedOctets) tcb.growSending()
    const room = Math.min(length, writeRoom(tcb))
    if (room > 0) tcb.sendBuffer ??= SendBuffer.take()
    const taken = room === 0 ? 0 : (tcb.sendBuffer as SendBuffer).write(octets, start, room)
    if (taken < length) tcb.wantsWritable = true
    if (taken === 0) return 0
    tcb.snd.end = (tcb.snd.end + taken) | 0
    tcb.more = more
    if (more) tcb.moreSince = tcb.snd.una
    else tcb.pushEnd = tcb.snd.end
    this.outlet.schedule(this)
    return taken
  }

  read(into: Uint8Array, start = 0, length: number = into.length - start): number {
    const { tcb } = this
    integer('start', start, 0, into.length)
    integer('length', length, 0, into.length - start)
    this.outlet.env.touched()
    const queue = tcb.receiveQueue
    if (queue === null) {
      tcb.readableTold = false
      return 0
    }
    const n = queue.read(into, start, length)
    if (queue.length === 0) {
      tcb.receiveQueue = queue.end()
      tcb.readableTold = false
      tcb.events &= ~READABLE
      if (tcb.finReceived || tcb.state === 'CLOSED') this.outlet.schedule(this)
    }
    tcb.noteReading(this.outlet)
    if (n > 0 && !tcb.finReceived && windowUpdateDue(tcb)) {
      tcb.ackNow = true
      this.outlet.schedule(this)
    }
    return n
  }

  endRecord(): void {
    if (canWrite(this.tcb)) this.tcb.sending(this.outlet.now()).endRecord(this.tcb.snd.end)
  }

  notifyDrained(): boolean {
    if (this.tcb.queuedOctets === 0) return false
    this.tcb.wantsDrained = true
    return true
  }

  shutdown(direction: 'read' | 'write'): void {
    if (direction !== 'read' && direction !== 'write') throw invalidValue('direction', "'read' or 'write'", direction)
    const { tcb } = this
    if (tcb.state === 'SYN-SENT') throw notWritable(tcb, 'shutdown')
    this.outlet.env.touched()
    if (direction === 'write') this.queueFin()
    else tcb.readShut = true
  }

  close(): void {
    const { tcb, outlet } = this
    if (tcb.orphan || tcb.state === 'CLOSED' || tcb.state === 'TIME-WAIT') {
      this.closeFinished()
      return
    }
    outlet.env.touched()
    if (tcb.state === 'SYN-SENT') tcb.end(null)
    else if (tcb.options.linger === 0 || hasUnread(tcb)) this.reset(null)
    else if (!this.owner.orphan(this)) this.reset(tcb.queuedOctets > 0 ? TOO_MANY_ORPHANS : null)
    else this.closeInBackground(outlet.now())
    outlet.schedule(this)
  }

  /** What was written is still sent, and FIN after it; nobody reads any more. */
  private closeInBackground(now: Instant): void {
    const { tcb } = this
    const { linger } = tcb.options
    tcb.orphan = true
    tcb.releaseReceiving()
    tcb.events &= ~READABLE
    if (linger !== undefined) tcb.deadlines.closing = now + linger
    else if (tcb.state === 'FIN-WAIT-2') tcb.deadlines.closing = now + tcb.settings.finWait2Timeout
    this.queueFin()
  }

  /** The protocol is done, but the application had not had everything: now it does not want it. */
  private closeFinished(): void {
    const { tcb } = this
    if (tcb.orphan || this.over) return
    this.outlet.env.touched()
    tcb.orphan = true
    tcb.releaseReceiving()
    this.outlet.schedule(this)
  }

  abort(): void {
    if (this.over || (this.tcb.events & OVER) !== 0) return
    this.outlet.env.touched()
    this.reset(ABORTED)
  }

  set<Name extends keyof ConnectionOptions>(name: Name, value: ConnectionOptions[Name]): void {
    const { tcb } = this
    tcb.options = withOption(tcb.options, name, value)
    this.outlet.env.touched()
    const now = this.outlet.now()
    if (name === 'keepAlive' || name === 'keepAliveIdle') {
      if (tcb.state !== 'SYN-SENT' && tcb.state !== 'SYN-RECEIVED' && tcb.state !== 'CLOSED') startKeepAlive(tcb, now)
    } else if (name === 'noDelay' && value === true) {
      // What is queued goes once, even if corked, as on Linux.
      tcb.more = false
      if (tcb.hasUnsent) tcb.override = true
    } else if ((name === 'maxSegment' || name === 'pathMtuDiscovery') && tcb.path.mtu > 0) {
      updateMss(tcb)
    } else if (name === 'advertisedTimeout') {
      tcb.userTimeoutDue = tcb.established && tcb.options.advertisedTimeout > 0
    } else if (name === 'congestionControl') {
      tcb.sender?.setAlgorithm(congestion(tcb.options.congestionControl), tcb.initialWindow)
    }
    this.outlet.schedule(this)
  }

  get<Name extends keyof ConnectionOptions>(name: Name): ConnectionOptions[Name] {
    if (!(name in this.tcb.options)) throw invalidValue('name', 'the name of a connection option', name)
    return this.tcb.options[name]
  }

  info(): ConnectionInfo {
    return infoOf(this.tcb, this.outlet.now())
  }

  /** (RFC 9293 §3.10.4): after the data, FIN. */
  private queueFin(): void {
    const { tcb } = this
    if (tcb.finQueued) return
    switch (tcb.state) {
      case 'SYN-RECEIVED':
        break
      case 'ESTABLISHED':
        tcb.state = 'FIN-WAIT-1'
        break
      case 'CLOSE-WAIT':
        tcb.state = 'LAST-ACK'
        break
      default:
        return
    }
    tcb.finQueued = true
    this.outlet.schedule(this)
  }
}

/** Something has arrived that nobody has read, nor said that he will not. */
function hasUnread(tcb: Tcb): boolean {
  return !tcb.readShut && (tcb.readableOctets > 0 || (tcb.reassembly !== null && !tcb.reassembly.isEmpty))
}
