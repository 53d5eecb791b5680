/**
 * The text form of a link, as `--link` and configuration files take it:
 *
 *   [NAME=]tap:DEV[,netns=NAME][,vnet-hdr][,mtu=N]
 *   [NAME=]tun:DEV[,netns=NAME][,mtu=N]
 *   [NAME=]udp:[HOST:]PORT[,peer=HOST:PORT]…[,codec=vxlan|raw|geneve][,vni=N][,engine=dgram|native][,mtu=N]
 *   [NAME=]udp:…,codec=l2tpv3,session=N,peer-session=N[,cookie=HEX][,peer-cookie=HEX][,sublayer]
 *   [NAME=]ppp:PATH|HOST:PORT[,baud=N][,rtscts][,peer-address=A][,user=NAME,secret=TEXT[,demand]][,fcs32][,default]
 *   [NAME=]serial:PATH[,…]      as ppp:PATH
 *   [NAME=]lapb:PATH|HOST:PORT,role=dte|dce[,modulo=8|128][,k=N][,fcs32][,baud=N][,rtscts][,mtu=N]
 *
 * Each also takes `mac=02:…` (not those on a line), and impairments of what it sends and receives:
 * `loss=1%`, `delay=20ms`, `jitter=5ms`, `rate=10mbit`, `duplicate=1%`, `reorder=1%`, `corrupt=1%`.
 */

import type { L2tpv3Options, LapbOptions, UdpTunnelCodec } from '../../src/index.ts'
import { tryParseAddress } from '../../src/kernel/address.ts'

/** Impairments, each direction; fractions are 0 to 1, times microseconds, the rate bits per second. */
export interface ImpairmentSpec {
  loss?: number
  corruption?: number
  duplication?: number
  reordering?: number
  delay?: number
  jitter?: number
  rate?: number
}

export interface HostPort {
  readonly host: string
  readonly port: number
}

interface CommonSpec {
  readonly name: string | undefined
  readonly mtu: number | undefined
  readonly mac: string | undefined
  readonly impairment: ImpairmentSpec | undefined
}

export interface DeviceSpec<Type extends 'tap' | 'tun' = 'tap' | 'tun'> extends CommonSpec {
  readonly type: Type
  readonly device: string
  readonly netns: string | undefined
  readonly vnetHdr: boolean
}

export interface UdpSpec extends CommonSpec {
  readonly type: 'udp'
  readonly local: HostPort
  readonly peers: readonly HostPort[]
  readonly codec: UdpTunnelCodec
  readonly engine: 'dgram' | 'native' | undefined
  readonly vni: number
  /** With the codec l2tpv3. */
  readonly l2tpv3: L2tpv3Options | undefined
}

/** A link over a serial line, or over a TCP connection. */
export interface LineSpec extends CommonSpec {
  /** A device by its path, or who listens for the connection. */
  readonly line: string | HostPort
  readonly baudRate: number | undefined
  readonly rtscts: boolean
  readonly fcs: 'fcs16' | 'fcs32'
}

export interface PppSpec extends LineSpec {
  readonly type: 'ppp'
  /** What the peer is given as its address. */
  readonly peerAddress: string | undefined
  readonly chap: { readonly name: string; readonly secret: string; readonly demand: boolean } | undefined
  /** The default route is the peer. */
  readonly isDefault: boolean
}

/** LAPB, whose two ends have two roles. */
export interface LapbSpec extends LineSpec {
  readonly type: 'lapb'
  readonly role: LapbOptions['role']
  readonly modulus: 8 | 128
  /** Frames that may be outstanding; undefined: the default of the modulus. */
  readonly k: number | undefined
}

export type LinkSpec = DeviceSpec<'tap'> | DeviceSpec<'tun'> | UdpSpec | PppSpec | LapbSpec

/** Why a text is not a link; the message quotes the part that is wrong and says what would be right. */
export class LinkSpecError extends Error {}

const FRACTIONS: ReadonlyMap<string, keyof ImpairmentSpec> = new Map([
  ['loss', 'loss'],
  ['corrupt', 'corruption'],
  ['duplicate', 'duplication'],
  ['reorder', 'reordering'],
])
const DURATIONS: ReadonlyMap<string, keyof ImpairmentSpec> = new Map([
  ['delay', 'delay'],
  ['jitter', 'jitter'],
])
const BAUD_MIN = 50
const BAUD_MAX = 4_000_000
const VNI_MAX = 0xff_ffff
const SESSION_MAX = 0xffff_ffff
/** What every IPv4 link must carry (RFC 791 §3.2). */
const MTU_MIN = 68
const MTU_MAX = 65_521

/** @throws LinkSpecError */
export function parseLinkSpec(text: string): LinkSpec {
  const match = /^(?:([A-Za-z0-9_.-]+)=)?([a-z]+):([^,]*)(?:,(.*))?$/.exec(text)
  if (match === null) fail(text, "a link looks like 'udp:7000,peer=127.0.0.1:7001', 'tap:tap0' or 'tun:tun0'")
  const [, name, type, main = '', rest] = match
  const options = new Options(text, rest)
  const common = { name, mtu: options.integer('mtu', MTU_MIN, MTU_MAX), impairment: readImpairment(options) }
  let spec: LinkSpec
  if (type === 'tap' || type === 'tun') {
    if (!/^[^/\s]{1,15}$/.test(main)) fail(text, `a device name has 1 to 15 characters, not '${main}'`)
    const mac = type === 'tap' ? macOf(text, options) : undefined
    const vnetHdr = type === 'tap' && options.flag('vnet-hdr')
    spec = { ...common, mac, type, device: main, netns: options.take('netns'), vnetHdr }
  } else if (type === 'udp') {
    spec = { ...common, mac: macOf(text, options), ...tunnelOf(text, main, options) }
  } else if (type === 'ppp' || type === 'serial') {
    if (type === 'serial' && !main.startsWith('/'))
      fail(text, `a serial line has a path such as '/dev/ttyUSB0', not '${main}'`)
    spec = { ...common, ...lineOf(text, main, options), ...pppOf(text, options) }
  } else if (type === 'lapb') {
    spec = { ...common, ...lineOf(text, main, options), ...lapbOf(text, options) }
  } else {
    fail(text, `a link is of type 'udp', 'tap', 'tun', 'ppp', 'serial' or 'lapb', not '${type}'`)
  }
  options.none()
  return spec
}

function lineOf(text: string, main: string, options: Options): Omit<LineSpec, 'name' | 'mtu' | 'impairment'> {
  return {
    mac: undefined,
    line: main.startsWith('/') ? main : hostPort(text, main, undefined),
    baudRate: options.integer('baud', BAUD_MIN, BAUD_MAX),
    rtscts: options.flag('rtscts'),
    fcs: options.flag('fcs32') ? 'fcs32' : 'fcs16',
  }
}

function pppOf(text: string, options: Options): Omit<PppSpec, keyof LineSpec> {
  const [user, secret] = [options.take('user'), options.take('secret')]
  if ((user === undefined) !== (secret === undefined)) fail(text, "'user' and 'secret' belong together")
  const demand = options.flag('demand')
  if (demand && user === undefined) fail(text, "'demand' needs 'user' and 'secret'")
  return {
    type: 'ppp',
    peerAddress: addressOf(text, options.take('peer-address')),
    chap: user === undefined || secret === undefined ? undefined : { name: user, secret, demand },
    isDefault: options.flag('default'),
  }
}

function lapbOf(text: string, options: Options): Omit<LapbSpec, keyof LineSpec> {
  const role = options.oneOf('role', ['dte', 'dce'])
  if (role === undefined) fail(text, 'one end of LAPB has role=dte, and the other has role=dce')
  const modulus = options.oneOf('modulo', ['8', '128']) === '128' ? 128 : 8
  return { type: 'lapb', role, modulus, k: options.integer('k', 1, modulus - 1) }
}

function addressOf(text: string, address: string | undefined): string | undefined {
  if (address === undefined || tryParseAddress(address)?.isIpv4 === true) return address
  fail(text, `'${address}' is not an IPv4 address`)
}

function tunnelOf(text: string, main: string, options: Options): Omit<UdpSpec, keyof CommonSpec> {
  const codec = options.oneOf('codec', ['vxlan', 'raw', 'geneve', 'l2tpv3']) ?? 'vxlan'
  const engine = options.oneOf('engine', ['dgram', 'native'])
  const peers = options.takeAll('peer').map((peer) => hostPort(text, peer, undefined))
  const local = hostPort(text, main, '0.0.0.0')
  const vni = options.integer('vni', 0, VNI_MAX) ?? 1
  const l2tpv3 = codec === 'l2tpv3' ? sessionOf(text, options) : undefined
  return { type: 'udp', local, peers, codec, engine, vni, l2tpv3 }
}

/** Both ends must be told what the other uses: there is no control connection that would agree on it. */
function sessionOf(text: string, options: Options): L2tpv3Options {
  const session = options.integer('session', 1, SESSION_MAX)
  const peerSession = options.integer('peer-session', 1, SESSION_MAX)
  if (session === undefined || peerSession === undefined)
    fail(text, 'l2tpv3 needs session=N, its number at this end, and peer-session=N')
  const cookie = cookieOf(text, options, 'cookie')
  const peerCookie = cookieOf(text, options, 'peer-cookie')
  return {
    session,
    peerSession,
    ...(cookie && { cookie }),
    ...(peerCookie && { peerCookie }),
    sublayer: options.flag('sublayer'),
  }
}

function cookieOf(text: string, options: Options, key: string): Uint8Array | undefined {
  const hex = options.take(key)
  if (hex === undefined) return undefined
  if (!/^([0-9a-f]{8}){1,2}$/i.test(hex)) fail(text, `'${key}' has 8 or 16 hexadecimal digits`)
  return Uint8Array.from(Buffer.from(hex, 'hex'))
}

/** Impairments alone: 'loss=5%', 'delay=40ms', … @throws LinkSpecError — one of them is none. */
export function parseImpairment(parts: readonly string[]): ImpairmentSpec {
  const options = new Options(parts.join(','), parts.join(','))
  const impairment = readImpairment(options)
  options.none()
  if (impairment === undefined) throw new LinkSpecError("say what is to be worse: 'loss=5%', 'delay=40ms', …")
  return impairment
}

/** '1%' or '0.01' as a fraction. @throws LinkSpecError */
export function parseFraction(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(%?)$/.exec(text)
  const value = match === null ? Number.NaN : Number(match[1]) / (match[2] === '%' ? 100 : 1)
  if (!(value <= 1)) throw new LinkSpecError(`'${text}' is not a share such as '1%' or '0.01'`)
  return value
}

/** '20ms', '1.5s', '100us' in microseconds. @throws LinkSpecError */
export function parseDuration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(us|ms|s)$/.exec(text)
  if (match === null) throw new LinkSpecError(`'${text}' is not a time such as '20ms' or '1.5s'`)
  return Math.round(Number(match[1]) * (match[2] === 'us' ? 1 : match[2] === 'ms' ? 1000 : 1_000_000))
}

/** '10mbit', '500kbit', '1gbit' in bits per second. @throws LinkSpecError */
export function parseRate(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(k|m|g)?bit$/.exec(text)
  if (match === null) throw new LinkSpecError(`'${text}' is not a rate such as '10mbit'`)
  return Number(match[1]) * { k: 1e3, m: 1e6, g: 1e9, '': 1 }[(match[2] ?? '') as 'k' | 'm' | 'g' | '']
}

/** 'HOST:PORT', '[V6]:PORT', or 'PORT' where a default host is given. @throws LinkSpecError */
export function parseHostPort(text: string, defaultHost?: string): HostPort {
  return hostPort(undefined, text, defaultHost)
}

function hostPort(whole: string | undefined, text: string, defaultHost: string | undefined): HostPort {
  const match = /^(?:(?:\[([0-9a-fA-F:.]+(?:%[\w.-]+)?)\]|([^:[\]]+)):)?(\d{1,5})$/.exec(text)
  const host = match?.[1] ?? match?.[2] ?? defaultHost
  const port = Number(match?.[3])
  if (host === undefined || !(port <= 65_535)) {
    const why = `'${text}' is not ${defaultHost === undefined ? 'HOST:PORT' : '[HOST:]PORT'} with a port up to 65535`
    if (whole === undefined) throw new LinkSpecError(why)
    fail(whole, why)
  }
  return { host, port }
}

function macOf(whole: string, options: Options): string | undefined {
  const text = options.take('mac')
  if (text === undefined || /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text)) return text
  return fail(whole, `'${text}' is not a MAC address such as '02:00:00:00:00:01'`)
}

function readImpairment(options: Options): ImpairmentSpec | undefined {
  const impairment: ImpairmentSpec = {}
  for (const [key, field] of FRACTIONS) read(options, key, field, parseFraction, impairment)
  for (const [key, field] of DURATIONS) read(options, key, field, parseDuration, impairment)
  read(options, 'rate', 'rate', parseRate, impairment)
  return Object.keys(impairment).length > 0 ? impairment : undefined
}

function read(
  options: Options,
  key: string,
  field: keyof ImpairmentSpec,
  parse: (text: string) => number,
  into: ImpairmentSpec,
): void {
  const text = options.take(key)
  if (text !== undefined) into[field] = parse(text)
}

function fail(text: string, why: string): never {
  throw new LinkSpecError(`'${text}' is not a link: ${why}`)
}

/** The `key=value` and bare `key` parts after the first comma. */
class Options {
  private readonly text: string
  private readonly parts: { key: string; value: string | undefined }[]

  constructor(text: string, rest: string | undefined) {
    this.text = text
    this.parts = (rest === undefined ? [] : rest.split(',')).map((part) => {
      const at = part.indexOf('=')
      return at < 0 ? { key: part, value: undefined } : { key: part.slice(0, at), value: part.slice(at + 1) }
    })
  }

  takeAll(key: string): string[] {
    const found = this.parts.filter((part) => part.key === key)
    for (const part of found) this.parts.splice(this.parts.indexOf(part), 1)
    return found.map((part) => {
      if (part.value === undefined || part.value === '') fail(this.text, `'${key}' needs a value: ${key}=…`)
      return part.value
    })
  }

  take(key: string): string | undefined {
    const [value, second] = this.takeAll(key)
    if (second !== undefined) fail(this.text, `'${key}' is given twice`)
    return value
  }

  oneOf<Value extends string>(key: string, values: readonly Value[]): Value | undefined {
    const text = this.take(key)
    const value = values.find((value) => value === text)
    if (text !== undefined && value === undefined) {
      const quoted = values.map((value) => `'${value}'`)
      fail(this.text, `${key} is ${quoted.slice(0, -1).join(', ')} or ${quoted.at(-1)}, not '${text}'`)
    }
    return value
  }

  flag(key: string): boolean {
    const at = this.parts.findIndex((part) => part.key === key && part.value === undefined)
    if (at >= 0) this.parts.splice(at, 1)
    return at >= 0
  }

  integer(key: string, low: number, high: number): number | undefined {
    const text = this.take(key)
    if (text === undefined) return undefined
    const value = Number(text)
    if (!/^\d+$/.test(text) || value < low || value > high) {
      const why = key === 'mtu' && value < low ? `, less is too small for IPv4` : ''
      fail(this.text, `'${key}' is a number from ${low} to ${high}${why}`)
    }
    return value
  }

  /** Whatever is left is unknown. */
  none(): void {
    const [part] = this.parts
    if (part !== undefined) fail(this.text, `'${part.key}' is no option of this kind of link`)
  }
}
