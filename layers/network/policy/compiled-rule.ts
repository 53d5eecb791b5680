/** A rule as it is held against packets: words, masks and ranges, no text. */

import type { OneOrMore, PolicyHook, PolicyRewrite, PolicyRule, PolicyVerdict } from '../../../src/api/rules.ts'
import { type IpAddress, parseAddress, parsePrefix } from '../../../src/kernel/address.ts'
import { integer, invalidType, invalidValue } from '../../../src/kernel/errors.ts'
import { maskOf } from '../prefix-trie.ts'
import { IPV4_BITS_BEFORE } from '../routes.ts'
import { HOOK_BIT, type PacketKey } from './packet-key.ts'

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

const PROTOCOLS: Readonly<Record<string, number>> = { tcp: 6, udp: 17, icmp: 1, icmpv6: 58 }
const [TCP, UDP] = [6, 17]
const ALL_HOOKS: readonly PolicyHook[] = ['forward', 'input', 'output']
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

/** A set of prefixes of both families. */
class Prefixes {
  /** Those of IPv4, and of IPv6. */
  readonly hasIpv4: boolean
  readonly hasIpv6: boolean
  /** Of each: the family, four words, four masks. */
  private readonly words: readonly number[]

  constructor(texts: readonly string[], name: string) {
    this.words = texts.flatMap((text) => {
      const { address, length } = parsePrefix(text, name)
      const bits = address.isIpv4 ? length + IPV4_BITS_BEFORE : length
      const masks = [0, 1, 2, 3].map((word) => maskOf(bits, word))
      return [address.isIpv4 ? 4 : 6, address.w0, address.w1, address.w2, address.w3, ...masks]
    })
    const families = this.words.filter((_, i) => i % 9 === 0)
    this.hasIpv4 = families.includes(4)
    this.hasIpv6 = families.includes(6)
  }

  has(address: IpAddress): boolean {
    const { words } = this
    const family = address.isIpv4 ? 4 : 6
    for (let i = 0; i < words.length; i += 9) {
      if (
        words[i] === family &&
        ((address.w3 ^ (words[i + 4] as number)) & (words[i + 8] as number)) === 0 &&
        ((address.w2 ^ (words[i + 3] as number)) & (words[i + 7] as number)) === 0 &&
        ((address.w1 ^ (words[i + 2] as number)) & (words[i + 6] as number)) === 0 &&
        ((address.w0 ^ (words[i + 1] as number)) & (words[i + 5] as number)) === 0
      ) {
        return true
      }
    }
    return false
  }
}

export class CompiledRule {
  readonly name: string
  readonly verdict: PolicyVerdict | null
  readonly change: Change | null
  /** What it was made of, as text: those of the same rule are equal. */
  readonly definition: string
  packets = 0
  private readonly hooks: number
  private readonly inNames: readonly string[] | null
  private readonly outNames: readonly string[] | null
  /** Of the links that are there; null when it does not matter. */
  private inLinks: readonly number[] | null = null
  private outLinks: readonly number[] | null = null
  private readonly source: Prefixes | null
  private readonly destination: Prefixes | null
  private readonly protocols: readonly number[] | null
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
    const hooks = listOf(rule.hook) ?? ALL_HOOKS
    for (const hook of hooks)
      if (!ALL_HOOKS.includes(hook)) throw invalidValue(`${at}.hook`, ALL_HOOKS.join(', '), hook)
    this.hooks = hooks.reduce((bits, hook) => bits | HOOK_BIT[hook], 0)
    this.change = changeOf(rule, hooks, at)
    this.inNames = listOf(rule.in)
    this.outNames = listOf(rule.out)
    this.source = prefixes(rule.source, `${at}.source`)
    this.destination = prefixes(rule.destination, `${at}.destination`)
    this.protocols = listOf(rule.protocol)?.map((protocol) => protocolOf(protocol, `${at}.protocol`)) ?? null
    this.sourcePorts = ranges(rule.sourcePort, `${at}.sourcePort`)
    this.destinationPorts = ranges(rule.destinationPort, `${at}.destinationPort`)
    this.icmpTypes = listOf(rule.icmpType)?.map((type) => integer(`${at}.icmpType`, type, 0, 255)) ?? null
    if (rule.tcp !== undefined && rule.tcp !== 'established' && rule.tcp !== 'new') {
      throw invalidValue(`${at}.tcp`, "'established' or 'new'", rule.tcp)
    }
    this.tcp = rule.tcp ?? null
    this.answer = rule.answer ?? null
    this.refuseContradictions(at)
    this.definition = definitionOf(rule)
  }

  /** Finds the links that are there by their names. @param index 0 where there is none. */
  bind(index: (name: string) => number): void {
    const links = (names: readonly string[] | null) => names?.map(index).filter((link) => link !== 0) ?? null
    this.inLinks = links(this.inNames)
    this.outLinks = links(this.outNames)
  }

  /** @returns the first condition that a packet does not fit; null when it fits all. */
  mismatch(key: PacketKey): Mismatch | null {
    if ((this.hooks & HOOK_BIT[key.hook]) === 0) return 'hook'
    if (this.protocols !== null && !this.protocols.includes(key.protocol)) return 'protocol'
    if (this.inLinks !== null && !this.inLinks.includes(key.inLink)) return 'in'
    if (this.outLinks !== null && !this.outLinks.includes(key.outLink)) return 'out'
    if (this.source !== null && !this.source.has(key.source)) return 'source'
    if (this.destination !== null && !this.destination.has(key.destination)) return 'destination'
    if (this.sourcePorts !== null && !within(key.sourcePort, this.sourcePorts)) return 'sourcePort'
    if (this.destinationPorts !== null && !within(key.destinationPort, this.destinationPorts)) return 'destinationPort'
    if (this.icmpTypes !== null && !this.icmpTypes.includes(key.icmpType)) return 'icmpType'
    if (this.tcp !== null && !(this.tcp === 'new' ? key.isNew : key.isEstablished)) return 'tcp'
    if (this.answer !== null && this.answer !== key.answer) return 'answer'
    return null
  }

  /** What could never match says something else than was meant. */
  private refuseContradictions(at: string): void {
    const only = (allowed: readonly number[]) => this.protocols?.every((protocol) => allowed.includes(protocol)) ?? true
    const { source, destination } = this
    if (this.inNames !== null && this.hooks === HOOK_BIT.output)
      throw invalidValue(`${at}.in`, "left out at 'output', where packets came by no link", this.inNames.join(', '))
    if (this.outNames !== null && this.hooks === HOOK_BIT.input)
      throw invalidValue(`${at}.out`, "left out at 'input', where packets leave by no link", this.outNames.join(', '))
    if (source !== null && destination !== null) {
      const meet = (source.hasIpv4 && destination.hasIpv4) || (source.hasIpv6 && destination.hasIpv6)
      if (!meet) throw invalidValue(`${at}.destination`, 'of a family that source has, too', 'another one')
    }
    const ports = this.sourcePorts !== null || this.destinationPorts !== null
    if (ports && !only([TCP, UDP, 132]))
      throw invalidValue(`${at}.protocol`, 'one with ports where ports are given', this.protocols)
    if (this.tcp !== null && !only([TCP]))
      throw invalidValue(`${at}.protocol`, "'tcp' where tcp is given", this.protocols)
    if (this.icmpTypes !== null && !only([PROTOCOLS.icmp as number, PROTOCOLS.icmpv6 as number])) {
      throw invalidValue(`${at}.protocol`, "'icmp' or 'icmpv6' where icmpType is given", this.protocols)
    }
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

function prefixes(texts: OneOrMore<string> | undefined, name: string): Prefixes | null {
  const list = listOf(texts)
  return list === null ? null : new Prefixes(list, name)
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
