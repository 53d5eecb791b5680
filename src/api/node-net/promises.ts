/** Promises that a signal can give up. */
import { abortError } from './errors.ts'

/**
 * @param signal gives up: the promise then rejects with an AbortError.
 * @param start begins, and returns what to do when it is given up.
 */
export function settle<T>(
  signal: AbortSignal | undefined,
  start: (resolve: (value: T) => void, reject: (error: Error) => void) => () => void,
): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(abortError(signal))
      return
    }
    let giveUp = (): void => {}
    const aborted = (): void => {
      giveUp()
      reject(abortError(signal as AbortSignal))
    }
    const settled = (): void => signal?.removeEventListener('abort', aborted)
    giveUp = start(
      (value) => {
        settled()
        resolve(value)
      },
      (error) => {
        settled()
        reject(error)
      },
    )
    signal?.addEventListener('abort', aborted, { once: true })
  })
}
