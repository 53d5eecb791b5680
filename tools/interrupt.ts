/** What ends a command before its time, as one signal: Ctrl-C and its kind, or a reader of its output that has seen enough. */
import { EXIT } from './exit.ts'

/** A command that was told to end. */
export class Interrupted extends Error {
  readonly exitCode: number

  constructor(why: string, exitCode: number) {
    super(why)
    this.exitCode = exitCode
  }
}

const controller = new AbortController()
let listening = false

/**
 * Aborts with `Interrupted` at the first SIGINT, SIGTERM or SIGHUP; a second one ends the process at once. Also aborts
 * when the process that started this one, with a channel between them, is gone.
 * @param hangup what SIGHUP means instead.
 */
export function interruption(hangup: () => void = interrupt): AbortSignal {
  if (!listening) {
    listening = true
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, interrupt)
    process.on('SIGHUP', hangup)
    process.once('disconnect', leave)
    // Waiting for that keeps nobody.
    process.channel?.unref()
    if (process.connected === false) leave()
  }
  return controller.signal
}

function interrupt(): void {
  if (controller.signal.aborted) process.exit(EXIT.interrupted)
  leave()
}

function leave(): void {
  controller.abort(new Interrupted('interrupted', EXIT.interrupted))
}

/** Whoever read what this process says may go (`2>&1 | head`): an orderly end, and by itself no failure. To be called once. */
export function endWithReaders(): void {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', writeFailed)
}

function writeFailed(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error
  // A command that was about to say why it fails has set the code.
  if (!listening) process.exit()
  if (!controller.signal.aborted) controller.abort(new Interrupted('nobody reads the output', EXIT.ok))
}

/** Settles when the signal aborts; keeps the process alive until then. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const alive = setInterval(() => {}, 0x7fff_ffff)
    const done = (): void => {
      clearInterval(alive)
      resolve()
    }
    if (signal.aborted) done()
    else signal.addEventListener('abort', done, { once: true })
  })
}

/** Waits for `work`, unless the signal aborts first. @throws the signal's reason; what `work` rejects with. */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(signal.reason)
    if (signal.aborted) stop()
    signal.addEventListener('abort', stop, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop))
  })
}

/** Waits, unless the signal aborts first. @returns false when it did. */
export function pause(milliseconds: number, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve(false)
    const stop = (): void => {
      clearTimeout(timer)
      resolve(false)
    }
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop)
      resolve(true)
    }, milliseconds)
    signal.addEventListener('abort', stop, { once: true })
  })
}
