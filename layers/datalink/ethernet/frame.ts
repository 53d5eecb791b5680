/**
 * Ethernet II frame (IEEE 802.3-2022 §3.1.1; the type field as RFC 9542 §3).
 *
 *   octets   0           6           12    14                        14+n    18+n
 *            ├───────────┼───────────┼─────┼──────────────────────────┼───────┤
 *            │destination│  source   │type │ payload, 46 <= n <= 1500 │  FCS  │
 *            └───────────┴───────────┴─────┴──────────────────────────┴───────┘
 *
 * Values of the type field up to 1500 are the length of an IEEE 802.2 (LLC) payload instead (§3.2.6).
 *
 * Functions here read and write in place. None allocates but the view the FCS is computed through; after `fault` has
 * returned undefined, no accessor can fail.
 */
import { crc32 } from '#crc32'
import type { MacAddress } from '../../../src/kernel/address.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import type { Random } from '../../../src/kernel/random.ts'

export const BROADCAST: MacAddress = 0xffff_ffff_ffff
export const HEADER_OCTETS = 14
export const FCS_OCTETS = 4
/** Shorter frames are padded where there is an FCS, so 64 octets with it (§4.2.3.3). */
export const MIN_FRAME_OCTETS = 60
/** The largest length of an LLC payload, and the smallest EtherType (§3.2.6). */
export const MAX_LENGTH = 1500
export const MIN_ETHERTYPE = 0x0600
/** EtherTypes of VLAN tags (IEEE 802.1Q-2022 §9.6), and what a tag puts in front of the type. */
export const CUSTOMER_TAG = 0x8100
export const SERVICE_TAG = 0x88a8
export const TAG_OCTETS = 4

/** Why a frame cannot be read. */
export type FrameFault = 'truncated' | 'fcs'

/** To be called once, before any accessor. @param hasFcs whether the medium carries the FCS. */
export function fault(packet: Packet, hasFcs: boolean): FrameFault | undefined {
  if (packet.length < HEADER_OCTETS + (hasFcs ? FCS_OCTETS : 0)) return 'truncated'
  return hasFcs && !fcsHolds(packet) ? 'fcs' : undefined
}

/** @param packet at least FCS_OCTETS long. */
export function fcsHolds(packet: Packet): boolean {
  const at = packet.end - FCS_OCTETS
  // Unlike every other field, it goes out least significant octet first (§3.2.9).
  return packet.view.getUint32(at, true) === crc32(packet.octets.subarray(packet.start, at))
}

/** Pads to the minimum and appends the FCS. Needs MIN_FRAME_OCTETS - HEADER_OCTETS + FCS_OCTETS of tailroom. */
export function putPaddingAndFcs(packet: Packet): void {
  const short = MIN_FRAME_OCTETS - packet.length
  if (short > 0) {
    const at = packet.put(short)
    packet.octets.fill(0, at, at + short)
  }
  const fcs = crc32(packet.octets.subarray(packet.start, packet.end))
  packet.view.setUint32(packet.put(FCS_OCTETS), fcs, true)
}

export const destinationOf = (packet: Packet): MacAddress => getMac(packet.view, packet.start)
export const sourceOf = (packet: Packet): MacAddress => getMac(packet.view, packet.start + 6)
export const typeOf = (packet: Packet): number => packet.view.getUint16(packet.start + 12)

/** The individual/group bit of the destination: multicast and broadcast (§3.2.3). */
export const toGroup = (packet: Packet): boolean => ((packet.octets[packet.start] as number) & 1) !== 0
export const fromGroup = (packet: Packet): boolean => ((packet.octets[packet.start + 6] as number) & 1) !== 0

/** Both addresses as they stand in a header, three words: frames come in runs, and only the first of one is looked at closer. */
export class AddressWords {
  private w0 = 0
  private w1 = 0
  private w2 = 0

  constructor(destination: MacAddress, source: MacAddress) {
    this.set(destination, source)
  }

  set(destination: MacAddress, source: MacAddress): void {
    this.w0 = Math.floor(destination / 0x1_0000) | 0
    this.w1 = ((destination & 0xffff) << 16) | Math.floor(source / 0x1_0000_0000)
    this.w2 = source | 0
  }

  /** Needs HEADER_OCTETS of headroom. */
  pushHeader(packet: Packet, type: number): void {
    const at = packet.push(HEADER_OCTETS)
    const { view } = packet
    view.setInt32(at, this.w0)
    view.setInt32(at + 4, this.w1)
    view.setInt32(at + 8, this.w2)
    view.setUint16(at + 12, type)
  }

  /** Are they the addresses of a frame? */
  match({ view, start }: Packet): boolean {
    return (
      view.getInt32(start) === this.w0 && view.getInt32(start + 4) === this.w1 && view.getInt32(start + 8) === this.w2
    )
  }
}

/** The VLAN of a tag control field; 0 in a frame that has a priority but no VLAN (IEEE 802.1Q-2022 §9.6). */
export const vlanOf = (control: number): number => control & 0x0fff

/** Is it a group address? */
export const isGroup = (address: MacAddress): boolean => (Math.floor(address / 0x100_0000_0000) & 1) !== 0

/** Locally administered, individual (IEEE 802-2014 §8.2): a second hexadecimal digit of 2, 6, a or e. */
export function randomAddress(random: Random): MacAddress {
  const high = ((random.uint32() & 0xfcff) | 0x0200) >>> 0
  return high * 0x1_0000_0000 + random.uint32()
}

function getMac(view: DataView, at: number): MacAddress {
  return view.getUint16(at) * 0x1_0000_0000 + view.getUint32(at + 2)
}
