/**
 * Authentication of what a link carries (RFC 8967): every packet has a counter in its body and, after it, a MAC for each
 * key; a stranger cannot forge one, and nobody can replay an old one. A neighbour of which we know no counter is challenged
 * to show that it is there now.
 *
 *    MAC over │ source, port, destination, port │ packet header │ body, counter included │
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { blake2s } from '@noble/hashes/blake2.js'
import type { IpAddress } from '../../../../src/kernel/address.ts'
import { type Instant, ms, seconds } from '../../../../src/kernel/clock.ts'
import { invalidValue } from '../../../../src/kernel/errors.ts'
import type { Random } from '../../../../src/kernel/random.ts'
import { bodyEnd } from './reader.ts'
import * as tlv from './tlv.ts'
import type { Writer } from './writer.ts'

/** A key both ends have. Several may be in force: each signs, and any of them will do for what arrives. */
export interface BabelKey {
  readonly algorithm: 'hmac-sha256' | 'blake2s'
  /** 1 octet or more; for BLAKE2s at most 32. */
  readonly key: Uint8Array
}

/** Why a packet was not believed. */
export type Refused = 'noMac' | 'wrongMac' | 'noCounter' | 'challenged' | 'replayed' | 'tooManyPeers'

const PC_OCTETS = 4
const INDEX_OCTETS = 8
/** The most an index, or a nonce of ours, may have (RFC 8967 §6.2, §6.3). */
const INDEX_MOST = 32
const NONCE_MOST = 192
const NONCE_OCTETS = 8
const CHALLENGE_LIFE = seconds(30)
/** Challenges to, and answers for, one peer are this far apart. */
const CHALLENGE_GAP = ms(300)
const PEERS = 256
/** Peers not heard of for this long are forgotten when there are too many. */
const PEER_LIFE = seconds(300)

/** What is remembered of a neighbour. */
interface Peer {
  readonly address: IpAddress
  index: Uint8Array | null
  pc: number
  nonce: Uint8Array | null
  nonceUntil: Instant
  nextChallenge: Instant
  nextReply: Instant
  heard: Instant
}

/** Sends a challenge, or the answer to one, to an address. */
export type Challenger = (to: IpAddress, type: number, nonce: Uint8Array) => void

/** @throws TypeError ERR_INVALID_ARG_VALUE — no octets, or more than the algorithm takes. */
export function checkKey({ algorithm, key }: BabelKey): void {
  const most = algorithm === 'blake2s' ? 32 : 1024
  if (key.length < 1 || key.length > most) throw invalidValue('key', `1 to ${most} octets`, `${key.length} octets`)
}

export class Authenticator {
  /** What it adds to a packet. */
  octets = 0
  private keys: readonly BabelKey[] = []
  private index: Uint8Array
  private pc = 1
  private readonly random: Random
  private readonly peers: Peer[] = []
  private readonly pseudo = new Uint8Array(36)

  /** @param keys one or more, as `checkKey` has them. */
  constructor(keys: readonly BabelKey[], random: Random) {
    this.random = random
    this.index = random.octets(INDEX_OCTETS)
    this.rekey(keys)
  }

  /** Exchanges the keys: a new one is added everywhere, then the old one taken away everywhere. */
  rekey(keys: readonly BabelKey[]): void {
    this.keys = keys
    this.octets = tlv.TLV_HEADER_OCTETS + PC_OCTETS + INDEX_OCTETS
    for (const key of keys) this.octets += tlv.TLV_HEADER_OCTETS + macOctets(key)
  }

  /** Ends a packet: its counter, its header, its MACs. @param to null: the group. */
  sign(writer: Writer, source: IpAddress, to: IpAddress | null): void {
    writer.extend(this.octets)
    if (this.pc > 0xffff_ffff) {
      this.pc = 1
      this.index = this.random.octets(INDEX_OCTETS)
    }
    const counter = new Uint8Array(PC_OCTETS)
    new DataView(counter.buffer).setUint32(0, this.pc++)
    writer.opaque(tlv.PC, counter, this.index)
    writer.finish()
    this.address(source, to)
    const body = writer.octets.subarray(0, writer.length)
    for (const key of this.keys) writer.opaque(tlv.MAC, mac(key, this.pseudo, body))
  }

  /**
   * @param from the source; @param to our address it was sent to, or null for the group.
   * @returns null when the packet may be believed.
   */
  verify(
    octets: Uint8Array,
    start: number,
    length: number,
    from: IpAddress,
    to: IpAddress | null,
    now: Instant,
    challenge: Challenger,
  ): Refused | null {
    const end = bodyEnd(octets, start, length)
    if (end < 0) return 'noMac'
    const signed = this.signed(octets, start, end, start + length, from, to)
    if (signed !== null) return signed
    const said = preparse(octets, start + tlv.HEADER_OCTETS, end)
    if (said.pc < 0 || said.index === null) return 'noCounter'
    const peer = this.peer(from, now)
    if (peer === null) return 'tooManyPeers'
    if (said.request !== null && now >= peer.nextReply) {
      // Answered whatever else is wrong, or two that have forgotten each other would wait for ever (RFC 8967 §4.3.1).
      peer.nextReply = now + CHALLENGE_GAP
      challenge(from, tlv.CHALLENGE_REPLY, said.request.slice())
    }
    if (said.reply !== null && peer.nonce !== null && now < peer.nonceUntil && same(said.reply, peer.nonce)) {
      peer.nonce = null
      peer.index = said.index.slice()
      peer.pc = said.pc
      peer.heard = now
      return null
    }
    if (peer.index === null || !same(peer.index, said.index)) {
      this.challenge(peer, now, challenge)
      return 'challenged'
    }
    if (said.pc <= peer.pc) return 'replayed'
    peer.pc = said.pc
    peer.heard = now
    return null
  }

  private challenge(peer: Peer, now: Instant, challenge: Challenger): void {
    if (now < peer.nextChallenge) return
    peer.nextChallenge = now + CHALLENGE_GAP
    if (peer.nonce === null || now >= peer.nonceUntil) {
      peer.nonce = this.random.octets(NONCE_OCTETS)
      peer.nonceUntil = now + CHALLENGE_LIFE
    }
    challenge(peer.address, tlv.CHALLENGE_REQUEST, peer.nonce)
  }

  private signed(
    octets: Uint8Array,
    start: number,
    end: number,
    last: number,
    from: IpAddress,
    to: IpAddress | null,
  ): Refused | null {
    let verdict: Refused = 'noMac'
    this.address(from, to)
    const body = octets.subarray(start, end)
    let tried = 0
    for (let at = end; at < last; ) {
      const type = octets[at] as number
      if (type === tlv.PAD1) {
        at++
        continue
      }
      const next = at + 1 < last ? at + tlv.TLV_HEADER_OCTETS + (octets[at + 1] as number) : last + 1
      if (next > last) break
      if (type === tlv.MAC && tried++ < MACS_TRIED) {
        verdict = 'wrongMac'
        const theirs = octets.subarray(at + tlv.TLV_HEADER_OCTETS, next)
        for (const key of this.keys) {
          if (macOctets(key) === theirs.length && timingSafeEqual(mac(key, this.pseudo, body), theirs)) return null
        }
      }
      at = next
    }
    return verdict
  }

  private peer(address: IpAddress, now: Instant): Peer | null {
    for (const peer of this.peers) if (peer.address.equals(address)) return peer
    if (this.peers.length >= PEERS) {
      const old = this.peers.findIndex(({ heard }) => now - heard > PEER_LIFE)
      if (old < 0) return null
      this.peers.splice(old, 1)
    }
    const peer: Peer = {
      address: address.clone(),
      index: null,
      pc: 0,
      nonce: null,
      nonceUntil: 0,
      nextChallenge: 0,
      nextReply: 0,
      heard: now,
    }
    this.peers.push(peer)
    return peer
  }

  /** The pseudo-header (RFC 8967 §4.1). */
  private address(source: IpAddress, to: IpAddress | null): void {
    const view = new DataView(this.pseudo.buffer)
    const put = (at: number, w0: number, w1: number, w2: number, w3: number): void => {
      view.setInt32(at, w0)
      view.setInt32(at + 4, w1)
      view.setInt32(at + 8, w2)
      view.setInt32(at + 12, w3)
      view.setUint16(at + 16, tlv.PORT)
    }
    put(0, source.w0, source.w1, source.w2, source.w3)
    if (to === null) put(18, ...tlv.GROUP)
    else put(18, to.w0, to.w1, to.w2, to.w3)
  }
}

/** MACs of one packet that are compared: a packet full of them costs no more. */
const MACS_TRIED = 8

const macOctets = ({ algorithm }: BabelKey): number => (algorithm === 'blake2s' ? 16 : 32)

/** HMAC-SHA256, or BLAKE2s with a key and 128 bits of digest (RFC 8967 §4.1, RFC 7693 §2.5). */
function mac({ algorithm, key }: BabelKey, pseudo: Uint8Array, packet: Uint8Array): Uint8Array {
  if (algorithm === 'blake2s') return blake2s.create({ key, dkLen: 16 }).update(pseudo).update(packet).digest()
  return createHmac('sha256', key).update(pseudo).update(packet).digest()
}

interface Said {
  pc: number
  index: Uint8Array | null
  request: Uint8Array | null
  reply: Uint8Array | null
}

/** What a body has of authentication: the first of each kind counts. */
function preparse(octets: Uint8Array, start: number, end: number): Said {
  const said: Said = { pc: -1, index: null, request: null, reply: null }
  for (let at = start; at < end; ) {
    const type = octets[at] as number
    if (type === tlv.PAD1) {
      at++
      continue
    }
    const from = at + tlv.TLV_HEADER_OCTETS
    const next = at + 1 < end ? from + (octets[at + 1] as number) : end + 1
    if (next > end) break
    const value = octets.subarray(from, next)
    if (type === tlv.PC && said.pc < 0 && value.length >= PC_OCTETS && value.length <= PC_OCTETS + INDEX_MOST) {
      said.pc = new DataView(value.buffer, value.byteOffset).getUint32(0)
      said.index = value.subarray(PC_OCTETS)
    } else if (type === tlv.CHALLENGE_REQUEST && value.length <= NONCE_MOST) said.request ??= value
    else if (type === tlv.CHALLENGE_REPLY) said.reply ??= value
    at = next
  }
  return said
}

const same = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && a.every((octet, i) => octet === b[i])
