/**
 * The header of L2TPv3 over UDP (RFC 3931 §4.1.2) in front of an Ethernet frame without FCS (RFC 4719), of one session whose
 * numbers both ends were told: there is no control connection.
 *
 *    0                   1                   2                   3
 *    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *   |T|x x x x x x x x x x x|  Ver  |           reserved            |
 *   |                          session                              |
 *   |               cookie, 0, 4 or 8 octets                        |
 *   |x S x x x x x x|  sequence number: L2-specific sublayer (§4.6) |
 */
import { integer, invalidType, invalidValue } from '../../../src/kernel/errors.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import type { Codec } from './codec.ts'

/** The port assigned to L2TP (RFC 3931 §4.1.2.1). */
export const L2TP_PORT = 1701

/** A session, as seen from this end. */
export interface L2tpv3Options {
  /** The session's number here, in what arrives: 1 to 2^32 - 1. */
  readonly session: number
  /** The session's number at the peer, in what we send. */
  readonly peerSession: number
  /** What must stand in what arrives: 4 or 8 octets that outsiders cannot guess. Default none. */
  readonly cookie?: Uint8Array
  /** What the peer wants to see in what we send. Default none. */
  readonly peerCookie?: Uint8Array
  /** The default L2-specific sublayer stands in front of frames, without sequence numbers. Default false; Linux: true. */
  readonly sublayer?: boolean
}

const FIXED_OCTETS = 8
const SUBLAYER_OCTETS = 4
const MOST = 0xffff_ffff
const VERSION_MASK = 0x0f
const VERSION = 3
const CONTROL_BIT = 0x80

/** @throws TypeError, RangeError — no session, or one whose numbers or cookies cannot be. */
export function l2tpv3(options: L2tpv3Options | undefined): Codec {
  if (options === undefined) throw invalidType('l2tpv3', 'of type object, with the codec l2tpv3', options)
  const session = integer('l2tpv3.session', options.session, 1, MOST)
  const peerSession = integer('l2tpv3.peerSession', options.peerSession, 1, MOST)
  const cookie = cookieOf('l2tpv3.cookie', options.cookie)
  const peerCookie = cookieOf('l2tpv3.peerCookie', options.peerCookie)
  const sublayer = options.sublayer === true ? SUBLAYER_OCTETS : 0
  const sent = FIXED_OCTETS + peerCookie.length + sublayer
  const received = FIXED_OCTETS + cookie.length + sublayer
  return {
    octets: sent,
    port: L2TP_PORT,
    spreads: false,
    push(packet) {
      const { view } = packet
      const at = packet.push(sent)
      view.setInt32(at, VERSION << 16)
      view.setInt32(at + 4, peerSession)
      for (let i = 0; i < peerCookie.length; i++) view.setUint8(at + FIXED_OCTETS + i, peerCookie[i] as number)
      if (sublayer > 0) view.setInt32(at + sent - SUBLAYER_OCTETS, 0)
    },
    pull(packet) {
      const { view, start, length } = packet
      if (length < received) return 'truncated'
      if ((view.getUint8(start) & CONTROL_BIT) !== 0) return 'control'
      if ((view.getUint8(start + 1) & VERSION_MASK) !== VERSION) return 'badVersion'
      if (view.getUint32(start + 4) !== session) return 'wrongSession'
      if (!holds(packet, start + FIXED_OCTETS, cookie)) return 'wrongCookie'
      packet.pull(received)
      return undefined
    },
  }
}

function holds({ view }: Packet, at: number, cookie: Uint8Array): boolean {
  let different = 0
  for (let i = 0; i < cookie.length; i++) different |= view.getUint8(at + i) ^ (cookie[i] as number)
  return different === 0
}

function cookieOf(name: string, cookie: Uint8Array | undefined): Uint8Array {
  if (cookie === undefined) return new Uint8Array(0)
  if (!(cookie instanceof Uint8Array)) throw invalidType(name, 'an instance of Uint8Array', cookie)
  if (cookie.length !== 4 && cookie.length !== 8) throw invalidValue(name, '4 or 8 octets', cookie.length)
  return Uint8Array.from(cookie)
}
