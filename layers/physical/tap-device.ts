/**
 * A TAP device: Ethernet frames exchanged with the kernel of this machine, which sees an ordinary network interface
 * (Linux; needs the optional package `koffi`).
 *
 * The device is attached to if it exists (`ip tuntap add tap0 mode tap user $USER` makes one that needs no root later),
 * else created and brought up. `vnetHdr` is what makes bulk TCP fast: segments of up to 64 KB cross in one system call
 * and their checksums are never computed.
 */
import { closeSync } from 'node:fs'
import type { Env } from '../../src/kernel/env.ts'
import { integer, invalidType, invalidValue } from '../../src/kernel/errors.ts'
import type { Blueprint } from '../../src/kernel/layer.ts'
import { libc } from './libc.ts'
import type { PhysicalService } from './service.ts'
import { MAX_NAME_OCTETS, openTun, type TunRequest } from './tun-open.ts'
import { type TunLimits, TunPort } from './tun-port.ts'

/** How to reach a device, and how to use it; shared by TAP and TUN. */
export interface DeviceOptions {
  /** The interface: 1 to 15 octets without '/' and white space. A '%d' in it lets the kernel choose a number. */
  readonly name?: string
  /**
   * An open descriptor of a device (a macvtap's /dev/tapN, or one handed down), instead of `name`. It is taken over, and
   * closed with the node. State and MTU of a device in another namespace are only known if `netns` names it.
   */
  readonly fd?: number
  /** The network namespace the device lives in: a name under /run/netns, or a path. Default: the process's own. */
  readonly netns?: string
  /** Leave checksums and TCP segmentation to the device (IFF_VNET_HDR), both ways. Default false; an `fd` knows itself. */
  readonly vnetHdr?: boolean
  /** IP MTU to set on the device: 68 to 65521. Default: as it is. The service's `mtu` also counts the Ethernet header. */
  readonly mtu?: number
  /** A device created here stays when it is closed. Default false. */
  readonly persist?: boolean
  /** Packets waiting for the kernel before `send` returns false: 1 to 65536, default 64. */
  readonly queueLength?: number
  /** Packets received in one turn of the event loop: 1 to 4096, default 64. */
  readonly turnPackets?: number
  /** Microseconds of receiving in one turn: 1 to 1000000, default 1000. */
  readonly turnUs?: number
}

/** What a device offers besides the tier's service. */
export interface DeviceService<M extends 'ethernet' | 'ip'> extends PhysicalService<M> {
  /** The interface's name. */
  readonly name: string
}

/**
 * A TAP device as the lowest layer of a stack. Boots on real time; one node at a time.
 * @param device its name, or more.
 * @throws TypeError, RangeError — options that make no sense.
 * Booting fails with NetError: ENOTSUP (not Linux, or without koffi), ENOENT (no /dev/net/tun, no such namespace), EPERM
 * or EACCES (not allowed to create or attach), EBUSY (in use), EINVAL (that name is another kind of device).
 */
export function tapDevice(device: string | DeviceOptions): Blueprint<DeviceService<'ethernet'>> {
  return deviceBlueprint('tap', 'ethernet', device)
}

/** @internal Shared with `tunDevice`. */
export function deviceBlueprint<M extends 'ethernet' | 'ip'>(
  kind: 'tap' | 'tun',
  medium: M,
  device: string | DeviceOptions,
): Blueprint<DeviceService<M>> {
  const options = typeof device === 'string' ? { name: device } : device
  if (typeof options !== 'object' || options === null) throw invalidType('device', 'a name or an object', device)
  const request = requestOf(kind, options)
  const limits: TunLimits = {
    queueLength: integer('queueLength', options.queueLength ?? 64, 1, 65_536),
    turnPackets: integer('turnPackets', options.turnPackets ?? 64, 1, 4096),
    turnUs: integer('turnUs', options.turnUs ?? 1000, 1, 1_000_000),
  }
  return (env: Env) => {
    const c = libc()
    const open = openTun(c, request)
    try {
      return new TunPort(env, c, open, medium, limits)
    } catch (error) {
      closeSync(open.fd)
      closeSync(open.control)
      throw error
    }
  }
}

function requestOf(kind: 'tap' | 'tun', options: DeviceOptions): TunRequest {
  const { name, fd, netns, mtu } = options
  if ((name === undefined) === (fd === undefined)) throw invalidValue('device', "given by either 'name' or 'fd'", name)
  if (name !== undefined) checkName(name)
  if (fd !== undefined) integer('fd', fd, 0, 0x7fff_ffff)
  if (netns !== undefined && (typeof netns !== 'string' || netns === '' || netns === '.' || netns === '..'))
    throw invalidValue('netns', 'the name of a network namespace', netns)
  return {
    kind,
    name: name ?? '',
    fd,
    netns,
    vnetHdr: options.vnetHdr ?? false,
    mtu: mtu === undefined ? undefined : integer('mtu', mtu, 68, 65_521),
    persist: options.persist ?? false,
  }
}

function checkName(name: string): void {
  const fits = typeof name === 'string' && Buffer.byteLength(name) <= MAX_NAME_OCTETS
  if (!fits || name === '' || name === '.' || name === '..' || /[\s/:\0]/.test(name))
    throw invalidValue('name', `an interface name of 1 to ${MAX_NAME_OCTETS} octets without '/', ':' and spaces`, name)
}
