/** What `rip` can be told, and what it takes for granted. */
import { type Duration, seconds } from '../../../../src/kernel/clock.ts'
import { inRange, integer, invalidValue } from '../../../../src/kernel/errors.ts'
import { type Filters, filtersOf, prefixText, type Rules } from '../service.ts'
import { INFINITY, type RipVersion } from './pdu.ts'
import type { Times } from './route.ts'

/** How RIP uses one link. */
export interface RipInterface {
  /** What one hop costs: 1 to 15. Default 1. */
  readonly cost?: number | undefined
  /** Listen, and say nothing. Default false. */
  readonly passive?: boolean | undefined
}

/** What is redistributed has a metric of 1 and what the rule adds. */
export interface RipOptions extends Rules {
  /** By the names of links, also of such that are attached later. */
  readonly interfaces: Readonly<Record<string, RipInterface>>
  /** 'rip2' for IPv4, 'ripng' for IPv6. Default: both, of what the node has. */
  readonly versions?: readonly RipVersion[] | undefined
  /** Prefixes that are ours whatever the routing table says: '10.1.0.0/16'. */
  readonly announce?: readonly string[] | undefined
  /** Of the routes that RIP gives to the node: 0 to 2^32 - 1. Default 2048. */
  readonly metric?: number | undefined
  /** Between updates, of 1 s to an hour. All routers of a network should agree. Default 30 s. */
  readonly updateInterval?: Duration | undefined
  /** Without a word on it, a route leads nowhere after this; from 1 s. Default: six updates. */
  readonly timeout?: Duration | undefined
  /** And is forgotten after this; from 1 s. Default: four updates. */
  readonly garbage?: Duration | undefined
}

export interface Settings extends Filters {
  readonly interfaces: ReadonlyMap<string, Required<{ [Name in keyof RipInterface]: NonNullable<RipInterface[Name]> }>>
  readonly versions: readonly RipVersion[]
  /** Prefix, and metric. */
  readonly always: ReadonlyMap<string, number>
  readonly metric: number
  readonly times: Times
}

const VERSIONS = ['rip2', 'ripng'] as const
const HOUR = seconds(3600)

/** @throws TypeError ERR_INVALID_ARG_VALUE, RangeError ERR_OUT_OF_RANGE — an option makes no sense. */
export function settingsOf(options: RipOptions): Settings {
  const { interfaces, versions = VERSIONS, announce = [], metric = 2048 } = options
  for (const version of versions) {
    if (!VERSIONS.includes(version)) throw invalidValue('versions', "of 'rip2' and 'ripng'", version)
  }
  const update = inRange('updateInterval', options.updateInterval ?? seconds(30), seconds(1), HOUR)
  const { timeout = update * 6, garbage = update * 4 } = options
  return {
    interfaces: new Map(Object.entries(interfaces).map(([name, one]) => [name, interfaceOf(one)])),
    versions,
    always: new Map(announce.map((prefix) => [prefixText(prefix), 0])),
    ...filtersOf(options, INFINITY),
    metric: integer('metric', metric, 0, 2 ** 32 - 1),
    times: {
      update,
      timeout: inRange('timeout', timeout, seconds(1), 24 * HOUR),
      garbage: inRange('garbage', garbage, seconds(1), 24 * HOUR),
    },
  }
}

const interfaceOf = ({ cost = 1, passive = false }: RipInterface) => ({
  cost: integer('cost', cost, 1, INFINITY - 1),
  passive,
})
