/** Takes the steps of a plan, all of them or none. */

import type { RouterState } from './config.ts'
import { after, describeStep, opposite, type Step } from './plan.ts'

/** Does one step. It may fail, and has then changed nothing. */
export type Perform = (step: Step) => void | Promise<void>

/** A plan that was given up, and undone. */
export class ReloadError extends Error {
  /** The step that failed. */
  readonly step: Step
  /** What is so now: what it was before, but for what could not be undone. */
  readonly state: RouterState
  /** Steps that could not be undone, with the reasons; empty when everything is as before. */
  readonly lasting: readonly string[]

  constructor(step: Step, cause: unknown, state: RouterState, lasting: readonly string[]) {
    const rest = lasting.length === 0 ? 'nothing was changed' : `and could not be undone: ${lasting.join('; ')}`
    super(`'${describeStep(step)}' failed (${reasonOf(cause)}); ${rest}`, { cause })
    this.step = step
    this.state = state
    this.lasting = lasting
  }
}

/**
 * @param state what is so before.
 * @returns what is so then.
 * @throws ReloadError — a step failed; those before it are undone, the last one first.
 */
export async function applyPlan(state: RouterState, steps: readonly Step[], perform: Perform): Promise<RouterState> {
  const done: Step[] = []
  let now = state
  for (const step of steps) {
    try {
      await perform(step)
    } catch (error) {
      const { left, lasting } = await undo(now, done.reverse(), perform)
      throw new ReloadError(step, error, lasting.length === 0 ? state : left, lasting)
    }
    done.push(step)
    now = after(now, step)
  }
  return now
}

/** Goes on where a step cannot be undone: the rest may still be. */
async function undo(
  state: RouterState,
  done: readonly Step[],
  perform: Perform,
): Promise<{ readonly left: RouterState; readonly lasting: string[] }> {
  let left = state
  const lasting: string[] = []
  for (const step of done) {
    try {
      await perform(opposite(step))
      left = after(left, opposite(step))
    } catch (error) {
      lasting.push(`'${describeStep(step)}' (${reasonOf(error)})`)
    }
  }
  return { left, lasting }
}

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
