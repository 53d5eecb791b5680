/** What a router answers on its control socket beyond what every node does. */
import { z } from 'zod'
import type { AdvertiseOptions } from '../../src/index.ts'
import type { ControlMethods } from '../control/server.ts'
import type { RouterFixture, RouterRoute } from './config.ts'
import type { Daemon } from './daemon.ts'
import type { RouterService } from './dhcp.ts'
import { LONGEST_FAULT_SECONDS } from './faults.ts'

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
export interface RunningConfiguration {
  readonly fixture: RouterFixture
  readonly links: readonly {
    readonly name: string
    readonly text: string
    readonly addresses: readonly string[]
    readonly faults: boolean
    readonly advertise?: AdvertiseOptions | undefined
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
}

export function routerMethods(daemon: Daemon): ControlMethods['calls'] {
  return {
    configuration: (): RunningConfiguration => ({
      fixture: daemon.router.fixture,
      links: daemon.router.state.links.map(({ spec: _spec, ...link }) => link),
      routes: daemon.router.state.routes,
      services: daemon.router.state.services,
    }),
    leases: () => daemon.router.givenAway(),
    reload: () => daemon.reload(),
    fault: async (params) => {
      await daemon.fault(faultParams.parse(params))
    },
  }
}

export const daemonStatus = ({ path, loadedAt, reloads, failedReloads, lastReload }: Daemon): DaemonStatus => ({
  file: path,
  ...{ loadedAt, reloads, failedReloads, lastReload },
})
