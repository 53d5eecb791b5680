/** Every bench by its name, in the order of `docs/performance.md`. */
import type { Bench } from './harness.ts'
import { tcpLoop } from './tcp-loop.ts'

export const BENCHES: Readonly<Record<string, Bench>> = {
  'tcp-loop': tcpLoop,
}
