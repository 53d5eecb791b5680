/** Does what was started also end? Packets, memory of connections, and timers, before and after. */
import { AssertionError } from 'node:assert'
import { packetsInUse } from '../kernel/packet.ts'
import { CHUNK_OCTETS, slab } from '../kernel/slab.ts'
import type { Timers } from '../kernel/timers.ts'

export interface LeakCheck {
  /** What there is more of than at the start, one line each; empty when nothing is left. */
  list(): string[]
  /** @throws AssertionError — something is left; the message is the list. */
  assert(): void
}

/**
 * Remembers what is in use now, for a look afterwards:
 *
 *   const leaks = leakCheck(sim)
 *   … boot, run, close …
 *   leaks.assert()
 *
 * Packets and chunks are counted for the whole thread: nothing else may run in it meanwhile.
 * @param wheels whose timers to count as well: a simulation, or the `env` of a node.
 */
export function leakCheck(...wheels: readonly { readonly timers: Timers }[]): LeakCheck {
  const count = () => [packetsInUse(), slab().chunksInUse, wheels.reduce((sum, { timers }) => sum + timers.size, 0)]
  const units = ['packets not released', `chunks of ${CHUNK_OCTETS} octets held by rings`, 'timers armed']
  const before = count()
  const list = (): string[] =>
    count().flatMap((after, i) => {
      const more = after - (before[i] as number)
      return more > 0 ? [`${more} ${units[i]} (${before[i]} before, ${after} after)`] : []
    })
  const assert = (): void => {
    const left = list()
    if (left.length === 0) return
    throw new AssertionError({ message: `left behind: ${left.join('; ')}`, stackStartFn: assert })
  }
  return { list, assert }
}
