/** What a datagram socket can be told, and within which limits: for every implementation of the API. */

import { integer, invalidType, invalidValue } from '../kernel/errors.ts'
import type { DatagramOptions } from './sockets.ts'

const DEFAULTS: Readonly<DatagramOptions> = {
  broadcast: false,
  ttl: 64,
  multicastTtl: 1,
  multicastLoopback: true,
  trafficClass: 0,
  pathMtuDiscovery: false,
  receiveBuffer: 262_144,
}

/** Ranges of the options that are numbers. */
const RANGES: Readonly<Partial<Record<keyof DatagramOptions, readonly [low: number, high: number]>>> = {
  ttl: [1, 255],
  multicastTtl: [0, 255],
  trafficClass: [0, 255],
  receiveBuffer: [0, 2 ** 30],
}

/**
 * Sets one option.
 * @throws TypeError ERR_INVALID_ARG_VALUE, ERR_INVALID_ARG_TYPE — no such option, or not of its type.
 * @throws RangeError ERR_OUT_OF_RANGE
 */
export function setOption<Name extends keyof DatagramOptions>(
  options: DatagramOptions,
  name: Name,
  value: DatagramOptions[Name],
): void {
  if (!Object.hasOwn(DEFAULTS, name)) throw invalidValue('name', `one of ${Object.keys(DEFAULTS).join(', ')}`, name)
  const range = RANGES[name]
  const type = range === undefined ? 'boolean' : 'number'
  if (typeof value !== type) throw invalidType(name, `of type ${type}`, value)
  if (range !== undefined) integer(name, Number(value), range[0], range[1])
  options[name] = value
}

/** All options, those not given by default; `undefined` counts as not given. @throws as `setOption`. */
export function withOptions(given: Partial<DatagramOptions> | undefined): DatagramOptions {
  const options: DatagramOptions = { ...DEFAULTS }
  for (const [name, value] of Object.entries(given ?? {})) {
    if (value !== undefined) setOption(options, name as keyof DatagramOptions, value)
  }
  return options
}
