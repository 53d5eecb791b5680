/** What a node's Fast Open can be told (RFC 7413). It does nothing until a connection or listener has the option `fastOpen`. */
import { type Duration, seconds } from '../../../src/kernel/clock.ts'
import { inRange, integer, invalidValue } from '../../../src/kernel/errors.ts'

/** `tcp({ fastOpen: { … } })`; everything has a default. */
export interface FastOpenOptions {
  /**
   * Keys of 16 octets that cookies are made with: the first makes them, the second, where there is one, is good still. Servers
   * behind one address share them (RFC 7413 §6.4). Default: a random one, exchanged every `keyLifetime`.
   */
  readonly keys?: readonly Uint8Array[] | undefined
  /** How long a random key makes cookies; for as long again they are good still (RFC 7413 §4.1.2). Default 12 hours. */
  readonly keyLifetime?: Duration | undefined
  /** Take and send data without a cookie. For networks where nobody lies about his address. Default true: with one only. */
  readonly requireCookie?: boolean | undefined
  /** Servers whose cookies are remembered, at the most; the one used longest ago gives way. Default 1024. */
  readonly servers?: number | undefined
  /**
   * How long no Fast Open is tried after a connection with it was answered by a SYN-ACK and then by nothing, for three timeouts in
   * a row; twice as long each time in a row, up to 64 times. 0: never. Default 1 hour.
   */
  readonly blackHolePause?: Duration | undefined
}

/** The options with every field present. */
export type FastOpenSettings = { readonly [Name in keyof FastOpenOptions]-?: Exclude<FastOpenOptions[Name], undefined> }

const KEY_OCTETS = 16
const LONGEST: Duration = seconds(86_400 * 365)

/** @throws TypeError or RangeError — a value makes no sense. */
export function fastOpenSettings(options: FastOpenOptions = {}): FastOpenSettings {
  const keys = options.keys ?? []
  if (keys.length > 2 || keys.some((key) => !(key instanceof Uint8Array) || key.length !== KEY_OCTETS)) {
    throw invalidValue('fastOpen.keys', 'one or two keys of 16 octets', keys)
  }
  return {
    keys: keys.map((key) => key.slice()),
    keyLifetime: inRange('fastOpen.keyLifetime', options.keyLifetime ?? seconds(43_200), 1, LONGEST),
    requireCookie: options.requireCookie ?? true,
    servers: integer('fastOpen.servers', options.servers ?? 1024, 0, 2 ** 20),
    blackHolePause: inRange('fastOpen.blackHolePause', options.blackHolePause ?? seconds(3600), 0, LONGEST),
  }
}
