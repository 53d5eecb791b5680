/**
 * What packets are held against, as text: a policy, whose rules are tried in order until one decides, or a function that decides
 * about every packet; translation; and static routes of groups. All of it can be exchanged while packets flow.
 */
import type { IpAddress } from '../kernel/address.ts'
import type { Duration } from '../kernel/clock.ts'

/** Where packets are looked at: on their way through, to this node, or from it. Those to ourselves are not. */
export type PolicyHook = 'forward' | 'input' | 'output'

/** Let it pass; drop it in silence; or drop it, and tell its sender (RFC 1812 §5.2.7.1). */
export type PolicyVerdict = 'allow' | 'deny' | 'reject'

/** One value, or any of several. */
export type OneOrMore<Value> = Value | readonly Value[]

/** What a rule changes. */
export interface PolicyRewrite {
  /** Differentiated services, 0 to 63 (RFC 2474); ECN stays. */
  readonly dscp?: number | undefined
  /** Where to instead; at 'forward' alone. What comes back is not changed: for that there is `nat`. */
  readonly destination?: string | undefined
  /** Of TCP and UDP; at 'forward' alone. 1 to 65535. */
  readonly destinationPort?: number | undefined
}

/** Matches packets that fit all it says; what it does not say, it does not mind. */
export interface PolicyRule {
  /** What to call it; default: its number, from 1. */
  readonly name?: string | undefined
  /** Default: all three. */
  readonly hook?: OneOrMore<PolicyHook> | undefined
  /** Names of links; a packet of the node itself came in by none. */
  readonly in?: OneOrMore<string> | undefined
  /** A packet to the node itself leaves by none. */
  readonly out?: OneOrMore<string> | undefined
  /** Prefixes of either family: '10.0.0.0/8', '2001:db8::/32'. */
  readonly source?: OneOrMore<string> | undefined
  readonly destination?: OneOrMore<string> | undefined
  /** By name, or 0 to 255. */
  readonly protocol?: OneOrMore<'tcp' | 'udp' | 'icmp' | 'icmpv6' | number> | undefined
  /** 80, or '6000-6063'. Packets without ports, as later fragments, do not fit. */
  readonly sourcePort?: OneOrMore<number | string> | undefined
  readonly destinationPort?: OneOrMore<number | string> | undefined
  /** 0 to 255; of ICMP and ICMPv6. */
  readonly icmpType?: OneOrMore<number> | undefined
  /** By its flags, a TCP segment is of a connection that exists ('established': ACK or RST), or begins one ('new'). */
  readonly tcp?: 'established' | 'new' | undefined
  /** It answers, or does not answer, what translation (`nat`) has let out. */
  readonly answer?: boolean | undefined
  /** 'rewrite' changes the packet, and the next rules see it changed. */
  readonly action: PolicyVerdict | 'rewrite'
  readonly rewrite?: PolicyRewrite | undefined
}

/** A packet as a policy function sees it. Scratch: valid during the call. */
export interface PolicyPacket {
  readonly hook: PolicyHook
  /** Names of links, or ''. */
  readonly in: string
  readonly out: string
  readonly source: IpAddress
  readonly destination: IpAddress
  readonly protocol: number
  /** -1 where the packet has none, or they are not in it (later fragments). */
  readonly sourcePort: number
  readonly destinationPort: number
  readonly icmpType: number
  /** The octet of flags; -1 if it is no TCP. */
  readonly tcpFlags: number
  readonly answer: boolean
}

/** Decides about a packet; undefined leaves it to the default. What it throws is told to taps, and denies. */
export type PolicyFunction = (packet: PolicyPacket) => PolicyVerdict | undefined

/** What passes, and what does not. */
export interface PolicyOptions {
  readonly rules: readonly PolicyRule[] | PolicyFunction
  /** For what no rule decides. Default 'allow'. */
  readonly default?: PolicyVerdict | undefined
}

/** From whom a mapping accepts packets (RFC 4787 §5, REQ-8). */
export type NatFiltering = 'endpointIndependent' | 'address' | 'addressAndPort'

/** A port of the outside that leads to a host inside, always. */
export interface NatForward {
  readonly protocol: 'tcp' | 'udp'
  /** 1 to 65535 */
  readonly port: number
  /** '192.168.0.5:80'; without a port, the same one. */
  readonly to: string
}

/** Idle times after which a session ends: microseconds, from one second on. */
export interface NatTimeouts {
  /** Default 5 minutes (RFC 4787 REQ-5c). */
  readonly udp?: Duration | undefined
  /** Of connections; default 2 hours and 4 minutes (RFC 5382 REQ-5). */
  readonly tcp?: Duration | undefined
  /** Of connections that open or close; default 4 minutes (RFC 5382 REQ-5). */
  readonly tcpTransitory?: Duration | undefined
  /** Of echo requests; default 60 seconds (RFC 5508 REQ-2). */
  readonly icmp?: Duration | undefined
}

/** Network address and port translation (RFC 4787, RFC 5382, RFC 5508). */
export interface NatOptions {
  /** The name of the link to the outside. What leaves by it gets its first address as source. */
  readonly link: string
  /** Prefixes whose sources are translated, and which nobody outside reaches unasked. Default: all. */
  readonly inside?: readonly string[] | undefined
  readonly forwards?: readonly NatForward[] | undefined
  /** Who may answer to a mapping: anyone, those addresses it sent to (the default), or only those ports. */
  readonly filtering?: NatFiltering | undefined
  /** Sessions at once, 1 to 2^20. Default 65536. */
  readonly maxSessions?: number | undefined
  /** Of one host, 1 to 2^20; connections that are over are not counted. Default: an eighth of all. */
  readonly maxSessionsPerHost?: number | undefined
  /** Ports that are given to no mapping, since programs of the node itself listen there. */
  readonly reserved?: readonly number[] | undefined
  readonly timeouts?: NatTimeouts | undefined
}

/** What is sent to a group comes in by one link and goes on by others. */
export interface GroupRoute {
  /** A group, which is joined on `from`, or a prefix of groups, which nobody upstream is told of: '239.1.2.3', '239.1.0.0/16'. */
  readonly group: string
  /** Of these sources alone: '10.0.0.0/24'. Default: of all. */
  readonly source?: string | undefined
  /** The link it comes in by. */
  readonly from: string
  /** The links it goes on by. */
  readonly to: readonly string[]
}

/** Each takes all it is given, or throws and changes nothing; from the next packet on the new rules count. */
export interface NetworkRules {
  /**
   * Both families have one policy from now on. Rules that are the same as before go on counting, and sessions of translation
   * stay; what they carry is held against the new rules.
   * @param policy null: all may pass. @throws TypeError, RangeError — as `ipv4`, `ipv6`.
   */
  setPolicy(policy: PolicyOptions | null): void
  /**
   * Sessions go on, with their ports outside, as far as what is said now allows; all end when the link is another.
   * @param nat null: none. @throws TypeError ERR_INVALID_ARG_VALUE, RangeError — as `ipv4`; or the node forwards no IPv4.
   */
  setTranslation(nat: NatOptions | null): void
  /** Groups that are routed before and after are not left meanwhile. @throws TypeError ERR_INVALID_ARG_VALUE — as `ipv4`, `ipv6`. */
  setGroups(routes: readonly GroupRoute[]): void
}
