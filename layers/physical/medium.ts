/** What the media in memory have in common: what they carry, how large, and whether they take super-segments. */
import type { Encapsulation } from '../../src/kernel/boundary.ts'
import { integer, invalidValue } from '../../src/kernel/errors.ts'
import type { LineOptions } from './line.ts'
import { BURSTS, type Medium, NO_OFFLOAD, type Offload } from './service.ts'

export interface MediumOptions<M extends Medium = 'frames'> {
  /** What it carries; default 'frames'. On 'frames' Ethernet adds and checks an FCS, on 'ethernet' it does not. */
  readonly medium?: M
  /**
   * Largest network packet in octets, as `ip link set mtu` means it: 1 to 65535; default 1500. The room of an Ethernet
   * header and, on 'frames', of the FCS comes on top of it: the services show 1518 or 1514.
   */
  readonly mtu?: number
  /**
   * Take super-segments of up to 64 KB and vouch for transport checksums; default false. Only for 'ethernet' and 'ip',
   * and only without delay and rate: there is no moment at which each single frame passes.
   */
  readonly offload?: boolean
}

/** Largest network packet: the IPv4 total length field. */
export const MAX_MTU = 65_535

/** Usual network packet on Ethernet (IEEE 802.3 §3.2.7). */
const DEFAULT_MTU = 1500

const ENCAPSULATION: Readonly<Record<Medium, Encapsulation>> = {
  octets: 'octets',
  frames: 'ethernet+fcs',
  ethernet: 'ethernet',
  ip: 'ip',
}

/** What an Ethernet header, and an FCS where the medium carries it, take. */
const LINK_OCTETS: Readonly<Record<Medium, number>> = { octets: 0, frames: 18, ethernet: 14, ip: 0 }

/** How a capture at the boundary of such a medium reads its packets. */
export const encapsulationOf = (medium: Medium): Encapsulation => ENCAPSULATION[medium]

/**
 * The largest packet at the boundary of a medium that is to carry network packets of `mtu` octets.
 * @throws RangeError ERR_OUT_OF_RANGE — not an integer from 1 to 65535.
 */
export const wireMtu = (medium: Medium, mtu: number = DEFAULT_MTU): number =>
  integer('mtu', mtu, 1, MAX_MTU) + LINK_OCTETS[medium]

/**
 * The medium of the options. @throws TypeError ERR_INVALID_ARG_VALUE — there is none of that name.
 */
export function mediumOf<M extends Medium>(options: MediumOptions<M>): M {
  // Without the option, M is its default.
  const medium = options.medium ?? ('frames' as M)
  if (!Object.hasOwn(ENCAPSULATION, medium)) {
    throw invalidValue('medium', "'octets', 'frames', 'ethernet' or 'ip'", medium)
  }
  return medium
}

/**
 * What a medium in memory offers, by its options.
 * @throws TypeError ERR_INVALID_ARG_VALUE — offload together with what it excludes.
 */
export function wholePackets(medium: Medium, options: MediumOptions<Medium> & LineOptions): Offload {
  if (options.offload !== true) return isImmediate(options) ? BURSTS : NO_OFFLOAD
  if (medium !== 'ethernet' && medium !== 'ip') {
    throw invalidValue('offload', "false unless the medium is 'ethernet' or 'ip'", true)
  }
  checkWhole(options)
  return { segment: wireMtu(medium, MAX_MTU), checksum: true }
}

/** Neither delay nor rate keep its packets apart. */
const isImmediate = ({ delay = 0, rate = Number.POSITIVE_INFINITY }: LineOptions): boolean =>
  delay === 0 && rate === Number.POSITIVE_INFINITY

/** @throws TypeError ERR_INVALID_ARG_VALUE — a delay or rate, which a medium with offload has not. */
export function checkWhole({ delay = 0, rate = Number.POSITIVE_INFINITY }: LineOptions): void {
  if (delay !== 0) throw invalidValue('delay', '0 with offload', delay)
  if (rate !== Number.POSITIVE_INFINITY) throw invalidValue('rate', 'Infinity with offload', rate)
}
