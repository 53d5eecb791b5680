/**
 * Being woken when a descriptor has something to read, without any of it being read: through libuv where Node lets us,
 * else through poll(2) on a thread of koffi's (slower). The descriptor is never spun on.
 */
import { closeSync } from 'node:fs'
import type { Libc } from './libc.ts'

/** Who is woken. */
export interface Reader {
  /** There is something to read, or an error to be told by reading. Woken again as long as there is. */
  woken(): void
}

export interface Readable {
  /** Watches no longer: the descriptor has failed for good. It must still be closed. */
  stop(): void
  /** Closes the descriptor; afterwards nobody is woken, and nothing keeps the process alive. */
  close(): Promise<void>
}

/**
 * Watches `fd`, which it then owns.
 * @param holds the process is kept alive until it is closed.
 */
export function readable(c: Pick<Libc, 'poll'>, fd: number, reader: Reader, holds: boolean): Readable {
  return throughLibuv(fd, reader, holds) ?? throughPoll(c, fd, reader, holds)
}

/** What is used of Node's pipe handle. */
interface PipeHandle {
  open(fd: number): number
  useUserBuffer(buffer: Uint8Array): void
  onread: () => void
  readStart(): number
  readStop(): number
  unref(): void
  close(done?: () => void): void
}
interface PipeBinding {
  readonly Pipe: new (type: number) => PipeHandle
  readonly constants: { readonly SOCKET: number }
}

/**
 * A pipe handle is the only handle of libuv's that takes any descriptor, and `process.binding` the only way to one; it is
 * deprecated in documentation (DEP0111), but there is no other. With a buffer of no octets it cannot read: it tells
 * so each time the descriptor could be read from, and goes on watching.
 */
function throughLibuv(fd: number, reader: Reader, holds: boolean): Readable | undefined {
  const handle = pipeHandle(fd)
  if (handle === undefined) return undefined
  let open = true
  handle.useUserBuffer(Buffer.alloc(0))
  handle.onread = () => {
    if (open) reader.woken()
  }
  handle.readStart()
  if (!holds) handle.unref()
  return {
    stop: () => void handle.readStop(),
    close: () =>
      new Promise((resolve) => {
        if (!open) return resolve()
        open = false
        handle.close(resolve)
      }),
  }
}

function pipeHandle(fd: number): PipeHandle | undefined {
  const { binding, noDeprecation } = process as unknown as {
    binding?: (name: string) => PipeBinding
    noDeprecation?: boolean
  }
  if (typeof binding !== 'function') return undefined
  const quiet = process as { noDeprecation?: boolean | undefined }
  // --pending-deprecation would print DEP0111 for a choice that is ours, not the user's; under --no-deprecation the
  // property is true already, and read-only.
  if (noDeprecation !== true) quiet.noDeprecation = true
  try {
    const { Pipe, constants } = binding.call(process, 'pipe_wrap')
    const handle = new Pipe(constants.SOCKET)
    const usable = typeof handle.useUserBuffer === 'function' && typeof handle.readStart === 'function'
    if (usable && handle.open(fd) === 0) return handle
    handle.close()
    return undefined
  } catch {
    return undefined
  } finally {
    if (noDeprecation !== true) quiet.noDeprecation = noDeprecation
  }
}

const POLLIN = 1
const POLL_MS = 200

/** @internal Exported for the tests, which run both ways. */
export function throughPoll(c: Pick<Libc, 'poll'>, fd: number, reader: Reader, holds: boolean): Readable {
  const pollfd = Buffer.alloc(8)
  const alive = holds ? setInterval(() => {}, 0x7fff_ffff) : undefined
  let closed: (() => void) | undefined
  let stopped = false
  const shut = (): void => {
    closeSync(fd)
    clearInterval(alive)
  }
  const woken = (): void => {
    if (closed !== undefined) {
      shut()
      closed()
      return
    }
    if (pollfd.readInt16LE(6) !== 0) reader.woken()
    if (!stopped) wait()
  }
  const wait = (): void => {
    pollfd.writeInt32LE(fd, 0)
    pollfd.writeInt32LE(POLLIN, 4)
    c.poll(pollfd, 1, POLL_MS, woken)
  }
  wait()
  return {
    stop: () => {
      stopped = true
    },
    close: () =>
      new Promise((resolve) => {
        closed = resolve
        if (!stopped) return
        shut()
        resolve()
      }),
  }
}
