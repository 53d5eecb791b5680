/** What the data link tier offers to the network tier: packets to the stations of one link. */
import type { IpAddress, MacAddress } from '../../src/kernel/address.ts'
import type { Service } from '../../src/kernel/layer.ts'
import type { Packet } from '../../src/kernel/packet.ts'

/** A station on a link; for Ethernet its EUI-48. */
export type LinkAddress = MacAddress

export type Cast = 'unicast' | 'multicast' | 'broadcast'

/** EtherTypes (IEEE 802 numbers, IANA); links that are not Ethernet map theirs to these. */
export const ETHERTYPE: { readonly ipv4: 0x0800; readonly arp: 0x0806; readonly ipv6: 0x86dd } = {
  ipv4: 0x0800,
  arp: 0x0806,
  ipv6: 0x86dd,
}

/**
 * The selector, and the protocol, of frames received with a length in place of a type: their payload is IEEE 802.2 LLC.
 * One that is sent has its length as its protocol.
 */
export const LLC_SELECTOR = 0

/** Where a packet goes to or came from on its link. Scratch: owned by the caller, valid during the call. */
export class LinkAddressing {
  /** Sending: the destination. Receiving: the source. */
  peer: LinkAddress = 0
  /** An EtherType. */
  protocol = 0
  /** Receiving: how the packet was addressed. Sending: ignored, the address says it. */
  cast: Cast = 'unicast'
}

/** What a link takes beyond single packets of the wire; sizes are those of the network packet. */
export interface LinkOffload {
  readonly segment: number
  readonly checksum: boolean
  /** What it delivers comes in bursts: segments of a flow are worth merging before a transport sees them. */
  readonly merge?: boolean
}

/**
 * Told of the network addresses that both ends of a link have agreed on: ours, and the peer's where it is known. They are
 * the listener's to keep. Later ones of the same family take the place of earlier ones.
 */
export type NegotiatedListener = (local: IpAddress, peer: IpAddress | null) => void

/** A link that negotiates network addresses, as PPP does: whoever stands on it follows. */
export interface Negotiated {
  /** Tells what is agreed on already, and whatever will be. @returns a function that stops it. */
  follow(listener: NegotiatedListener): () => void
}

/** How ARP names a link, and the addresses on it (RFC 826). */
export interface ArpFormat {
  /** The number of the hardware (IANA), and what stands for IPv4 in the packet: nearly everywhere its EtherType. */
  readonly hardwareType: number
  readonly protocolType: number
  /** Octets of an address. */
  readonly addressOctets: number
  /** The address at an offset; -1 when it is none. */
  read(packet: Packet, at: number): LinkAddress
  /** Writes one; 0 is an unknown one. */
  write(packet: Packet, at: number, address: LinkAddress): void
}

export interface LinkService extends Service<LinkAddressing> {
  readonly tier: 'datalink'
  /** Our own address on this link. */
  readonly address: LinkAddress
  /** The address of all stations; null on a point-to-point link, where nothing needs resolving. */
  readonly broadcast: LinkAddress | null
  readonly offload: LinkOffload
  /** Undefined where addresses stand in ARP as on Ethernet. */
  readonly arp?: ArpFormat
  /** Undefined for nearly all links: addresses are configured. */
  readonly negotiated?: Negotiated
  /**
   * Has the neighbours on this link stop sending, until all that were returned have been called. Undefined where a link
   * cannot; one that was told not to does nothing.
   * @returns a function that lets them go on; to be called once.
   */
  hold?(): () => void
}
