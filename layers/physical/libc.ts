/**
 * The system calls that Node does not offer, through `koffi`: the only file that knows it, and only at the first call
 * of `libc()`, so that everything else works where koffi is not installed.
 *
 * Memory is passed as a plain number (an address below 2^53), so that reading into, and writing from, the slab makes
 * neither a view nor a BigInt. A call costs about 0.3 us; failure is a negative result, never an exception.
 */
import { createRequire } from 'node:module'
import { NetError } from '../../src/kernel/errors.ts'
import { slab } from '../../src/kernel/slab.ts'

/** System calls as C has them: a negative result means failure, and `errno` says why, until the next call. */
export interface Libc {
  /** Reads at most `octets` octets to the address `to`. @returns octets read, 0 at the end, -1 on failure. */
  read(fd: number, to: number, octets: number): number
  /** Writes `octets` octets from the address `from`. @returns octets written, -1 on failure. */
  write(fd: number, from: number, octets: number): number
  /** An ioctl that reads or fills a structure. */
  ioctl(fd: number, request: number, argument: Uint8Array): number
  /** An ioctl whose argument is a number. */
  ioctlValue(fd: number, request: number, argument: number): number
  /** @returns a descriptor. */
  socket(domain: number, type: number, protocol: number): number
  /** Moves this thread, and it alone, into the namespace behind the descriptor. */
  setns(fd: number, kind: number): number
  /** Waits on another thread until one of the `pollfd` structures is ready, or `timeoutMs` have passed. */
  poll(fds: Uint8Array, count: number, timeoutMs: number, done: () => void): void
  /** The reason of the last failure on this thread: one of `ERRNO`, or another number of the system. */
  errno(): number
  /** Where octet 0 of the slab is; stable, since the slab never grows. */
  slabAddress(): number
}

/** The calls for many datagrams at a time; arguments that are addresses are plain numbers, see `addressOf`. */
export interface DatagramCalls {
  /** @returns a descriptor. */
  socket(domain: number, type: number, protocol: number): number
  bind(fd: number, address: Uint8Array, octets: number): number
  getsockname(fd: number, address: Uint8Array, octets: Uint8Array): number
  setsockopt(fd: number, level: number, name: number, value: Uint8Array, octets: number): number
  /** Sends `count` messages. @returns how many the system took; -1 when the first of them failed. */
  sendmmsg(fd: number, messages: number, count: number, flags: number): number
  /** Receives up to `count` messages; `timeout` is 0. @returns how many; -1 when there is none, or on failure. */
  recvmmsg(fd: number, messages: number, count: number, flags: number, timeout: number): number
  /** @param name of an interface, with a closing zero. @returns its index, or 0. */
  ifNameToIndex(name: Uint8Array): number
  poll: Libc['poll']
  errno(): number
  slabAddress(): number
  /** Where the octets are; they stay there for as long as somebody holds them. @param octets more than 64 of them. */
  addressOf(octets: Uint8Array): number
}

/** Linux's numbers of the errors we tell apart. */
export const ERRNO: {
  readonly EPERM: 1
  readonly ENOENT: 2
  readonly EINTR: 4
  readonly EIO: 5
  readonly EBADF: 9
  readonly EAGAIN: 11
  readonly EACCES: 13
  readonly EBUSY: 16
  readonly ENODEV: 19
  readonly EINVAL: 22
  readonly EBADFD: 77
  readonly EMSGSIZE: 90
  readonly EAFNOSUPPORT: 97
  readonly EADDRINUSE: 98
  readonly EADDRNOTAVAIL: 99
  readonly ENOBUFS: 105
  readonly ECONNREFUSED: 111
  readonly EHOSTUNREACH: 113
} = {
  EPERM: 1,
  ENOENT: 2,
  EINTR: 4,
  EIO: 5,
  EBADF: 9,
  EAGAIN: 11,
  EACCES: 13,
  EBUSY: 16,
  ENODEV: 19,
  EINVAL: 22,
  EBADFD: 77,
  EMSGSIZE: 90,
  EAFNOSUPPORT: 97,
  EADDRINUSE: 98,
  EADDRNOTAVAIL: 99,
  ENOBUFS: 105,
  ECONNREFUSED: 111,
  EHOSTUNREACH: 113,
}

/** @returns the symbolic name of an error number: 'EBUSY', or 'errno 123' for one we have no name for. */
export function errnoName(errno: number): string {
  return Object.entries(ERRNO).find(([, number]) => number === errno)?.[0] ?? `errno ${errno}`
}

/** What is used of koffi; its own types are not needed to compile against us. */
interface Koffi {
  load(path: null): { func(prototype: string): NativeFunction }
  address(value: Uint8Array): bigint
  errno(): number
}
interface NativeFunction {
  (...args: readonly (number | Uint8Array)[]): number
  async(...args: readonly unknown[]): void
}

let loaded: Libc | undefined
let datagrams: DatagramCalls | undefined

/**
 * The C library of this process, loaded at the first call.
 * @param what needs it, as the beginning of the sentence that says what is missing.
 * @throws NetError ENOTSUP — not on Linux, or koffi is not installed.
 */
export function libc(what = 'TAP and TUN'): Libc {
  loaded ??= load(what)
  return loaded
}

/**
 * The calls of the same library for datagrams, loaded at the first call.
 * @param what needs them, as for `libc`.
 * @throws NetError ENOTSUP — not on Linux, a processor whose structures we do not know, or koffi is not installed.
 */
export function datagramCalls(what: string): DatagramCalls {
  datagrams ??= loadDatagramCalls(what)
  return datagrams
}

/** Processors of 64 bits, least significant octet first: the structures of socket(7) look alike on all of them. */
const ALIKE: ReadonlySet<string> = new Set(['x64', 'arm64', 'riscv64', 'loong64'])

function loadDatagramCalls(what: string): DatagramCalls {
  const { socket, poll, errno, slabAddress } = libc(what)
  if (!ALIKE.has(process.arch)) {
    throw new NetError('ENOTSUP', `${what} exist on ${[...ALIKE].join(', ')} only`, { layer: 'physical' })
  }
  const koffi = requireKoffi(what)
  const c = koffi.load(null)
  return {
    socket,
    bind: c.func('int bind(int fd, void *address, uint32_t octets)'),
    getsockname: c.func('int getsockname(int fd, void *address, void *octets)'),
    setsockopt: c.func('int setsockopt(int fd, int level, int name, void *value, uint32_t octets)'),
    sendmmsg: c.func('int sendmmsg(int fd, uintptr_t messages, unsigned int count, int flags)'),
    recvmmsg: c.func('int recvmmsg(int fd, uintptr_t messages, unsigned int count, int flags, uintptr_t timeout)'),
    ifNameToIndex: c.func('unsigned int if_nametoindex(void *name)'),
    poll,
    errno,
    slabAddress,
    addressOf: (octets) => Number(koffi.address(octets)),
  }
}

function load(what: string): Libc {
  if (process.platform !== 'linux') throw new NetError('ENOTSUP', `${what} exist on Linux only`, { layer: 'physical' })
  const koffi = requireKoffi(what)
  const c = koffi.load(null)
  const poll = c.func('int poll(void *fds, unsigned long count, int timeout)')
  return {
    read: c.func('intptr_t read(int fd, uintptr_t to, size_t octets)'),
    write: c.func('intptr_t write(int fd, uintptr_t from, size_t octets)'),
    ioctl: c.func('int ioctl(int fd, unsigned long request, void *argument)'),
    ioctlValue: c.func('int ioctl(int fd, unsigned long request, uintptr_t argument)'),
    socket: c.func('int socket(int domain, int type, int protocol)'),
    setns: c.func('int setns(int fd, int kind)'),
    poll: (fds, count, timeoutMs, done) => poll.async(fds, count, timeoutMs, done),
    errno: () => koffi.errno(),
    slabAddress: () => Number(koffi.address(slab().octets)),
  }
}

function requireKoffi(what: string): Koffi {
  try {
    // Not `import`: this must stay synchronous, and out of sight of bundlers.
    return createRequire(import.meta.url)('koffi')
  } catch (cause) {
    throw new NetError('ENOTSUP', `${what} need the optional package koffi: npm install koffi`, {
      layer: 'physical',
      reason: 'koffiMissing',
      cause,
    })
  }
}
