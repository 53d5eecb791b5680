/** The lists that packets meet instead of all rules: they leave out nothing that could fit, and all that could not. */
import assert from 'node:assert'
import fc from 'fast-check'
import t from 'tap'
import { CompiledRule } from '../../../../layers/network/policy/compiled-rule.ts'
import { PacketKey } from '../../../../layers/network/policy/packet-key.ts'
import { Policy } from '../../../../layers/network/policy/policy.ts'
import { PrefixSet } from '../../../../layers/network/policy/prefix-set.ts'
import { RuleLists } from '../../../../layers/network/policy/rule-lists.ts'
import type { PolicyHook, PolicyRule } from '../../../../src/api/rules.ts'
import { parseAddress } from '../../../../src/kernel/address.ts'
import { holds } from '../../../property.ts'

const HOOKS: PolicyHook[] = ['forward', 'input', 'output']
const ADDRESSES = {
  ipv4: ['10.0.0.1', '10.0.0.2', '192.168.0.1'],
  ipv6: ['2001:db8::1', '2001:db8:0:1::1', '::ffff:10.0.0.1'],
}
const PREFIXES = ['0.0.0.0/0', '10.0.0.0/8', '10.0.0.2', '192.168.0.0/31', '::/0', '2001:db8::/64', '2001:db8:0:1::1']

/** A packet: one of the family's addresses each. */
const packet = fc.record({
  isIpv4: fc.boolean(),
  hook: fc.constantFrom(...HOOKS),
  source: fc.nat(2),
  destination: fc.nat(2),
  protocol: fc.constantFrom(1, 6, 17, 47, 58, 132),
  port: fc.constantFrom(22, 80),
  icmpType: fc.constantFrom(0, 8),
  flags: fc.constantFrom(0x02, 0x10),
  link: fc.integer({ min: 1, max: 2 }),
  answer: fc.boolean(),
})

type Sample = typeof packet extends fc.Arbitrary<infer Value> ? Value : never

function keyOf(sample: Sample): PacketKey {
  const { isIpv4, protocol, port, link } = sample
  const key = new PacketKey(isIpv4, () => '')
  const addresses = isIpv4 ? ADDRESSES.ipv4 : ADDRESSES.ipv6
  key.hook = sample.hook
  key.inLink = sample.hook === 'output' ? 0 : link
  key.outLink = sample.hook === 'input' ? 0 : link
  key.source.set(parseAddress(addresses[sample.source] as string))
  key.destination.set(parseAddress(addresses[sample.destination] as string))
  key.protocol = protocol
  if ([6, 17, 132].includes(protocol)) {
    key.sourcePort = port
    key.destinationPort = port
  }
  if (protocol === 1 || protocol === 58) key.icmpType = sample.icmpType
  if (protocol === 6) key.tcpFlags = sample.flags
  key.answer = sample.answer
  return key
}

const some = <Value>(...values: Value[]) => fc.option(fc.constantFrom(...values), { nil: undefined, freq: 2 })
const several = <Value>(...values: Value[]) => fc.option(fc.subarray(values, { minLength: 1 }), { nil: undefined })

/** A rule that makes sense; those that contradict themselves are left out. */
const rule: fc.Arbitrary<PolicyRule> = fc
  .record({
    hook: several(...HOOKS),
    in: some('a', 'b', 'none'),
    out: some('a', 'b'),
    source: several(...PREFIXES),
    destination: several(...PREFIXES),
    protocol: several<'tcp' | 'udp' | 'icmp' | 'icmpv6' | number>('tcp', 'udp', 'icmp', 'icmpv6', 47, 132),
    destinationPort: some<number | string>(80, '1-65535'),
    icmpType: some(8),
    tcp: some('new' as const, 'established' as const),
    answer: some(true, false),
    action: fc.constantFrom('allow' as const, 'deny' as const, 'reject' as const, 'rewrite' as const),
  })
  .map((one) => (one.action === 'rewrite' ? { ...one, rewrite: { dscp: 1 } } : one))
  .filter((one) => {
    try {
      return new CompiledRule(one, 'rule', 1) !== null
    } catch {
      return false
    }
  })

const index = (name: string): number => Math.max(0, ['', 'a', 'b'].indexOf(name))

t.test('a packet meets what it would meet in all of them', async (t) => {
  holds(
    t,
    'the same rules match, and the same one decides',
    fc.property(
      fc.array(rule, { maxLength: 12 }),
      fc.array(packet, { minLength: 1, maxLength: 12 }),
      (rules, packets) => {
        const policy = new Policy({ rules, default: 'allow' })
        policy.bind(index)
        const expected = new Map<string, number>()
        const owner = { change: () => {}, failed: assert.fail }
        for (const sample of packets) {
          const { verdict, trials } = policy.explain(keyOf(sample), owner)
          for (const { rule, mismatch } of trials) {
            if (mismatch === null) expected.set(rule.name, (expected.get(rule.name) ?? 0) + 1)
          }
          assert.equal(policy.decide(keyOf(sample), owner), verdict)
        }
        for (const { name, packets } of policy.counts()) {
          if (name !== 'default') assert.equal(packets, expected.get(name) ?? 0, name)
        }
      },
    ),
    { numRuns: 100 },
  )
})

t.test('what cannot fit costs a packet nothing', async (t) => {
  const rules: PolicyRule[] = [
    { name: 'input', hook: 'input', action: 'deny' },
    { name: 'tcp', protocol: 'tcp', action: 'deny' },
    { name: 'new', tcp: 'new', action: 'deny' },
    { name: 'ping', icmpType: 8, action: 'deny' },
    { name: 'ports', destinationPort: 80, action: 'deny' },
    { name: 'gre', protocol: [47, 'udp'], action: 'deny' },
    { name: 'ipv4', source: '10.0.0.0/8', action: 'deny' },
    { name: 'ipv6', destination: ['2001:db8::/32'], action: 'deny' },
    { name: 'both', source: ['10.0.0.0/8', 'fd00::/8'], action: 'deny' },
    { name: 'all', action: 'deny' },
  ]
  const lists = new RuleLists(rules.map((rule, i) => new CompiledRule(rule, 'rule', i)))
  const met = (hook: PolicyHook, isIpv4: boolean, protocol: number) => {
    const key = new PacketKey(isIpv4, () => '')
    key.hook = hook
    key.protocol = protocol
    return lists.of(key).map(({ name }) => name)
  }
  t.strictSame(met('forward', true, 6), ['tcp', 'new', 'ports', 'ipv4', 'both', 'all'])
  t.strictSame(met('input', false, 6), ['input', 'tcp', 'new', 'ports', 'ipv6', 'both', 'all'])
  t.strictSame(met('output', true, 17), ['ports', 'gre', 'ipv4', 'both', 'all'])
  t.strictSame(met('forward', false, 58), ['ping', 'ipv6', 'both', 'all'])
  t.strictSame(met('forward', true, 47), ['gre', 'ipv4', 'both', 'all'])
  t.strictSame(met('forward', true, 200), ['ipv4', 'both', 'all'], 'one that no rule names')
})

t.test('a set of prefixes has what one of them has, of its family alone', async (t) => {
  const set = new PrefixSet(['10.1.2.3/8', '192.0.2.1', '2001:db8::1/33', '2001:db9::7'], 'test')
  const has = (text: string) => {
    const address = parseAddress(text)
    return set.has(address, address.isIpv4)
  }
  for (const text of ['10.255.0.1', '192.0.2.1', '2001:db8:7fff::', '2001:db9::7']) t.ok(has(text), text)
  for (const text of ['11.0.0.1', '192.0.2.0', '2001:db8:8000::', '2001:db9::8', '::']) t.notOk(has(text), text)
  const all = new PrefixSet(['0.0.0.0/0'], 'test')
  t.ok(all.has(parseAddress('1.2.3.4'), true))
  t.notOk(all.has(parseAddress('::ffff:1.2.3.4'), false), 'an IPv6 packet, whatever its address looks like')
  t.notOk(all.hasAny(false))
})
