/** Why the IPv6 layer drops packets, with the standard behind each decision. */
import type { Boundary, Reasons } from '../../../src/kernel/boundary.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import type { FragmentFault } from '../reassembly.ts'
import type { NetworkAddressing } from '../service.ts'
import type { ChainFault } from './chain.ts'
import { DISCOVERY_REASONS, type DiscoveryReason } from './discovery.ts'
import type { MldReason } from './mld.ts'

export type Ipv6Reason =
  | 'short'
  | 'version'
  | 'badLength'
  | 'martianSource'
  | 'martianDestination'
  | 'mappedAddress'
  | 'scope'
  | 'reversePath'
  | 'policyDenied'
  | 'policyRejected'
  | 'linkBroadcast'
  | 'notMember'
  | 'notForUs'
  | 'ttlExceeded'
  | 'noRoute'
  | 'blackhole'
  | 'unreachableRoute'
  | 'prohibited'
  | 'linkDown'
  | 'hostUnreachable'
  | 'packetTooBig'
  | 'tooLong'
  | 'badSource'
  | 'queueFull'
  | ChainFault
  | FragmentFault
  | 'nestedFragment'
  | 'noNextHeader'
  | 'protocolUnreachable'
  | 'portUnreachable'
  | 'icmpShort'
  | 'icmpChecksum'
  | 'icmpType'
  | 'icmpHopLimit'
  | 'icmpFragmented'
  | 'icmpGroupEcho'
  | 'icmpQuote'
  | 'icmpNoUser'
  | DiscoveryReason
  | MldReason

export const REASONS: Reasons<Ipv6Reason> = {
  /** Shorter than a header. */
  short: 'RFC 8200 §3',
  version: 'RFC 8200 §3',
  /** Payload length beyond what arrived, a jumbogram's, or short of where the offload fields point. */
  badLength: 'RFC 8200 §3',
  martianSource: 'RFC 4291 §2.5.3, §2.7',
  martianDestination: 'RFC 4291 §2.5.2, §2.5.3',
  /** An IPv4-mapped address: it stands for an IPv4 address inside of a node, never on the wire. */
  mappedAddress: 'RFC 4942 §2.2',
  /** A link-local address away from its link, or a group of a scope that does not leave the node. */
  scope: 'RFC 4291 §2.5.6, §2.7',
  /** It came by a link that does not lead back to its source. */
  reversePath: 'RFC 3704 §2',
  policyDenied: '',
  policyRejected: 'RFC 4443 §3.1',
  /** To a group of the link, yet to one station's IP address. */
  linkBroadcast: 'RFC 1122 §3.3.6',
  notMember: 'RFC 4291 §2.8',
  /** For another node, and we do not forward. */
  notForUs: 'RFC 8200 §3',
  ttlExceeded: 'RFC 8200 §3',
  noRoute: 'RFC 4443 §3.1',
  blackhole: '',
  unreachableRoute: '',
  prohibited: 'RFC 4443 §3.1',
  linkDown: 'RFC 4443 §3.1',
  /** Nobody answers for the next hop. */
  hostUnreachable: 'RFC 4861 §7.2.2',
  /** Larger than the path takes, and not ours to be fragmented. */
  packetTooBig: 'RFC 8200 §5',
  /** To be sent: larger than any packet. */
  tooLong: 'RFC 8200 §3',
  /** To be sent: the source is not an address of ours. */
  badSource: 'RFC 4291 §2.1',
  /** To be sent to ourselves, faster than we take it in. */
  queueFull: '',
  /** Headers that end beyond the packet, or beyond its first fragment. */
  truncatedChain: 'RFC 8200 §4, RFC 7112 §5',
  tooManyHeaders: 'RFC 8504 §5.3',
  misplacedHeader: 'RFC 8200 §4.1',
  /** A route that is not at its end, of type 0 above all. */
  routingHeader: 'RFC 8200 §4.4, RFC 5095 §3',
  badOption: 'RFC 8200 §4.2',
  unknownOption: 'RFC 8200 §4.2',
  /** A fragment other than the last that is empty or no multiple of 8 octets, or one that ends beyond the longest packet. */
  badFragment: 'RFC 8200 §4.5',
  /** A first fragment that lacks a part of the headers. */
  tinyFragment: 'RFC 7112 §5',
  /** The fragments of a packet say different things about the same octets. */
  fragmentOverlap: 'RFC 5722 §3',
  fragmentDuplicate: 'RFC 8200 §4.5',
  reassemblyTimeout: 'RFC 8200 §4.5',
  reassemblyMemory: 'RFC 8900 §3.7',
  /** A fragment of a fragment. */
  nestedFragment: 'RFC 8200 §4.1',
  /** It ends behind its headers, as it says. */
  noNextHeader: 'RFC 8200 §4.7',
  /** Nobody above wants the protocol. */
  protocolUnreachable: 'RFC 8200 §4',
  portUnreachable: 'RFC 4443 §3.1',
  icmpShort: 'RFC 4443 §2.1',
  icmpChecksum: 'RFC 4443 §2.3',
  /** A type of message that we do not act upon. */
  icmpType: 'RFC 4443 §2.4',
  /** Discovery that may have come from beyond the link, or that has a code. */
  icmpHopLimit: 'RFC 4861 §6.1, §7.1',
  icmpFragmented: 'RFC 6980 §5',
  icmpGroupEcho: 'RFC 4443 §4.2',
  mldTruncated: 'RFC 3810 §5.1',
  mldGroup: 'RFC 3810 §5.1.5',
  /** From beyond the link. */
  mldSource: 'RFC 3810 §6.2',
  /** Without the option router alert. */
  mldAlert: 'RFC 3810 §6.2',
  /** An error that quotes no packet we can have sent, or a path narrower than any is. */
  icmpQuote: 'RFC 5927 §4, RFC 8201 §4',
  icmpNoUser: '',
  ...DISCOVERY_REASONS,
}

/** The boundary as this layer uses it. */
export interface Ipv6Boundary extends Pick<Boundary<NetworkAddressing>, 'up' | 'note' | 'ready'> {
  drop(packet: Packet, reason: Ipv6Reason): void
}
