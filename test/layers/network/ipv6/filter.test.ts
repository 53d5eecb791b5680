/** A router of IPv6 with a policy: what passes, what is told, what is changed, what is counted; and the same of SYNs that it clamps. */
import t, { type Test } from 'tap'
import type { PolicyOptions, PolicyRule } from '../../../../src/api/rules.ts'
import { packetsInUse } from '../../../../src/kernel/packet.ts'
import type { TestLink } from '../ipv4/link.ts'
import {
  checksumOf,
  DESTINATION,
  extension,
  FRAGMENT,
  fragmentHeader,
  icmp,
  newDrops,
  packet,
  told,
  twoLinks,
} from './bare.ts'
import { pattern } from './stand.ts'

type On = ReturnType<typeof twoLinks> & { readonly a: TestLink; readonly b: TestLink }
const [INSIDE, OUTSIDE] = ['fd00:a::2', 'fd00:b::2']
const UDP = 17
const TCP = 6

function routed(name: string, options: Parameters<typeof twoLinks>[0], body: (t: Test, on: On) => Promise<void>): void {
  t.test(name, async (t) => {
    const before = packetsInUse()
    const on = twoLinks({ forwarding: true, ...options })
    const [a, b] = on.wires as [TestLink, TestLink]
    await body(t, { ...on, a, b })
    await on.sim.close()
    t.equal(packetsInUse(), before, 'every packet was released')
  })
}

const ruled = (...rules: PolicyRule[]): { policy: PolicyOptions } => ({ policy: { rules } })

/** A transport's octets with their checksum, by other code than that under test. */
function summed(protocol: number, octets: number[], destination: string = OUTSIDE): Uint8Array {
  const message = Uint8Array.from(octets)
  const field = protocol === UDP ? 6 : 16
  const sum = checksumOf(INSIDE, destination, protocol, message)
  message.set([sum >> 8, sum & 255], field)
  return message
}

const datagram = (port: number, destination: string = OUTSIDE): Uint8Array =>
  summed(UDP, [0x40, 0, port >> 8, port & 255, 0, 12, 0, 0, 1, 2, 3, 4], destination)

const fromInside = (next: number, payload: Uint8Array, destination: string = OUTSIDE): Uint8Array =>
  packet({ source: INSIDE, destination, next, payload })

/** Is the checksum of what was sent on right? */
function sumsUp(octets: Uint8Array | undefined, destination: string, protocol: number): boolean {
  return octets !== undefined && checksumOf(INSIDE, destination, protocol, octets.subarray(40)) === 0
}

routed(
  'by link, prefix, port and type; silently, or with a word to the sender',
  ruled(
    { name: 'web', hook: 'forward', in: 'a', out: 'b', protocol: 'udp', destinationPort: 80, action: 'allow' },
    { name: 'any part', hook: 'forward', protocol: 'tcp', action: 'allow' },
    { name: 'echo', protocol: 'icmpv6', icmpType: [128, 129], action: 'allow' },
    { name: 'told', hook: 'forward', destination: 'fd00:b::/64', destinationPort: '81-90', action: 'reject' },
    { name: 'rest', hook: ['forward', 'input'], action: 'deny' },
  ),
  async (t, { network, a, b }) => {
    a.inject(fromInside(UDP, datagram(80)))
    t.equal(b.sent.length, 1)
    const inside = Uint8Array.from([...extension(UDP, []), ...datagram(80)])
    a.inject(fromInside(DESTINATION, inside))
    t.equal(b.sent.length, 2, 'behind extension headers, too')
    t.strictSame(
      newDrops(network, () => a.inject(fromInside(UDP, datagram(85)))),
      ['policyRejected'],
    )
    t.equal(told(a.sent.pop()), '1 1 0', 'administratively prohibited')
    t.strictSame(
      newDrops(network, () => a.inject(fromInside(UDP, datagram(91)))),
      ['policyDenied'],
    )
    const later = Uint8Array.from([...fragmentHeader(UDP, 8, false, 1), ...datagram(80)])
    t.strictSame(
      newDrops(network, () => a.inject(fromInside(FRAGMENT, later))),
      ['policyDenied'],
      'a port it does not have',
    )
    t.strictSame(
      newDrops(network, () =>
        b.inject(packet({ source: OUTSIDE, destination: INSIDE, next: UDP, payload: datagram(80) })),
      ),
      ['policyDenied'],
      'the other way',
    )
    a.inject(icmp(128, 0, 1, [], { source: INSIDE, destination: 'fd00:a::1' }))
    t.equal(told(a.sent.pop()), '129 0 1')
    t.strictSame(
      newDrops(network, () => a.inject(fromInside(UDP, datagram(80), 'fd00:a::1'))),
      ['policyDenied'],
      'to the router',
    )
    const solicited = icmp(135, 0, 0, pattern(16), { source: 'fe80::7', destination: 'fd00:a::1', hopLimit: 255 })
    t.strictSame(
      newDrops(network, () => a.inject(solicited)),
      ['notOurNeighbour'],
      'discovery is not asked about',
    )
    const beyond = icmp(135, 0, 0, pattern(16), { source: INSIDE, destination: OUTSIDE, hopLimit: 255 })
    const afar = icmp(135, 0, 0, pattern(16), { source: OUTSIDE, destination: 'fd00:b::1', hopLimit: 254 })
    t.strictSame(
      newDrops(network, () => a.inject(beyond)),
      ['policyDenied'],
      'unless it goes beyond the link',
    )
    t.strictSame(
      newDrops(network, () => b.inject(afar)),
      ['policyDenied'],
      'or may have come from there',
    )
    b.sent.length = 0
    a.inject(fromInside(FRAGMENT, Uint8Array.from([...fragmentHeader(TCP, 8, false, 1), ...pattern(8)])))
    t.equal(b.sent.length, 1, 'a later fragment is of its protocol')
    t.strictSame(a.sent, [])
    const counts = Object.fromEntries(network.control.policy().map(({ name, packets }) => [name, packets]))
    t.match(counts, { web: 2, echo: 2, told: 1, rest: 6 })
  },
)

routed(
  'what is rewritten adds up',
  ruled(
    {
      hook: 'forward',
      protocol: 'udp',
      action: 'rewrite',
      rewrite: { destination: 'fd00:b::77', destinationPort: 5353, dscp: 46 },
    },
    { hook: 'output', protocol: 'icmpv6', action: 'deny' },
  ),
  async (t, { network, a, b }) => {
    const original = { source: INSIDE, destination: '2001:db8::5', trafficClass: 0xff, flow: 0xabcde }
    a.inject(packet({ ...original, next: UDP, payload: datagram(53, '2001:db8::5') }))
    const [sent] = b.sent
    t.match(Buffer.from(sent ?? []).toString('hex'), /^6bbabcde/, 'ECN and the flow label stay')
    t.equal(Buffer.from(sent ?? []).readUInt16BE(42), 5353)
    t.ok(sumsUp(sent, 'fd00:b::77', UDP), 'its checksum follows')
    t.strictSame(
      newDrops(network, () => a.inject(icmp(128, 0, 1, [], { source: INSIDE, destination: 'fd00:a::1' }))),
      ['policyDenied'],
    )
    t.strictSame(a.sent, [], 'what we send is asked about, too')
  },
)

routed('a SYN announces what fits the links', { clampMss: true, mtu: 1400 }, async (t, { a, b }) => {
  const syn = (flags: number) =>
    summed(TCP, [0x40, 0, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x60, flags, 255, 255, 0, 0, 0, 0, 2, 4, 0x05, 0xa0])
  a.inject(fromInside(TCP, syn(2)))
  t.equal(Buffer.from(b.sent[0] ?? []).readUInt16BE(62), 1340)
  t.ok(sumsUp(b.sent[0], OUTSIDE, TCP))
  a.inject(fromInside(TCP, syn(16)))
  t.equal(Buffer.from(b.sent[1] ?? []).readUInt16BE(62), 1440, 'a SYN alone')
})

routed('what comes by a link that does not lead back', { reversePath: 'strict' }, async (t, { network, a, b }) => {
  const spoofed = fromInside(UDP, datagram(9))
  t.strictSame(
    newDrops(network, () => b.inject(spoofed)),
    ['reversePath'],
  )
  t.strictSame(
    newDrops(network, () => a.inject(spoofed)),
    [],
  )
  b.inject(icmp(128, 0, 1, [], { source: 'fe80::9', destination: 'fe80::b' }))
  t.equal(told(b.sent.pop()), '129 0 1', 'what is link-local is asked nothing')
  const own = (check: string) => twoLinks({ reversePath: check as 'loose' })
  t.throws(() => own('yes'), { code: 'ERR_INVALID_ARG_VALUE' })
})
