/** What the network tier offers to the transport tier: packets to any address, over whichever link leads there. */

import type { NetworkControl } from '../../src/api/routes.ts'
import { IpAddress } from '../../src/kernel/address.ts'
import type { Service } from '../../src/kernel/layer.ts'
import type { Packet } from '../../src/kernel/packet.ts'
import type { LinkService } from '../datalink/service.ts'
import type { SourceFilter } from './membership/source-filter.ts'

/** IP protocol numbers (IANA). */
export const PROTOCOL: { readonly icmp: 1; readonly tcp: 6; readonly udp: 17; readonly icmpv6: 58 } = {
  icmp: 1,
  tcp: 6,
  udp: 17,
  icmpv6: 58,
}

/** Where a packet goes to or came from. Scratch: owned by the caller, valid during the call. */
export class NetworkAddressing {
  readonly source: IpAddress = new IpAddress()
  readonly destination: IpAddress = new IpAddress()
  protocol = 0
  ttl = 64
  /** The TOS octet: DSCP and ECN. */
  trafficClass = 0
  dontFragment = false
  /** Sending to a group: also to ourselves, if we are in it. */
  loop = false
  /**
   * Sending: it differs from the packet before, sent on the same turn, by no more than data of the same length. It may leave the
   * way that one did, without being looked at once more.
   */
  again = false
  /** Index of the link it came in by, or must leave by; 0: the routes decide. */
  link = 0
}

/** The way to a destination, filled by `NetworkService.path`. Sizes are octets of the network packet. */
export class Path {
  /** The source address to use. */
  readonly source: IpAddress = new IpAddress()
  /** That is to be avoided, but there is no better one (RFC 4862 §5.5.4). */
  deprecated = false
  /** Largest packet that gets there unfragmented, by what is known now. */
  mtu = 0
  /** Largest packet of the link itself, whatever the path beyond it: what may come the other way. */
  linkMtu = 0
  /** Largest super-segment the link takes; 0 when none. */
  segment = 0
  /** The link completes transport checksums. */
  checksum = false
  /** Octets in front of the transport header: the network header and all below. */
  headroom = 0
  tailroom = 0
  /** The link's index; 0 for the node itself. */
  link = 0
}

/** What became of a packet we sent, as a router or host told us (ICMP). Scratch, valid during the call. */
export class ErrorReport {
  /** Node's code for it: EHOSTUNREACH, ENETUNREACH, ECONNREFUSED, EMSGSIZE, EACCES, EPROTO, … */
  code = ''
  /** One word for people: 'portUnreachable', 'fragmentationNeeded', 'timeExceeded', … */
  reason = ''
  /** False for errors that may pass (RFC 1122 §4.2.3.9): network and host unreachable, time exceeded, parameter problem. */
  hard = false
  /** ICMP type and code. */
  type = 0
  icmpCode = 0
  /** The next hop's MTU when the packet was too big; else 0. */
  mtu = 0
  /** Who says so. */
  readonly from: IpAddress = new IpAddress()
  /** Of the packet concerned. */
  readonly source: IpAddress = new IpAddress()
  readonly destination: IpAddress = new IpAddress()
  /** Index of the link it came by; 0: the node itself says so. */
  link = 0
  /** The octets of the transport header and payload that were quoted (at least 8), in the slab. */
  quoteStart = 0
  quoteEnd = 0
  /**
   * False when a listener is told; it sets this when it has not sent what is quoted (RFC 5927 §4). Then the report is
   * dropped as one that is forged or late, and nothing is learnt from it, above all no path MTU.
   */
  foreign = false
}

/** One who has joined a group on a link. */
export interface GroupMember {
  readonly link: number
  /** Wants something else of the group from now on. */
  change(filter: SourceFilter): void
  leave(): void
}

/** Why `path` has no way to offer, in Node's codes. */
export type NoPath = 'ENETUNREACH' | 'EHOSTUNREACH' | 'EACCES' | 'EADDRNOTAVAIL'

export interface NetworkService extends Service<NetworkAddressing> {
  readonly tier: 'network'
  /** Seen and changed from outside. */
  readonly control: NetworkControl
  /** Grows whenever a path may have changed (links, addresses, routes, path MTU): look again. */
  readonly generation: number
  /**
   * Finds the way to a destination.
   * @param source must be one of ours unless unspecified, in which case one is chosen.
   * @param link index the packet must leave by, or 0.
   * @param path filled in on success.
   * @returns undefined on success, else why there is none.
   */
  path(destination: IpAddress, source: IpAddress, link: number, path: Path): NoPath | undefined
  /** Is it one of this node's own addresses (loopback and prefixes declared local included)? */
  isLocal(address: IpAddress): boolean
  /** Is it a broadcast address of some link, the limited broadcast, or multicast? */
  isBroadcast(address: IpAddress): boolean
  isMulticast(address: IpAddress): boolean
  /** The index of a link by name, or 0. */
  linkIndex(name: string): number
  /** The name of a link by its index, also of one that went and may come again; '' for 0. */
  linkName(index: number): string
  /**
   * Reports of what became of packets of `protocol` that we sent.
   * @returns a function that stops them.
   */
  onError(protocol: number, listener: (report: ErrorReport) => void): () => void
  /**
   * The transport knows that `destination` receives what we send there: the next hop then needs no probe (RFC 4861 §7.3.1).
   * For progress, such as new octets acknowledged; cheap enough to be called for each.
   * @param link index of the one that packets are made to leave by, or 0: as of `path`.
   */
  confirm(destination: IpAddress, link?: number): void
  /**
   * The opposite: `destination` does not answer what is sent there again and again, so the next hop may be gone (negative advice,
   * RFC 9293 §3.8.3 MUST-20, RFC 1122 §3.3.1.4). It is asked at once; when it does not answer, its entry goes.
   */
  doubt(destination: IpAddress, link?: number): void
  /** Told after addresses, links or routes changed. @returns a function that stops it. */
  onChange(listener: () => void): () => void
  /**
   * Answers a received packet with "nobody is here": protocol or port unreachable, as a host does. Takes ownership.
   * @param packet as it was received: its data starts at the transport header, and `networkStart` still stands.
   */
  refuse(
    packet: Packet,
    from: NetworkAddressing,
    why: 'protocolUnreachable' | 'portUnreachable' | 'hostUnreachable' | 'prohibited',
  ): void
  /**
   * Takes in what is sent to a group on a link, as far as `filter` wants it, and tells the routers there. Lasts until it is left:
   * a link that goes and comes again under its name has it again.
   * @param link index; 0: the one that leads to the group.
   * @returns undefined when there is no such link.
   */
  joinGroup(group: IpAddress, link: number, filter: SourceFilter): GroupMember | undefined
  /** Accepts packets to every address of the prefix as if it were ours (a gateway's interception). @returns undo. */
  declareLocal(address: IpAddress, length: number): () => void
  /** Adds a link at run time. @throws NetError EEXIST */
  attach(name: string, link: LinkService): void
  /** Removes a link with its addresses and routes. @returns whether it was there. */
  detach(name: string): boolean
}
