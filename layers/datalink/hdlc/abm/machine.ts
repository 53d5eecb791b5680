/**
 * The asynchronous balanced mode of HDLC (ISO 13239 §6.11) as one machine: link set-up and release around the transfer
 * of information. LAPB, LLC type 2 and AX.25 are this machine with other variants and other addresses.
 *
 *                   connect: SABM(E) ►             UA ◄
 *   DISCONNECTED ─────────────────► AWAITING-CONNECTION ──────────► CONNECTED ◄─┐ SABM(E) ◄ UA ►: reset
 *      ▲  ▲ │  SABM(E) ◄  UA ►           ▲  │ DM ◄, N2                │ │  │ └─────┘
 *      │  │ └────────────────────────────┼──┼─────────────────────────►  │  │
 *      │  └──────────────────────────────┼──┘                            │  │ a frame that repetition does not mend
 *      │                                 ├───────────────────────────────┘  ▼ FRMR ►
 *      │  UA, DM ◄, N2                   │ FRMR ◄, or N2 without FRMR   FRAME-REJECT ── SABM(E) ◄ UA ►: CONNECTED
 *      └─── AWAITING-RELEASE ◄─ DISC ►   └─────────────────── N2 ───────────┘
 *
 * DISC is answered, and ends the connection, in every phase. UI, TEST and XID need none of this, and are the layer's.
 * Packets that were sent and not acknowledged are lost with a reset, and counted; what still waited is not.
 */
import type { Instant } from '../../../../src/kernel/clock.ts'
import type { Timed } from '../../../../src/kernel/machine.ts'
import type { Packet } from '../../../../src/kernel/packet.ts'
import { Queue } from '../../../../src/kernel/queue.ts'
import { type Frame, isSupervisory, type Modulus, type UnnumberedType } from './control.ts'
import type { AbmEvent, AbmReason } from './event.ts'
import { encodeFrameReject, informationFault, type RejectCause, rejectCauses } from './frame-reject.ts'
import type { AbmDrop, Journal } from './journal.ts'
import { Transfer } from './transfer.ts'
import { type AbmAgreement, type AbmOptions, type AbmParameters, NEVER, parametersOf, type Variant } from './variant.ts'

export type Phase = 'DISCONNECTED' | 'AWAITING-CONNECTION' | 'CONNECTED' | 'AWAITING-RELEASE' | 'FRAME-REJECT'

/** What is repeated each T1 until it is answered. */
type Command = 'SABM' | 'DISC' | 'FRMR'

const NO_OCTETS = new Uint8Array(0)

export class Abm implements Timed {
  phase: Phase = 'DISCONNECTED'
  /** Whether a set-up by the peer is accepted. */
  listening: boolean
  /** The modulus of this connection; AX.25 may fall back from the one asked for. */
  modulus: Modulus
  readonly parameters: AbmParameters
  /** What holds with this peer: our parameters, until both ends have agreed on others (XID). */
  private terms: AbmParameters
  private readonly variant: Variant
  private readonly journal: Journal
  private readonly pending: Queue<Packet>
  private readonly events: AbmEvent[] = []
  private transfer: Transfer
  private t1At: Instant = NEVER
  private retries = 0
  private command: Command | null = null
  private response: 'UA' | 'DM' | null = null
  private responseFinal = false
  /**
   * In AWAITING-CONNECTION: the peer's own set-up has been answered, which does instead of its answer (X.25 §2.4.4.5).
   */
  private crossed = false
  /** Why the set-up in progress was begun, and whether the users above hold the link for up meanwhile. */
  private cause: AbmReason = 'connected'
  private wasUp = false
  private lost = 0
  private rejectInfo: Uint8Array = NO_OCTETS
  /** The information of the frame that `output` gave; a packet stays the machine's, and is copied by the caller. */
  sdu: Packet | null = null
  info: Uint8Array | null = null

  /**
   * @param listening whether a set-up by the peer is accepted.
   * @throws RangeError ERR_OUT_OF_RANGE, TypeError ERR_INVALID_ARG_VALUE — see `AbmOptions`.
   */
  constructor(variant: Variant, options: AbmOptions, listening: boolean, journal: Journal) {
    this.variant = variant
    this.parameters = this.terms = parametersOf(variant, options)
    this.modulus = this.parameters.modulus
    this.journal = journal
    this.listening = listening
    this.pending = new Queue<Packet>(this.parameters.queue, this.parameters.queue)
    this.transfer = this.newTransfer()
  }

  get deadline(): Instant {
    return this.phase === 'CONNECTED' ? this.transfer.deadline : this.t1At
  }

  /** `offer` takes packets. */
  get open(): boolean {
    return this.pending.open
  }

  /** Packets that `offer` takes for now. */
  get room(): number {
    return this.parameters.queue - this.pending.length
  }

  /** Everything offered has been acknowledged. */
  get idle(): boolean {
    return this.transfer.idle
  }

  /** At most half the queue is taken. */
  get relieved(): boolean {
    return 2 * this.pending.length <= this.parameters.queue
  }

  /** Sets the link up, where it is not; else does nothing. */
  connect(now: Instant): void {
    if (this.phase !== 'DISCONNECTED') return
    this.modulus = this.terms.modulus
    this.setUp('connected', now)
  }

  /** Releases the link at once: what has not been acknowledged is lost. */
  disconnect(now: Instant): void {
    if (this.phase === 'DISCONNECTED' || this.phase === 'AWAITING-RELEASE') return
    this.end('released')
    this.phase = 'AWAITING-RELEASE'
    this.begin('DISC', now)
  }

  /** Gives up all it holds, without a word. */
  clear(): void {
    this.drop()
    this.transfer.receiving.clear()
    this.phase = 'DISCONNECTED'
    this.command = this.response = null
    this.t1At = NEVER
  }

  /** Octets of the longest packet that `offer` may be given. */
  get n1(): number {
    return this.terms.n1
  }

  /**
   * Both ends have agreed on this by XID, at any time; what is left out is as in our parameters. It holds for later
   * connections with the peer, too: a modulus only for those. What waits and is longer than N1 now is dropped; what we
   * take stays as it is.
   */
  agree(agreement: AbmAgreement): void {
    this.terms = { ...this.parameters, ...agreement }
    this.transfer.agree(this.terms)
    for (let left = this.pending.length; left > 0; left--) {
      const sdu = this.pending.shift() as Packet
      if (sdu.length > this.n1) this.journal.drop(sdu, 'tooLongToSend')
      else this.pending.push(sdu)
    }
  }

  /** A packet for the peer; waits also while there is no connection. @returns false when full: it was not taken. */
  offer(sdu: Packet): boolean {
    return this.pending.push(sdu)
  }

  /** The next packet of the peer's, in order; to be asked for until undefined, unless the user above is slow. */
  take(): Packet | undefined {
    return this.transfer.take()
  }

  /** The next event; after `take`, as what came before it is still good. */
  event(): AbmEvent | undefined {
    return this.events.shift()
  }

  /** A frame from the peer. Takes ownership of `packet`, which holds its information field. */
  input(frame: Frame, packet: Packet, now: Instant): void {
    const { type } = frame
    const wrong = informationFault(type, packet.length, this.parameters.n1)
    if (wrong !== undefined) {
      this.journal.drop(packet, wrong === 'X' ? 'unwantedInformation' : 'tooLong')
      this.reject(frame, wrong, now)
    } else if (type === 'I' || isSupervisory(type)) {
      this.inputNumbered(frame, packet, now)
    } else {
      this.inputUnnumbered(type, frame, packet, now)
    }
    this.look()
  }

  /** The layer could not read a control field; `frame` has what can be quoted. */
  inputUnknown(frame: Frame, now: Instant): void {
    this.reject(frame, 'W', now)
  }

  expire(now: Instant): void {
    if (this.phase === 'CONNECTED') {
      this.transfer.expire(now)
      this.look()
      return
    }
    if (this.t1At > now) return
    this.t1At = NEVER
    if (this.phase === 'AWAITING-CONNECTION' && this.crossed) {
      this.begun(true, now)
    } else if (this.retries < this.terms.n2) {
      this.retries++
      this.command = this.phase === 'AWAITING-CONNECTION' ? 'SABM' : this.phase === 'FRAME-REJECT' ? 'FRMR' : 'DISC'
    } else if (this.phase === 'FRAME-REJECT') {
      this.setUp('protocolError', now)
    } else {
      this.end(this.phase === 'AWAITING-RELEASE' ? 'released' : 'noAnswer')
    }
  }

  /** Fills in the next frame to send now; `sdu` or `info` is its information. @returns false when there is none. */
  output(now: Instant, frame: Frame): boolean {
    this.sdu = this.info = null
    if (this.response !== null) {
      this.unnumbered(frame, this.response, false, this.responseFinal)
      this.response = null
      return true
    }
    if (this.command !== null) return this.outputCommand(now, frame, this.command)
    if (this.phase !== 'CONNECTED' || !this.transfer.output(now, frame)) return false
    this.sdu = this.transfer.sdu
    this.info = this.transfer.info
    return true
  }

  private outputCommand(now: Instant, frame: Frame, command: Command): boolean {
    this.command = null
    this.t1At = now + this.terms.t1
    if (command === 'FRMR') {
      this.unnumbered(frame, 'FRMR', false, this.responseFinal)
      this.info = this.rejectInfo
    } else {
      this.unnumbered(frame, command === 'SABM' && this.modulus === 128 ? 'SABME' : command, true, true)
    }
    if (this.retries > 0) this.journal.note(null, 'retransmission', 't1', this.variant.standard)
    return true
  }

  private unnumbered(frame: Frame, type: UnnumberedType, command: boolean, pf: boolean): void {
    Object.assign(frame, { type, command, pf })
  }

  private inputNumbered(frame: Frame, packet: Packet, now: Instant): void {
    if (this.phase === 'AWAITING-CONNECTION' && this.crossed) this.begun(true, now)
    if (this.phase === 'CONNECTED') {
      if (this.transfer.input(frame, packet, now)) return
      this.journal.drop(packet, 'invalidNr')
      this.reject(frame, 'Z', now)
      return
    }
    this.journal.drop(packet, 'unexpected')
    // Whoever polls a station that is not connected is told so (X.25 §2.4.4.4).
    if (this.phase === 'DISCONNECTED' && frame.command && frame.pf) this.respond('DM', true)
  }

  private inputUnnumbered(type: UnnumberedType, frame: Frame, packet: Packet, now: Instant): void {
    const info = type === 'FRMR' ? packet.bytes().slice() : NO_OCTETS
    if (!this.handles(type, frame, info, now)) this.journal.drop(packet, 'unexpected')
    else packet.release()
  }

  /** @returns false when the frame has no meaning now. */
  private handles(type: UnnumberedType, frame: Frame, info: Uint8Array, now: Instant): boolean {
    if (type === 'SABM' || type === 'SABME') return this.handleSetUp(type === 'SABM' ? 8 : 128, frame.pf, now)
    if (type === 'DISC') return this.handleDisc(frame.pf)
    if (type === 'UA') return this.handleUa(frame.pf, now)
    if (type === 'DM') return this.handleDm(frame.pf, now)
    return type === 'FRMR' && this.handleFrmr(info, now)
  }

  private handleSetUp(modulus: Modulus, pf: boolean, now: Instant): boolean {
    const { phase } = this
    if (!this.speaks(modulus) || phase === 'AWAITING-RELEASE' || (phase === 'DISCONNECTED' && !this.listening)) {
      this.respond('DM', pf)
      return true
    }
    this.respond('UA', pf)
    if (phase === 'AWAITING-CONNECTION' && modulus === this.modulus) {
      this.crossed = true
      return true
    }
    const up = phase === 'CONNECTED' || phase === 'FRAME-REJECT' || this.wasUp
    this.lost += this.count(this.transfer.stop(), 'reset')
    this.modulus = modulus
    this.wasUp = up
    this.cause = up ? 'resetByPeer' : 'accepted'
    this.begun(false, now)
    return true
  }

  /** Whether the peer may choose this modulus: ours, or the older one where there is one to fall back to. */
  private speaks(modulus: Modulus): boolean {
    return modulus === this.parameters.modulus || (modulus === 8 && this.variant.fallsBack)
  }

  private handleDisc(pf: boolean): boolean {
    this.respond(this.phase === 'DISCONNECTED' ? 'DM' : 'UA', pf)
    if (this.phase !== 'DISCONNECTED' && this.phase !== 'AWAITING-RELEASE') this.end('peerDisconnected')
    return true
  }

  private handleUa(pf: boolean, now: Instant): boolean {
    if (this.phase === 'AWAITING-CONNECTION' && pf) this.begun(true, now)
    else if (this.phase === 'AWAITING-RELEASE' && pf) this.end('released')
    else return this.phase === 'CONNECTED' && this.cause === 'connected'
    return true
  }

  private handleDm(pf: boolean, now: Instant): boolean {
    if (this.phase === 'AWAITING-CONNECTION' && pf) this.refused(now)
    else if (this.phase === 'AWAITING-RELEASE' && pf) this.end('released')
    else if (this.phase === 'CONNECTED' || this.phase === 'FRAME-REJECT') this.end('peerDisconnected')
    else return false
    return true
  }

  private handleFrmr(info: Uint8Array, now: Instant): boolean {
    if (this.phase === 'AWAITING-CONNECTION' && this.variant.fallsBack) this.refused(now)
    else if (this.phase === 'CONNECTED' || this.phase === 'FRAME-REJECT') {
      this.journal.note(null, 'frameReject', rejectCauses(info, this.modulus), this.variant.standard)
      this.setUp('frameReject', now)
    } else return false
    return true
  }

  /** A SABME that is not understood is followed by a SABM (AX.25 v2.2 §6.3.1). */
  private refused(now: Instant): void {
    if (this.variant.fallsBack && this.modulus === 128) {
      this.modulus = 8
      this.begin('SABM', now)
    } else {
      this.end('refused')
    }
  }

  /** Something that repetition does not mend. FRMR where the protocol has it, else a reset. */
  private reject(frame: Frame, cause: RejectCause, now: Instant): void {
    if (this.phase !== 'CONNECTED') return
    this.journal.note(null, 'reject', cause, this.variant.standard)
    if (!this.variant.sendsFrmr) {
      this.setUp('protocolError', now)
      return
    }
    const { vs } = this.transfer.sending
    const { vr } = this.transfer.receiving
    this.rejectInfo = encodeFrameReject(
      { control: frame.control, response: !frame.command, vs, vr, cause },
      this.modulus,
    )
    this.responseFinal = frame.command && frame.pf
    this.phase = 'FRAME-REJECT'
    this.begin('FRMR', now)
  }

  /** Sends SABM(E) until it is answered. */
  private setUp(cause: AbmReason, now: Instant): void {
    this.lost += this.count(this.transfer.stop(), 'reset')
    this.wasUp = this.phase === 'CONNECTED' || this.phase === 'FRAME-REJECT'
    this.cause = cause
    this.crossed = false
    this.phase = 'AWAITING-CONNECTION'
    this.begin('SABM', now)
  }

  private begin(command: Command, now: Instant): void {
    this.command = command
    this.retries = 0
    // Runs from when it is sent; until then, from now.
    this.t1At = now + this.terms.t1
  }

  /** The connection begins. @param heard whether the peer is known to have begun too. */
  private begun(heard: boolean, now: Instant): void {
    if (this.modulus !== this.transfer.modulus) {
      this.transfer.receiving.clear()
      this.transfer = this.newTransfer()
    }
    this.transfer.start(heard, now)
    this.phase = 'CONNECTED'
    this.command = null
    this.crossed = false
    this.t1At = NEVER
    // A second SABM before the peer has said anything only repeats the first: nothing was lost, nobody need know.
    const { wasUp, lost, cause } = this
    if (!wasUp) this.tell('up', cause, 0)
    else if (lost > 0 || cause !== 'resetByPeer') this.tell('reset', cause, lost)
    this.lost = 0
    this.wasUp = true
  }

  /** The connection has ended, or never began. */
  private end(reason: AbmReason): void {
    this.drop()
    const told = this.phase === 'AWAITING-RELEASE'
    this.phase = 'DISCONNECTED'
    this.command = null
    this.crossed = this.wasUp = false
    this.t1At = NEVER
    if (!told) this.tell('down', reason, this.lost)
    this.lost = 0
  }

  private drop(): void {
    this.lost += this.count(this.transfer.stop(), 'linkDown')
    for (let sdu = this.pending.shift(); sdu !== undefined; sdu = this.pending.shift()) {
      this.lost++
      this.journal.drop(sdu, 'linkDown')
    }
  }

  private count(lost: number, reason: AbmDrop): number {
    for (let i = 0; i < lost; i++) this.journal.count(reason)
    return lost
  }

  private respond(type: 'UA' | 'DM', pf: boolean): void {
    this.response = type
    this.responseFinal = pf
  }

  /** N2 enquiries without an answer: the peer is told, in case it can hear us. */
  private look(): void {
    if (this.phase !== 'CONNECTED' || !this.transfer.failed) return
    this.end('noAnswer')
    this.respond('DM', false)
  }

  private tell(state: AbmEvent['state'], reason: AbmReason, lost: number): void {
    this.events.push({ state, reason, lost })
  }

  private newTransfer(): Transfer {
    const transfer = new Transfer(this.variant, this.modulus, this.parameters, this.pending, this.journal)
    transfer.agree(this.terms)
    return transfer
  }
}
