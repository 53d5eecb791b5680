/**
 * SYN cookies (RFC 4987 §3.6): while no more handshakes can be remembered, the initial sequence number of a SYN-ACK says
 * everything about its handshake, and the ACK brings it back.
 *
 *   ISS = mask(ends, IRS) + ┌ 31..27 ┬ 26..24 ┬ 23..0                    ┐
 *                           │ period │  MSS   │ hash(ends, IRS, both)    │
 *                           └────────┴────────┴──────────────────────────┘
 *
 * What the options of the SYN said beyond the MSS travels in the low bits of our timestamp, which the ACK echoes; without
 * timestamps it is lost, and the connection does without.
 */
import { type Duration, type Instant, seconds } from '../../../src/kernel/clock.ts'
import { type HashKey, keyedHash } from '../../../src/kernel/keyed-hash.ts'
import { CWR, ECE, Segment, SYN } from './segment.ts'
import { type Flow, writeEnds } from './table.ts'
import type { Tcb } from './tcb.ts'

/** What of a SYN must be remembered. */
export interface SynOptions {
  /** Shift of the peer's windows; -1: it does not scale. */
  readonly windowShift: number
  readonly sackPermitted: boolean
  readonly ecn: boolean
}

/** Tells the hashes of one key apart. */
const FOR_MASK = 1
const FOR_PROOF = 2

const PERIOD: Duration = seconds(64)
/** Periods that are told apart in a cookie; its hash tells all apart. */
const PERIODS = 32
const PROOF_BITS = 24
const PROOF_MASK = 0xff_ffff

/** Segment sizes that a cookie can say: the largest that is not larger than the peer's is used. Common ones, by links. */
const SIZES: readonly number[] = [216, 536, 1220, 1360, 1440, 1460, 4312, 8960]

const OPTION_BITS = 6
const OPTIONS_MASK = 0x3f
const NO_SHIFT = 15
const SACK_BIT = 0x10
const ECN_BIT = 0x20

export class SynCookies {
  private readonly key: HashKey
  private readonly words = new Int32Array(13)

  constructor(key: HashKey) {
    this.key = key
  }

  /** The initial sequence number of a SYN-ACK. @param irs the SYN's. @param mss the SYN's; 0: it named none. */
  make(flow: Flow, irs: number, mss: number, now: Instant): number {
    let size = SIZES.length - 1
    while (size > 0 && (SIZES[size] as number) > mss) size--
    return this.cookie(flow, irs, Math.floor(now / PERIOD), size)
  }

  /**
   * @param iss the sequence number that an ACK says was our first. @param irs the one that would have been the peer's.
   * @returns the MSS to use towards the peer; 0: it is no cookie of ours, or one of the period before the last or older.
   */
  mssOf(flow: Flow, irs: number, iss: number, now: Instant): number {
    const head = ((iss - this.hash(flow, irs, FOR_MASK, 0, 0)) | 0) >>> PROOF_BITS
    const size = head & 7
    const period = Math.floor(now / PERIOD)
    const age = (period - (head >> 3)) & (PERIODS - 1)
    return age <= 1 && this.cookie(flow, irs, period - age, size) === iss ? (SIZES[size] as number) : 0
  }

  private cookie(flow: Flow, irs: number, period: number, size: number): number {
    const head = ((period % PERIODS) << 3) | size
    const proof = this.hash(flow, irs, FOR_PROOF, period, size) & PROOF_MASK
    return (this.hash(flow, irs, FOR_MASK, 0, 0) + ((head << PROOF_BITS) | proof)) | 0
  }

  private hash({ local, remote }: Flow, irs: number, purpose: number, period: number, size: number): number {
    const { words } = this
    writeEnds(words, local, remote)
    words[9] = irs
    words[10] = purpose
    words[11] = period
    words[12] = size
    return keyedHash(this.key, words)
  }
}

/** What our timestamps have to be offset by for the one of a SYN-ACK sent now to carry the options in use. */
export function stampFor(tcb: Tcb, now: Instant): number {
  const clock = Math.floor(now / 1000) | 0
  const windowShift = tcb.rcv.shift < 0 ? -1 : tcb.snd.shift
  const stamp = timestampWith(clock, { windowShift, sackPermitted: tcb.sack, ecn: tcb.ecn })
  return (tcb.tsOffset + stamp - clock) | 0
}

/** The SYN that led to an ACK with a cookie, as far as it matters. @param tsOffset of our timestamps to this peer. */
export function synBehind(ack: Segment, mss: number, tsOffset: number): Segment {
  const syn = new Segment()
  syn.flags = SYN
  syn.seq = (ack.seq - 1) | 0
  syn.wnd = ack.wnd
  syn.mss = mss
  if (!ack.hasTimestamps) return syn
  const { windowShift, sackPermitted, ecn } = optionsOf((ack.tsecr - tsOffset) | 0)
  syn.hasTimestamps = true
  syn.tsval = ack.tsval
  syn.windowShift = windowShift
  syn.sackPermitted = sackPermitted
  if (ecn) syn.flags |= ECE | CWR
  return syn
}

/** A timestamp of now or less than two ticks of 64 ms ago that carries the options of a SYN. @param clock milliseconds. */
export function timestampWith(clock: number, { windowShift, sackPermitted, ecn }: SynOptions): number {
  const bits = (windowShift < 0 ? NO_SHIFT : windowShift) | (sackPermitted ? SACK_BIT : 0) | (ecn ? ECN_BIT : 0)
  const stamp = (clock & ~OPTIONS_MASK) | bits | 0
  // Later segments must not carry an earlier time.
  return ((stamp - clock) | 0) > 0 ? (stamp - (1 << OPTION_BITS)) | 0 : stamp
}

/** What `timestampWith` put into a timestamp. */
export function optionsOf(stamp: number): SynOptions {
  const shift = stamp & 0xf
  return {
    windowShift: shift === NO_SHIFT ? -1 : shift,
    sackPermitted: (stamp & SACK_BIT) !== 0,
    ecn: (stamp & ECN_BIT) !== 0,
  }
}
