/** The network tier as text: links, addresses, routes and neighbours, listed and changed from outside. */
import type {
  ConflictListener,
  Flow,
  GroupCount,
  LinkEntry,
  NeighbourEntry,
  NetworkControl,
  NewRoute,
  PolicyCount,
  RouteCandidate,
  RouteEntry,
  RouteExplanation,
  Routes,
  TranslationEntry,
  TranslationSession,
  TranslationStatus,
} from '../../src/api/routes.ts'
import type { GroupRoute, NatOptions, PolicyOptions } from '../../src/api/rules.ts'
import { formatMac, type IpAddress, parseAddress, parsePrefix } from '../../src/kernel/address.ts'
import { integer, invalidValue, NetError } from '../../src/kernel/errors.ts'
import type { Family, Names, Port } from './family.ts'
import { chosenWay, flowHash, folded } from './flow.ts'
import { IPV4_BITS_BEFORE, Route, type RouteAction, type RouteTable } from './routes.ts'
import { Rules } from './rules.ts'

type FamilyOf = (address: IpAddress) => Family | undefined

/** Told that something was changed, and tells it. */
export interface Changes {
  changed(): void
  onChange(listener: () => void): () => void
  onConflict(listener: ConflictListener): () => void
}

const ACTIONS: readonly RouteAction[] = ['forward', 'blackhole', 'unreachable', 'prohibit']

export class Control implements NetworkControl {
  readonly routes: Routes
  private readonly ports: readonly (Port | undefined)[]
  private readonly familyOf: FamilyOf
  private readonly families: () => Set<Family>
  private readonly changes: Changes
  private readonly rules: Rules

  constructor(ports: readonly (Port | undefined)[], table: RouteTable, familyOf: FamilyOf, changes: Changes) {
    this.ports = ports
    this.familyOf = familyOf
    this.changes = changes
    this.routes = new RouteText(ports, table, familyOf, changes)
    this.rules = new Rules(() => this.families(), familyOf)
    this.families = () => new Set([V4, V6].map(familyOf).filter((family) => family !== undefined))
  }

  neighbours(): NeighbourEntry[] {
    return this.present().flatMap((port) =>
      [...this.families()].flatMap((family) =>
        family.neighbours(port).map(({ address, linkAddress, state }) => ({
          address: address.toString(),
          link: port.name,
          linkAddress: linkAddress === undefined ? undefined : formatMac(linkAddress),
          state,
        })),
      ),
    )
  }

  links(): LinkEntry[] {
    return this.present().map((port) => ({
      name: port.name,
      attachment: port.attachment,
      state: port.up ? 'up' : 'down',
      mtu: port.link.mtu,
      linkAddress: port.link.broadcast === null ? undefined : formatMac(port.link.address),
      addresses: this.assigned(port).map(({ address, length }) => `${address}/${length}`),
      nameServers: this.names(port).flatMap(({ servers }) => servers.map(String)),
      searchDomains: this.names(port).flatMap(({ domains }) => domains),
      conflicts: port.conflicts.list(),
    }))
  }

  addAddress(link: string, address: string): void {
    const port = named(this.ports, link)
    const { address: own, length } = parsePrefix(address, 'address')
    if (!address.includes('/')) throw invalidValue('address', "an address with length such as '10.0.0.1/24'", address)
    const family = this.familyOf(own)
    if (family === undefined) throw invalidValue('address', 'of a family of this node', address)
    family.addAddress(port, own, length)
    port.conflicts.forget(own)
  }

  removeAddress(link: string, address: string): boolean {
    const port = named(this.ports, link)
    const own = parsePrefix(address, 'address').address
    port.conflicts.forget(own)
    return this.familyOf(own)?.removeAddress(port, own) ?? false
  }

  setPolicy(policy: PolicyOptions | null): void {
    this.rules.setPolicy(policy)
  }

  setTranslation(nat: NatOptions | null): void {
    this.rules.setTranslation(nat)
  }

  setGroups(routes: readonly GroupRoute[]): void {
    this.rules.setGroups(routes)
  }

  policy(): PolicyCount[] {
    return (
      [
        ['ipv4', V4],
        ['ipv6', V6],
      ] as const
    ).flatMap(([family, address]) =>
      (this.familyOf(address)?.rules.policyCounts() ?? []).map((count) => ({ family, ...count })),
    )
  }

  translations(): TranslationEntry[] {
    return [...this.families()].flatMap(({ translation }) => translation?.entries() ?? [])
  }

  translation(): TranslationStatus | undefined {
    return [...this.families()].flatMap(({ translation }) => translation?.status() ?? [])[0]
  }

  translationSessions(limit: number, host?: string): TranslationSession[] {
    const address = host === undefined ? undefined : parseAddress(host, 'host')
    return [...this.families()].flatMap(({ translation }) => translation?.sessions(limit, address) ?? [])
  }

  groups(): GroupCount[] {
    return [...this.families()].flatMap(({ rules }) => rules.groupCounts())
  }

  addresses(): string[] {
    return this.present().flatMap((port) => this.assigned(port).map(({ address }) => address.toString()))
  }

  onChange(listener: () => void): () => void {
    return this.changes.onChange(listener)
  }

  onConflict(listener: ConflictListener): () => void {
    return this.changes.onConflict(listener)
  }

  private present(): Port[] {
    return this.ports.filter((port) => port !== undefined)
  }

  private names(port: Port): Names[] {
    return [...this.families()].flatMap((family) => family.names?.(port) ?? [])
  }

  private assigned(port: Port) {
    return [...this.families()].flatMap((family) => family.addresses(port))
  }
}

const V4: IpAddress = parseAddress('0.0.0.0')
const V6: IpAddress = parseAddress('::')

/** @throws TypeError ERR_INVALID_ARG_VALUE — no such link. */
function named(ports: readonly (Port | undefined)[], name: string): Port {
  const port = ports.find((other) => other?.name === name)
  if (port !== undefined) return port
  const names = ports.flatMap((other) => (other === undefined ? [] : [other.name]))
  throw invalidValue('link', `the name of a link (${names.join(', ') || 'there is none'})`, name)
}

class RouteText implements Routes {
  private readonly ports: readonly (Port | undefined)[]
  private readonly table: RouteTable
  private readonly familyOf: FamilyOf
  private readonly changes: Changes

  constructor(ports: readonly (Port | undefined)[], table: RouteTable, familyOf: FamilyOf, changes: Changes) {
    this.ports = ports
    this.table = table
    this.familyOf = familyOf
    this.changes = changes
  }

  add(entry: NewRoute): void {
    const route = this.parse(entry)
    if (!this.table.add(route)) {
      const what = `this route to ${entry.prefix} with metric ${route.metric} from '${route.origin}' is there already`
      throw new NetError('EEXIST', what, { layer: 'ip', reason: 'routeExists' })
    }
    this.changes.changed()
  }

  remove(entry: NewRoute): number {
    const doomed = this.at(entry.prefix).filter((route) => {
      const has: RouteEntry = this.entry(route)
      return KEYS.every((key) => entry[key] === undefined || entry[key] === has[key])
    })
    for (const route of doomed) this.table.remove(route)
    const removed = doomed.length
    if (removed > 0) this.changes.changed()
    return removed
  }

  list(prefix?: string): RouteEntry[] {
    return Array.from(prefix === undefined ? this.table.routes() : this.at(prefix), (route) => this.entry(route))
  }

  follow(listener: (prefix: string) => void): () => void {
    return this.table.watch((route) => listener(prefixText(route)))
  }

  lookup(destination: string): RouteEntry | undefined {
    const route = this.table.lookup(parseAddress(destination, 'destination'))
    return route === null ? undefined : this.entry(route)
  }

  explain(destination: string, flow: Flow = {}): RouteExplanation {
    const address = parseAddress(destination, 'destination')
    const matching = this.table.matching(address)
    const best = this.table.lookup(address)
    const chosen = best === null ? null : chosenWay(hashOf(this.table.seed, address, flow), best.equals)
    const rules = matching.map((route) => (chosen === null || route === chosen ? 'only' : this.rule(route, chosen)))
    const shared = (best?.equals.length ?? 0) > 1
    const next = shared ? 'flowHash' : (rules.find((_, i) => matching[i] !== chosen) ?? 'only')
    const candidates = matching.map((route, i): RouteCandidate => {
      const taken = route === chosen
      return { route: this.entry(route), chosen: taken, rule: taken ? next : (rules[i] as RouteCandidate['rule']) }
    })
    return {
      destination: address.toString(),
      local: this.familyOf(address)?.isLocal(address) ?? false,
      chosen: chosen === null ? undefined : this.entry(chosen),
      candidates,
    }
  }

  /** Why a route is not taken, and `chosen` is. */
  private rule(route: Route, chosen: Route): RouteCandidate['rule'] {
    if (route.length < chosen.length) return 'longestPrefix'
    if (chosen.equals.includes(route)) return 'flowHash'
    if (this.table.isDown(route) && !this.table.isDown(chosen)) return 'linkDown'
    return route.metric > chosen.metric ? 'metric' : 'older'
  }

  private at(prefix: string): readonly Route[] {
    const { address, length } = parsePrefix(prefix)
    const bits = address.isIpv4 ? length + IPV4_BITS_BEFORE : length
    return this.table.at(new Route(address, bits, null, 0, 0, '', 'forward').prefix, bits)
  }

  private entry(route: Route): RouteEntry {
    return text(route, this.ports[route.link]?.name)
  }

  private parse(entry: NewRoute): Route {
    const { address, length } = parsePrefix(entry.prefix, 'prefix')
    if (this.familyOf(address) === undefined) throw invalidValue('prefix', 'of a family of this node', entry.prefix)
    const via = entry.via === undefined ? null : parseAddress(entry.via, 'via')
    const known = via === null || (this.familyOf(via) !== undefined && (address.isIpv4 || !via.isIpv4))
    if (!known) throw invalidValue('via', 'of the family of prefix; or of IPv6, where the node has it', entry.via)
    const action = entry.action ?? 'forward'
    if (!ACTIONS.includes(action)) throw invalidValue('action', `one of ${ACTIONS.join(', ')}`, action)
    const metric = integer('metric', entry.metric ?? 0, 0, 0x7fff_ffff)
    const bits = address.isIpv4 ? length + IPV4_BITS_BEFORE : length
    const link = action === 'forward' ? this.linkFor(entry, via) : 0
    return new Route(address, bits, via, link, metric, entry.origin ?? 'static', action)
  }

  /** With a link given, the next hop need not be within one of its prefixes. */
  private linkFor(entry: NewRoute, via: IpAddress | null): number {
    if (entry.link !== undefined) return named(this.ports, entry.link).index
    if (via === null) throw invalidValue('via', 'given, or link, for a route that forwards', undefined)
    const route = this.table.lookup(via)
    if (route === null || route.via !== null || route.link === 0) {
      const what = `the next hop ${via} is on none of the links; add an address of its network first, or name the link`
      throw new NetError('ENETUNREACH', what, { layer: 'ip', reason: 'nextHopUnreachable', address: via.toString() })
    }
    return route.link
  }
}

function hashOf(seed: number, destination: IpAddress, flow: Flow): number {
  const source = parseAddress(flow.source ?? (destination.isIpv4 ? '0.0.0.0' : '::'), 'flow.source')
  const word = (address: IpAddress) => (address.isIpv4 ? address.w3 : folded(address))
  const ports = ((flow.sourcePort ?? 0) << 16) | (flow.destinationPort ?? 0)
  return flowHash(seed, word(source), word(destination), flow.protocol ?? 0, ports)
}

const KEYS = ['via', 'link', 'metric', 'origin', 'action'] as const

const prefixText = ({ prefix, length }: Route): string =>
  `${prefix}/${prefix.isIpv4 ? length - IPV4_BITS_BEFORE : length}`

function text(route: Route, link: string | undefined): RouteEntry {
  return {
    prefix: prefixText(route),
    via: route.via?.toString(),
    link,
    metric: route.metric,
    origin: route.origin,
    action: route.action,
  }
}
