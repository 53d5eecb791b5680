/** What a script says, once it is parsed. Times are microseconds. */
import type { IpVersion, Wire } from './ip-version.ts'

export interface Script {
  readonly ipVersion: IpVersion
  /** `--name=value` lines. */
  readonly options: readonly { readonly name: string; readonly value: string; readonly line: number }[]
  readonly events: readonly Event[]
}

export interface Event {
  readonly line: number
  readonly time: Time
  readonly action: Action
}

export interface Time {
  /** 'start': before the first event or after the last, without a time. */
  readonly from: 'start' | 'zero' | 'previous' | 'any'
  readonly earliest: number
  /** The same as `earliest` unless a range is given. */
  readonly latest: number
}

export type Action = PacketAction | CallAction | ShellAction | CodeAction

export interface ShellAction {
  readonly kind: 'shell'
  readonly text: string
}

export interface CodeAction {
  readonly kind: 'code'
  readonly text: string
}

export interface CallAction {
  readonly kind: 'call'
  readonly name: string
  readonly args: readonly Value[]
  readonly result: Value
  /** Errno expected with a result of -1. */
  readonly errno: string | undefined
  /** When a blocking call returns, counted like the event's own time; undefined: it must not block. */
  readonly returns: number | undefined
}

/** An argument or result of a call. */
export type Value =
  | { readonly kind: 'any' }
  | { readonly kind: 'number'; readonly value: number }
  | { readonly kind: 'word'; readonly name: string }
  | { readonly kind: 'string'; readonly text: string }
  | { readonly kind: 'list'; readonly items: readonly Value[] }
  | { readonly kind: 'struct'; readonly fields: ReadonlyMap<string, Value> }
  | { readonly kind: 'or'; readonly parts: readonly Value[] }
  | { readonly kind: 'apply'; readonly name: string; readonly args: readonly Value[] }

export interface PacketAction {
  readonly kind: 'packet'
  readonly direction: 'in' | 'out'
  readonly ip: IpFields
  readonly body: TcpBody | IcmpBody
}

export interface IpFields {
  /** What of the TOS octet matters: its ECN bits, whether they say ECT, all of it. */
  readonly tos: { readonly check: 'ecn' | 'ect01' | 'all'; readonly value: number } | undefined
  /** IPv6's hop limit. */
  readonly ttl: number | undefined
  /** Of IPv6; in packets we expect, a name for the one that is there. */
  readonly flowLabel: number | undefined
}

export interface TcpBody {
  readonly kind: 'tcp'
  /** Source and destination; without them, those of the conversation at hand. */
  readonly ports: { readonly source: number; readonly destination: number } | undefined
  /** Bits as in the header, AE (0x100) included. */
  readonly flags: number
  readonly seq: number
  readonly length: number
  readonly ack: number
  /** Undefined, in packets we expect: not compared. */
  readonly window: number | undefined
  readonly urgent: number
  /** 'any' in packets we expect: not compared. */
  readonly options: readonly TcpOption[] | 'any'
}

export type TcpOption =
  | { readonly name: 'nop' | 'eol' | 'sackOK' }
  | { readonly name: 'mss' | 'wscale'; readonly value: number }
  | { readonly name: 'TS'; readonly value: number; readonly echo: number }
  /** `TS val ...`: any value, in packets we expect. */
  | { readonly name: 'anyTS'; readonly echo: number }
  | { readonly name: 'sack'; readonly blocks: readonly (readonly [left: number, right: number])[] }
  /** Fast Open, with its experimental form, MD5, and whatever else has octets. */
  | { readonly name: 'octets'; readonly option: number; readonly octets: Uint8Array }

export interface IcmpBody {
  readonly kind: 'icmp'
  readonly wire: Wire
  readonly type: number
  readonly code: number
  readonly mtu: number
  /** Of the segment it quotes. */
  readonly quote: { readonly seq: number; readonly length: number } | undefined
}
