/**
 * A serial line: a tty, a named pipe or any other device of octets, by its path or a descriptor. The settings of a tty are
 * made with `stty`, which every Unix has, so that nothing has to be compiled.
 */
import { spawn } from 'node:child_process'
import { closeSync, constants, openSync } from 'node:fs'
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { isatty, ReadStream } from 'node:tty'
import { integer, invalidType, invalidValue, NetError } from '../../../src/kernel/errors.ts'
import type { Blueprint } from '../../../src/kernel/layer.ts'
import { onHost } from '../../../src/kernel/on-host.ts'
import type { PhysicalService } from '../service.ts'
import { checkOctetPort, OctetPort, type OctetPortOptions } from './port.ts'

export interface SerialOptions extends OctetPortOptions {
  /** The device, such as '/dev/ttyUSB0'. */
  readonly path?: string
  /** Instead of a path: an open descriptor, which the node then owns. */
  readonly fd?: number
  /** Bits per second, of those the device knows; default: as the line is set. */
  readonly baudRate?: number
  /** 5 to 8; default 8. HDLC and PPP need 8. */
  readonly dataBits?: 5 | 6 | 7 | 8
  /** Default 'none'. */
  readonly parity?: 'none' | 'even' | 'odd'
  /** 1 or 2; default 1. */
  readonly stopBits?: 1 | 2
  /** Stop the other end by RTS, and be stopped by CTS; default false. */
  readonly rtscts?: boolean
  /** Leave the settings of the line alone; default false. */
  readonly asIs?: boolean
}

/**
 * A serial line as the lowest layer of a stack: `stack(serial('/dev/ttyUSB0'), ppp(), …)`. Boots on real time.
 *
 * Booting rejects with `NetError`: ENOENT when there is no such device, EACCES when it may not be used, EBUSY when somebody
 * has it for himself, EINVAL when the device does not take a setting.
 * @param line its path, or more.
 * @throws TypeError, RangeError — options that make no sense.
 */
export function serial(line: string | SerialOptions): Blueprint<PhysicalService<'octets'>> {
  const options = typeof line === 'string' ? { path: line } : line
  if (typeof options !== 'object' || options === null) throw invalidType('line', 'a path or an object', line)
  check(options)
  return (env) => {
    const port = new OctetPort(env, 'serial', options)
    env.starting(start(port, options))
    return port
  }
}

function check(options: SerialOptions): void {
  const { path, fd, baudRate, dataBits, parity, stopBits } = options
  checkOctetPort(options)
  if ((path === undefined) === (fd === undefined)) throw invalidValue('line', "given by either 'path' or 'fd'", path)
  if (path !== undefined && (typeof path !== 'string' || path === ''))
    throw invalidValue('path', 'that of a device', path)
  if (fd !== undefined) integer('fd', fd, 0, 0x7fff_ffff)
  if (baudRate !== undefined) integer('baudRate', baudRate, 50, 4_000_000)
  if (dataBits !== undefined) integer('dataBits', dataBits, 5, 8)
  if (stopBits !== undefined) integer('stopBits', stopBits, 1, 2)
  if (parity !== undefined && !['none', 'even', 'odd'].includes(parity)) {
    throw invalidValue('parity', "'none', 'even' or 'odd'", parity)
  }
}

async function start(port: OctetPort, options: SerialOptions): Promise<void> {
  const { path } = options
  const fd = path === undefined ? (options.fd as number) : opened(path)
  const what = path ?? `descriptor ${fd}`
  const tty = isatty(fd)
  try {
    if (tty && options.asIs !== true) await settle(what, fd, options)
    const duplex = duplexOf(fd, tty, what)
    // libuv opens a tty once more, and closes that; anything else it takes over.
    if (tty) duplex.once('close', () => closeSync(fd))
    port.adopt({ readable: duplex, writable: duplex }, 'the line is open')
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

/** Without waiting for a carrier, and without the line becoming that of the process. */
function opened(path: string): number {
  try {
    return openSync(path, constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK)
  } catch (cause) {
    throw openError(path, cause as NodeJS.ErrnoException)
  }
}

const WHY: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such device',
  EACCES: "it may not be used by this user: join its group, often 'dialout'",
  EPERM: 'it may not be used by this user',
  EBUSY: 'somebody has it for himself',
  ENXIO: 'there is nothing behind it',
  ENODEV: 'there is nothing behind it',
  EISDIR: 'it is a directory',
}

function openError(path: string, cause: NodeJS.ErrnoException): NetError {
  const code = cause.code ?? 'EIO'
  const why = WHY[code] ?? cause.message
  return new NetError(code, `cannot open ${path}: ${why}`, { syscall: 'open', layer: 'serial', cause })
}

function duplexOf(fd: number, tty: boolean, what: string): Duplex {
  try {
    return tty ? new ReadStream(fd) : new Socket({ ...onHost, fd, readable: true, writable: true })
  } catch (cause) {
    throw new NetError('EINVAL', `${what} is neither a tty nor a pipe nor a socket`, { layer: 'serial', cause })
  }
}

/** Raw, eight bits, without modem control unless it was asked for. */
function settings({ baudRate, dataBits = 8, parity = 'none', stopBits = 1, rtscts = false }: SerialOptions): string[] {
  return [
    'raw',
    '-echo',
    'clocal',
    'cread',
    `cs${dataBits}`,
    ...(parity === 'none' ? ['-parenb'] : ['parenb', parity === 'odd' ? 'parodd' : '-parodd']),
    stopBits === 2 ? 'cstopb' : '-cstopb',
    rtscts ? 'crtscts' : '-crtscts',
    ...(baudRate === undefined ? [] : [String(baudRate)]),
  ]
}

function settle(what: string, fd: number, options: SerialOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('stty', settings(options), { stdio: [fd, 'ignore', 'pipe'] })
    let said = ''
    child.stderr?.on('data', (text: Buffer) => {
      said += text
    })
    child.on('error', (cause) => {
      reject(settingError('ENOENT', what, "there is no 'stty' to set it with; set it yourself, and say 'asIs'", cause))
    })
    child.on('close', (code) => (code === 0 ? resolve() : reject(settingError('EINVAL', what, said.trim()))))
  })
}

const settingError = (code: string, what: string, why: string, cause?: unknown): NetError =>
  new NetError(code, `cannot set the line ${what}: ${why}`, { layer: 'serial', cause })
