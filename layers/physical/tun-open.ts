/**
 * Opening a TAP or TUN device: attach to it, or create it, in the network namespace it lives in (tuntap.rst, tun(4)).
 * Everything here is synchronous: between entering a namespace and coming back no other code of the thread may run.
 */
import { closeSync, constants, openSync } from 'node:fs'
import { NetError } from '../../src/kernel/errors.ts'
import { ERRNO, errnoName, type Libc } from './libc.ts'
import { VNET_HEADER_OCTETS } from './tun-vnet-header.ts'

// ioctl requests in the numbering of x86, ARM and RISC-V (asm-generic/ioctl.h).
const TUNSETIFF = 0x400454ca
const TUNSETPERSIST = 0x400454cb
const TUNSETOFFLOAD = 0x400454d0
const TUNGETIFF = 0x800454d2
const TUNSETVNETHDRSZ = 0x400454d8
const SIOCGIFFLAGS = 0x8913
const SIOCSIFFLAGS = 0x8914
const SIOCGIFMTU = 0x8921
const SIOCSIFMTU = 0x8922

const IFF_TUN = 0x0001
const IFF_TAP = 0x0002
const IFF_NO_PI = 0x1000
const IFF_VNET_HDR = 0x4000
const IFF_UP = 0x0001
const TUN_F_CSUM = 0x01
const TUN_F_TSO4 = 0x02
const TUN_F_TSO6 = 0x04
const CLONE_NEWNET = 0x4000_0000
const AF_INET = 2
const SOCK_DGRAM = 2
const SOCK_CLOEXEC = 0o2000000

/** Octets of an interface name without its closing zero (IFNAMSIZ - 1). */
export const MAX_NAME_OCTETS = 15
/** `struct ifreq`: the name, then a union whose first field is at 16. */
const IFREQ_OCTETS = 40
const IFREQ_VALUE = 16
const DEVICE = '/dev/net/tun'

/** What to open; see `TapOptions` for the meanings. */
export interface TunRequest {
  readonly kind: 'tap' | 'tun'
  readonly name: string
  readonly netns: string | undefined
  readonly vnetHdr: boolean
  /** IP MTU to set; undefined: leave it. */
  readonly mtu: number | undefined
  readonly persist: boolean
  /** An open descriptor to use instead of opening one. */
  readonly fd: number | undefined
}

/** An open device. Who has it closes both descriptors. */
export interface OpenTun {
  readonly fd: number
  /** A socket in the device's namespace, to ask for its state. */
  readonly control: number
  readonly name: string
  /** Every packet has a virtio_net_hdr in front. */
  readonly vnetHdr: boolean
  /** IP MTU where the device cannot be asked: a descriptor of a device in a namespace we are not told of. */
  readonly assumedMtu: number
}

/** IP MTU of Ethernet (IEEE 802.3 §3.2.7). */
const DEFAULT_MTU = 1500

/**
 * Opens a device as requested; a device that did not exist is created and brought up.
 * @throws NetError ENOENT EPERM EBUSY EINVAL … — one sentence says what to do; nothing is left open or created.
 */
export function openTun(libc: Libc, request: TunRequest): OpenTun {
  return inNamespace(libc, request.netns, () =>
    request.fd === undefined ? attach(libc, request) : adopt(libc, request),
  )
}

/** The device's IP MTU. @returns -1 when it cannot be told, for example because the device is gone. */
export function readMtu(libc: Libc, { control, name }: OpenTun): number {
  const ifreq = ifreqOf(name)
  return libc.ioctl(control, SIOCGIFMTU, ifreq) < 0 ? -1 : ifreq.readInt32LE(IFREQ_VALUE)
}

/** Whether the device is up. @returns undefined when it cannot be told, for example because the device is gone. */
export function readUp(libc: Libc, { control, name }: OpenTun): boolean | undefined {
  const flags = flagsOf(libc, control, name)
  return flags < 0 ? undefined : (flags & IFF_UP) !== 0
}

function attach(libc: Libc, request: TunRequest): OpenTun {
  const { name } = request
  const control = openControl(libc)
  let fd = -1
  try {
    const existed = flagsOf(libc, control, name) >= 0
    fd = openDevice()
    const mode = (request.kind === 'tap' ? IFF_TAP : IFF_TUN) | IFF_NO_PI | (request.vnetHdr ? IFF_VNET_HDR : 0)
    const ifreq = ifreqOf(name)
    ifreq.writeUInt16LE(mode, IFREQ_VALUE)
    if (libc.ioctl(fd, TUNSETIFF, ifreq) < 0) throw attachError(libc.errno(), request, existed)
    const open: OpenTun = { fd, control, name: nameOf(ifreq), vnetHdr: request.vnetHdr, assumedMtu: DEFAULT_MTU }
    setOffload(libc, open)
    configure(libc, open, request, !existed)
    return open
  } catch (error) {
    closeSync(control)
    if (fd >= 0) closeSync(fd)
    throw error
  }
}

/** Takes over a descriptor that somebody else opened: a macvtap's character device, or a TAP handed down to us. */
function adopt(libc: Libc, request: TunRequest): OpenTun {
  const fd = request.fd as number
  const ifreq = Buffer.alloc(IFREQ_OCTETS)
  if (libc.ioctl(fd, TUNGETIFF, ifreq) < 0) {
    const why = libc.errno() === ERRNO.EBADF ? 'not open' : 'no TAP, TUN or macvtap device'
    throw failure(
      'EINVAL',
      `file descriptor ${fd} is ${why}: open one and hand it down, as in 'node app.js 3<>/dev/tapN'`,
    )
  }
  const mode = ifreq.readUInt16LE(IFREQ_VALUE)
  const kind = (mode & IFF_TAP) !== 0 ? 'tap' : 'tun'
  const name = nameOf(ifreq)
  if (kind !== request.kind)
    throw failure('EINVAL', `file descriptor ${fd} is the ${kind.toUpperCase()} device ${name}`)
  if ((mode & IFF_NO_PI) === 0)
    throw failure('EINVAL', `file descriptor ${fd} carries packet information: open ${name} with IFF_NO_PI`)
  const open: OpenTun = {
    fd,
    control: openControl(libc),
    name,
    vnetHdr: (mode & IFF_VNET_HDR) !== 0,
    assumedMtu: request.mtu ?? DEFAULT_MTU,
  }
  try {
    setOffload(libc, open)
    if (readUp(libc, open) !== undefined) configure(libc, open, request, false)
    return open
  } catch (error) {
    closeSync(open.control)
    throw error
  }
}

/** With vnet_hdr the kernel may leave checksums and the segmentation of TCP to us; without it never. */
function setOffload(libc: Libc, { fd, vnetHdr }: OpenTun): void {
  if (vnetHdr) {
    const size = Buffer.alloc(4)
    size.writeInt32LE(VNET_HEADER_OCTETS)
    if (libc.ioctl(fd, TUNSETVNETHDRSZ, size) < 0)
      throw systemError(libc.errno(), 'setting the size of the vnet header')
  }
  if (libc.ioctlValue(fd, TUNSETOFFLOAD, vnetHdr ? TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 : 0) < 0 && vnetHdr)
    throw systemError(libc.errno(), 'asking for TCP segmentation offload')
}

function configure(libc: Libc, open: OpenTun, request: TunRequest, created: boolean): void {
  const { control, name } = open
  if (request.persist && libc.ioctlValue(open.fd, TUNSETPERSIST, 1) < 0)
    throw systemError(libc.errno(), `making ${name} persistent`)
  try {
    if (request.mtu !== undefined && readMtu(libc, open) !== request.mtu) setMtu(libc, open, request.mtu)
    if (created) bringUp(libc, control, name)
  } catch (error) {
    if (request.persist && created) libc.ioctlValue(open.fd, TUNSETPERSIST, 0)
    throw error
  }
}

function setMtu(libc: Libc, { control, name }: OpenTun, mtu: number): void {
  const ifreq = ifreqOf(name)
  ifreq.writeInt32LE(mtu, IFREQ_VALUE)
  if (libc.ioctl(control, SIOCSIFMTU, ifreq) >= 0) return
  const errno = libc.errno()
  if (errno === ERRNO.EINVAL) throw failure('EINVAL', `${name} does not take an MTU of ${mtu}: choose another`)
  throw systemError(errno, `setting the MTU of ${name}: as root, 'ip link set ${name} mtu ${mtu}', or`)
}

function bringUp(libc: Libc, control: number, name: string): void {
  const flags = flagsOf(libc, control, name)
  const ifreq = ifreqOf(name)
  ifreq.writeUInt16LE(flags | IFF_UP, IFREQ_VALUE)
  if (flags < 0 || libc.ioctl(control, SIOCSIFFLAGS, ifreq) < 0) throw systemError(libc.errno(), `bringing ${name} up`)
}

function flagsOf(libc: Libc, control: number, name: string): number {
  const ifreq = ifreqOf(name)
  return libc.ioctl(control, SIOCGIFFLAGS, ifreq) < 0 ? -1 : ifreq.readUInt16LE(IFREQ_VALUE)
}

function openControl(libc: Libc): number {
  const control = libc.socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)
  if (control < 0) throw systemError(libc.errno(), 'opening a control socket')
  return control
}

function openDevice(): number {
  try {
    return openSync(DEVICE, constants.O_RDWR | constants.O_NONBLOCK)
  } catch (cause) {
    switch (codeOf(cause)) {
      case 'ENOENT':
      case 'ENODEV':
      case 'ENXIO':
        throw failure(
          'ENOENT',
          `${DEVICE} is missing: load the module ('modprobe tun'), or give the container that device`,
          cause,
        )
      case 'EACCES':
      case 'EPERM':
        throw failure(
          'EACCES',
          `no permission to open ${DEVICE}: run as root, or make it readable and writable for this user`,
          cause,
        )
      default:
        throw failure(codeOf(cause), `${DEVICE} could not be opened`, cause)
    }
  }
}

function attachError(errno: number, { kind, name, netns }: TunRequest, existed: boolean): NetError {
  const device = `${kind.toUpperCase()} device '${name}'${netns === undefined ? '' : ` in namespace '${netns}'`}`
  const ip = netns === undefined ? 'ip' : `ip -n ${netns}`
  switch (errno) {
    case ERRNO.EBUSY:
      return failure('EBUSY', `the ${device} is in use by another process: stop that one, or choose another name`)
    case ERRNO.EPERM:
    case ERRNO.EACCES:
      return failure(
        'EPERM',
        existed
          ? `the ${device} belongs to another user: run as root, or make it yours with '${ip} tuntap add ${name} mode ${kind} user $USER'`
          : `no permission to create the ${device}: run as root, or have root create it with '${ip} tuntap add ${name} mode ${kind} user $USER'`,
      )
    case ERRNO.EINVAL:
      return failure(
        'EINVAL',
        existed
          ? `'${name}' exists, but is not a single-queue ${kind.toUpperCase()} device: choose another name`
          : `'${name}' is no name for a ${device.split(' ')[0]} device: choose another`,
      )
    default:
      return systemError(errno, `attaching to the ${device}`)
  }
}

/** Runs `action` with this thread in the namespace, and comes back, whatever happens. */
function inNamespace<T>(libc: Libc, netns: string | undefined, action: () => T): T {
  if (netns === undefined) return action()
  const there = openNamespace(netns)
  let back = -1
  try {
    back = openSync('/proc/thread-self/ns/net', 'r')
    if (libc.setns(there, CLONE_NEWNET) < 0) throw enterError(libc.errno(), netns)
    try {
      return action()
    } finally {
      comeBack(libc, back)
    }
  } finally {
    closeSync(there)
    if (back >= 0) closeSync(back)
  }
}

function comeBack(libc: Libc, back: number): void {
  if (libc.setns(back, CLONE_NEWNET) < 0) throw systemError(libc.errno(), 'coming back to our own network namespace')
}

function openNamespace(netns: string): number {
  const path = netns.includes('/') ? netns : `/run/netns/${netns}`
  try {
    return openSync(path, 'r')
  } catch (cause) {
    const code = codeOf(cause)
    if (code === 'ENOENT')
      throw failure('ENOENT', `there is no network namespace '${netns}': make it with 'ip netns add ${netns}'`, cause)
    throw failure(code, `the network namespace '${netns}' could not be opened`, cause)
  }
}

function enterError(errno: number, netns: string): NetError {
  if (errno === ERRNO.EPERM)
    return failure(
      'EPERM',
      `no permission to enter the network namespace '${netns}': run as root, or inside it with 'ip netns exec ${netns}'`,
    )
  if (errno === ERRNO.EINVAL)
    return failure('EINVAL', `'${netns}' is not a network namespace: name one of 'ip netns list'`)
  return systemError(errno, `entering the network namespace '${netns}'`)
}

function ifreqOf(name: string): Buffer {
  const ifreq = Buffer.alloc(IFREQ_OCTETS)
  ifreq.write(name, 0, MAX_NAME_OCTETS)
  return ifreq
}

function nameOf(ifreq: Buffer): string {
  return ifreq.toString('utf8', 0, ifreq.indexOf(0))
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'EIO'
}

function systemError(errno: number, doing: string): NetError {
  const name = errnoName(errno)
  const advice = errno === ERRNO.EPERM ? 'run as root' : 'see the kernel log for the reason'
  return failure(name, `${doing} failed with ${name}: ${advice}`)
}

function failure(code: string, message: string, cause?: unknown): NetError {
  return new NetError(code, message, { syscall: 'open', layer: 'physical', cause })
}
