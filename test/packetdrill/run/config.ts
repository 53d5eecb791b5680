/** What `--name=value` at the head of a script sets. */
import { Unsupported } from '../failure.ts'
import type { IpVersion } from '../language/ip-version.ts'
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
  /** Addresses of the node and its peer; empty: any. */
  readonly localIp: string
  readonly remoteIp: string
}

const DEFAULTS: Omit<Config, 'ipVersion'> = {
  toleranceUs: 4000,
  tolerancePercent: 12.5,
  timestampUs: 0,
  scaledEcho: false,
  strictSegments: false,
  mtu: 1500,
  mss: 0,
  bindPort: 8080,
  connectPort: 8080,
  localIp: '',
  remoteIp: '',
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
 * @param mtu of scripts that do not say over which IP they run, nor with which MTU.
 * @throws Unsupported — an option that this interpreter does not follow.
 */
export function configOf({ ipVersion, options }: Script, mtu: number = DEFAULTS.mtu): Config {
  const saysVersion = options.some(({ name }) => name === 'ip_version')
  const config: Record<string, unknown> = { ...DEFAULTS, ipVersion, mtu: saysVersion ? DEFAULTS.mtu : mtu }
  for (const { name, value, line } of options) {
    if (NUMBERS[name] !== undefined) config[NUMBERS[name]] = Number(value)
    else if (ADDRESSES[name] !== undefined) config[ADDRESSES[name]] = value.replace(/\/\d+$/, '')
    else if (FLAGS[name] !== undefined) config[FLAGS[name]] = true
    else if (!IGNORED.includes(name)) throw new Unsupported(line, `--${name}${value === '' ? '' : `=${value}`}`)
  }
  return config as unknown as Config
}
