/** A cut: a medium loses everything in some direction, silently, until it is healed. */

export interface Cut extends Disposable {
  /** Ends it; others stay. Repeating it does nothing. */
  heal(): void
}

/** Counts a cut at each of `places`, until it is healed. A direction works while its count is 0. */
export function cutOf(counts: Int32Array, places: readonly number[]): Cut {
  const add = (n: number) => {
    for (const place of places) counts[place] = (counts[place] as number) + n
  }
  add(1)
  let standing = true
  const heal = () => {
    if (standing) add(-1)
    standing = false
  }
  return { heal, [Symbol.dispose]: heal }
}
