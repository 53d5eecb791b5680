/** Why the IPv4 layer drops packets, with the standard behind each decision. */
import type { Boundary, Reasons } from '../../../src/kernel/boundary.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import type { FragmentFault } from '../reassembly.ts'
import type { NetworkAddressing } from '../service.ts'
import type { IgmpReason } from './igmp.ts'

export type Ipv4Reason =
  | 'short'
  | 'version'
  | 'badLength'
  | 'headerChecksum'
  | 'badOption'
  | 'sourceRoute'
  | 'martianSource'
  | 'martianDestination'
  | 'reversePath'
  | 'policyDenied'
  | 'policyRejected'
  | 'natUnsolicited'
  | 'natFiltered'
  | 'natNoAddress'
  | 'natProtocol'
  | 'natFull'
  | 'natHostFull'
  | 'natQuote'
  | 'natNoSession'
  | 'linkBroadcast'
  | 'directedBroadcast'
  | 'notMember'
  | 'notForUs'
  | 'ttlExceeded'
  | 'noRoute'
  | 'blackhole'
  | 'unreachableRoute'
  | 'prohibited'
  | 'linkDown'
  | 'hostUnreachable'
  | 'fragmentationNeeded'
  | 'tooLong'
  | 'badSource'
  | 'queueFull'
  | FragmentFault
  | 'protocolUnreachable'
  | 'portUnreachable'
  | 'icmpShort'
  | 'icmpChecksum'
  | 'icmpType'
  | 'icmpRedirect'
  | 'icmpBroadcastEcho'
  | 'icmpQuote'
  | 'icmpNoUser'
  | IgmpReason

export const REASONS: Reasons<Ipv4Reason> = {
  /** Shorter than a header, or than its own header says. */
  short: 'RFC 1122 §3.2.1',
  version: 'RFC 1122 §3.2.1.1',
  /** Total length below the header's, beyond what arrived, or short of where the offload fields point. */
  badLength: 'RFC 791 §3.1',
  headerChecksum: 'RFC 1122 §3.2.1.2',
  badOption: 'RFC 791 §3.1',
  sourceRoute: 'RFC 7126 §4.3',
  martianSource: 'RFC 1812 §5.3.7',
  martianDestination: 'RFC 1812 §5.3.7',
  /** The link does not lead back to the source. */
  reversePath: 'RFC 3704 §2.2',
  /** A rule of the policy, or its default, says so; of rejected ones the sender is told. */
  policyDenied: 'RFC 1812 §5.3.9',
  policyRejected: 'RFC 1812 §5.2.7.1',
  /** From outside to an address inside, which nobody there is to know. */
  natUnsolicited: 'RFC 4787 §5',
  /** To a port outside whose host has not sent to the source. */
  natFiltered: 'RFC 4787 §5',
  /** The link to the outside has no address yet. */
  natNoAddress: '',
  /** Of a protocol that has neither ports nor identifiers. */
  natProtocol: 'RFC 4787 §3',
  /** There are as many sessions as may be, or no port is free. */
  natFull: 'RFC 5508 §6',
  /** … of one host. */
  natHostFull: 'RFC 5508 §6',
  /** An error from inside that quotes nothing that could be translated. */
  natQuote: 'RFC 5508 §4.2',
  natNoSession: 'RFC 5508 §4.2',
  /** Broadcast on the link, yet to one station's IP address. */
  linkBroadcast: 'RFC 1122 §3.3.6',
  /** A broadcast of a network of ours that came in by another link. */
  directedBroadcast: 'RFC 2644',
  notMember: 'RFC 1112 §7.2',
  /** For another node, and we do not forward. */
  notForUs: 'RFC 1122 §3.2.1.3',
  ttlExceeded: 'RFC 1812 §5.3.1',
  noRoute: 'RFC 1812 §4.3.3.1',
  blackhole: '',
  unreachableRoute: '',
  prohibited: 'RFC 1812 §5.2.7.1',
  linkDown: 'RFC 1122 §3.2.2.1',
  /** Nobody answers for the next hop. */
  hostUnreachable: 'RFC 1122 §3.2.2.1',
  /** Larger than the path takes, and not to be fragmented. */
  fragmentationNeeded: 'RFC 1191 §4',
  /** To be sent: larger than any datagram. */
  tooLong: 'RFC 791 §3.1',
  /** To be sent: the source is not an address of ours. */
  badSource: 'RFC 1122 §3.2.1.3',
  /** To be sent to ourselves, faster than we take it in. */
  queueFull: '',
  /** A fragment other than the last that is empty or no multiple of 8 octets, or one that ends beyond 65535. */
  badFragment: 'RFC 791 §3.2',
  /** A fragment that hides a part of the TCP header. */
  tinyFragment: 'RFC 3128 §4',
  /** The fragments of a datagram say different things about the same octets. */
  fragmentOverlap: 'RFC 5722 §3',
  fragmentDuplicate: 'RFC 8200 §4.5',
  reassemblyTimeout: 'RFC 1122 §3.3.2',
  reassemblyMemory: 'RFC 8900 §3.7',
  /** Nobody above wants the protocol. */
  protocolUnreachable: 'RFC 1122 §3.2.2.1',
  portUnreachable: 'RFC 1122 §3.2.2.1',
  icmpShort: 'RFC 792',
  icmpChecksum: 'RFC 1122 §3.2.2',
  /** A type of message that we do not act upon. */
  icmpType: 'RFC 1122 §3.2.2',
  icmpRedirect: 'RFC 1122 §3.2.2.2',
  icmpBroadcastEcho: 'RFC 1122 §3.2.2.6',
  /** An error that quotes no packet we can have sent. */
  icmpQuote: 'RFC 5927 §4',
  icmpNoUser: '',
  igmpTruncated: 'RFC 3376 §4',
  igmpChecksum: 'RFC 3376 §4.1.2',
  /** Sent from elsewhere than the link. */
  igmpTtl: 'RFC 3376 §4',
  /** A query without router alert. */
  igmpAlert: 'RFC 3376 §9.1',
  /** A query of all groups to another one than that of all hosts. */
  igmpDestination: 'RFC 3376 §9.1',
  igmpType: 'RFC 3376 §4',
  /** Of a group that is none. */
  igmpGroup: 'RFC 3376 §4.1.3',
}

/** The boundary as this layer uses it. */
export interface Ipv4Boundary extends Pick<Boundary<NetworkAddressing>, 'up' | 'note' | 'ready'> {
  drop(packet: Packet, reason: Ipv4Reason): void
}
