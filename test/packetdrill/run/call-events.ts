/** Calls of a script, one after the other; one may wait while packets come and go. */
import { Failure } from '../failure.ts'
import type { CallAction } from '../language/script.ts'
import { numberOf } from '../linux/arguments.ts'
import type { Calls } from '../linux/calls.ts'
import { errnoOf } from '../linux/constants.ts'
import type { Attempt, Outcome } from '../linux/outcome.ts'
import type { Time } from './departures.ts'
import { seconds } from './format.ts'
import type { Trace } from './trace.ts'

/** A call of the script; when it should return, if it may wait. */
export interface CallEvent {
  readonly call: CallAction
  readonly line: number
  readonly due: { readonly at: number; readonly tolerance: number } | undefined
}

export class CallEvents {
  private readonly calls: Calls
  private readonly time: Time
  private readonly trace: Trace
  private waiting: { readonly event: CallEvent; readonly attempt: Attempt } | undefined

  constructor(calls: Calls, time: Time, trace: Trace) {
    this.calls = calls
    this.time = time
    this.trace = trace
  }

  /** @throws Failure — it came out otherwise, or waits, or so did the call before it. */
  async run(event: CallEvent): Promise<void> {
    await this.finish()
    const { call, line, due } = event
    const attempt = this.calls.start(call, line)
    const outcome = attempt()
    this.trace.add(this.time.now(), `${call.name}()${outcome === undefined ? ' waits' : ` = ${text(outcome)}`}`)
    if (outcome !== undefined) this.returned(event, outcome)
    else if (due !== undefined) this.waiting = { event, attempt }
    else throw new Failure(line, `${call.name}(): expected to return at once, but it waits`)
  }

  /** Lets a call that waits try again, if something has happened that it may have waited for. */
  retry(): void {
    this.calls.settle()
    const { waiting } = this
    if (waiting === undefined || !this.calls.changed) return
    this.calls.changed = false
    const outcome = waiting.attempt()
    if (outcome === undefined) return
    this.waiting = undefined
    this.trace.add(this.time.now(), `${waiting.event.call.name}() = ${text(outcome)}, having waited`)
    this.returned(waiting.event, outcome)
  }

  /** Gives a call that waits the time it may take. @throws Failure — it takes longer. */
  async finish(): Promise<void> {
    const { call, line, due } = this.waiting?.event ?? {}
    if (call === undefined || line === undefined || due === undefined) return
    if (await this.time.advance(due.at + due.tolerance, () => this.waiting === undefined)) return
    throw new Failure(line, `${call.name}(): expected to return at ${seconds(due.at)}, but it still waits`)
  }

  private returned({ call, line, due }: CallEvent, outcome: Outcome): void {
    judge(call, outcome, line)
    const now = this.time.now()
    if (due === undefined || Math.abs(now - due.at) <= due.tolerance) return
    const when = `expected to return at ${seconds(due.at)}, returned at ${seconds(now)}`
    throw new Failure(line, `${call.name}(): ${when} (tolerance ${seconds(due.tolerance)})`)
  }
}

function judge(call: CallAction, outcome: Outcome, line: number): void {
  const { result, errno, differs } = outcome
  const expected = call.result.kind === 'any' ? result : numberOf(call.result, line)
  // Some have two names.
  const wrongError = expected === -1 && call.errno !== undefined && errnoOf(call.errno) !== errnoOf(errno)
  if (expected !== result || wrongError) {
    const wanted = `${expected}${call.errno === undefined ? '' : ` ${call.errno}`}`
    throw new Failure(line, `${call.name}(): expected ${wanted}, got ${text(outcome)}`)
  }
  if (differs !== undefined) throw new Failure(line, `${call.name}(): ${differs}`)
}

const text = ({ result, errno }: Outcome): string => (errno === undefined ? `${result}` : `${result} ${errno}`)
