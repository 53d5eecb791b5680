/** Datagrams from here to there, a bounded number of them under way, so that none is lost for want of room. */
import type { Subject } from './harness.ts'

/** Datagrams under way at the most. */
const WINDOW = 128
/** Sent within one turn of the event loop at the most. */
const BURST = 64

export interface Flow {
  /** Sends one. @returns false when it should wait for another turn. */
  send(): boolean
  close(): void | Promise<void>
}

/** Counts what arrives. */
export class Counter {
  received = 0
}

/** Datagrams, or packets, per second. What is lost stalls the flow until it is taken as lost, and costs its time. */
export function perSecond(flow: Flow, counter: Counter, unit = 1): Subject {
  let lost = 0
  let sent = 0
  return {
    async measure(ms) {
      const before = counter.received
      const started = performance.now()
      let progress = counter.received
      let stalled = 0
      for (let now = started; now - started < ms; now = performance.now()) {
        for (let n = 0; n < BURST && sent - lost - counter.received < WINDOW; n++) {
          sent++
          if (!flow.send()) break
        }
        stalled = counter.received === progress ? stalled + 1 : 0
        progress = counter.received
        if (stalled > 1000) lost = sent - counter.received
        await new Promise(setImmediate)
      }
      return ((counter.received - before) * 1000) / (performance.now() - started) / unit
    },
    async close() {
      await flow.close()
    },
  }
}
