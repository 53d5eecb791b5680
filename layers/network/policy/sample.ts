/** What a policy would do with a packet that is only described: `netstrata policy test`. */

import type { PolicyHook, PolicyOptions, PolicyRule, PolicyVerdict } from '../../../src/api/rules.ts'
import { parseAddress } from '../../../src/kernel/address.ts'
import { integer, invalidValue } from '../../../src/kernel/errors.ts'
import type { Change, Mismatch } from './compiled-rule.ts'
import { HOOKS, PacketKey } from './packet-key.ts'
import { Policy } from './policy.ts'

/** A packet in words. */
export interface SamplePacket {
  /** Default 'forward'. */
  readonly hook?: PolicyHook | undefined
  readonly in?: string | undefined
  readonly out?: string | undefined
  readonly source: string
  readonly destination: string
  /** Default 'tcp'. */
  readonly protocol?: 'tcp' | 'udp' | 'icmp' | 'icmpv6' | number | undefined
  readonly sourcePort?: number | undefined
  readonly destinationPort?: number | undefined
  readonly icmpType?: number | undefined
  /** Of TCP: 'SYN', 'SYN,ACK', … Default 'SYN'. */
  readonly tcpFlags?: string | undefined
  readonly answer?: boolean | undefined
}

/** What came of it, and why. */
export interface PolicyTest {
  readonly verdict: PolicyVerdict
  /** The name of the rule that decided; undefined when it was the default, or a function. */
  readonly rule: string | undefined
  /** Every rule that was tried, in order, and the first condition that it failed by. */
  readonly trials: readonly {
    readonly rule: string
    readonly action: PolicyRule['action']
    readonly matched: boolean
    readonly mismatch: Mismatch | undefined
  }[]
  /** What was rewritten on the way. */
  readonly rewritten: { readonly dscp?: number; readonly destination?: string; readonly destinationPort?: number }
}

const PROTOCOLS: Readonly<Record<string, number>> = { tcp: 6, udp: 17, icmp: 1, icmpv6: 58 }
const FLAGS: Readonly<Record<string, number>> = { FIN: 1, SYN: 2, RST: 4, PSH: 8, ACK: 16, URG: 32 }

/**
 * Holds a policy against a packet in words.
 * @throws TypeError ERR_INVALID_ARG_VALUE, RangeError ERR_OUT_OF_RANGE — the policy or the packet makes no sense.
 */
export function testPolicy(options: PolicyOptions, sample: SamplePacket): PolicyTest {
  const policy = new Policy(options)
  const names: string[] = ['']
  const index = (name: string): number => {
    if (name === '') return 0
    if (!names.includes(name)) names.push(name)
    return names.indexOf(name)
  }
  policy.bind(index)
  const key = keyOf(sample, index, names)
  const rewritten: { dscp?: number; destination?: string; destinationPort?: number } = {}
  const { verdict, trials } = policy.explain(key, {
    change: (key, change) => apply(key, change, rewritten),
    failed: (error) => {
      throw error
    },
  })
  const last = trials.at(-1)
  return {
    verdict,
    rule: last?.mismatch === null && last.rule.verdict !== null ? last.rule.name : undefined,
    trials: trials.map(({ rule, mismatch }) => ({
      rule: rule.name,
      action: rule.verdict ?? 'rewrite',
      matched: mismatch === null,
      mismatch: mismatch ?? undefined,
    })),
    rewritten,
  }
}

function keyOf(sample: SamplePacket, index: (name: string) => number, names: readonly string[]): PacketKey {
  const { hook = 'forward' } = sample
  if (!HOOKS.includes(hook)) throw invalidValue('hook', 'forward, input or output', hook)
  const source = parseAddress(sample.source, 'source')
  const destination = parseAddress(sample.destination, 'destination')
  if (destination.isIpv4 !== source.isIpv4)
    throw invalidValue('destination', 'of the family of source', sample.destination)
  const key = new PacketKey(source.isIpv4, (link) => names[link] ?? '')
  key.hook = hook
  key.inLink = index(sample.in ?? '')
  key.outLink = index(sample.out ?? '')
  key.source.set(source)
  key.destination.set(destination)
  const { protocol = 'tcp' } = sample
  const number = typeof protocol === 'number' ? protocol : PROTOCOLS[protocol]
  if (number === undefined) throw invalidValue('protocol', `one of ${Object.keys(PROTOCOLS).join(', ')}`, protocol)
  key.protocol = integer('protocol', number, 0, 255)
  key.sourcePort = integer('sourcePort', sample.sourcePort ?? -1, -1, 65_535)
  key.destinationPort = integer('destinationPort', sample.destinationPort ?? -1, -1, 65_535)
  key.icmpType = integer('icmpType', sample.icmpType ?? -1, -1, 255)
  key.tcpFlags = key.protocol === PROTOCOLS.tcp ? flagsOf(sample.tcpFlags ?? 'SYN') : -1
  key.answer = sample.answer ?? false
  return key
}

function flagsOf(text: string): number {
  return text.split(/[,|+ ]+/).reduce((bits, name) => {
    const bit = FLAGS[name.toUpperCase()]
    if (bit === undefined) throw invalidValue('tcpFlags', `some of ${Object.keys(FLAGS).join(', ')}`, text)
    return bits | bit
  }, 0)
}

function apply(
  key: PacketKey,
  { dscp, destination, destinationPort }: Change,
  to: { dscp?: number; destination?: string; destinationPort?: number },
): void {
  if (dscp >= 0) to.dscp = dscp
  if (destination?.isIpv4 === key.isIpv4) {
    key.destination.set(destination)
    to.destination = destination.toString()
  }
  if (destinationPort >= 0) {
    key.destinationPort = destinationPort
    to.destinationPort = destinationPort
  }
}
