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
 *   [NAME=]stream:PATH|HOST:PORT[,listen][,mtu=N]
 *   [NAME=]vde:PATH[,mtu=N]
 *   [NAME=]etherip:ADDRESS[,mtu=N]
 *   [NAME=]bridge:(LINK)(LINK)…[,ageing=300s][,stations=N][,storm=N][,pause[=RATE]]
 *
 * Each also takes `mac=02:…` (not tun, those on a line, and those in a bridge), and impairments of what it sends and receives:
 * `loss=1%`, `delay=20ms`, `jitter=5ms`, `rate=10mbit`, `duplicate=1%`, `reorder=1%`, `corrupt=1%`.
 */

import type { L2tpv3Options, LapbOptions, PauseOption, UdpTunnelCodec } from '../../src/index.ts'
import { tryParseAddress } from '../../src/kernel/address.ts'
import { type ImpairmentSpec, parseRate, readImpairment } from './impairment.ts'
import { fail, type HostPort, hostPort, Options, parseDuration } from './link-text.ts'

export { type ImpairmentSpec, parseImpairment } from './impairment.ts'
export { type HostPort, LinkSpecError, parseDuration, parseHostPort } from './link-text.ts'

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

/** Frames behind their lengths, as QEMU's streams and passt have them. */
export interface StreamSpec extends CommonSpec {
  readonly type: 'stream'
  /** A Unix socket by its path, or a port. */
  readonly at: string | HostPort
  /** Others connect to it. */
  readonly listen: boolean
}

/** A port of a VDE switch. */
export interface VdeSpec extends CommonSpec {
  readonly type: 'vde'
  readonly switch: string
}

/** Frames in an IP protocol of their own (EtherIP, RFC 3378). */
export interface EtherIpSpec extends CommonSpec {
  readonly type: 'etherip'
  readonly peer: string
}

/** Links that carry frames of Ethernet as they are. */
export type EthernetSpec = DeviceSpec<'tap'> | UdpSpec | StreamSpec | VdeSpec | EtherIpSpec

/** Several of them as one. */
export interface BridgeSpec extends CommonSpec {
  readonly type: 'bridge'
  /** By name. */
  readonly ports: Readonly<Record<string, EthernetSpec>>
  /** How long a station is remembered, in µs; undefined: as the bridge has it, and so the others. */
  readonly ageing: number | undefined
  readonly stations: number | undefined
  /** Frames a second. */
  readonly storm: number | undefined
  /** Flow control of its ports, and of the node's own station; with the rate in bits per second that it is reckoned by. */
  readonly pause: PauseOption | undefined
}

export type LinkSpec = EthernetSpec | BridgeSpec | DeviceSpec<'tun'> | PppSpec | LapbSpec

/** What links are called, in messages. */
const TYPES = ['udp', 'tap', 'tun', 'ppp', 'serial', 'lapb', 'stream', 'vde', 'etherip', 'bridge'] as const

const BAUD_MIN = 50
const BAUD_MAX = 4_000_000
const VNI_MAX = 0xff_ffff
const SESSION_MAX = 0xffff_ffff
const STATIONS_MAX = 2 ** 20
const STORM_MAX = 1e9
/** What every IPv4 link must carry (RFC 791 §3.2). */
const MTU_MIN = 68
const MTU_MAX = 65_521

/** @throws LinkSpecError */
export function parseLinkSpec(text: string): LinkSpec {
  const match = /^(?:([A-Za-z0-9_.-]+)=)?([a-z]+):(.*)$/.exec(text)
  if (match === null) fail(text, "a link looks like 'udp:7000,peer=127.0.0.1:7001', 'tap:tap0' or 'tun:tun0'")
  const [, name, type = '', described = ''] = match
  const at = type === 'bridge' ? portTexts(text, described).end : /^[^,]*/.exec(described)?.[0].length
  const main = described.slice(0, at)
  const options = new Options(text, main === described ? undefined : described.slice(main.length + 1))
  const mtu = type === 'bridge' ? undefined : options.integer('mtu', MTU_MIN, MTU_MAX)
  const spec = linkOf(text, type, main, options, { name, mtu, impairment: readImpairment(options) })
  options.none()
  return spec
}

function linkOf(text: string, type: string, main: string, options: Options, common: Omit<CommonSpec, 'mac'>): LinkSpec {
  const station = (): CommonSpec => ({ ...common, mac: macOf(text, options) })
  switch (type) {
    case 'tap':
      return { ...station(), type, ...deviceOf(text, main, options), vnetHdr: options.flag('vnet-hdr') }
    case 'tun':
      return { ...common, mac: undefined, type, ...deviceOf(text, main, options), vnetHdr: false }
    case 'udp':
      return { ...station(), ...tunnelOf(text, main, options) }
    case 'serial':
      if (!main.startsWith('/')) fail(text, `a serial line has a path such as '/dev/ttyUSB0', not '${main}'`)
      return { ...common, ...lineOf(text, main, options), ...pppOf(text, options) }
    case 'ppp':
      return { ...common, ...lineOf(text, main, options), ...pppOf(text, options) }
    case 'lapb':
      return { ...common, ...lineOf(text, main, options), ...lapbOf(text, options) }
    case 'stream':
      return { ...station(), type, at: placeOf(text, main), listen: options.flag('listen') }
    case 'vde':
      if (!main.startsWith('/')) fail(text, `a switch has a path such as '/run/vde/switch', not '${main}'`)
      return { ...station(), type, switch: main }
    case 'etherip':
      if (tryParseAddress(main) === undefined) fail(text, `'${main}' is not an IP address`)
      return { ...station(), type, peer: main }
    case 'bridge':
      return { ...station(), type, ports: portsOf(text, main), ...bridgeOf(options) }
    default: {
      const quoted = TYPES.map((one) => `'${one}'`)
      return fail(text, `a link is of type ${quoted.slice(0, -1).join(', ')} or ${quoted.at(-1)}, not '${type}'`)
    }
  }
}

function deviceOf(text: string, main: string, options: Options): Pick<DeviceSpec, 'device' | 'netns'> {
  if (!/^[^/\s]{1,15}$/.test(main)) fail(text, `a device name has 1 to 15 characters, not '${main}'`)
  return { device: main, netns: options.take('netns') }
}

/** A path, or HOST:PORT. */
const placeOf = (text: string, main: string): string | HostPort =>
  main.startsWith('/') ? main : hostPort(text, main, undefined)

/** @returns the texts in parentheses at the front of what describes a bridge, and where they end. */
function portTexts(text: string, described: string): { readonly texts: string[]; readonly end: number } {
  const texts: string[] = []
  let [depth, start, end] = [0, 0, 0]
  for (; end < described.length && (depth > 0 || described[end] === '('); end++) {
    if (described[end] === '(' && depth++ === 0) start = end + 1
    else if (described[end] === ')' && --depth === 0) texts.push(described.slice(start, end))
  }
  if (texts.length === 0 || depth > 0 || (end < described.length && described[end] !== ','))
    fail(text, 'each port of a bridge stands in parentheses: bridge:(tap:tap0)(udp:7000)')
  return { texts, end }
}

function portsOf(text: string, main: string): Record<string, EthernetSpec> {
  const ports = new Map<string, EthernetSpec>()
  for (const [i, described] of portTexts(text, main).texts.entries()) {
    const port = parseLinkSpec(described)
    const { name = `port${i}` } = port
    if (!isEthernet(port)) fail(text, `a port of a bridge carries frames of Ethernet, which '${port.type}' does not`)
    if (port.mac !== undefined) fail(text, "'mac' is that of the bridge: its ports have none")
    if (ports.has(name)) fail(text, `two ports are called '${name}'`)
    ports.set(name, port)
  }
  return Object.fromEntries(ports)
}

const isEthernet = (spec: LinkSpec): spec is EthernetSpec =>
  ['tap', 'udp', 'stream', 'vde', 'etherip'].includes(spec.type)

function bridgeOf(options: Options): Pick<BridgeSpec, 'ageing' | 'stations' | 'storm' | 'pause'> {
  const ageing = options.take('ageing')
  return {
    ageing: ageing === undefined ? undefined : parseDuration(ageing),
    stations: options.integer('stations', 8, STATIONS_MAX),
    storm: options.integer('storm', 1, STORM_MAX),
    pause: pauseOf(options),
  }
}

function pauseOf(options: Options): PauseOption | undefined {
  if (options.flag('pause')) return true
  const rate = options.take('pause')
  return rate === undefined ? undefined : { rate: parseRate(rate) }
}

function lineOf(text: string, main: string, options: Options): Omit<LineSpec, 'name' | 'mtu' | 'impairment'> {
  return {
    mac: undefined,
    line: placeOf(text, main),
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

function macOf(whole: string, options: Options): string | undefined {
  const text = options.take('mac')
  if (text === undefined || /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text)) return text
  return fail(whole, `'${text}' is not a MAC address such as '02:00:00:00:00:01'`)
}
