/**
 * LCP's options (RFC 1661 §6): what both ends agree on about the link itself.
 *
 *   1 MRU   2 ACCM (RFC 1662 §7.1)   3 authentication   5 magic number   7 PFC   8 ACFC
 */
import type { Random } from '../../../src/kernel/random.ts'
import type { Policy, Verdict } from './automaton.ts'
import { CODE, numberOf, type Option, option, PROTOCOL, sameOctets } from './control.ts'

const TYPE = { mru: 1, accm: 2, auth: 3, magic: 5, pfc: 7, acfc: 8 } as const

/** CHAP with MD5 (RFC 1994 §3). */
const CHAP_MD5 = Uint8Array.of(PROTOCOL.chap >> 8, PROTOCOL.chap & 0xff, 5)
const DEFAULT_MRU = 1500
/** What every IPv4 link must carry (RFC 791 §3.2). */
const SMALLEST_MRU = 68
/** So often in a row our own magic number comes back before we believe it. */
const LOOPS = 3

/** What one end lets the other do. */
export interface LinkTerms {
  mru: number
  /** Control characters that must be escaped on the way to that end. */
  accm: number
  pfc: boolean
  acfc: boolean
  /** That end wants the other to say who it is. */
  chap: boolean
}

const defaults = (): LinkTerms => ({ mru: DEFAULT_MRU, accm: -1, pfc: false, acfc: false, chap: false })

export interface LcpWishes {
  readonly mru: number
  readonly accm: number
  readonly compress: boolean
  /** We ask who the peer is. */
  readonly demandChap: boolean
  /** We can say who we are. */
  readonly offerChap: boolean
}

export class LcpPolicy implements Policy {
  /** What holds for what we receive, and for what we send. */
  ours: LinkTerms = defaults()
  theirs: LinkTerms = defaults()
  magic = 0
  peerMagic = 0
  /** Our own magic number came back again and again: the line leads to ourselves. */
  looped = false
  private readonly wishes: LcpWishes
  private readonly random: Random
  private readonly unwanted = new Set<number>()
  private loops = 0

  constructor(wishes: LcpWishes, random: Random) {
    this.wishes = wishes
    this.random = random
  }

  reset(): void {
    const { mru, accm, compress, demandChap } = this.wishes
    this.unwanted.clear()
    this.ours = { mru, accm, pfc: compress, acfc: compress, chap: demandChap }
    this.theirs = defaults()
    this.newMagic()
  }

  request(): Option[] {
    const { mru, accm, pfc, acfc, chap } = this.ours
    const options = [
      ...(mru === DEFAULT_MRU ? [] : [option(TYPE.mru, mru, 2)]),
      option(TYPE.accm, accm, 4),
      ...(chap ? [{ type: TYPE.auth, data: CHAP_MD5 }] : []),
      option(TYPE.magic, this.magic, 4),
      ...(pfc ? [option(TYPE.pfc, 0, 0)] : []),
      ...(acfc ? [option(TYPE.acfc, 0, 0)] : []),
    ]
    return options.filter(({ type }) => !this.unwanted.has(type))
  }

  judge(options: readonly Option[]): Verdict {
    const rejected = options.filter((asked) => !this.known(asked))
    if (rejected.length > 0) return { code: CODE.configureReject, options: rejected }
    const nakked = options.flatMap((asked) => this.objection(asked) ?? [])
    if (nakked.length > 0) return { code: CODE.configureNak, options: nakked }
    this.theirs = defaults()
    this.peerMagic = 0
    for (const asked of options) this.take(asked)
    return { code: CODE.configureAck, options: [] }
  }

  nakked(options: readonly Option[]): void {
    for (const wanted of options) {
      if (wanted.type === TYPE.mru) this.ours.mru = clampMru(numberOf(wanted, 2), this.wishes.mru)
      else if (wanted.type === TYPE.accm) this.ours.accm |= numberOf(wanted, 4)
      else if (wanted.type === TYPE.magic) this.newMagic()
      else if (wanted.type !== TYPE.auth) this.unwanted.add(wanted.type)
    }
  }

  /** What we ask of the peer's identity it cannot refuse: without an answer there is no link. */
  rejected(options: readonly Option[]): void {
    for (const { type } of options) {
      this.unwanted.add(type)
      if (type === TYPE.accm) this.ours.accm = -1
      else if (type === TYPE.mru) this.ours.mru = DEFAULT_MRU
      else if (type === TYPE.pfc) this.ours.pfc = false
      else if (type === TYPE.acfc) this.ours.acfc = false
      else if (type === TYPE.magic) this.magic = 0
    }
  }

  private known({ type, data }: Option): boolean {
    switch (type) {
      case TYPE.mru:
        return data.length === 2
      case TYPE.accm:
      case TYPE.magic:
        return data.length === 4
      case TYPE.pfc:
      case TYPE.acfc:
        return data.length === 0 && this.wishes.compress
      case TYPE.auth:
        return this.wishes.offerChap
      default:
        return false
    }
  }

  /** What we would take in place of what is asked; undefined when that is fine. */
  private objection(asked: Option): Option | undefined {
    if (asked.type === TYPE.mru && numberOf(asked, 2) < SMALLEST_MRU) return option(TYPE.mru, DEFAULT_MRU, 2)
    if (asked.type === TYPE.auth && !sameOctets(asked.data, CHAP_MD5)) return { type: TYPE.auth, data: CHAP_MD5 }
    if (asked.type !== TYPE.magic) return undefined
    const magic = numberOf(asked, 4)
    if (magic !== 0 && magic !== this.magic) {
      this.loops = 0
      return undefined
    }
    // Either chance or a looped line (§6.4): another number tells them apart.
    if (magic !== 0 && ++this.loops >= LOOPS) this.looped = true
    return option(TYPE.magic, this.random.uint32() | 1, 4)
  }

  private take(asked: Option): void {
    if (asked.type === TYPE.mru) this.theirs.mru = numberOf(asked, 2)
    else if (asked.type === TYPE.accm) this.theirs.accm = numberOf(asked, 4)
    else if (asked.type === TYPE.magic) this.peerMagic = numberOf(asked, 4)
    else if (asked.type === TYPE.pfc) this.theirs.pfc = true
    else if (asked.type === TYPE.acfc) this.theirs.acfc = true
    else if (asked.type === TYPE.auth) this.theirs.chap = true
  }

  private newMagic(): void {
    this.magic = this.random.uint32() | 1
  }
}

const clampMru = (mru: number, most: number): number => Math.max(SMALLEST_MRU, Math.min(mru, most))
