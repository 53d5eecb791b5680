/** Rules that say which destinations are taken in, passed on or announced, and at what metric. */
import { type IpAddress, parsePrefix } from '../../../../src/kernel/address.ts'
import { outOfRange } from '../../../../src/kernel/errors.ts'
import type { WirePrefix } from './pdu.ts'
import { INFINITY } from './tlv.ts'

/** One rule; the first that matches decides. What it does not name, it does not ask for. */
export interface BabelRule {
  /** Destinations within this prefix: '10.0.0.0/8'. */
  readonly prefix?: string | undefined
  /** The least and the greatest length of theirs; default: any from the prefix's own on. */
  readonly minLength?: number | undefined
  readonly maxLength?: number | undefined
  /** The link it is said on. */
  readonly interface?: string | undefined
  readonly action: 'allow' | 'deny'
  /** What 'allow' adds to the metric; 0 to 65534. For `redistribute`: the metric itself. Default 0. */
  readonly metric?: number | undefined
}

/** @returns the metric to go on with; INFINITY: the destination is denied. */
export type Filter = (prefix: WirePrefix, metric: number, interfaceName: string) => number

/**
 * @param otherwise what becomes of destinations that no rule matches.
 * @throws TypeError ERR_INVALID_ARG_VALUE — not a prefix. RangeError ERR_OUT_OF_RANGE — a length or metric.
 */
export function filter(rules: readonly BabelRule[], otherwise: 'allow' | 'deny'): Filter {
  const compiled = rules.map(compile)
  return (prefix, metric, interfaceName) => {
    for (const rule of compiled) {
      if (!rule.matches(prefix, interfaceName)) continue
      return rule.allow ? Math.min(INFINITY - 1, metric + rule.metric) : INFINITY
    }
    return otherwise === 'allow' ? metric : INFINITY
  }
}

function compile(rule: BabelRule): {
  matches: (prefix: WirePrefix, on: string) => boolean
  allow: boolean
  metric: number
} {
  const within = rule.prefix === undefined ? undefined : parsePrefix(rule.prefix)
  const least = rule.minLength ?? within?.length ?? 0
  const most = rule.maxLength ?? 128
  const metric = rule.metric ?? 0
  if (!(least >= 0 && least <= 128)) throw outOfRange('minLength', '0 to 128', least)
  if (!(most >= 0 && most <= 128)) throw outOfRange('maxLength', '0 to 128', most)
  if (!(Number.isInteger(metric) && metric >= 0 && metric < INFINITY)) throw outOfRange('metric', '0 to 65534', metric)
  return {
    allow: rule.action === 'allow',
    metric,
    matches: ({ address, length, isIpv4 }, on) =>
      length >= least &&
      length <= most &&
      (rule.interface === undefined || rule.interface === on) &&
      (within === undefined ||
        (within.address.isIpv4 === isIpv4 &&
          length >= within.length &&
          covers(within.address, within.length, address))),
  }
}

function covers(prefix: IpAddress, length: number, address: IpAddress): boolean {
  if (prefix.isIpv4) return agree(prefix.w3, address.w3, length)
  return (
    agree(prefix.w0, address.w0, length) &&
    agree(prefix.w1, address.w1, length - 32) &&
    agree(prefix.w2, address.w2, length - 64) &&
    agree(prefix.w3, address.w3, length - 96)
  )
}

const agree = (a: number, b: number, bits: number): boolean => bits <= 0 || (a ^ b) >>> Math.max(0, 32 - bits) === 0
