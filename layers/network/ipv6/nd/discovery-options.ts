/** What discovery can be told, checked (see `DiscoveryOptions`). */
import { integer, invalidValue } from '../../../../src/kernel/errors.ts'
import { type HashKey, hashKey } from '../../../../src/kernel/keyed-hash.ts'
import type { Random } from '../../../../src/kernel/random.ts'
import { checkNeighbours } from '../../neighbours.ts'
import type { DiscoveryOptions } from '../discovery.ts'

const KEY_OCTETS = 16

/** @throws RangeError ERR_OUT_OF_RANGE, TypeError ERR_INVALID_ARG_VALUE, ERR_INVALID_ARG_TYPE — see `DiscoveryOptions`. */
export function checkDiscovery(options: DiscoveryOptions): void {
  checkNeighbours(options)
  const { duplicateTransmits, secret } = options
  if (duplicateTransmits !== undefined) integer('duplicateTransmits', duplicateTransmits, 0, 10)
  if (secret !== undefined && !/^[0-9a-f]{32}$/i.test(secret)) {
    throw invalidValue('secret', '32 hexadecimal digits', '…') // not told: it would get into logs
  }
}

/** The key of identifiers. @param secret as `checkDiscovery` likes it; undefined: by chance. */
export function secretOf(secret: string | undefined, random: Random): HashKey {
  if (secret === undefined) return hashKey(random.octets(KEY_OCTETS))
  const octets = new Uint8Array(KEY_OCTETS)
  for (let i = 0; i < KEY_OCTETS; i++) octets[i] = Number.parseInt(secret.slice(2 * i, 2 * i + 2), 16)
  return hashKey(octets)
}
