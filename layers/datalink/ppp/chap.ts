/**
 * CHAP with MD5 (RFC 1994): who is at the other end. A machine with both roles, each of which may be wanted or not.
 *
 *   authenticator ── Challenge: id, value ──► peer
 *                 ◄── Response: MD5(id, secret, value) ──
 *                 ── Success or Failure ──►
 *
 * A Response goes again until there is an answer to it: what is lost may be that answer, and then no other Challenge follows (§4.2).
 *
 * MD5 comes from `@noble/hashes`: this tier runs without `node:crypto`, and a digest of our own is not ours to write.
 */
import { md5 } from '@noble/hashes/legacy.js'
import { type Duration, type Instant, seconds } from '../../../src/kernel/clock.ts'
import type { Random } from '../../../src/kernel/random.ts'
import { decodeControl, encodeControl, sameOctets } from './control.ts'

const CHAP = { challenge: 1, response: 2, success: 3, failure: 4 } as const
const VALUE_OCTETS = 16
const RESTART: Duration = seconds(3)
const MAX_CHALLENGES = 10
const MAX_RESPONSES = 10

export interface ChapNames {
  /** What we call ourselves. */
  readonly name: string
  /** The secret both ends know; '' when there is none. */
  readonly secret: string
  /** What the peer must call itself; undefined for any name. */
  readonly peerName: string | undefined
}

export type ChapResult = 'none' | 'pending' | 'success' | 'failure'

export class Chap {
  /** Of our asking the peer, and of the peer's asking us. */
  peerResult: ChapResult = 'none'
  ownResult: ChapResult = 'none'
  private readonly names: ChapNames
  private readonly random: Random
  private readonly waiting: Uint8Array[] = []
  private id = 0
  private challenge: Uint8Array = new Uint8Array(0)
  /** When the challenge goes again, and how often it may. */
  private challengeAt: Instant = Number.POSITIVE_INFINITY
  private challenges = 0
  /** What was answered to the last challenge of the peer, when that goes again, and how often it may. */
  private response: Uint8Array = new Uint8Array(0)
  private responseAt: Instant = Number.POSITIVE_INFINITY
  private responses = 0

  constructor(names: ChapNames, random: Random) {
    this.names = names
    this.random = random
  }

  get deadline(): Instant {
    return Math.min(this.challengeAt, this.responseAt)
  }

  /** LCP is open. @param ask we want to know who the peer is. @param answer the peer wants to know who we are. */
  start(ask: boolean, answer: boolean, now: Instant): void {
    this.stop()
    this.peerResult = ask ? 'pending' : 'none'
    this.ownResult = answer ? 'pending' : 'none'
    if (!ask) return
    this.challenges = MAX_CHALLENGES
    this.id = (this.id + 1) & 0xff
    this.challenge = this.random.octets(VALUE_OCTETS).slice()
    this.sendChallenge(now)
  }

  stop(): void {
    this.challengeAt = this.responseAt = Number.POSITIVE_INFINITY
    this.waiting.length = 0
    this.peerResult = this.ownResult = 'none'
  }

  expire(now: Instant): void {
    if (this.responseAt <= now) this.sendResponse(now)
    if (this.challengeAt > now) return
    this.challengeAt = Number.POSITIVE_INFINITY
    if (this.challenges > 0) this.sendChallenge(now)
    else this.peerResult = 'failure'
  }

  output(): Uint8Array | undefined {
    return this.waiting.shift()
  }

  /** @returns false when the packet was malformed, or out of place. */
  input(octets: Uint8Array, now: Instant): boolean {
    const packet = decodeControl(octets)
    if (packet === undefined) return false
    const { code, id, data } = packet
    if (code === CHAP.challenge) return this.answer(id, data, now)
    if (code === CHAP.response) return this.check(id, data)
    if ((code !== CHAP.success && code !== CHAP.failure) || this.ownResult === 'none') return false
    this.ownResult = code === CHAP.success ? 'success' : 'failure'
    this.responseAt = Number.POSITIVE_INFINITY
    return true
  }

  private answer(id: number, data: Uint8Array, now: Instant): boolean {
    const value = challengeOf(data)
    if (value === undefined || this.ownResult === 'none' || this.waiting.length > 2) return false
    this.response = encodeControl(CHAP.response, id, valueAndName(this.digest(id, value), this.names.name))
    this.responses = MAX_RESPONSES
    this.sendResponse(now)
    return true
  }

  private check(id: number, data: Uint8Array): boolean {
    const value = challengeOf(data)
    if (value === undefined || id !== this.id || this.peerResult === 'none' || this.waiting.length > 2) return false
    const name = new TextDecoder().decode(data.subarray(1 + value.length))
    const { peerName } = this.names
    const known = sameOctets(value, this.digest(id, this.challenge)) && (peerName === undefined || name === peerName)
    // A response that comes twice gets the same answer (§4.2).
    if (this.peerResult === 'pending') this.peerResult = known ? 'success' : 'failure'
    this.challengeAt = Number.POSITIVE_INFINITY
    this.send(this.peerResult === 'success' ? CHAP.success : CHAP.failure, id, new Uint8Array(0))
    return true
  }

  private digest(id: number, value: Uint8Array): Uint8Array {
    return md5(Uint8Array.of(id, ...new TextEncoder().encode(this.names.secret), ...value))
  }

  private sendChallenge(now: Instant): void {
    this.challenges--
    this.challengeAt = now + RESTART
    this.send(CHAP.challenge, this.id, valueAndName(this.challenge, this.names.name))
  }

  private sendResponse(now: Instant): void {
    this.responses--
    this.waiting.push(this.response)
    // Once we are let in, the peer asks anew until it has an answer.
    const again = this.ownResult === 'pending' && this.responses > 0
    this.responseAt = again ? now + RESTART : Number.POSITIVE_INFINITY
  }

  private send(code: number, id: number, data: Uint8Array): void {
    this.waiting.push(encodeControl(code, id, data))
  }
}

/** @returns undefined when the value is empty, or longer than the packet. */
function challengeOf(data: Uint8Array): Uint8Array | undefined {
  const length = data[0] ?? 0
  return length === 0 || length + 1 > data.length ? undefined : data.subarray(1, 1 + length)
}

const valueAndName = (value: Uint8Array, name: string): Uint8Array =>
  Uint8Array.of(value.length, ...value, ...new TextEncoder().encode(name))
