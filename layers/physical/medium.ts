/** What follows from the kind of a medium: how captures name it, and how much a data link adds to a network packet. */
import type { Encapsulation } from '../../src/kernel/boundary.ts'
import { integer } from '../../src/kernel/errors.ts'
import type { Medium } from './service.ts'

/** Largest network packet: the IPv4 total length field. */
export const MAX_MTU = 65_535

/** Usual network packet on Ethernet (IEEE 802.3 §3.2.7). */
export const DEFAULT_MTU = 1500

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
 * The largest packet at the boundary of a medium that is to carry network packets of `mtu` octets: 1518 for 1500 on
 * 'frames', 1514 on 'ethernet'. So the option `mtu` of every medium means what it means to `ip link set mtu`.
 * @throws RangeError ERR_OUT_OF_RANGE — not an integer from 1 to 65535.
 */
export const wireMtu = (medium: Medium, mtu: number): number => integer('mtu', mtu, 1, MAX_MTU) + LINK_OCTETS[medium]
