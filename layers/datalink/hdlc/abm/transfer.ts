/**
 * The information transfer phase (ISO 13239 §6.11; X.25 §2.4.5; IEEE 802.2 §7.5; AX.25 v2.2 §6.4): two windows, what is
 * owed to the peer, and the timers T1 (an answer is overdue), T2 (an acknowledgement is), T3 (nothing has been heard).
 *
 * What is lost is found in three ways: the peer says so (REJ, SREJ); after each retransmission, an enquiry (RR with P)
 * has the peer tell where it stands, so that one that is lost again costs a round trip; and when T1 runs out, which also
 * starts an enquiry. Its answer (F) speaks of all that went out before the P, and of nothing after it: the checkpoint.
 * Where a peer was so late that it was asked twice, it answers twice: then nothing is asked until T1 runs out again.
 */
import type { Instant } from '../../../../src/kernel/clock.ts'
import type { Packet } from '../../../../src/kernel/packet.ts'
import type { Queue } from '../../../../src/kernel/queue.ts'
import { AcknowledgementTimer } from './acknowledgement-timer.ts'
import type { Frame, FrameType, Modulus, SupervisoryType } from './control.ts'
import type { Journal } from './journal.ts'
import { ReceiveWindow } from './receiving.ts'
import { SendWindow } from './sending.ts'
import { encodeSrejList, srejNumber } from './srej-list.ts'
import { type AbmParameters, NEVER, type Variant } from './variant.ts'

/** Answers without progress, each to frames sent once more, before the next try waits for T1. */
const PATIENCE = 3

export class Transfer {
  readonly sending: SendWindow
  readonly receiving: ReceiveWindow
  /** N2 enquiries have gone unanswered. */
  failed = false
  /** The information of the frame that `output` gave: a packet that stays here, or octets, or neither. */
  sdu: Packet | null = null
  info: Uint8Array | null = null
  private readonly variant: Variant
  /** What both ends hold to. */
  private terms: AbmParameters
  readonly modulus: Modulus
  private readonly journal: Journal
  private readonly pending: Queue<Packet>
  private readonly timer: AcknowledgementTimer
  private t1At: Instant = NEVER
  private t2At: Instant = NEVER
  private t3At: Instant = NEVER
  private retries = 0
  /** The peer has shown that it is in this phase too: what is sent before may be lost with a second SABM. */
  private heard = false
  private peerBusy = false
  private ownBusy = false
  /** An enquiry is to go out; is out, with the order of the frames it does not speak of; T1 ran out before its answer. */
  private pollOwed = false
  private polled = false
  private pollOrder = 0
  private recovering = false
  /** The enquiry has been repeated: it may be answered twice, and the second answer looks like the next one's. */
  private doubtful = false
  /** Something has been sent again: ask what became of it. */
  private enquire = false
  /** Something has been sent again since the last answer; and answers in a row that found it missing all the same. */
  private tried = false
  private fruitless = 0
  private finalOwed = false
  private rejectOwed = false
  private statusOwed = false

  constructor(variant: Variant, modulus: Modulus, terms: AbmParameters, pending: Queue<Packet>, journal: Journal) {
    const { receiveQueue, t1, adaptive } = terms
    const k = Math.min(terms.k, modulus - 1)
    this.variant = variant
    this.modulus = modulus
    this.terms = terms
    this.journal = journal
    this.pending = pending
    this.sending = new SendWindow(modulus, k, pending)
    this.receiving = new ReceiveWindow(modulus, k, this.selective, receiveQueue)
    this.timer = new AcknowledgementTimer(t1, adaptive)
  }

  get deadline(): Instant {
    return Math.min(this.t1At, this.t2At, this.t3At)
  }

  /** Gaps are filled one by one. */
  private get selective(): boolean {
    return this.terms.recovery !== 'rej'
  }

  /** Nothing waits, and nothing is unacknowledged. */
  get idle(): boolean {
    return this.pending.length === 0 && this.sending.outstanding === 0
  }

  /** Begins from nought. @param heard whether the peer is known to have begun too. @returns how many packets were lost. */
  start(heard: boolean, now: Instant): number {
    this.heard = heard
    this.failed = this.peerBusy = this.ownBusy = this.pollOwed = this.polled = this.recovering = this.enquire = false
    this.doubtful = this.finalOwed = this.rejectOwed = this.statusOwed = this.tried = false
    this.retries = this.fruitless = 0
    this.t1At = this.t2At = NEVER
    this.t3At = now + this.terms.t3
    this.timer.forget()
    this.receiving.reset()
    return this.sending.reset()
  }

  /** Both ends hold to these from now on, also in the middle of a transfer. */
  agree(terms: AbmParameters): void {
    this.terms = terms
    this.sending.limit(terms.k)
    this.timer.initial = terms.t1
    if (this.receiving.recoverBy(this.selective) && !this.selective) this.receiving.rejected = this.rejectOwed = true
  }

  /** Ends. @returns how many packets were lost that had been sent. */
  stop(): number {
    this.t1At = this.t2At = this.t3At = NEVER
    this.receiving.reset()
    return this.sending.reset()
  }

  /**
   * An I or S frame. Takes ownership of `packet`, its information field, unless it returns false.
   * @returns false when N(R) speaks of a frame never sent.
   */
  input(frame: Frame, packet: Packet, now: Instant): boolean {
    const { type, nr, pf, command } = frame
    const old = !this.sending.covers(nr)
    if (old && !(this.mayBeOld(type) && this.sending.isOld(nr))) return false
    this.heard = true
    this.t3At = now + this.terms.t3
    const answers = pf && !command && this.polled
    // A SREJ without F asks for N(R) and acknowledges nothing (AX.25 v2.2 §4.3.2.4).
    if (!old && (type !== 'SREJ' || pf)) this.acknowledge(nr, now)
    if (answers) this.answered(now)
    if (type === 'I') this.receiveInformation(frame.ns, packet, now)
    else if (old) packet.release()
    else this.receiveSupervisory(type as SupervisoryType, nr, packet, answers, now)
    if (answers && type !== 'SREJ' && type !== 'REJ') this.checkpoint(nr)
    if (answers) this.weigh(now)
    if (pf && command) this.finalOwed = true
    return true
  }

  private mayBeOld(type: FrameType): boolean {
    const { oldNr } = this.variant
    return oldNr === 'all' || (oldNr === 'information' && type === 'I')
  }

  /** The next packet for the user above, in order. */
  take(): Packet | undefined {
    const sdu = this.receiving.take()
    if (this.ownBusy && this.receiving.relieved) {
      this.ownBusy = false
      this.statusOwed = true
    }
    return sdu
  }

  expire(now: Instant): void {
    if (this.t2At <= now) {
      this.t2At = NEVER
      this.statusOwed = true
    }
    if (this.t3At <= now) {
      this.t3At = now + this.terms.t3
      this.pollOwed = true
    }
    if (this.t1At > now) return
    this.t1At = NEVER
    if (this.retries >= this.terms.n2) {
      this.failed = true
      return
    }
    this.retries++
    this.timer.forget()
    this.recovering = this.pollOwed = true
    this.journal.note(null, 'enquiry', 't1', this.variant.standard)
  }

  /** Fills in the next frame to send now. @returns false when there is none. */
  output(now: Instant, frame: Frame): boolean {
    this.sdu = this.info = null
    frame.pf = false
    if (this.finalOwed) return this.answer(frame)
    if (this.rejectOwed) return this.supervise('REJ', false, frame)
    if (this.statusOwed) return this.supervise(this.status, false, frame)
    if (this.receiving.asks > 0 && !this.ownBusy) return this.ask(frame)
    if (!this.heard && this.pending.length > 0 && !this.polled) this.pollOwed = true
    if (this.pollOwed) return this.poll(now, frame)
    if (this.peerBusy || this.recovering || !this.heard) return false
    const { sending } = this
    const due = this.enquire && !this.polled && !this.doubtful
    if (sending.resends > 0 && !(due && !this.selective)) return this.sendAgain(now, frame)
    if (due) return this.poll(now, frame)
    if (!sending.hasFresh) return false
    const ns = sending.nextFresh()
    this.timer.sent(ns, now)
    return this.inform(ns, now, frame)
  }

  private acknowledge(nr: number, now: Instant): void {
    const count = this.sending.acknowledge(nr)
    if (count === 0) return
    this.timer.acknowledged(nr, count, this.modulus, now)
    this.retries = this.fruitless = 0
    if (this.polled) return
    // It does take frames: there is no T1 to wait for, unless an enquiry is about to go.
    if (!this.pollOwed) this.recovering = false
    this.restart(now)
  }

  /** T1 runs while something is unacknowledged, and while the peer is busy: its RR may get lost. */
  private restart(now: Instant): void {
    const waits = this.sending.outstanding > 0 || this.peerBusy
    this.t1At = waits ? now + this.timer.interval(this.retries) : NEVER
  }

  private receiveInformation(ns: number, packet: Packet, now: Instant): void {
    const { receiving } = this
    const reception = receiving.receive(ns, packet)
    if (reception !== 'delivered' && reception !== 'early') this.journal.drop(packet, reception)
    if (reception === 'duplicate') this.statusOwed = true
    if (reception === 'outOfSequence' && !receiving.rejected) receiving.rejected = this.rejectOwed = true
    if (receiving.full && !this.ownBusy) this.ownBusy = this.statusOwed = true
    if (reception !== 'delivered') return
    this.rejectOwed = false
    const unacknowledged = (receiving.vr - receiving.told) & (this.modulus - 1)
    if (2 * unacknowledged >= this.terms.k) this.statusOwed = true
    else if (this.t2At === NEVER) this.t2At = now + this.terms.t2
  }

  private receiveSupervisory(type: SupervisoryType, nr: number, packet: Packet, answers: boolean, now: Instant): void {
    const wasBusy = this.peerBusy
    this.peerBusy = type === 'RNR'
    if (this.peerBusy !== wasBusy)
      this.journal.note(null, this.peerBusy ? 'peerBusy' : 'peerReady', type, this.variant.standard)
    if (type === 'REJ') this.receiveReject(nr, answers)
    else if (type === 'SREJ') this.receiveSelectiveReject(nr, packet, answers)
    packet.release()
    if (this.peerBusy && this.t1At === NEVER) this.restart(now)
  }

  private receiveReject(nr: number, answers: boolean): void {
    const { sending } = this
    if (!sending.contains(nr)) return
    if (answers ? sending.orderOf(nr) < this.pollOrder : !sending.isRepeated(nr)) sending.goBack(nr)
    else this.repeated()
  }

  private receiveSelectiveReject(nr: number, packet: Packet, answers: boolean): void {
    this.select(nr, answers)
    // No list can name more frames than there are numbers.
    const end = Math.min(packet.end, packet.start + this.modulus)
    for (let at = packet.start; at < end; at++)
      this.select(srejNumber(packet.octets[at] as number, this.modulus), answers)
  }

  private select(ns: number, answers: boolean): void {
    const { sending } = this
    if (!sending.contains(ns)) return
    if (answers) sending.selectBefore(ns, this.pollOrder)
    else if (sending.isRepeated(ns)) this.repeated()
    else sending.selectBefore(ns, NEVER)
  }

  /** Asked for again what has been sent again: the answer to an enquiry tells whether it is lost, or just late. */
  private repeated(): void {
    this.enquire = true
    this.journal.count('repeatedReject')
  }

  /** The answer to our enquiry is here. */
  private answered(now: Instant): void {
    this.polled = this.recovering = false
    this.timer.answered(now)
    if (this.fruitless <= PATIENCE) this.retries = 0
    this.restart(now)
  }

  /** What went out before the enquiry and is not acknowledged by its answer is lost (X.25 §2.4.5.9). */
  private checkpoint(nr: number): void {
    const { sending, pollOrder } = this
    if (!sending.contains(nr) || sending.orderOf(nr) >= pollOrder) return
    if (!this.selective) {
      sending.goBack(nr)
      return
    }
    for (let ns = nr; sending.contains(ns); ns = (ns + 1) & (this.modulus - 1)) sending.selectBefore(ns, pollOrder)
  }

  /** A peer that answers and takes nothing is tried again at once a few times, then each T1, and N2 times in all. */
  private weigh(now: Instant): void {
    const { tried } = this
    this.tried = false
    if (!tried || this.peerBusy || this.sending.resends === 0 || ++this.fruitless <= PATIENCE) return
    this.recovering = true
    this.t1At = now + this.timer.interval(this.retries)
  }

  private sendAgain(now: Instant, frame: Frame): boolean {
    const ns = this.sending.nextAgain()
    this.enquire = this.tried = true
    this.timer.repeated(ns)
    this.inform(ns, now, frame)
    this.journal.note(this.sdu, 'retransmission', this.selective ? 'srej' : 'rej', this.variant.standard)
    return true
  }

  private inform(ns: number, now: Instant, frame: Frame): boolean {
    frame.type = 'I'
    frame.command = true
    frame.ns = ns
    this.sdu = this.sending.transmit(ns)
    if (this.t1At === NEVER) this.t1At = now + this.timer.interval(this.retries)
    // It acknowledges, but does not take back a RNR.
    this.acknowledging(frame)
    return true
  }

  private poll(now: Instant, frame: Frame): boolean {
    this.pollOwed = this.enquire = false
    // Of an enquiry that is repeated, the answer to the first may still come: what it does not speak of stays the same.
    this.doubtful = this.polled
    if (!this.polled) {
      this.pollOrder = this.sending.order
      if (this.retries === 0) this.timer.polled(now)
    }
    this.polled = true
    this.t1At = now + this.timer.interval(this.retries)
    this.supervise(this.status, true, frame)
    frame.command = true
    return true
  }

  private answer(frame: Frame): boolean {
    this.finalOwed = false
    if (this.rejectOwed) return this.supervise('REJ', true, frame)
    if (!this.selective || this.ownBusy || !this.receiving.hasHoles) return this.supervise(this.status, true, frame)
    this.receiving.askForAll()
    this.ask(frame)
    frame.pf = true
    this.receiving.told = frame.nr
    return true
  }

  private ask(frame: Frame): boolean {
    const { receiving } = this
    frame.type = 'SREJ'
    frame.command = false
    frame.nr = receiving.nextAsk()
    if (this.terms.recovery === 'multi-srej' && receiving.asks > 0)
      this.info = encodeSrejList(receiving, Math.min(receiving.asks, this.terms.n1), this.modulus)
    return true
  }

  private supervise(type: SupervisoryType, pf: boolean, frame: Frame): boolean {
    if (type === 'REJ') this.rejectOwed = false
    this.statusOwed = false
    frame.type = type
    frame.command = false
    frame.pf = pf
    this.acknowledging(frame)
    return true
  }

  private acknowledging(frame: Frame): void {
    const { receiving } = this
    frame.nr = receiving.vr
    receiving.told = receiving.vr
    this.t2At = NEVER
  }

  private get status(): SupervisoryType {
    return this.ownBusy ? 'RNR' : 'RR'
  }
}
