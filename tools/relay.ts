/** Joins two sockets, whichever stacks they belong to: octets, ends and failures of one become those of the other. */
import type { Duplex } from 'node:stream'

/** A socket that can also be reset. */
interface Resettable extends Duplex {
  resetAndDestroy?(): unknown
}

/**
 * Both must allow half-open. A side that fails resets the other.
 * @param failed told of the first error.
 */
export function relay(a: Resettable, b: Resettable, failed: (error: Error) => void): void {
  let over = false
  const fail = (error: Error): void => {
    if (over) return
    over = true
    failed(error)
    for (const side of [a, b]) {
      if (side.destroyed) continue
      if (side.resetAndDestroy === undefined) side.destroy()
      else side.resetAndDestroy()
    }
  }
  const gone = (other: Resettable) => (): void => {
    // Closed without an end or an error: by its owner, on the way down.
    if (!other.destroyed && !other.writableEnded) other.destroy()
  }
  a.on('error', fail).on('close', gone(b))
  b.on('error', fail).on('close', gone(a))
  a.pipe(b)
  b.pipe(a)
}
