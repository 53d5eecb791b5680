/** Captures of booted nodes: from their boundaries, present and future, to a file or stream. */
import type { Writable } from 'node:stream'
import { Capture, type CapturedFrame } from '../capture/capture.ts'
import { captureSink } from '../capture/file.ts'
import type { Boundary } from '../kernel/boundary.ts'

export interface CaptureRequest {
  /** Only frames for which it holds are written. Default: all. */
  readonly filter?: ((frame: CapturedFrame) => boolean) | undefined
}

/** A capture that runs. It ends with its node, or when told to. */
export interface CaptureHandle extends AsyncDisposable {
  /** Settles when everything is written. Rejects with what made the capture fail: ENOSPC, ENOBUFS, … */
  stop(): Promise<void>
}

// biome-ignore lint/suspicious/noExplicitAny: a capture never reads the addresses of what it watches
type AnyBoundary = Boundary<any>

/** The captures of one node, or of one simulation. */
export class Captures {
  private readonly boundaries: () => readonly AnyBoundary[]
  private readonly running = new Set<Running>()
  private stale = false

  /** @param boundaries all there are now; asked again after each `changed`. */
  constructor(boundaries: () => readonly AnyBoundary[]) {
    this.boundaries = boundaries
  }

  /**
   * @param target a path, or a Writable, which is not ended.
   * @param epochUs microseconds since 1970 at instant 0 of the clock.
   * @throws NetError with the system's code — the file cannot be opened.
   */
  start(target: string | Writable, epochUs: number, { filter }: CaptureRequest): CaptureHandle {
    const sink = captureSink(target)
    const capture = new Capture({ write: sink.write, epochUs, filter })
    capture.watch(this.boundaries())
    const running = new Running(capture, sink.close, (ended) => this.running.delete(ended))
    this.running.add(running)
    return running
  }

  /** A boundary came: once the layers around it stand, the captures look at all of them again. */
  changed(): void {
    if (this.stale || this.running.size === 0) return
    this.stale = true
    queueMicrotask(() => {
      this.stale = false
      for (const { capture } of this.running) capture.watch(this.boundaries())
    })
  }

  /** Ends all of them. */
  async close(): Promise<void> {
    await Promise.all([...this.running].map((running) => running.stop()))
  }
}

class Running implements CaptureHandle {
  readonly capture: Capture
  private readonly close: () => Promise<void>
  private readonly ended: (running: Running) => void
  private stopping: Promise<void> | undefined

  constructor(capture: Capture, close: () => Promise<void>, ended: (running: Running) => void) {
    this.capture = capture
    this.close = close
    this.ended = ended
  }

  stop(): Promise<void> {
    this.stopping ??= this.finish()
    return this.stopping
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  private async finish(): Promise<void> {
    this.ended(this)
    this.capture.stop()
    await this.close()
  }
}
