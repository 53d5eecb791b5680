/** Sysctls of net.ipv4 as options of `tcp()`. */
import { type ConnectionOptions, ms, seconds, type TcpOptions } from '../../../src/index.ts'
import { Unsupported } from '../failure.ts'
import { FAST_OPEN } from './fast-open.ts'

type Writable<Type> = { -readonly [Name in keyof Type]: Type[Name] }
type Apply = (settings: Settings, value: string, line: number) => void

interface Settings {
  readonly tcp: Writable<Omit<TcpOptions, 'connection'>>
  readonly connection: Partial<ConnectionOptions>
}

const APPLY: Readonly<Record<string, Apply>> = {
  tcp_timestamps: ({ tcp }, value) => {
    tcp.timestamps = value !== '0'
  },
  tcp_sack: ({ tcp }, value) => {
    tcp.sack = value !== '0'
  },
  tcp_dsack: ({ tcp }, value) => {
    tcp.dsack = value !== '0'
  },
  tcp_early_retrans: ({ tcp }, value) => {
    tcp.tailLossProbe = value !== '0'
  },
  tcp_frto: ({ tcp }, value) => {
    tcp.forwardRto = value !== '0'
  },
  tcp_ecn: ({ tcp }, value, line) => {
    tcp.ecn = oneOf('tcp_ecn', value, line, { 0: 'off', 1: 'on', 2: 'accept' })
  },
  // No super-segment holds more.
  tcp_min_tso_segs: ({ tcp }, value) => {
    tcp.minTsoSegments = Math.min(Number(value), 44)
  },
  tcp_congestion_control: ({ connection }, value, line) => {
    connection.congestionControl = oneOf('tcp_congestion_control', value, line, { cubic: 'cubic', reno: 'reno' })
  },
  tcp_mtu_probing: ({ tcp }, value, line) => {
    tcp.mtuProbing = oneOf('tcp_mtu_probing', value, line, { 0: 'off', 1: 'blackHole', 2: 'always' })
  },
  tcp_base_mss: ({ tcp }, value) => {
    tcp.baseSegment = Number(value)
  },
  tcp_mtu_probe_floor: ({ tcp }, value) => {
    tcp.leastSegment = Number(value)
  },
  tcp_window_scaling: ({ tcp }, value) => {
    tcp.windowScaling = value !== '0'
  },
  tcp_slow_start_after_idle: ({ tcp }, value) => {
    tcp.slowStartAfterIdle = value !== '0'
  },
  tcp_syncookies: ({ tcp }, value, line) => {
    tcp.synCookies = oneOf('tcp_syncookies', value, line, { 0: false, 1: true })
  },
  tcp_max_syn_backlog: ({ tcp }, value) => {
    tcp.maxSynReceived = Number(value)
  },
  tcp_synack_retries: ({ tcp }, value) => {
    tcp.synAckRetries = Number(value)
  },
  tcp_fastopen: ({ tcp }, value) => {
    const without = FAST_OPEN.clientWithoutCookie | FAST_OPEN.serverWithoutCookie
    tcp.fastOpen = { ...tcp.fastOpen, requireCookie: (Number(value) & without) === 0 }
  },
  // Of four words each, as a little-endian machine has them.
  tcp_fastopen_key: ({ tcp }, value) => {
    const keys = value.split(',').map((key) => {
      const octets = Buffer.alloc(16)
      for (const [i, word] of key.split('-').entries()) octets.writeUInt32LE(Number.parseInt(word, 16), 4 * i)
      return octets
    })
    tcp.fastOpen = { ...tcp.fastOpen, keys }
  },
  tcp_fastopen_blackhole_timeout_sec: ({ tcp }, value) => {
    tcp.fastOpen = { ...tcp.fastOpen, blackHolePause: seconds(Number(value)) }
  },
  tcp_rto_max_ms: ({ tcp }, value) => {
    tcp.maxRto = ms(Number(value))
  },
  tcp_retries1: ({ tcp }, value) => {
    tcp.reportRetries = Number(value)
  },
  tcp_retries2: ({ tcp }, value) => {
    tcp.retries = Number(value)
  },
  tcp_fin_timeout: ({ tcp }, value) => {
    tcp.finWait2Timeout = seconds(Number(value))
  },
  tcp_syn_retries: ({ connection }, value) => {
    connection.synRetries = Number(value)
  },
  tcp_keepalive_time: ({ connection }, value) => {
    connection.keepAliveIdle = seconds(Number(value))
  },
  tcp_keepalive_intvl: ({ connection }, value) => {
    connection.keepAliveInterval = seconds(Number(value))
  },
  tcp_keepalive_probes: ({ connection }, value) => {
    connection.keepAliveCount = Number(value)
  },
  tcp_notsent_lowat: ({ connection }, value) => {
    connection.notSentLowWater = Number(value)
  },
  ip_default_ttl: ({ connection }, value) => {
    connection.ttl = Number(value)
  },
  ip_no_pmtu_disc: ({ connection }, value) => {
    connection.pathMtuDiscovery = value === '0'
  },
  // Three values: least, default and most. Linux offers half of a receive buffer as window.
  tcp_rmem: ({ tcp, connection }, value) => {
    connection.receiveBuffer = Math.floor(number(value, 1) / 2)
    tcp.maxReceiveBuffer = Math.max(number(value, 2), 4096)
  },
  tcp_wmem: ({ connection }, value) => {
    connection.sendBuffer = number(value, 1)
  },
}

/** What the stack does anyway, or has no part in; another value is not supported. */
const FIXED: Readonly<Record<string, readonly string[]>> = {
  tcp_fack: ['0'],
  tcp_reordering: ['3'],
  tcp_recovery: ['1'],
  tcp_probe_interval: ['600'],
  tcp_probe_threshold: ['8'],
}

/** They tune what only Linux has: super-segments, caches between connections, memory of the machine. */
const IGNORED: readonly string[] = [
  'tcp_tso_win_divisor',
  'tcp_no_metrics_save',
  'tcp_autocorking',
  'tcp_limit_output_bytes',
  'tcp_moderate_rcvbuf',
  'tcp_mem',
  'tcp_pacing_ss_ratio',
  'tcp_pacing_ca_ratio',
  'tcp_invalid_ratelimit',
  'tcp_challenge_ack_limit',
]

/** What a value of a sysctl stands for. */
function oneOf<Meaning>(
  name: string,
  value: string,
  line: number,
  meanings: Readonly<Record<string, Meaning>>,
): Meaning {
  const meaning = Object.hasOwn(meanings, value) ? meanings[value] : undefined
  if (meaning === undefined) throw new Unsupported(line, `net.ipv4.${name}=${value}`)
  return meaning
}

const number = (value: string, index: number): number => Number(value.trim().split(/\s+/)[index])

/** Where Linux's defaults are not ours; and the queue of a tun device does not pace, unless a socket asks for it. */
const DEFAULTS: TcpOptions = { pacing: false, mtuProbing: 'off', requireTimestamps: false }

/** The settings of a node, when it boots and while it runs. */
export class Sysctls {
  private readonly values = new Map<string, string>()
  private readonly settings: Settings = { tcp: { ...DEFAULTS }, connection: {} }
  private change: ((changes: TcpOptions) => void) | undefined

  /** @param name what follows `net.ipv4.`. @throws Unsupported — no such setting or value. */
  set(name: string, value: string, line: number): void {
    const apply = APPLY[name]
    if (apply !== undefined) {
      apply(this.settings, value, line)
      this.change?.(this.options)
    } else if (!IGNORED.includes(name) && FIXED[name]?.includes(value) !== true) {
      throw new Unsupported(line, `net.ipv4.${name}=${value}`)
    }
    this.values.set(name, value)
  }

  /** The bits of net.ipv4.tcp_fastopen; those of Linux before they are set. */
  get fastOpen(): number {
    return Number(this.values.get('tcp_fastopen') ?? FAST_OPEN.client)
  }

  /** For `tcp()`, before it boots. */
  get options(): TcpOptions {
    return { ...this.settings.tcp, connection: this.settings.connection }
  }

  /** From now on changes are told. */
  follow(change: (changes: TcpOptions) => void): void {
    this.change = change
  }
}
