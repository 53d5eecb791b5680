/**
 * What routing protocols share: rules that say which destinations are taken in, passed on or announced, and the two ways
 * between a protocol and the node's routing table.
 */
import type { NetworkControl, NewRoute, Routes } from '../../../src/api/routes.ts'
import { type IpAddress, type Prefix, parsePrefix } from '../../../src/kernel/address.ts'
import { NetError, outOfRange } from '../../../src/kernel/errors.ts'

/** One rule; the first that matches decides. What it does not name, it does not ask for. */
export interface RouteRule {
  /** Destinations within this prefix: '10.0.0.0/8'. */
  readonly prefix?: string | undefined
  /** The least and the greatest length of theirs; default: any from the prefix's own on. */
  readonly minLength?: number | undefined
  readonly maxLength?: number | undefined
  /** The link it is said on. */
  readonly interface?: string | undefined
  readonly action: 'allow' | 'deny'
  /** What 'allow' adds to the metric; from 0, and below the protocol's infinity. For `redistribute`: the metric itself. Default 0. */
  readonly metric?: number | undefined
}

/** A rule for routes of the node. */
export interface RedistributeRule extends Omit<RouteRule, 'interface'> {
  /** 'link', 'static', 'dhcp', …; default: any but the protocol's own. */
  readonly origin?: string | undefined
}

/** @returns the metric to go on with; the protocol's infinity: the destination is denied. */
export type Filter = (prefix: Prefix, metric: number, interfaceName: string) => number

/**
 * @param otherwise what becomes of destinations that no rule matches. @param infinity the metric of what is unreachable.
 * @throws TypeError ERR_INVALID_ARG_VALUE — not a prefix. RangeError ERR_OUT_OF_RANGE — a length or metric.
 */
export function filter(rules: readonly RouteRule[], otherwise: 'allow' | 'deny', infinity: number): Filter {
  const compiled = rules.map((rule) => compile(rule, infinity))
  return (prefix, metric, interfaceName) => {
    for (const rule of compiled) {
      if (!rule.matches(prefix, interfaceName)) continue
      return rule.allow ? Math.min(infinity - 1, metric + rule.metric) : infinity
    }
    return otherwise === 'allow' ? metric : infinity
  }
}

/** The same for routes of the node, called with the origin of one in place of a link's name. What no rule matches is denied. */
export const redistributeFilter = (rules: readonly RedistributeRule[], infinity: number): Filter =>
  filter(
    rules.map(({ origin, ...rule }) => ({ ...rule, interface: origin })),
    'deny',
    infinity,
  )

/** The rules that a protocol is told. */
export interface Rules {
  /** Which routes of the node are announced, and at what metric; the first rule that matches decides. Default: none. */
  readonly redistribute?: readonly RedistributeRule[] | undefined
  /** What is taken from neighbours, and what is said to them. Default: everything. */
  readonly filters?: { readonly in?: readonly RouteRule[]; readonly out?: readonly RouteRule[] } | undefined
}

/** And what it makes of them. */
export interface Filters {
  /** Called with the origin of a route in place of a link's name. */
  readonly redistribute: Filter
  readonly accept: Filter
  readonly announce: Filter
}

/** Those for what is said between routers. */
export type SaidFilters = Pick<Filters, 'accept' | 'announce'>

export const EVERYTHING: SaidFilters = { accept: (_prefix, metric) => metric, announce: (_prefix, metric) => metric }

/** @throws TypeError ERR_INVALID_ARG_VALUE, RangeError ERR_OUT_OF_RANGE — a rule makes no sense. */
export const filtersOf = ({ redistribute = [], filters = {} }: Rules, infinity: number): Filters => ({
  redistribute: redistributeFilter(redistribute, infinity),
  accept: filter(filters.in ?? [], 'allow', infinity),
  announce: filter(filters.out ?? [], 'allow', infinity),
})

/** What a protocol was told, and what that means. */
export interface Orders<Options extends Rules, Settings extends Filters> {
  readonly options: Options
  readonly settings: Settings
}

/** @returns the settings of the orders, but with the very filters of others where the rules say the same: what differs is seen by that. */
export function keptFilters<Options extends Rules, Settings extends Filters>(
  { options, settings }: Orders<Options, Settings>,
  before: Orders<Options, Settings>,
): Settings {
  const { filters: rules = {}, redistribute } = options
  const { filters: old = {}, redistribute: oldRedistribute } = before.options
  const { accept, announce } = before.settings
  return {
    ...settings,
    ...(sameRules(redistribute, oldRedistribute) ? { redistribute: before.settings.redistribute } : {}),
    ...(sameRules(rules.in, old.in) ? { accept } : {}),
    ...(sameRules(rules.out, old.out) ? { announce } : {}),
  }
}

type AnyRule = RouteRule & Pick<RedistributeRule, 'origin'>

const FIELDS = ['prefix', 'minLength', 'maxLength', 'interface', 'origin', 'action', 'metric'] as const

const sameRules = (some: readonly AnyRule[] = [], others: readonly AnyRule[] = []): boolean =>
  some.length === others.length && some.every((rule, i) => FIELDS.every((field) => rule[field] === others[i]?.[field]))

/** @returns the prefix as the routing table writes it. @throws TypeError ERR_INVALID_ARG_VALUE — not a prefix. */
export function prefixText(text: string): string {
  const { address, length } = parsePrefix(text, 'announce')
  return `${address}/${length}`
}

/**
 * The ways a protocol has given to the node, each in place of the one before. Its own changes are no news to it: see
 * `changing`.
 */
export class NodeRoutes {
  /** A change of the routing table that is under way is ours. */
  changing = false
  private readonly network: NetworkControl
  private readonly origin: string
  private metric: number
  private readonly refused: () => void
  /** By prefix: 'next-hop link', or UNREACHABLE. */
  private readonly installed = new Map<string, string>()
  /** Prefixes of those that the node did not take. */
  private readonly missing = new Set<string>()

  /** @param refused the node could not take a route: its next hop is on no link, or its link is gone. */
  constructor(network: NetworkControl, origin: string, metric: number, refused: () => void) {
    this.network = network
    this.origin = origin
    this.metric = metric
    this.refused = refused
  }

  /** @param via the next hop on `link`; null: none, and packets are refused; undefined: none, and the node may have others. */
  set(prefix: string, via: IpAddress | null | undefined, link = ''): void {
    const way = via === undefined ? '' : via === null ? UNREACHABLE : `${via} ${link}`
    const before = this.installed.get(prefix) ?? ''
    if (way === before) return
    if (way === '') this.installed.delete(prefix)
    else this.installed.set(prefix, way)
    this.exchange(prefix, way, before)
  }

  /** Gives all of them another metric: each comes before it goes, so that packets have a way. */
  reprice(metric: number): void {
    const before = this.metric
    if (metric === before) return
    this.metric = metric
    for (const [prefix, way] of this.installed) this.exchange(prefix, way, way, before)
  }

  /**
   * Puts in again what is not there: what was refused, and what went with a link that has come again since.
   * @param changed prefixes of which routes have come or gone.
   */
  restore(changed: Iterable<string>): void {
    for (const prefix of new Set([...this.missing, ...changed])) {
      const way = this.installed.get(prefix)
      if (way !== undefined && !this.has(prefix)) this.exchange(prefix, way, '')
    }
  }

  /** Takes all of them back. */
  clear(): void {
    for (const prefix of [...this.installed.keys()]) this.set(prefix, undefined)
  }

  /** The metric with which the rules want a prefix announced, as the node's other routes have it; infinity: not at all. */
  wanted(prefix: string, redistribute: Filter, infinity: number): number {
    let least = infinity
    for (const { origin, action } of this.network.routes.list(prefix)) {
      if (origin === this.origin || action !== 'forward') continue
      const one = parsePrefix(prefix)
      if (!one.address.isScoped) least = Math.min(least, redistribute(one, 0, origin))
    }
    return least
  }

  private has(prefix: string): boolean {
    return this.network.routes.list(prefix).some(({ origin }) => origin === this.origin)
  }

  private exchange(prefix: string, way: string, before: string, metric = this.metric): void {
    const { routes } = this.network
    this.changing = true
    this.missing.delete(prefix)
    try {
      if (way !== '') this.add(routes, prefix, way)
      if (before !== '') routes.remove({ ...this.fieldsOf(prefix, before), metric })
    } finally {
      this.changing = false
    }
  }

  private add(routes: Routes, prefix: string, way: string): void {
    try {
      routes.add({ ...this.fieldsOf(prefix, way), metric: this.metric })
    } catch (error) {
      // The next hop is on no link of ours, or the link is not there any more: there is no way then.
      if (!NetError.is(error) && !isInvalid(error)) throw error
      this.missing.add(prefix)
      this.refused()
    }
  }

  private fieldsOf(prefix: string, way: string): NewRoute {
    const { origin } = this
    if (way === UNREACHABLE) return { prefix, origin, action: way }
    const [via, link] = way.split(' ')
    return { prefix, origin, via, link }
  }
}

const isInvalid = (error: unknown): boolean =>
  error instanceof TypeError && 'code' in error && error.code === 'ERR_INVALID_ARG_VALUE'

/** What a protocol has heard and said on one link; octets are those of its messages, without headers below them. */
export interface LinkTraffic {
  readonly link: string
  readonly rxPackets: number
  readonly rxOctets: number
  readonly txPackets: number
  readonly txOctets: number
}

/** Counts what passes on the links of a protocol, also of such that have gone meanwhile. */
export class TrafficCount {
  private readonly links = new Map<string, { -readonly [Field in keyof LinkTraffic]: LinkTraffic[Field] }>()

  /** Counts what passes on these links, too. */
  include(links: Iterable<string>): void {
    for (const link of links) {
      if (!this.links.has(link)) this.links.set(link, { link, rxPackets: 0, rxOctets: 0, txPackets: 0, txOctets: 0 })
    }
  }

  heard(link: string, octets: number): void {
    const count = this.links.get(link)
    if (count === undefined) return
    count.rxPackets++
    count.rxOctets += octets
  }

  said(link: string, octets: number): void {
    const count = this.links.get(link)
    if (count === undefined) return
    count.txPackets++
    count.txOctets += octets
  }

  list(): LinkTraffic[] {
    return Array.from(this.links.values(), (count) => ({ ...count }))
  }
}

const UNREACHABLE = 'unreachable'

function compile(
  rule: RouteRule,
  infinity: number,
): { matches: (prefix: Prefix, on: string) => boolean; allow: boolean; metric: number } {
  const within = rule.prefix === undefined ? undefined : parsePrefix(rule.prefix)
  const least = rule.minLength ?? within?.length ?? 0
  const most = rule.maxLength ?? 128
  const metric = rule.metric ?? 0
  if (!(least >= 0 && least <= 128)) throw outOfRange('minLength', '0 to 128', least)
  if (!(most >= 0 && most <= 128)) throw outOfRange('maxLength', '0 to 128', most)
  if (!(Number.isInteger(metric) && metric >= 0 && metric < infinity)) {
    throw outOfRange('metric', `0 to ${infinity - 1}`, metric)
  }
  return {
    allow: rule.action === 'allow',
    metric,
    matches: ({ address, length }, on) =>
      length >= least &&
      length <= most &&
      (rule.interface === undefined || rule.interface === on) &&
      (within === undefined ||
        (within.address.isIpv4 === address.isIpv4 &&
          length >= within.length &&
          covers(within.address, within.length, address))),
  }
}

/** @returns whether an address of the same family is within a prefix. */
export function covers(prefix: IpAddress, length: number, address: IpAddress): boolean {
  if (prefix.isIpv4) return agree(prefix.w3, address.w3, length)
  return (
    agree(prefix.w0, address.w0, length) &&
    agree(prefix.w1, address.w1, length - 32) &&
    agree(prefix.w2, address.w2, length - 64) &&
    agree(prefix.w3, address.w3, length - 96)
  )
}

const agree = (a: number, b: number, bits: number): boolean => bits <= 0 || (a ^ b) >>> Math.max(0, 32 - bits) === 0
