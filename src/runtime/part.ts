/**
 * A stack that runs: what its blueprint made, its boundaries, and what it has to undo. A node is one, and may take more
 * on while it runs: the links that come and go on a router.
 */
import { Boundary, type Encapsulation, type Reasons } from '../kernel/boundary.ts'
import { type Duration, ms } from '../kernel/clock.ts'
import { type Env, scoped } from '../kernel/env.ts'
import type { Blueprint } from '../kernel/layer.ts'
import { Packet } from '../kernel/packet.ts'
import { Cleanups, type Waiting } from './cleanups.ts'
import type { AnyBoundary, Host } from './host.ts'

/** What the parts of one node share. */
export interface Site {
  readonly node: string
  readonly host: Host
  readonly time: Waiting
  /** Every boundary of the node, in the order of their making. */
  readonly boundaries: AnyBoundary[]
  /** To be called when they have changed. */
  changed(): void
}

export const CLOSE_LIMIT: Duration = ms(2000)

export class Part<Top> implements AsyncDisposable {
  /** 'node' or 'node/scope'. */
  readonly name: string
  /** What the topmost layer offers. */
  readonly top: Top
  readonly env: Env
  private readonly site: Site
  private readonly cleanups: Cleanups
  private readonly boundaries: AnyBoundary[] = []
  private readonly starting: Promise<unknown>[] = []
  private closing = false

  /**
   * Stacks the blueprint.
   * @param scope '' or the name of the part within its node.
   * @throws what a layer throws; those below it are then being unwound by `cleanups`.
   */
  constructor(site: Site, scope: string, blueprint: Blueprint<Top>, cleanups: Cleanups = new Cleanups()) {
    this.site = site
    this.name = scope === '' ? site.node : `${site.node}/${scope}`
    this.cleanups = cleanups
    if (scope !== '') cleanups.add(() => this.forgetBoundaries())
    const env = this.baseEnv()
    this.env = scope === '' ? env : scoped(env, scope)
    try {
      this.top = blueprint(this.env)
    } catch (error) {
      this.close().catch(() => {}) // the error that stopped it is the one to tell
      throw error
    }
  }

  /**
   * Settles when every layer has started.
   * @throws the first reason why one could not; everything is closed again then.
   */
  async started(): Promise<void> {
    try {
      while (this.starting.length > 0) await Promise.all(this.starting.splice(0))
    } catch (error) {
      await this.close().catch(() => {}) // the error that stopped it is the one to tell
      throw error
    }
  }

  /**
   * Takes the stack down, topmost layer first. Calling it again waits for the same end.
   * @throws NetError ETIMEDOUT — it took longer than `limit` in all; what was left was started all the same.
   * @throws what a cleanup failed with; an AggregateError when there is more than one failure.
   */
  close(limit: Duration = CLOSE_LIMIT): Promise<void> {
    this.closing = true
    return this.cleanups.run(this.name, this.site.time, limit)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  private forgetBoundaries(): void {
    for (const boundary of [...this.boundaries]) this.forget(boundary)
  }

  private forget(boundary: { readonly name: string }): void {
    for (const list of [this.boundaries, this.site.boundaries]) {
      const at = list.findIndex(({ name }) => name === boundary.name)
      if (at >= 0) list.splice(at, 1)
    }
    this.site.changed()
  }

  private baseEnv(): Env {
    const { site } = this
    const { node, host } = site
    return {
      node,
      scope: '',
      clock: host.clock,
      timers: host.timers,
      random: (layer) => host.random(`${node}/random ${layer}`),
      packet: Packet.take,
      boundary: (layer, encapsulation, reasons) => this.boundary(layer, encapsulation, reasons),
      // When all of it goes, the counters stay to be read.
      forget: (boundary) => {
        if (!this.closing) this.forget(boundary)
      },
      starting: (promise) => {
        promise.catch(() => {}) // observed by started(); meanwhile it must not count as unhandled
        this.starting.push(promise)
      },
      defer: (cleanup) => this.cleanups.add(cleanup),
      touched: () => host.touched(),
      hold: () => host.hold(),
      wire: (wire) => {
        const forget = host.wire?.(wire)
        if (forget !== undefined) this.cleanups.add(forget)
      },
    }
  }

  private boundary<Address, Reason extends string>(
    layer: string,
    encapsulation: Encapsulation,
    reasons: Reasons<Reason>,
  ): Boundary<Address, Reason> {
    const { boundaries, host, node } = this.site
    const taken = (name: string) => boundaries.some((other) => other.name === name)
    let name = `${node}/${layer}`
    for (let n = 2; taken(name); n++) name = `${node}/${layer}#${n}`
    const boundary = new Boundary<Address, Reason>(name, encapsulation, reasons, host.clock)
    boundaries.push(boundary)
    this.boundaries.push(boundary)
    host.opened?.(boundary)
    this.site.changed()
    return boundary
  }
}
