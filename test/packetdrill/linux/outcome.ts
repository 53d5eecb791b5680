/** How calls come out. */

export interface Outcome {
  readonly result: number
  /** With a result of -1. */
  readonly errno?: string
  /** What the call gave back by its arguments is not what the script says. */
  readonly differs?: string
}

/** Tries a call, or tries it again. @returns undefined while it has to wait. */
export type Attempt = () => Outcome | undefined

export const DONE: Outcome = { result: 0 }

export const failed = (errno: string): Outcome => ({ result: -1, errno })

/** An attempt that cannot have to wait. */
export const at =
  (outcome: Outcome): Attempt =>
  () =>
    outcome

/** As an error of the API is seen by a Linux program. @throws what is not such an error. */
export function outcomeOf(error: unknown): Outcome {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') {
    return failed(error.code.startsWith('ERR_') ? 'EINVAL' : error.code)
  }
  throw error
}
