/** A policy as it is written: rules in order, the first that decides does; or a function that decides about every packet. */
import type { IpAddress } from '../../../src/kernel/address.ts'

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
