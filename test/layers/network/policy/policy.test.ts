/** Policies held against packets in words: what matches, what decides, and what is refused as a policy. */
import t from 'tap'
import { type SamplePacket, testPolicy } from '../../../../layers/network/index.ts'
import { PacketKey } from '../../../../layers/network/policy/packet-key.ts'
import { Policy } from '../../../../layers/network/policy/policy.ts'
import type { PolicyOptions, PolicyRule } from '../../../../src/api/rules.ts'

const packet: SamplePacket = {
  in: 'lan0',
  out: 'wan0',
  source: '192.168.0.7',
  destination: '203.0.113.9',
  sourcePort: 40_000,
  destinationPort: 443,
}

/** Does one condition match the packet, changed as told? */
const fits = (condition: Partial<PolicyRule>, changed: Partial<SamplePacket> = {}) => {
  const { trials } = testPolicy({ rules: [{ ...condition, action: 'deny' }] }, { ...packet, ...changed })
  return trials[0]?.mismatch ?? true
}

t.test('conditions, one by one', async (t) => {
  const udp = { protocol: 'udp' } as const
  const cases: [Partial<PolicyRule>, Partial<SamplePacket>, true | string][] = [
    [{}, {}, true],
    [{ hook: 'forward' }, {}, true],
    [{ hook: ['input', 'output'] }, {}, 'hook'],
    [{ hook: 'input' }, { hook: 'input' }, true],
    [{ in: 'lan0' }, {}, true],
    [{ in: ['lan0', 'lan1'] }, { in: 'lan1' }, true],
    [{ in: 'wan0' }, {}, 'in'],
    [{ in: 'lan0' }, { in: undefined }, 'in'],
    [{ out: 'wan0' }, {}, true],
    [{ out: 'lan0' }, {}, 'out'],
    [{ source: '192.168.0.0/24' }, {}, true],
    [{ source: ['10.0.0.0/8', '192.168.0.7'] }, {}, true],
    [{ source: '192.168.0.0/30' }, {}, 'source'],
    [{ source: '0.0.0.0/0' }, {}, true],
    [{ source: '::/0' }, {}, 'source'],
    [{ source: '::/0' }, { source: '2001:db8::1', destination: '2001:db8::2' }, true],
    [{ source: '0.0.0.0/0' }, { source: '2001:db8::1', destination: '2001:db8::2' }, 'source'],
    [{ destination: '2001:db8::/64' }, { source: '2001:db8::1', destination: '2001:db8::ffff:2' }, true],
    [{ destination: '2001:db8:0:1::/64' }, { source: '2001:db8::1', destination: '2001:db8::2' }, 'destination'],
    [{ destination: '203.0.113.8/31' }, {}, true],
    [{ destination: '203.0.113.8' }, {}, 'destination'],
    [{ protocol: 'tcp' }, {}, true],
    [{ protocol: ['udp', 6] }, {}, true],
    [{ protocol: 'udp' }, {}, 'protocol'],
    [{ protocol: 'tcp' }, udp, 'protocol'],
    [{ destinationPort: 443 }, {}, true],
    [{ destinationPort: [80, '440-443'] }, {}, true],
    [{ destinationPort: '444-500' }, {}, 'destinationPort'],
    [{ sourcePort: '1024-65535' }, {}, true],
    [{ sourcePort: 0 }, {}, 'sourcePort'],
    [{ sourcePort: '0-65535' }, { sourcePort: undefined }, 'sourcePort'],
    [{ icmpType: 8 }, { protocol: 'icmp', icmpType: 8 }, true],
    [{ icmpType: [0, 3] }, { protocol: 'icmp', icmpType: 8 }, 'icmpType'],
    [{ icmpType: 8 }, {}, 'icmpType'],
    [{ tcp: 'new' }, {}, true],
    [{ tcp: 'new' }, { tcpFlags: 'SYN,ACK' }, 'tcp'],
    [{ tcp: 'established' }, { tcpFlags: 'ack psh' }, true],
    [{ tcp: 'established' }, { tcpFlags: 'RST' }, true],
    [{ tcp: 'established' }, {}, 'tcp'],
    [{ tcp: 'established' }, udp, 'tcp'],
    [{ answer: true }, { answer: true }, true],
    [{ answer: true }, {}, 'answer'],
    [{ answer: false }, {}, true],
  ]
  for (const [condition, changed, expected] of cases) {
    t.equal(fits(condition, changed), expected, `${JSON.stringify(condition)} ${JSON.stringify(changed)}`)
  }
})

t.test('the first rule that decides does, and rewriting goes on', async (t) => {
  const policy: PolicyOptions = {
    rules: [
      { name: 'mark', protocol: 'tcp', action: 'rewrite', rewrite: { dscp: 46 } },
      { name: 'no-telnet', destinationPort: 23, action: 'reject' },
      {
        name: 'proxy',
        hook: 'forward',
        destinationPort: 80,
        action: 'rewrite',
        rewrite: { destination: '192.168.0.9', destinationPort: 3128 },
      },
      { name: 'to-proxy', destination: '192.168.0.9', destinationPort: 3128, action: 'allow' },
      { name: 'web', destinationPort: 443, action: 'allow' },
    ],
    default: 'deny',
  }
  t.match(testPolicy(policy, packet), { verdict: 'allow', rule: 'web', rewritten: { dscp: 46 } })
  t.match(testPolicy(policy, { ...packet, destinationPort: 23 }), { verdict: 'reject', rule: 'no-telnet' })
  t.strictSame(testPolicy(policy, { ...packet, destinationPort: 80 }), {
    verdict: 'allow',
    rule: 'to-proxy',
    trials: [
      { rule: 'mark', action: 'rewrite', matched: true, mismatch: undefined },
      { rule: 'no-telnet', action: 'reject', matched: false, mismatch: 'destinationPort' },
      { rule: 'proxy', action: 'rewrite', matched: true, mismatch: undefined },
      { rule: 'to-proxy', action: 'allow', matched: true, mismatch: undefined },
    ],
    rewritten: { dscp: 46, destination: '192.168.0.9', destinationPort: 3128 },
  })
  const none = testPolicy(policy, { ...packet, protocol: 'udp', destinationPort: 9 })
  t.match(none, { verdict: 'deny', rule: undefined })
  t.equal(none.trials.length, 5)
  t.match(testPolicy({ rules: [] }, packet), { verdict: 'allow', trials: [] })
})

t.test('a function decides', async (t) => {
  const seen: string[] = []
  const policy: PolicyOptions = {
    rules: (packet) => {
      seen.push(`${packet.hook} ${packet.in} ${packet.out} ${packet.source} ${packet.destinationPort}`)
      return packet.destinationPort === 443 ? 'reject' : undefined
    },
    default: 'deny',
  }
  t.match(testPolicy(policy, packet), { verdict: 'reject', rule: undefined, trials: [] })
  t.match(testPolicy(policy, { ...packet, destinationPort: 80 }), { verdict: 'deny' })
  t.equal(seen[0], 'forward lan0 wan0 192.168.0.7 443')
})

t.test('one that throws denies, and it is told', async (t) => {
  const errors: string[] = []
  const policy = new Policy({
    rules: () => {
      throw new Error('oops')
    },
  })
  const owner = { change: () => {}, failed: (error: unknown) => errors.push(String(error)) }
  t.equal(policy.decide(new PacketKey(true, () => ''), owner), 'deny')
  t.strictSame(errors, ['Error: oops'])
})

t.test('a policy that makes no sense is refused, and the message says where', async (t) => {
  const refuses = (rule: object, where: string, code = 'ERR_INVALID_ARG_VALUE') =>
    t.throws(
      () => new Policy({ rules: [{ action: 'allow' }, rule as PolicyRule] }),
      { code, message: new RegExp(`policy\\.rules\\[1\\]${where.replaceAll('.', '\\.')}`) },
      JSON.stringify(rule),
    )
  refuses({}, '.action')
  refuses({ action: 'drop' }, '.action')
  refuses({ action: 'allow', port: 80 }, '.port')
  refuses({ action: 'allow', hook: 'prerouting' }, '.hook')
  refuses({ action: 'allow', source: '10.0.0.0/33' }, '.source')
  refuses({ action: 'allow', destination: 'example.com' }, '.destination')
  refuses({ action: 'allow', protocol: 'gre' }, '.protocol')
  refuses({ action: 'allow', protocol: 256 }, '.protocol', 'ERR_OUT_OF_RANGE')
  for (const destinationPort of [65_536, '90-80', 'http', '1-2-3', -1, '']) {
    refuses({ action: 'allow', destinationPort }, '.destinationPort')
  }
  refuses({ action: 'allow', icmpType: 256 }, '.icmpType', 'ERR_OUT_OF_RANGE')
  refuses({ action: 'allow', tcp: 'related' }, '.tcp')
  refuses({ action: 'allow', protocol: 'icmp', destinationPort: 80 }, '.protocol')
  refuses({ action: 'allow', protocol: 'udp', tcp: 'new' }, '.protocol')
  refuses({ action: 'allow', protocol: 'tcp', icmpType: 8 }, '.protocol')
  refuses({ action: 'allow', hook: 'output', in: 'lan0' }, '.in')
  refuses({ action: 'allow', hook: ['input'], out: 'lan0' }, '.out')
  refuses({ action: 'allow', source: '10.0.0.0/8', destination: 'fd00::/8' }, '.destination')
  refuses({ action: 'allow', source: '10.0.0.0/8', protocol: 'icmpv6' }, '.protocol')
  refuses({ action: 'allow', destination: ['fd00::/8'], protocol: ['icmp', 1] }, '.protocol')
  refuses(
    { action: 'rewrite', hook: 'forward', source: 'fd00::/8', rewrite: { destination: '10.0.0.1' } },
    '.rewrite.destination',
  )
  refuses(
    { action: 'rewrite', hook: 'forward', protocol: 'icmp', rewrite: { destination: 'fd00::1' } },
    '.rewrite.destination',
  )
  refuses({ action: 'rewrite' }, '.rewrite')
  refuses({ action: 'rewrite', rewrite: {} }, '.rewrite')
  refuses({ action: 'allow', rewrite: { dscp: 1 } }, '.rewrite')
  refuses({ action: 'rewrite', rewrite: { dscp: 64 } }, '.rewrite.dscp', 'ERR_OUT_OF_RANGE')
  refuses({ action: 'rewrite', rewrite: { destination: '10.0.0.1' } }, '.hook')
  refuses(
    { action: 'rewrite', hook: 'forward', rewrite: { destinationPort: 0 } },
    '.rewrite.destinationPort',
    'ERR_OUT_OF_RANGE',
  )
  const both = ['10.0.0.0/8', 'fd00::/8']
  const right: PolicyRule[] = [
    { action: 'allow', hook: ['output', 'forward'], in: 'lan0', out: 'wan0' },
    { action: 'allow', source: both, destination: 'fd00::/8' },
    { action: 'allow', source: '10.0.0.0/8', destination: both },
    { action: 'allow', source: both, protocol: 'icmpv6' },
    { action: 'allow', source: 'fd00::/8', protocol: ['icmp', 'icmpv6'] },
    { action: 'allow', source: '10.0.0.0/8', protocol: ['icmpv6', 'tcp'] },
    { action: 'rewrite', hook: 'forward', source: both, protocol: 'icmp', rewrite: { destination: '10.0.0.1' } },
  ]
  t.doesNotThrow(() => new Policy({ rules: right }))
  t.throws(() => new Policy({ rules: [], default: 'maybe' as 'deny' }), { code: 'ERR_INVALID_ARG_VALUE' })
  t.throws(() => new Policy({ rules: {} as [] }), { code: 'ERR_INVALID_ARG_TYPE' })
  t.throws(() => new Policy({ rules: [null as unknown as PolicyRule] }), { code: 'ERR_INVALID_ARG_TYPE' })
  const twice: PolicyRule = { name: 'a', action: 'allow' }
  t.throws(() => new Policy({ rules: [twice, twice] }), { code: 'ERR_INVALID_ARG_VALUE' })
})

t.test('a sample that makes no sense', async (t) => {
  const refuses = (changed: object, code = 'ERR_INVALID_ARG_VALUE') =>
    t.throws(() => testPolicy({ rules: [] }, { ...packet, ...changed }), { code }, JSON.stringify(changed))
  refuses({ source: 'x' })
  refuses({ destination: '2001:db8::1' })
  refuses({ hook: 'x' })
  refuses({ protocol: 'x' })
  refuses({ tcpFlags: 'x' })
  refuses({ destinationPort: 65_536 }, 'ERR_OUT_OF_RANGE')
})
