/** A rule as it is held against packets: words, masks and ranges, no text. */

import type { OneOrMore, PolicyHook, PolicyRewrite, PolicyRule, PolicyVerdict } from '../../../src/api/rules.ts'
import { type IpAddress, parseAddress } from '../../../src/kernel/address.ts'
import { integer, invalidType, invalidValue } from '../../../src/kernel/errors.ts'
import { HOOKS, type PacketKey } from './packet-key.ts'
import { PrefixSet } from './prefix-set.ts'

/** Which condition of a rule a packet does not fit. */
export type Mismatch =
  | 'hook'
  | 'in'
  | 'out'
  | 'source'
  | 'destination'
  | 'protocol'
  | 'sourcePort'
  | 'destinationPort'
  | 'icmpType'
  | 'tcp'
  | 'answer'

const [TCP, UDP, SCTP, ICMP, ICMPV6] = [6, 17, 132, 1, 58] as const
const PROTOCOLS: Readonly<Record<string, number>> = { tcp: TCP, udp: UDP, icmp: ICMP, icmpv6: ICMPV6 }
const ACTIONS: readonly PolicyRule['action'][] = ['allow', 'deny', 'reject', 'rewrite']
const FIELDS: ReadonlySet<string> = new Set([
  'name', 'hook', 'in', 'out', 'source', 'destination', 'protocol', 'sourcePort', 'destinationPort', 'icmpType', 'tcp',
  'answer', 'action', 'rewrite',
]) // biome-ignore format: a list of words

/** What a rewriting rule puts in place of what is there; null or -1 where it leaves it. */
export interface Change {
  readonly dscp: number
  readonly destination: IpAddress | null
  readonly destinationPort: number
}

export class CompiledRule {
  readonly name: string
  readonly verdict: PolicyVerdict | null
  readonly change: Change | null
  /** What it was made of, as text: those of the same rule are equal. */
  readonly definition: string
  packets = 0
  /** Numbers of those it could fit, by all that it says; null: any. */
  readonly protocols: readonly number[] | null
  private readonly hooks: readonly PolicyHook[]
  private readonly inNames: readonly string[] | null
  private readonly outNames: readonly string[] | null
  /** Of the links that are there; null when it does not matter. */
  private inLinks: readonly number[] | null = null
  private outLinks: readonly number[] | null = null
  private readonly source: PrefixSet | null
  private readonly destination: PrefixSet | null
  private readonly givenProtocols: readonly number[] | null
  /** Pairs of first and last. */
  private readonly sourcePorts: readonly number[] | null
  private readonly destinationPorts: readonly number[] | null
  private readonly icmpTypes: readonly number[] | null
  private readonly tcp: 'established' | 'new' | null
  private readonly answer: boolean | null

  /** @throws TypeError ERR_INVALID_ARG_VALUE, ERR_INVALID_ARG_TYPE, RangeError ERR_OUT_OF_RANGE — `at` says where. */
  constructor(rule: PolicyRule, at: string, number: number) {
    if (typeof rule !== 'object' || rule === null) throw invalidType(at, 'a rule', rule)
    const unknown = Object.keys(rule).find((field) => !FIELDS.has(field))
    if (unknown !== undefined) throw invalidValue(`${at}.${unknown}`, `one of ${[...FIELDS].join(', ')}`, unknown)
    if (!ACTIONS.includes(rule.action)) throw invalidValue(`${at}.action`, `one of ${ACTIONS.join(', ')}`, rule.action)
    this.name = rule.name ?? String(number)
    this.verdict = rule.action === 'rewrite' ? null : rule.action
    this.hooks = listOf(rule.hook) ?? HOOKS
    for (const hook of this.hooks) if (!HOOKS.includes(hook)) throw invalidValue(`${at}.hook`, HOOKS.join(', '), hook)
    this.change = changeOf(rule, this.hooks, at)
    this.inNames = listOf(rule.in)
    this.outNames = listOf(rule.out)
    this.source = prefixes(rule.source, `${at}.source`)
    this.destination = prefixes(rule.destination, `${at}.destination`)
    this.givenProtocols = listOf(rule.protocol)?.map((protocol) => protocolOf(protocol, `${at}.protocol`)) ?? null
    this.sourcePorts = ranges(rule.sourcePort, `${at}.sourcePort`)
    this.destinationPorts = ranges(rule.destinationPort, `${at}.destinationPort`)
    this.icmpTypes = listOf(rule.icmpType)?.map((type) => integer(`${at}.icmpType`, type, 0, 255)) ?? null
    if (rule.tcp !== undefined && rule.tcp !== 'established' && rule.tcp !== 'new') {
      throw invalidValue(`${at}.tcp`, "'established' or 'new'", rule.tcp)
    }
    this.tcp = rule.tcp ?? null
    this.answer = rule.answer ?? null
    this.refuseContradictions(at)
    this.protocols = this.givenProtocols ?? this.impliedProtocols()
    this.definition = definitionOf(rule)
  }

  /** Finds the links that are there by their names. @param index 0 where there is none. */
  bind(index: (name: string) => number): void {
    const links = (names: readonly string[] | null) => names?.map(index).filter((link) => link !== 0) ?? null
    this.inLinks = links(this.inNames)
    this.outLinks = links(this.outNames)
  }

  /** Could it fit a packet of this family at this hook? @param protocol its number; -1 for one that no rule names. */
  concerns(hookIndex: number, isIpv4: boolean, protocol: number): boolean {
    return (
      this.hooks.includes(HOOKS[hookIndex] as PolicyHook) &&
      (this.source?.hasAny(isIpv4) ?? true) &&
      (this.destination?.hasAny(isIpv4) ?? true) &&
      (this.protocols?.includes(protocol) ?? true)
    )
  }

  /** @returns the first condition that a packet does not fit; null when it fits all. */
  mismatch(key: PacketKey): Mismatch | null {
    if (!this.hooks.includes(key.hook)) return 'hook'
    if (this.givenProtocols !== null && !this.givenProtocols.includes(key.protocol)) return 'protocol'
    return this.mismatchOf(key)
  }

  /** As `mismatch`, of a packet that it `concerns`. */
  mismatchOf(key: PacketKey): Mismatch | null {
    const { isIpv4 } = key
    if (this.inLinks !== null && !holds(this.inLinks, key.inLink)) return 'in'
    if (this.outLinks !== null && !holds(this.outLinks, key.outLink)) return 'out'
    if (this.source !== null && !this.source.has(key.source, isIpv4)) return 'source'
    if (this.destination !== null && !this.destination.has(key.destination, isIpv4)) return 'destination'
    if (this.sourcePorts !== null && !within(key.sourcePort, this.sourcePorts)) return 'sourcePort'
    if (this.destinationPorts !== null && !within(key.destinationPort, this.destinationPorts)) return 'destinationPort'
    if (this.icmpTypes !== null && !holds(this.icmpTypes, key.icmpType)) return 'icmpType'
    if (this.tcp !== null && !(this.tcp === 'new' ? key.isNew : key.isEstablished)) return 'tcp'
    if (this.answer !== null && this.answer !== key.answer) return 'answer'
    return null
  }

  /** Those that alone have what it asks for. */
  private impliedProtocols(): readonly number[] | null {
    if (this.tcp !== null) return [TCP]
    if (this.icmpTypes !== null) return [ICMP, ICMPV6]
    return this.sourcePorts !== null || this.destinationPorts !== null ? [TCP, UDP, SCTP] : null
  }

  /** What could never match says something else than was meant. */
  private refuseContradictions(at: string): void {
    const { givenProtocols: given } = this
    const only = (allowed: readonly number[]) => given?.every((protocol) => allowed.includes(protocol)) ?? true
    const isOnlyAt = (hook: PolicyHook) => this.hooks.every((one) => one === hook)
    if (this.inNames !== null && isOnlyAt('output'))
      throw invalidValue(`${at}.in`, "left out at 'output', where packets came by no link", this.inNames.join(', '))
    if (this.outNames !== null && isOnlyAt('input'))
      throw invalidValue(`${at}.out`, "left out at 'input', where packets leave by no link", this.outNames.join(', '))
    const ports = this.sourcePorts !== null || this.destinationPorts !== null
    if (ports && !only([TCP, UDP, SCTP]))
      throw invalidValue(`${at}.protocol`, 'one with ports where ports are given', given)
    if (this.tcp !== null && !only([TCP])) throw invalidValue(`${at}.protocol`, "'tcp' where tcp is given", given)
    if (this.icmpTypes !== null && !only([ICMP, ICMPV6])) {
      throw invalidValue(`${at}.protocol`, "'icmp' or 'icmpv6' where icmpType is given", given)
    }
    this.refuseFamilies(at)
  }

  private refuseFamilies(at: string): void {
    const { source, destination, givenProtocols: given, change } = this
    const byPrefixes = [true, false].filter(
      (isIpv4) => (source?.hasAny(isIpv4) ?? true) && (destination?.hasAny(isIpv4) ?? true),
    )
    if (byPrefixes.length === 0)
      throw invalidValue(`${at}.destination`, 'of a family that source has, too', 'another one')
    const families = byPrefixes.filter((isIpv4) => !given?.every((one) => one === (isIpv4 ? ICMPV6 : ICMP)))
    if (families.length === 0)
      throw invalidValue(`${at}.protocol`, "'icmp' with prefixes of IPv4, 'icmpv6' with those of IPv6", given)
    const moved = change?.destination ?? null
    if (moved !== null && !families.includes(moved.isIpv4))
      throw invalidValue(`${at}.rewrite.destination`, 'of the family of what is rewritten', String(moved))
  }
}

function definitionOf({ rewrite = {}, ...rule }: PolicyRule): string {
  const said = [...Object.entries(rule), ...Object.entries(rewrite).map(([name, value]) => [`to ${name}`, value])]
  return said
    .filter(([, value]) => value !== undefined)
    .map((pair) => pair.join(' '))
    .sort()
    .join('; ')
}

function listOf<Value>(values: OneOrMore<Value> | undefined): readonly Value[] | null {
  return values === undefined ? null : Array.isArray(values) ? values : [values as Value]
}

function prefixes(texts: OneOrMore<string> | undefined, name: string): PrefixSet | null {
  const list = listOf(texts)
  return list === null ? null : new PrefixSet(list, name)
}

function protocolOf(protocol: string | number, name: string): number {
  if (typeof protocol === 'number') return integer(name, protocol, 0, 255)
  const number = PROTOCOLS[protocol]
  if (number === undefined)
    throw invalidValue(name, `one of ${Object.keys(PROTOCOLS).join(', ')}, or a number`, protocol)
  return number
}

function ranges(ports: OneOrMore<number | string> | undefined, name: string): number[] | null {
  return (
    listOf(ports)?.flatMap((port) => {
      const [first = '', last = first, extra] = String(port).split('-')
      const pair = [first, last].map((text) => (/^\d{1,5}$/.test(text) ? Number(text) : Number.NaN)) as [number, number]
      if (extra !== undefined || !(pair[0] <= pair[1] && pair[1] <= 65_535)) {
        throw invalidValue(name, "a port, or a range such as '6000-6063'", port)
      }
      return pair
    }) ?? null
  )
}

function holds(values: readonly number[], value: number): boolean {
  for (let i = 0; i < values.length; i++) if (values[i] === value) return true
  return false
}

function within(port: number, pairs: readonly number[]): boolean {
  for (let i = 0; i < pairs.length; i += 2) {
    if (port >= (pairs[i] as number) && port <= (pairs[i + 1] as number)) return true
  }
  return false
}

function changeOf({ action, rewrite }: PolicyRule, hooks: readonly PolicyHook[], at: string): Change | null {
  if ((action === 'rewrite') !== (rewrite !== undefined)) {
    throw invalidValue(`${at}.rewrite`, "given with the action 'rewrite', and only then", rewrite)
  }
  if (rewrite === undefined) return null
  const { dscp, destination, destinationPort }: PolicyRewrite = rewrite
  if (dscp === undefined && destination === undefined && destinationPort === undefined) {
    throw invalidValue(`${at}.rewrite`, 'something to change', 'nothing')
  }
  const moves = destination !== undefined || destinationPort !== undefined
  if (moves && hooks.some((hook) => hook !== 'forward')) {
    throw invalidValue(`${at}.hook`, "'forward' where the destination is changed", hooks.join(', '))
  }
  return {
    dscp: dscp === undefined ? -1 : integer(`${at}.rewrite.dscp`, dscp, 0, 63),
    destination: destination === undefined ? null : parseAddress(destination, `${at}.rewrite.destination`),
    destinationPort:
      destinationPort === undefined ? -1 : integer(`${at}.rewrite.destinationPort`, destinationPort, 1, 65_535),
  }
}
