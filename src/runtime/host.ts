/** What a runtime, real or simulated, gives to its nodes. */
import type { Boundary } from '../kernel/boundary.ts'
import type { Clock, Duration } from '../kernel/clock.ts'
import type { Random } from '../kernel/random.ts'
import type { Timers } from '../kernel/timers.ts'
import type { Wire } from '../kernel/wire.ts'

// biome-ignore lint/suspicious/noExplicitAny: a node holds boundaries of every address type, and only reads their counters
export type AnyBoundary = Boundary<any>

export interface Host {
  readonly clock: Clock
  readonly timers: Timers
  /** Microseconds since 1970 at instant 0 of the clock. */
  readonly epochUs: number
  /** @param name node, scope and layer, joined by slashes. */
  random(name: string): Random
  /** See `Env.touched` and `Env.hold`. */
  touched(): void
  hold(): () => void
  /** A node's end of a wire was booted. @returns to be called when it closes. */
  wire?(wire: Wire): () => void
  /** A boundary was made. */
  opened?(boundary: AnyBoundary): void
  /** Waits for `work`, which never rejects. @returns whether it settled within `limit`. Default: in real time. */
  waitFor?(work: Promise<unknown>, limit: Duration): Promise<boolean>
}
