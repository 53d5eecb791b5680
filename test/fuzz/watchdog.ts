/**
 * Ends a run that no longer gets anywhere: an endless loop is as bad as an exception, and nothing in its own thread can
 * tell of it.
 */
import { Worker } from 'node:worker_threads'

const WATCH = `
const { workerData } = require('node:worker_threads')
const { writeSync } = require('node:fs')
const beats = new Int32Array(workerData.shared)
let last = -1
setInterval(() => {
  const now = Atomics.load(beats, 0)
  if (now !== last) last = now
  else {
    writeSync(2, workerData.message + '\\n')
    process.kill(process.pid, 'SIGKILL')
  }
}, workerData.patience)
`

export interface Watchdog {
  /** Says that the run goes on. */
  beat(): void
  stop(): Promise<unknown>
}

/** @param patience milliseconds without a beat. @param message written to stderr before the process is killed. */
export function watchdog(patience: number, message: string): Watchdog {
  const shared = new SharedArrayBuffer(4)
  const beats = new Int32Array(shared)
  const worker = new Worker(WATCH, { eval: true, workerData: { shared, patience, message }, execArgv: [] })
  worker.unref()
  return { beat: () => void Atomics.add(beats, 0, 1), stop: () => worker.terminate() }
}
