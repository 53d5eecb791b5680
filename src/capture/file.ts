/** Where a capture's octets go: a file by path, or any Writable. A capture that fails stops; it never stops the network. */
import { closeSync, openSync, writeSync } from 'node:fs'
import type { Writable } from 'node:stream'
import { NetError } from '../kernel/errors.ts'

/** The end of a capture that keeps its octets. */
export interface CaptureSink {
  /** Never throws; after a failure it does nothing. */
  write(octets: Uint8Array): void
  /** Settles when everything is written. Rejects with what made the capture fail: ENOSPC, ENOBUFS, … */
  close(): Promise<void>
}

/** Octets gathered before they are written to a file in one call. */
const BLOCK_OCTETS = 65_536
/** Octets that may wait in a slow Writable; beyond, the capture fails rather than fill the memory. */
const MAX_WAITING_OCTETS = 256 * 1024 * 1024
/** A follower of the file sees packets after this time at the latest. */
const FLUSH_MS = 200

/**
 * @param target a path, created or emptied; or a Writable, which is not ended.
 * @throws NetError with the system's code — the file cannot be opened.
 */
export function captureSink(target: string | Writable): CaptureSink {
  return typeof target === 'string' ? fileSink(target) : streamSink(target)
}

function fileSink(path: string): CaptureSink {
  const descriptor = attempt('open', path, () => openSync(path, 'w'))
  let waiting: Uint8Array[] = []
  let octetsWaiting = 0
  let failure: NetError | undefined
  const flush = (): void => {
    const octets = waiting
    waiting = []
    octetsWaiting = 0
    if (octets.length === 0 || failure !== undefined) return
    try {
      attempt('write', path, () => writeWhole(descriptor, Buffer.concat(octets)))
    } catch (error) {
      failure = error as NetError
    }
  }
  const timer = setInterval(flush, FLUSH_MS).unref()
  return {
    write(octets) {
      if (failure !== undefined) return
      waiting.push(octets)
      octetsWaiting += octets.length
      if (octetsWaiting >= BLOCK_OCTETS) flush()
    },
    async close() {
      clearInterval(timer)
      flush()
      closeSync(descriptor)
      if (failure !== undefined) throw failure
    },
  }
}

/** The system may take less than it is given: a full disk takes what still fits before it says so. */
function writeWhole(descriptor: number, octets: Uint8Array): void {
  for (let at = 0; at < octets.length; ) at += writeSync(descriptor, octets, at)
}

function streamSink(stream: Writable): CaptureSink {
  let failure: NetError | undefined
  return {
    write(octets) {
      if (failure !== undefined || stream.destroyed) return
      if (stream.writableLength > MAX_WAITING_OCTETS) {
        failure = new NetError('ENOBUFS', `the reader of the capture is ${MAX_WAITING_OCTETS} octets behind`)
        return
      }
      stream.write(octets)
    },
    close() {
      return new Promise((resolve, reject) => {
        const settle = (): void => (failure === undefined ? resolve() : reject(failure))
        if (stream.destroyed) settle()
        else stream.write('', settle)
      })
    },
  }
}

function attempt<T>(syscall: string, path: string, action: () => T): T {
  try {
    return action()
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'EIO'
    throw new NetError(code, `the capture file '${path}' cannot be written`, { syscall, cause })
  }
}
