/** What a node's TCP and each of its connections can be told: defaults, ranges, checks. */
import type { CongestionControl, ConnectionOptions } from '../../../src/api/sockets.ts'
import { type Duration, ms, seconds } from '../../../src/kernel/clock.ts'
import { inRange, integer, invalidType, invalidValue } from '../../../src/kernel/errors.ts'
import { type FastOpenOptions, type FastOpenSettings, fastOpenSettings } from './fast-open-settings.ts'
import { MAX_RTO } from './rtt.ts'

export type EcnMode = 'off' | 'accept' | 'on'
export type MtuProbing = 'off' | 'blackHole' | 'always'

/** What `tcp()` takes; everything has a default. */
export interface TcpOptions {
  /** What connections start with, unless their `connect` or `listen` says otherwise. */
  readonly connection?: Partial<ConnectionOptions> | undefined
  /** Maximum segment lifetime: TIME-WAIT lasts two. Default 30 s (RFC 9293 §3.4.2 has 2 minutes; Linux the same 60 s). */
  readonly maxSegmentLifetime?: Duration | undefined
  /** Connections in TIME-WAIT at the most; the oldest gives way. Default 16384. */
  readonly maxTimeWait?: number | undefined
  /** Handshakes of all listeners in SYN-RECEIVED at the most. Default 1024. */
  readonly maxSynReceived?: number | undefined
  /** Answer further SYNs by cookies (RFC 4987 §3.6), which need no memory, instead of dropping them. Default true. */
  readonly synCookies?: boolean | undefined
  /** Resets that no connection stands behind, a second, a tenth of them at once; 0: none. Default 10,000. */
  readonly maxResets?: number | undefined
  /** Connections that have been closed by the application and still have something to send. Default 8192. */
  readonly maxOrphans?: number | undefined
  /** Octets of packet memory held by segments out of order, on all connections. Default 32 MiB. */
  readonly maxReassembly?: number | undefined
  /** Connections at the most. Default 262144. */
  readonly maxConnections?: number | undefined
  /** Offer selective acknowledgment (RFC 2018). Default true. */
  readonly sack?: boolean | undefined
  /** Report what arrives twice by SACK blocks (RFC 2883). Default true. */
  readonly dsack?: boolean | undefined
  /** Send a tail loss probe before the retransmission timeout (RFC 8985 §7). Default true. */
  readonly tailLossProbe?: boolean | undefined
  /** Find out by new data whether a retransmission timeout was one (F-RTO, RFC 5682). Default true. */
  readonly forwardRto?: boolean | undefined
  /** Explicit congestion notification (RFC 3168): never, when the peer asks for it, or asked for by us. Default 'accept'. */
  readonly ecn?: EcnMode | undefined
  /** Segments that may be sent before anything is acknowledged (RFC 6928). Default 10. */
  readonly initialWindow?: number | undefined
  /** Segments that are sent in one piece at the least, where there is as much to send. Default 2. */
  readonly minTsoSegments?: number | undefined
  /** Spread a window over its round trip where that takes 4 ms or more, so that short queues lose less. Default true. */
  readonly pacing?: boolean | undefined
  /** Offer timestamps (RFC 7323 §3). Default true. */
  readonly timestamps?: boolean | undefined
  /**
   * Drop segments without the timestamps that were agreed on (RFC 7323 §3.2), but resets. False takes them, as Linux does, from peers
   * or through boxes that leave them out: what PAWS would have refused gets in. Default true.
   */
  readonly requireTimestamps?: boolean | undefined
  /** Offer window scaling (RFC 7323 §2). Default true. */
  readonly windowScaling?: boolean | undefined
  /**
   * What the window of a connection may grow to, by itself while the application keeps up with the path, or by being given
   * a larger `receiveBuffer`: the window shift is chosen for it. Default 15 MiB.
   */
  readonly maxReceiveBuffer?: number | undefined
  /** What the send queue of a connection may grow to by itself, as its congestion window does. Default 8 MiB. */
  readonly maxSendBuffer?: number | undefined
  /** Octets by which windows and send queues of all connections together may grow by themselves. Default 256 MiB. */
  readonly maxBufferGrowth?: number | undefined
  /** What Fast Open can be told (RFC 7413); connections and listeners take part by their option `fastOpen`. */
  readonly fastOpen?: FastOpenOptions | undefined
  /** What a peer's user timeout option can bring ours to, at the least and at the most (RFC 5482 §3.1). Default 100 s, 1 hour. */
  readonly leastUserTimeout?: Duration | undefined
  readonly mostUserTimeout?: Duration | undefined
  /**
   * The longest retransmission timeout of connections that begin from now on, and the longest pause between probes of a closed window,
   * 200 ms to 120 s. Less than 60 s (RFC 6298 §2.5) is for networks that one knows: after an outage connections go on sooner, and
   * `retries` are over sooner. Default 120 s.
   */
  readonly maxRto?: Duration | undefined
  /**
   * Retransmissions of the same segment before the network and the application are told (R1 of RFC 9293 §3.8.3). Default 3.
   */
  readonly reportRetries?: number | undefined
  /** Retransmissions of the same segment before a connection is given up (R2 of RFC 9293 §3.8.3). Default 15. */
  readonly retries?: number | undefined
  /** Retransmissions of a SYN-ACK. Default 5. */
  readonly synAckRetries?: number | undefined
  /**
   * Search for the path's MTU by segments of growing size (RFC 4821), where routers do not say or their word is lost: never, once
   * timeouts suggest it, or on every connection from `baseSegment` up. Default 'blackHole', which costs nothing before.
   */
  readonly mtuProbing?: MtuProbing | undefined
  /** Octets of a segment, options included, that nearly every path takes: where a search begins. Default 1024 (RFC 4821 §7.2). */
  readonly baseSegment?: number | undefined
  /** What segments are made smaller to at the least when not even those get through. Default 512. */
  readonly leastSegment?: number | undefined
  /** Begin with the initial window again after an idle time (RFC 5681 §4.1). Default true. */
  readonly slowStartAfterIdle?: boolean | undefined
  /** How long a connection whose application has closed it waits in FIN-WAIT-2 for the peer's FIN. Default 60 s. */
  readonly finWait2Timeout?: Duration | undefined
  /** How long an acknowledgment may wait for company; less than 500 ms (RFC 9293 §3.8.6.3). Default 40 ms. */
  readonly delayedAck?: Duration | undefined
}

/** The options with every field present. */
export type TcpSettings = {
  readonly [Name in keyof Omit<TcpOptions, 'connection' | 'fastOpen'>]-?: Exclude<TcpOptions[Name], undefined>
} & { readonly connection: Readonly<ConnectionOptions>; readonly fastOpen: FastOpenSettings }

const CONNECTION_DEFAULTS: Readonly<ConnectionOptions> = Object.freeze({
  noDelay: false,
  cork: false,
  maxSegment: 0,
  userTimeout: 0,
  advertisedTimeout: 0,
  fastOpen: 0,
  keepAlive: false,
  keepAliveIdle: seconds(7200),
  keepAliveInterval: seconds(75),
  keepAliveCount: 9,
  synRetries: 6,
  sendBuffer: 1_048_576,
  receiveBuffer: 1_048_576,
  trafficClass: 0,
  ttl: 64,
  pathMtuDiscovery: true,
  linger: undefined,
  congestionControl: 'cubic',
  maxPacingRate: 0,
  notSentLowWater: 0,
})

const ECN_MODES: readonly EcnMode[] = ['off', 'accept', 'on']
const MTU_PROBING: readonly MtuProbing[] = ['off', 'blackHole', 'always']
const CONGESTION_CONTROLS: readonly CongestionControl[] = ['cubic', 'reno', 'none']

/** Largest send or receive buffer: the largest window there is (RFC 7323 §2.3). */
const MAX_BUFFER = 0x3fff_c000
/** One day: more than any of these times has a use for. */
const LONGEST: Duration = seconds(86_400)
/** Smallest segment that we let anyone ask for: less would be mostly headers (and costs us, not them). */
export const MIN_MSS = 48

/** @throws TypeError or RangeError — a value makes no sense. */
export function tcpSettings(options: TcpOptions): TcpSettings {
  return {
    connection: withOptions(CONNECTION_DEFAULTS, options.connection),
    maxSegmentLifetime: inRange('maxSegmentLifetime', options.maxSegmentLifetime ?? seconds(30), 0, LONGEST),
    maxTimeWait: integer('maxTimeWait', options.maxTimeWait ?? 16_384, 0, 2 ** 24),
    maxSynReceived: integer('maxSynReceived', options.maxSynReceived ?? 1024, 1, 2 ** 20),
    maxResets: integer('maxResets', options.maxResets ?? 10_000, 0, 2 ** 31),
    maxOrphans: integer('maxOrphans', options.maxOrphans ?? 8192, 0, 2 ** 24),
    maxReassembly: integer('maxReassembly', options.maxReassembly ?? 32 * 1_048_576, 0, 2 ** 31),
    maxConnections: integer('maxConnections', options.maxConnections ?? 262_144, 1, 2 ** 24),
    synCookies: options.synCookies ?? true,
    sack: options.sack ?? true,
    dsack: options.dsack ?? true,
    tailLossProbe: options.tailLossProbe ?? true,
    forwardRto: options.forwardRto ?? true,
    ecn: oneOf('ecn', options.ecn ?? 'accept', ECN_MODES),
    initialWindow: integer('initialWindow', options.initialWindow ?? 10, 1, 1000),
    minTsoSegments: integer('minTsoSegments', options.minTsoSegments ?? 2, 1, 44),
    pacing: options.pacing ?? true,
    timestamps: options.timestamps ?? true,
    requireTimestamps: options.requireTimestamps ?? true,
    windowScaling: options.windowScaling ?? true,
    maxReceiveBuffer: integer('maxReceiveBuffer', options.maxReceiveBuffer ?? 15_728_640, 4096, MAX_BUFFER),
    maxSendBuffer: integer('maxSendBuffer', options.maxSendBuffer ?? 8_388_608, 1, MAX_BUFFER),
    maxBufferGrowth: integer('maxBufferGrowth', options.maxBufferGrowth ?? 268_435_456, 0, 2 ** 31),
    fastOpen: fastOpenSettings(options.fastOpen),
    leastUserTimeout: inRange('leastUserTimeout', options.leastUserTimeout ?? seconds(100), 0, LONGEST),
    mostUserTimeout: inRange('mostUserTimeout', options.mostUserTimeout ?? seconds(3600), 1, LONGEST),
    maxRto: inRange('maxRto', options.maxRto ?? MAX_RTO, ms(200), MAX_RTO),
    reportRetries: integer('reportRetries', options.reportRetries ?? 3, 1, 255),
    retries: integer('retries', options.retries ?? 15, 0, 255),
    synAckRetries: integer('synAckRetries', options.synAckRetries ?? 5, 0, 255),
    mtuProbing: oneOf('mtuProbing', options.mtuProbing ?? 'blackHole', MTU_PROBING),
    baseSegment: integer('baseSegment', options.baseSegment ?? 1024, MIN_MSS, 65_495),
    leastSegment: integer('leastSegment', options.leastSegment ?? 512, MIN_MSS, 65_495),
    slowStartAfterIdle: options.slowStartAfterIdle ?? true,
    finWait2Timeout: inRange('finWait2Timeout', options.finWait2Timeout ?? seconds(60), 0, LONGEST),
    delayedAck: inRange('delayedAck', options.delayedAck ?? ms(40), 0, ms(499)),
  }
}

/**
 * `base` with what `changes` says, checked. Shared as long as nothing changes: ten thousand connections of one listener
 * have one options object.
 * @throws TypeError or RangeError — a value makes no sense.
 */
export function withOptions(
  base: Readonly<ConnectionOptions>,
  changes: Partial<ConnectionOptions> | undefined,
): Readonly<ConnectionOptions> {
  if (changes === undefined) return base
  let result = base
  for (const name of Object.keys(changes) as (keyof ConnectionOptions)[]) {
    const value = changes[name]
    if (value === undefined && name !== 'linger') continue
    result = withOption(result, name, value as ConnectionOptions[typeof name])
  }
  return result
}

/** `base` with one option changed. @throws TypeError or RangeError — the value makes no sense. */
export function withOption<Name extends keyof ConnectionOptions>(
  base: Readonly<ConnectionOptions>,
  name: Name,
  value: ConnectionOptions[Name],
): Readonly<ConnectionOptions> {
  check(name, value)
  return base[name] === value ? base : Object.freeze({ ...base, [name]: value })
}

function check(name: keyof ConnectionOptions, value: unknown): void {
  switch (name) {
    case 'noDelay':
    case 'cork':
    case 'keepAlive':
    case 'pathMtuDiscovery':
      if (typeof value !== 'boolean') throw invalidType(name, 'of type boolean', value)
      return
    case 'maxSegment':
      if (value !== 0) integer(name, value as number, MIN_MSS, 65_495)
      return
    case 'sendBuffer':
    case 'receiveBuffer':
      integer(name, value as number, 1, MAX_BUFFER)
      return
    case 'keepAliveIdle':
    case 'keepAliveInterval':
      inRange(name, value as number, 1, LONGEST)
      return
    case 'notSentLowWater':
      integer(name, value as number, 0, 0xffff_ffff)
      return
    case 'fastOpen':
      integer(name, value as number, 0, 2 ** 20)
      return
    case 'userTimeout':
    case 'advertisedTimeout':
      inRange(name, value as number, 0, LONGEST)
      return
    case 'linger':
      if (value !== undefined) inRange(name, value as number, 0, LONGEST)
      return
    case 'maxPacingRate':
      inRange(name, value as number, 0, Number.MAX_SAFE_INTEGER)
      return
    case 'congestionControl':
      oneOf(name, value as CongestionControl, CONGESTION_CONTROLS)
      return
    case 'keepAliveCount':
    case 'ttl':
      integer(name, value as number, 1, 255)
      return
    case 'synRetries':
    case 'trafficClass':
      integer(name, value as number, 0, 255)
      return
    default:
      throw invalidValue('name', 'the name of a connection option', name)
  }
}

function oneOf<Value extends string>(name: string, value: Value, values: readonly Value[]): Value {
  if (!values.includes(value)) throw invalidValue(name, `one of '${values.join("', '")}'`, value)
  return value
}
