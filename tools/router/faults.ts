/**
 * Links made worse on purpose, for a while or until told otherwise. A link can be so when it was stacked with something
 * that impairs it: all of them where the file says `faults: true`; else that one link is stacked anew, with `force`.
 */
import { impair } from '../../src/index.ts'
import { CommandError, EXIT } from '../exit.ts'
import type { ImpairmentSpec } from '../stack/link-spec.ts'
import type { RouterLink, RouterState } from './config.ts'
import type { Router } from './router.ts'

/** Nothing is worse. */
const NONE: Required<ImpairmentSpec> = {
  loss: 0,
  corruption: 0,
  duplication: 0,
  reordering: 0,
  delay: 0,
  jitter: 0,
  rate: Number.POSITIVE_INFINITY,
}

/** How long a link may be worse by itself: a day. */
export const LONGEST_FAULT_SECONDS = 86_400

export interface FaultRequest {
  readonly link: string
  /** What is to be worse; undefined: as the file has it. */
  readonly impairment?: ImpairmentSpec | undefined
  /** After so many seconds all is as the file has it; up to `LONGEST_FAULT_SECONDS`. */
  readonly seconds?: number | undefined
  /** Stack the link anew where that is needed, which breaks connections through it. */
  readonly force: boolean
}

export class Faults {
  private readonly router: Router
  /** Ends of what was to be for a while, by link. */
  private readonly timers = new Map<string, NodeJS.Timeout>()
  private readonly restored: (link: string) => void

  /** @param restored told when the time of one is over. */
  constructor(router: Router, restored: (link: string) => void) {
    this.router = router
    this.restored = restored
  }

  /**
   * @throws CommandError — there is no such link, or it may not be made worse. ReloadError — it could not be stacked anew.
   * RangeError ERR_OUT_OF_RANGE — no link can be as bad; nothing was changed.
   */
  async set({ link: name, impairment, seconds, force }: FaultRequest): Promise<void> {
    const link = linkOf(this.router.state, name)
    if (!link.faults) {
      if (impairment === undefined) return
      if (!force) throw refusal(name)
      impair(impairment) // Refuses what cannot be while everything is as it was.
      await this.restack(name)
    }
    this.apply(link, impairment)
    clearTimeout(this.timers.get(name))
    this.timers.delete(name)
    if (impairment === undefined || seconds === undefined) return
    const restore = (): void => {
      this.timers.delete(name)
      const then = this.router.state.links.find((other) => other.name === name)
      if (then === undefined) return
      this.apply(then, undefined)
      this.restored(name)
    }
    this.timers.set(name, setTimeout(restore, seconds * 1000).unref())
  }

  close(): void {
    for (const timer of this.timers.values()) clearTimeout(timer)
    this.timers.clear()
  }

  private apply({ name, spec }: RouterLink, impairment: ImpairmentSpec | undefined): void {
    this.router.faults(name)?.link.set({ ...NONE, ...spec.impairment, ...impairment })
  }

  private async restack(name: string): Promise<void> {
    await this.router.reload((now) => {
      const link = linkOf(now, name)
      return { ...now, links: now.links.map((other) => (other === link ? { ...link, faults: true } : other)) }
    })
  }
}

/** @throws CommandError — there is no such link. */
function linkOf({ links }: RouterState, name: string): RouterLink {
  const link = links.find((other) => other.name === name)
  if (link !== undefined) return link
  const names = links.map((other) => other.name).join(', ')
  throw new CommandError(`there is no link '${name}'; there are: ${names}`, EXIT.failure, 'ENODEV')
}

const refusal = (name: string): CommandError =>
  new CommandError(
    `the link '${name}' may not be made worse: put 'faults: true' into the file, or say --yes, which sets it up anew`,
    EXIT.failure,
    'EPERM',
  )
