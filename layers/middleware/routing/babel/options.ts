/** What `babel` can be told, and what it takes for granted. */
import { type Duration, seconds } from '../../../../src/kernel/clock.ts'
import { inRange, integer, invalidValue } from '../../../../src/kernel/errors.ts'
import type { Random } from '../../../../src/kernel/random.ts'
import { type Filters, filtersOf, prefixText, type Rules } from '../service.ts'
import { type BabelKey, checkKey } from './authenticator.ts'
import type { LinkType } from './neighbour.ts'
import { INFINITY } from './tlv.ts'

/** How Babel uses one link. */
export interface BabelInterface {
  /** 'wired': two of the last three hellos, and the cost is the same. 'wireless': by what is lost (ETX). Default 'wired'. */
  readonly type?: LinkType | undefined
  /** 0.01 s to 655 s, of whole centiseconds. Default 4 s. */
  readonly helloInterval?: Duration | undefined
  /** Between hellos to each neighbour alone, besides those to all: where groups are lost, or not carried. Default: none are sent. */
  readonly unicastHelloInterval?: Duration | undefined
  /** The same; default four hello intervals. */
  readonly updateInterval?: Duration | undefined
  /** Cost of the link when nothing is lost: 1 to 65534. Default 96, of 'wireless' 256. */
  readonly rxcost?: number | undefined
  /** Say nothing of a destination on the link that leads to it. Default: true when 'wired'. */
  readonly splitHorizon?: boolean | undefined
  /** In place of those of `BabelOptions`; none: no authentication. */
  readonly keys?: readonly BabelKey[] | undefined
}

export interface BabelOptions extends Rules {
  /** By the names of links, also of such that are attached later. */
  readonly interfaces: Readonly<Record<string, BabelInterface>>
  /** '0123456789abcdef'; default: by chance, so that nobody has old words of ours. */
  readonly routerId?: string | undefined
  /** Prefixes that are ours whatever the routing table says: '10.1.0.0/16'. */
  readonly announce?: readonly string[] | undefined
  /** Authenticate by these on all links (RFC 8967): each signs, any of them is believed. Default: none. */
  readonly keys?: readonly BabelKey[] | undefined
  /** Of the routes that Babel gives to the node: 0 to 2^32 - 1. Default 1024. */
  readonly metric?: number | undefined
}

export interface InterfaceDefaults {
  readonly type: LinkType
  readonly helloInterval: Duration
  readonly unicastHelloInterval: Duration
  readonly updateInterval: Duration
  readonly rxcost: number
  readonly splitHorizon: boolean
  readonly keys: readonly BabelKey[]
}

export interface Settings extends Filters {
  readonly interfaces: ReadonlyMap<string, InterfaceDefaults>
  /** Prefix, and metric. */
  readonly always: ReadonlyMap<string, number>
  readonly metric: number
}

const LONGEST = 65_535 * 10_000

/** @throws TypeError ERR_INVALID_ARG_VALUE, RangeError ERR_OUT_OF_RANGE — an option makes no sense. */
export function settingsOf(options: BabelOptions): Settings {
  const { interfaces, announce = [], keys = [], metric = 1024 } = options
  return {
    interfaces: new Map(Object.entries(interfaces).map(([name, one]) => [name, interfaceOf(one, keys)])),
    always: new Map(announce.map((prefix) => [prefixText(prefix), 0])),
    ...filtersOf(options, INFINITY),
    metric: integer('metric', metric, 0, 2 ** 32 - 1),
  }
}

function interfaceOf(one: BabelInterface, common: readonly BabelKey[]): InterfaceDefaults {
  const { type = 'wired', helloInterval = seconds(4), unicastHelloInterval: unicast, keys = common } = one
  if (type !== 'wired' && type !== 'wireless') throw invalidValue('type', "'wired' or 'wireless'", type)
  const {
    updateInterval = helloInterval * 4,
    rxcost = type === 'wired' ? 96 : 256,
    splitHorizon = type === 'wired',
  } = one
  for (const key of keys) checkKey(key)
  return {
    type,
    keys,
    splitHorizon,
    unicastHelloInterval: unicast === undefined ? 0 : inRange('unicastHelloInterval', unicast, 10_000, LONGEST),
    helloInterval: inRange('helloInterval', helloInterval, 10_000, LONGEST),
    updateInterval: inRange('updateInterval', updateInterval, 10_000, LONGEST),
    rxcost: integer('rxcost', rxcost, 1, INFINITY - 1),
  }
}

/** The halves of a router-id. @throws TypeError ERR_INVALID_ARG_VALUE — not 16 hexadecimal digits, or all of them 0 or f. */
export function routerIdOf(text: string | undefined, random: Random): readonly [high: number, low: number] {
  if (text === undefined) return [random.uint32() | 0, random.uint32() | 1]
  if (!/^[0-9a-f]{16}$/i.test(text) || /^(?:0+|f+)$/i.test(text)) {
    throw invalidValue('routerId', 'of 16 hexadecimal digits, not all of them 0 or f', text)
  }
  return [Number.parseInt(text.slice(0, 8), 16) | 0, Number.parseInt(text.slice(8), 16) | 0]
}
