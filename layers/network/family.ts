/**
 * What joins an address family to the network tier: `ip` owns links, routes and listeners, which both families share; a
 * family owns its header, its addresses' meaning and its neighbours. So another family joins without a change around it.
 */
import type { NewRoute, TranslationEntry, TranslationSession, TranslationStatus } from '../../src/api/routes.ts'
import type { IpAddress } from '../../src/kernel/address.ts'
import type { Boundary, Reasons } from '../../src/kernel/boundary.ts'
import type { Env } from '../../src/kernel/env.ts'
import type { Packet } from '../../src/kernel/packet.ts'
import type { LinkAddress, LinkService } from '../datalink/service.ts'
import type { AddressConflicts } from './address-conflicts.ts'
import type { FamilyRules } from './family-rules.ts'
import type { SourceFilter } from './membership/source-filter.ts'
import type { NatSettings } from './nat/options.ts'
import type { NeighbourSnapshot, Neighbours } from './neighbours.ts'
import type { RouteTable } from './routes.ts'
import type { ErrorReport, GroupMember, NetworkAddressing, NoPath, Path } from './service.ts'

/** An address of ours on a link. */
export interface Assigned {
  readonly address: IpAddress
  /** Prefix length as the family counts it: 0 to 32 for IPv4. */
  readonly length: number
}

/** Name servers and search domains that routers of a link tell of. */
export interface Names {
  readonly servers: readonly IpAddress[]
  readonly domains: readonly string[]
}

/** The name of a link that was given without one. */
export const UNNAMED_LINK = 'eth0'

/** A link below, as all families see it. */
export interface Port {
  /** From 1; that of a link which comes again is what it was (see `LinkIndices`). */
  readonly index: number
  readonly name: string
  /** Another each time that a link of the name is attached, where `index` is the same. */
  readonly attachment: number
  readonly link: LinkService
  /** False from a link's word that it is down until its word that it is up. */
  up: boolean
  /** Who finds the stations of IPv6 next hops, also for routes of IPv4; null while nobody does. IPv6 sets it. */
  ipv6Neighbours: Neighbours | null
  /** Others who use our addresses there. */
  readonly conflicts: AddressConflicts
}

/** What a family gets from the network tier. */
export interface FamilyContext {
  readonly env: Env
  /** The one boundary towards the transport tier. */
  readonly boundary: Boundary<NetworkAddressing>
  readonly routes: RouteTable
  /** Room every packet needs before its transport header, and behind it, whichever way it leaves. */
  readonly headroom: number
  readonly tailroom: number
  /** By index; undefined where a link went. */
  readonly ports: readonly (Port | undefined)[]
  /** Links, addresses, routes or a path MTU changed: paths must be looked at again. */
  changed(): void
  /** Another station of a link uses an address of ours: as of `AddressConflicts.add`. */
  conflict(port: Port, address: IpAddress, peer: LinkAddress, lost: boolean, lasting: boolean): void
  /** The link of `port` went up or down. */
  linkChanged(port: Port, up: boolean): void
  /**
   * Hands an error to those who listen for its protocol. `report` is scratch; it is `foreign` afterwards when none of them
   * has sent what it quotes. @returns whether anybody listens.
   */
  report(protocol: number, report: ErrorReport): boolean
  /**
   * A packet of any family has waited for a neighbour of one in vain. Takes ownership; with its header at `start`.
   * @param link index of the one that the neighbour was to be on.
   */
  undeliverable(packet: Packet, link: number): void
}

export interface Family {
  /** Octets of the header `send` puts in front. */
  readonly headerOctets: number
  /** Largest transport segment `send` takes, fragmented if need be. */
  readonly mtu: number
  readonly rules: FamilyRules<unknown>
  /** Left out by a family that translates nothing. */
  readonly translation?: Translator
  /** A new link below. @throws NetError EINVAL — its MTU is too small for the family. */
  attach(port: Port): void
  /** The link goes: its addresses and neighbours too. Also after an `attach` that failed half-way. */
  detach(port: Port): void
  addresses(port: Port): readonly Assigned[]
  /** @throws NetError EADDRINUSE — another link has it. NetError EEXIST — this link has it. */
  addAddress(port: Port, address: IpAddress, length: number): void
  /** @returns whether it was there. */
  removeAddress(port: Port, address: IpAddress): boolean
  neighbours(port: Port): readonly NeighbourSnapshot[]
  /** Left out by a family whose routers tell of no names. */
  names?(port: Port): Names
  /** Something that cached paths rest on has changed. */
  forgetPaths(): void
  /** As in `NetworkService`, for addresses of this family. */
  send(packet: Packet, to: NetworkAddressing): boolean
  path(destination: IpAddress, source: IpAddress, link: number, path: Path): NoPath | undefined
  confirm(destination: IpAddress, link?: number): void
  doubt(destination: IpAddress, link?: number): void
  isLocal(address: IpAddress): boolean
  isBroadcast(address: IpAddress): boolean
  isMulticast(address: IpAddress): boolean
  refuse(packet: Packet, from: NetworkAddressing, why: Refusal): void
  /** As in `FamilyContext`, for packets of this family. */
  undeliverable(packet: Packet, link: number): void
  joinGroup(group: IpAddress, link: number, filter: SourceFilter): GroupMember | undefined
  declareLocal(address: IpAddress, length: number): () => void
}

/** The translation of a family; for what it tells see `NetworkControl`. */
export interface Translator {
  /** Sessions go on as far as that allows; all end when the link is another. @param settings null: none. */
  set(settings: NatSettings | null): void
  entries(): readonly TranslationEntry[]
  status(): TranslationStatus | undefined
  sessions(limit: number, host: IpAddress | undefined): readonly TranslationSession[]
}

/** Why a packet that reached us is refused; see `NetworkService.refuse`. */
export type Refusal = 'protocolUnreachable' | 'portUnreachable' | 'hostUnreachable' | 'prohibited'

/** What a family is before it is joined: `ipv4(options)`. */
export interface FamilyBlueprint {
  readonly name: 'ipv4' | 'ipv6'
  /** Why it drops packets; the boundary of `ip` knows those of all its families. */
  readonly reasons: Reasons
  /** Routes to add once the links are there. */
  readonly routes: readonly NewRoute[]
  join(context: FamilyContext): Family
}
