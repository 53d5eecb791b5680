/** What a part of a node has to undo when it closes: newest first, each once, all of it, within a deadline. */
import type { Clock, Duration } from '../kernel/clock.ts'
import { NetError } from '../kernel/errors.ts'

/** Undoes something; what takes time returns a promise. */
export type Cleanup = () => void | Promise<void>

/** Time, for those who wait for the end: real, or a simulation's. */
export interface Waiting {
  readonly clock: Clock
  /** @returns whether `work`, which never rejects, settled within `limit`. */
  waitFor(work: Promise<unknown>, limit: Duration): Promise<boolean>
}

export class Cleanups {
  private readonly waiting: Cleanup[] = []
  private running: Promise<void> | undefined
  private ended = false

  /** Remembers a cleanup. One that comes after the end is run at once. */
  add(cleanup: Cleanup): void {
    if (this.ended) void cleanup()
    else this.waiting.push(cleanup)
  }

  /** Forgets a cleanup that is not needed any more. */
  delete(cleanup: Cleanup): void {
    const at = this.waiting.lastIndexOf(cleanup)
    if (at >= 0) this.waiting.splice(at, 1)
  }

  /**
   * Runs them all. Later calls wait for the first.
   * @param what is being closed, for the message.
   * @param limit how long all may take together. What is left then is started as well, but not waited for.
   * @throws NetError ETIMEDOUT — the limit was passed.
   * @throws what a cleanup failed with; an AggregateError when there is more than one failure.
   */
  run(what: string, time: Waiting, limit: Duration): Promise<void> {
    this.running ??= this.undo(what, time, limit)
    return this.running
  }

  private async undo(what: string, time: Waiting, limit: Duration): Promise<void> {
    const failures: unknown[] = []
    const until = time.clock.now() + limit
    let late = false
    for (let cleanup = this.waiting.pop(); cleanup !== undefined; cleanup = this.waiting.pop()) {
      try {
        const work = cleanup()
        if (work === undefined) continue
        const finished = work.catch((error: unknown) => void failures.push(error))
        if (!(await time.waitFor(finished, Math.max(0, until - time.clock.now())))) late = true
      } catch (error) {
        failures.push(error)
      }
    }
    this.ended = true
    if (late) failures.push(new NetError('ETIMEDOUT', `closing ${what} took longer than ${limit / 1000} ms`))
    if (failures.length === 1) throw failures[0]
    if (failures.length > 1) throw new AggregateError(failures, `closing ${what} failed in ${failures.length} ways`)
  }
}

/** Waits in real time. The wait keeps the process alive: whoever closes wants to see the end of it. */
export async function waitInRealTime(work: Promise<unknown>, limit: Duration): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), limit / 1000)
  })
  try {
    return await Promise.race([work.then(() => true), late])
  } finally {
    clearTimeout(timer)
  }
}
