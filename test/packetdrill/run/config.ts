/** What `--name=value` at the head of a script sets. */
import { type IpAddress, parseAddress } from '../../../src/index.ts'
import { Unsupported } from '../failure.ts'
import { type IpVersion, type Wire, wireOf } from '../language/ip-version.ts'
import type { Script } from '../language/script.ts'

export interface Config {
  readonly ipVersion: IpVersion
  /** Microseconds that a packet may come early or late, … */
  readonly toleranceUs: number
  /** … or so much of the time since the event before it, whichever is longer. */
  readonly tolerancePercent: number
  /** Length of a timestamp's unit; 0: timestamps sent are not compared. */
  readonly timestampUs: number
  /** Timestamps to echo may be such that were never sent. */
  readonly scaledEcho: boolean
  /** A packet of the script is one on the wire. */
  readonly strictSegments: boolean
  readonly mtu: number
  /** Data of more octets arrives as if a link had merged segments of so many; 0: as one segment, whatever its length. */
  readonly mss: number
  readonly bindPort: number
  readonly connectPort: number
  /** Addresses of the node and its peer, of the version that packets have. */
  readonly localIp: IpAddress
  readonly remoteIp: IpAddress
}

const DEFAULTS: Omit<Config, 'ipVersion' | 'localIp' | 'remoteIp'> = {
  toleranceUs: 4000,
  tolerancePercent: 12.5,
  timestampUs: 0,
  scaledEcho: false,
  strictSegments: false,
  mtu: 1500,
  mss: 0,
  bindPort: 8080,
  connectPort: 8080,
}

/** Addresses of the original's runners: private on our side. */
const PLACES: Readonly<Record<Wire, Pick<Config, 'localIp' | 'remoteIp'>>> = {
  4: { localIp: parseAddress('192.168.0.1'), remoteIp: parseAddress('192.0.2.1') },
  6: { localIp: parseAddress('fd3d:a0b:17d6::1'), remoteIp: parseAddress('fd3d:fa7b:d17d::1') },
}

const NUMBERS: Readonly<Record<string, keyof Config>> = {
  tolerance_usecs: 'toleranceUs',
  tolerance_percent: 'tolerancePercent',
  tcp_ts_tick_usecs: 'timestampUs',
  mtu: 'mtu',
  mss: 'mss',
  bind_port: 'bindPort',
  connect_port: 'connectPort',
}
const FLAGS: Readonly<Record<string, keyof Config>> = {
  tcp_ts_ecr_scaled: 'scaledEcho',
  strict_segments: 'strictSegments',
}
const ADDRESSES: Readonly<Record<string, keyof Config>> = { local_ip: 'localIp', remote_ip: 'remoteIp' }
/** They are heeded elsewhere, name addresses, which scripts do not see, or tell how the original is run. */
const IGNORED: readonly string[] = [
  'ip_version',
  'gateway_ip',
  'netmask_ip',
  'speed',
  'send_omit_free',
  'code_command',
  'code_format',
  'define',
  'verbose',
  'debug',
]

/**
 * @param usual MTU of scripts that do not say over which IP they run, nor with which MTU.
 * @param chosen MTU of all that do not say it.
 * @throws Unsupported — an option, or value of one, that this interpreter does not follow.
 */
export function configOf({ ipVersion, options }: Script, usual: number = DEFAULTS.mtu, chosen?: number): Config {
  const saysVersion = options.some(({ name }) => name === 'ip_version')
  const wire = wireOf(ipVersion)
  const given = { ...PLACES[wire], ipVersion, mtu: chosen ?? (saysVersion ? DEFAULTS.mtu : usual) }
  const config: Record<string, unknown> = { ...DEFAULTS, ...given }
  for (const { name, value, line } of options) {
    if (NUMBERS[name] !== undefined) config[NUMBERS[name]] = Number(value)
    else if (ADDRESSES[name] !== undefined) config[ADDRESSES[name]] = addressOf(name, value, wire, line)
    else if (FLAGS[name] !== undefined) config[FLAGS[name]] = true
    else if (!IGNORED.includes(name)) throw new Unsupported(line, `--${name}${value === '' ? '' : `=${value}`}`)
  }
  return config as unknown as Config
}

/** An address, with or without the length of a prefix. */
function addressOf(name: string, value: string, wire: Wire, line: number): IpAddress {
  try {
    const address = parseAddress(value.replace(/\/\d+$/, ''))
    if (address.isIpv4 === (wire === 4)) return address
  } catch {}
  throw new Unsupported(line, `--${name}=${value}, which is no address of IPv${wire},`)
}
