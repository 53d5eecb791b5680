/** The daemon around a router: reads its file again when told to, and remembers how that went. */
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import type { Logger } from 'pino'
import type { AddressConflict } from '../../src/index.ts'
import { CommandError, EXIT } from '../exit.ts'
import { type RouterConfig, type RouterFixture, readRouterConfig } from './config.ts'
import { type FaultRequest, Faults } from './faults.ts'
import { LeaseBook } from './lease-book.ts'
import { describeStep, type Step } from './plan.ts'
import { Router } from './router.ts'

/** How the last attempt to read the file again went. */
export interface ReloadReport {
  /** Milliseconds since 1970. */
  readonly at: number
  /** Why it failed; undefined when it did not. */
  readonly error: string | undefined
}

export class Daemon implements AsyncDisposable {
  readonly router: Router
  /** The file it goes by. */
  readonly path: string
  /** Milliseconds since 1970. */
  readonly startedAt: number = Date.now()
  /** When what is so now was read from the file. */
  loadedAt: number = this.startedAt
  reloads = 0
  failedReloads = 0
  lastReload: ReloadReport | undefined
  /** It carries packets, and is not about to end. */
  ready = true
  private readonly log: Logger
  private readonly faults: Faults

  private constructor(router: Router, path: string, log: Logger) {
    this.router = router
    this.path = path
    this.log = log
    this.faults = new Faults(router, (link) => log.info({ link }, 'a link is as it was'))
  }

  /** @throws CommandError exit 3 — the file is wrong. ReloadError — a part of it could not be had. */
  static async start(path: string, log: Logger, config: RouterConfig = readRouterConfig(path)): Promise<Daemon> {
    const { fixture, state } = config
    const book = new LeaseBook(leasesPath(fixture), (problem) => log.error({ reason: problem }, 'leases of DHCP'))
    const router = await Router.start(config, book, (part, error) => {
      log.error({ part, reason: reasonOf(error) }, 'a part ended with a failure')
    })
    if (book.path === undefined && state.services.some(({ kind }) => kind === 'DHCP server'))
      log.warn("leases of DHCP end with this process: give the file a 'leases'")
    const { network } = router.node.top
    const conflict = (link: string, { address, linkAddress: station, lost }: AddressConflict): void =>
      log.warn({ link, address, station, lost }, 'another station uses an address of this router')
    network.onConflict(conflict)
    for (const { name, conflicts } of network.links()) for (const one of conflicts) conflict(name, one)
    const daemon = new Daemon(router, path, log)
    log.info({ node: router.node.name, links: state.links.map(({ name }) => name) }, 'forwarding')
    return daemon
  }

  /**
   * Reads the file again and becomes what it says, or stays as it is; either way it is logged and remembered.
   * @returns the steps that were taken, as text; or why none was.
   */
  async reload(): Promise<{ readonly steps: readonly string[]; readonly error: string | undefined }> {
    const { steps, error } = await this.tryReload()
    this.lastReload = { at: Date.now(), error }
    if (error === undefined) {
      this.reloads++
      this.loadedAt = this.lastReload.at
    } else {
      this.failedReloads++
      this.log.error({ reason: error }, 'the configuration was not reloaded: what ran before goes on')
    }
    return { steps, error }
  }

  /** Makes a link worse, or as it was. @throws CommandError, ReloadError — see `Faults.set`. */
  async fault(request: FaultRequest): Promise<void> {
    await this.faults.set(request)
    const { link, impairment, seconds } = request
    if (impairment === undefined) this.log.info({ link }, 'a link is as it was')
    else this.log.warn({ link, ...impairment, seconds }, 'a link was made worse')
  }

  /** A figure of `/metrics` is left out. */
  unreadable(figure: string, error: unknown): void {
    this.log.error({ figure, reason: reasonOf(error) }, 'a figure could not be read')
  }

  async close(): Promise<void> {
    this.ready = false
    this.faults.close()
    await this.router.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  private async tryReload(): Promise<{ readonly steps: readonly string[]; readonly error: string | undefined }> {
    try {
      const { fixture, state } = readRouterConfig(this.path)
      refuseRestart(this.router.fixture, fixture)
      const steps = (await this.router.reload(state)).map(describeStep)
      for (const step of steps) this.log.info({ step }, 'changed')
      this.log.info({ steps: steps.length }, 'the configuration was reloaded')
      return { steps, error: undefined }
    } catch (error) {
      return { steps: [], error: reasonOf(error) }
    }
  }
}

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** What the file says, or else a place that the service manager has made for it (systemd.exec(5), StateDirectory=). */
function leasesPath({ name, leases }: RouterFixture): string | undefined {
  const [folder] = (process.env.STATE_DIRECTORY ?? '').split(':')
  return leases ?? (folder ? join(folder, `${name}.leases`) : undefined)
}

/** Names of what only a restart changes. */
export function fixtureChanges(old: RouterFixture, wanted: RouterFixture): string[] {
  const keys = Object.keys(wanted) as (keyof RouterFixture)[]
  return keys.filter((key) => !isDeepStrictEqual(old[key], wanted[key]))
}

function refuseRestart(old: RouterFixture, wanted: RouterFixture): void {
  const changes = fixtureChanges(old, wanted)
  if (changes.length === 0) return
  const what = `${changes.join(', ')}: only a restart changes that; nothing was changed`
  throw new CommandError(what, EXIT.configuration, 'ERR_CONFIG')
}

/** A plan as lines of a diff, one a step. */
export const planText = (steps: readonly Step[], restart: readonly string[]): string =>
  [...steps.map(describeStep), ...restart.map((key) => `! ${key}: needs a restart`)].join('\n') || 'nothing changes'
