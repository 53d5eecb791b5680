/** What a router answers on its control socket beyond what every node does. */
import { z } from 'zod'
import type {
  AdvertiseOptions,
  BabelNeighbour,
  BabelRoute,
  RipNeighbour,
  RipRoute,
  TranslationStatus,
} from '../../src/index.ts'
import type { ControlMethods } from '../control/server.ts'
import { CommandError, EXIT } from '../exit.ts'
import type { RouterFixture, RouterRoute } from './config.ts'
import type { Daemon } from './daemon.ts'
import { LONGEST_FAULT_SECONDS } from './faults.ts'
import { type PacketRules, packetRules } from './packet-rules.ts'
import { rulesMethods } from './rules-methods.ts'
import type { RouterService } from './services.ts'

/** The link itself sees to the ranges. */
const impairment = z.partialRecord(
  z.enum(['loss', 'corruption', 'duplication', 'reordering', 'delay', 'jitter', 'rate']),
  z.number(),
)
const faultParams = z.strictObject({
  link: z.string(),
  impairment: impairment.optional(),
  seconds: z.number().min(0).max(LONGEST_FAULT_SECONDS).optional(),
  force: z.boolean(),
})

/** What runs, so that others can say what a file would change. Links as text: it is read again over there. */
export interface RunningConfiguration extends PacketRules {
  readonly fixture: RouterFixture
  readonly links: readonly {
    readonly name: string
    readonly text: string
    readonly addresses: readonly string[]
    readonly faults: boolean
    readonly advertise?: AdvertiseOptions | undefined
    readonly autoconfigure?: true | undefined
  }[]
  readonly routes: readonly RouterRoute[]
  readonly services: readonly RouterService[]
}

/** What `status` has besides that of every node. */
export interface DaemonStatus {
  readonly file: string
  /** Milliseconds since 1970. */
  readonly loadedAt: number
  readonly reloads: number
  readonly failedReloads: number
  readonly lastReload: { readonly at: number; readonly error?: string | undefined } | undefined
  /** How many of each; undefined where it does not speak Babel. */
  readonly babel: { readonly neighbours: number; readonly routes: number } | undefined
  /** The same of RIP. */
  readonly rip: { readonly neighbours: number; readonly routes: number } | undefined
  /** Undefined without translation. */
  readonly nat: TranslationStatus | undefined
}

/** What Babel knows. */
export interface BabelStatus {
  readonly routerId: string
  readonly neighbours: readonly BabelNeighbour[]
  readonly routes: readonly BabelRoute[]
  /** Packets, or parts of them, that came to nothing, by reason. */
  readonly drops: Readonly<Record<string, number>>
}

/** What RIP knows. */
export interface RipStatus {
  readonly neighbours: readonly RipNeighbour[]
  readonly routes: readonly RipRoute[]
  /** Messages, or entries of them, that came to nothing, by version and reason. */
  readonly drops: Readonly<Record<string, Readonly<Record<string, number>>>>
}

export function routerMethods(daemon: Daemon): ControlMethods['calls'] {
  return {
    configuration: (): RunningConfiguration => ({
      fixture: daemon.router.fixture,
      links: daemon.router.state.links.map(({ spec: _spec, ...link }) => link),
      routes: daemon.router.state.routes,
      services: daemon.router.state.services,
      ...packetRules(daemon.router.state),
    }),
    ...rulesMethods(daemon),
    babel: () => babelStatus(daemon),
    rip: () => ripStatus(daemon),
    leases: () => daemon.router.givenAway(),
    reload: () => daemon.reload(),
    fault: async (params) => {
      await daemon.fault(faultParams.parse(params))
    },
  }
}

export function daemonStatus(daemon: Daemon): DaemonStatus {
  const { path, loadedAt, reloads, failedReloads, lastReload } = daemon
  const { babel, rip, node } = daemon.router
  return {
    ...{ file: path, loadedAt, reloads, failedReloads, lastReload },
    ...{ babel: countsOf(babel), rip: countsOf(rip), nat: node.top.network.translation() },
  }
}

const countsOf = (protocol: { neighbours(): readonly unknown[]; routes(): readonly unknown[] } | undefined) =>
  protocol && { neighbours: protocol.neighbours().length, routes: protocol.routes().length }

/** @throws CommandError — the file does not speak of RIP. */
function ripStatus({ router, path }: Daemon): RipStatus {
  const { rip } = router
  if (rip === undefined) throw new CommandError(`${path} says nothing of rip`, EXIT.failure, 'ENOPROTOOPT')
  const drops = rip.versions.map((version) => [version, Object.fromEntries(rip.drops(version))] as const)
  return { neighbours: rip.neighbours(), routes: rip.routes(), drops: Object.fromEntries(drops) }
}

/** @throws CommandError — the file does not speak of Babel. */
function babelStatus({ router, path }: Daemon): BabelStatus {
  const { babel } = router
  if (babel === undefined) throw new CommandError(`${path} says nothing of babel`, EXIT.failure, 'ENOPROTOOPT')
  const { routerId, drops } = babel
  return { routerId, neighbours: babel.neighbours(), routes: babel.routes(), drops: Object.fromEntries(drops) }
}
