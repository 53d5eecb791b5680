/**
 * Being woken when a device's descriptor has packets: through libuv where Node lets us, else through poll(2) on a
 * thread of koffi's (0.2 ms slower). The device is never spun on.
 */
import { closeSync } from 'node:fs'
import { Socket } from 'node:net'
import type { Libc } from './libc.ts'

/** Who is woken. */
export interface Reader {
  /**
   * Woken: `octets` of a packet have been read into the landing already, 0 if none. More may wait: the reader reads
   * those itself, as many as fit its turn, and is woken again for the rest.
   */
  woken(octets: number): void
  /** The descriptor failed for good; nothing will be woken again. It must still be closed. */
  failed(error: Error): void
}

export interface Readable {
  /** Closes the descriptor; afterwards nobody is woken, and nothing keeps the process alive. */
  close(): Promise<void>
}

/** Watches `fd`, which it then owns. @param landing where libuv reads the first packet of a wake-up to. */
export function readable(libc: Libc, fd: number, landing: Uint8Array, reader: Reader): Readable {
  return throughLibuv(fd, landing, reader) ?? throughPoll(libc, fd, reader)
}

/** What is used of Node's pipe handle. */
interface PipeBinding {
  readonly Pipe: new (type: number) => { open(fd: number): number; close(): void }
  readonly constants: { readonly SOCKET: number }
}

/**
 * A pipe handle is the only handle of libuv's that takes the descriptor of a character device, and `process.binding`
 * the only way to one; it is deprecated in documentation (DEP0111), but there is no other. One wake-up reads one
 * packet into the landing; net.Socket's `onread` spares a buffer and a stream per packet.
 */
function throughLibuv(fd: number, landing: Uint8Array, reader: Reader): Readable | undefined {
  const handle = pipeHandle(fd)
  if (handle === undefined) return undefined
  const callback = (octets: number): boolean => {
    reader.woken(octets)
    return true
  }
  const options = { handle, readable: true, writable: false, onread: { buffer: landing, callback } }
  // `handle` is what Node itself passes here for accepted connections; its types do not know it.
  const socket = new Socket(options as unknown as ConstructorParameters<typeof Socket>[0])
  socket.on('error', (error) => reader.failed(error))
  socket.on('end', () => reader.failed(new Error('end of the device')))
  return {
    close: () =>
      new Promise((resolve) => {
        if (socket.closed) {
          resolve()
        } else {
          socket.once('close', () => resolve())
          socket.destroy()
        }
      }),
  }
}

function pipeHandle(fd: number): { close(): void } | undefined {
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
    if (handle.open(fd) === 0) return handle
    handle.close()
    return undefined
  } catch {
    return undefined
  } finally {
    if (noDeprecation !== true) quiet.noDeprecation = noDeprecation
  }
}

const POLLIN = 1
const POLLERR = 8
const POLL_MS = 200

/** @internal Exported for the tests, which run both ways. */
export function throughPoll(libc: Libc, fd: number, reader: Reader): Readable {
  const pollfd = Buffer.alloc(8)
  const alive = setInterval(() => {}, 0x7fff_ffff)
  let closed: (() => void) | undefined
  let failed = false
  const shut = (): void => {
    closeSync(fd)
    clearInterval(alive)
  }
  const wait = (): void => {
    pollfd.writeInt32LE(fd, 0)
    pollfd.writeInt32LE(POLLIN, 4)
    libc.poll(pollfd, 1, POLL_MS, woken)
  }
  const woken = (): void => {
    if (closed !== undefined) {
      shut()
      closed()
      return
    }
    const events = pollfd.readInt16LE(6)
    if (events & POLLERR) {
      failed = true
      reader.failed(new Error('the device reports an error'))
      return
    }
    if (events & POLLIN) reader.woken(0)
    wait()
  }
  wait()
  return {
    close: () =>
      new Promise((resolve) => {
        closed = resolve
        if (!failed) return
        shut()
        resolve()
      }),
  }
}
