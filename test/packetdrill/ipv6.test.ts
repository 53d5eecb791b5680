/** Over what scripts run: by their own word, their name, or as asked; and what IPv6 has of its own. */
import t from 'tap'
import { parseAddress } from '../../src/index.ts'
import { IP_VERSIONS, type Wire } from './language/ip-version.ts'
import { parseScript } from './language/parser.ts'
import type { PacketAction } from './language/script.ts'
import { Flow } from './run/flow.ts'
import { type RunOptions, runScript } from './run/runner.ts'
import { otherwiseOf } from './suite.ts'
import { formatIcmp, icmpNumbers } from './wire/icmp.ts'
import type { IpHeader } from './wire/ip.ts'
import { decodePacket, encodeIcmpError, encodeTcpPacket, type TcpPacket } from './wire/packet.ts'
import { formatBody } from './wire/text.ts'

/** A connection on descriptor 4; lines 1 to 7. */
const accepted = (mss: number): string => `0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+0 < S 0:0(0) win 20000 <mss 1000>
+0 > S. 0:0(0) ack 1 <mss ${mss}>
+.1 < . 1:1(0) ack 1 win 20000
+0 accept(3, ..., ...) = 4
`
const IPV6 = '--ip_version=ipv6\n'

const packet = (text: string): PacketAction => parseScript(`0 ${text}`, 'ipv6').events[0]?.action as PacketAction

async function why(script: string, options?: RunOptions): Promise<string> {
  const verdict = await runScript(script, options)
  return verdict.ok ? 'ok' : verdict.why
}

t.test('a script runs over what it says, else over what is asked for, and its MSS shows which', async (t) => {
  t.equal(await why(accepted(1460)), 'ok')
  t.equal(await why(IPV6 + accepted(1440)), 'ok')
  t.equal(await why(`--ip_version=ipv4-mapped-ipv6\n${accepted(1460)}`), 'ok')
  t.equal(await why(`${IPV6}--mtu=1520\n${accepted(1460)}`), 'ok')
  t.equal(await why(accepted(1440), { otherwise: { ipVersion: 'ipv6' } }), 'ok')
  t.equal(await why(accepted(1460), { otherwise: { ipVersion: 'ipv6', mtu: 1520 } }), 'ok')
  t.equal(
    await why(IPV6 + accepted(1440), { otherwise: { ipVersion: 'ipv6', mtu: 1520 } }),
    'ok',
    'its own word counts',
  )
  t.equal(await why(`--ip_version=ipv4\n${accepted(1460)}`, { otherwise: { ipVersion: 'ipv6', mtu: 1520 } }), 'ok')
  t.equal(await why(`--mtu=1280\n${accepted(1220)}`, { otherwise: { ipVersion: 'ipv6', mtu: 1520 } }), 'ok')
  t.match(await why(IPV6 + accepted(1460)), /options: expected <mss 1460>, got <mss 1440>/)
})

t.test('names say it, too, as to the runners of the original', async (t) => {
  t.strictSame(otherwiseOf('a/basic-v6.pkt', 'ipv4'), { ipVersion: 'ipv6' })
  t.strictSame(otherwiseOf('a/rcv-syn-ipv6.pkt', 'ipv6'), { ipVersion: 'ipv6' })
  t.strictSame(otherwiseOf('a/basic-v4.pkt', 'ipv6'), { ipVersion: 'ipv4' })
  t.strictSame(otherwiseOf('a/basic-v4.pkt', 'ipv4-mapped-ipv6'), { ipVersion: 'ipv4-mapped-ipv6' })
  t.strictSame(otherwiseOf('a/basic.pkt', 'ipv6'), { ipVersion: 'ipv6', mtu: 1520 })
  t.strictSame(otherwiseOf('a/basic.pkt', 'ipv4'), { ipVersion: 'ipv4' })
})

t.test('an MTU that is asked for is that of all that do not say one', async (t) => {
  t.equal(await why(IPV6 + accepted(1460), { mtu: 1520 }), 'ok')
  t.equal(await why(accepted(1000), { mtu: 1040 }), 'ok')
  t.equal(await why(`${IPV6}--mtu=1300\n${accepted(1240)}`, { mtu: 1520 }), 'ok')
})

t.test('sockets are those of IPv6, addresses too', async (t) => {
  const address = '{sa_family = AF_INET6, sin6_port = htons(7000), sin6_addr = inet6_addr("::")}'
  const named = (mss: number) => accepted(mss).replace('bind(3, ...,', `bind(3, ${address},`)
  t.equal(await why(IPV6 + named(1440)), 'ok')
  t.equal(await why(`--ip_version=ipv4-mapped-ipv6\n${named(1460)}`), 'ok')
  t.equal(await why(`${IPV6}--local_ip=fd::1\n--gateway_ip=fd::2\n--remote_ip=2001:DB8::1/32\n${accepted(1440)}`), 'ok')
  t.match(
    await why(`--local_ip=192.168.0.2\n${accepted(1460)}`, { otherwise: { ipVersion: 'ipv6' } }),
    /^line 1: unsupported: --local_ip=192\.168\.0\.2, which is no address of IPv6/,
  )
  t.match(await why(`--remote_ip=fd::2\n${accepted(1460)}`), /^line 1: unsupported: .* no address of IPv4/)
  t.match(await why(`--remote_ip=nowhere\n${accepted(1460)}`), /^line 1: unsupported: .* no address of IPv4/)
  const connecting = `0 socket(AF_INET6, SOCK_STREAM, IPPROTO_TCP) = 3
+0 fcntl(3, F_SETFL, O_NONBLOCK) = 0
+0 connect(3, ..., ...) = -1 EINPROGRESS (Operation now in progress)
`
  const answered = `+.1 < S. 0:0(0) ack 1 win 20000 <mss 1000>\n+0 > . 1:1(0) ack 1\n`
  t.equal(await why(`${IPV6}${connecting}+0 > S 0:0(0) <...>\n${answered}`), 'ok')
  t.equal(await why(`--ip_version=ipv4-mapped-ipv6\n${connecting}+0 > S 0:0(0) <...>\n${answered}`), 'ok')
})

t.test('options of IPv6, and settings of the machine', async (t) => {
  const set = '+0 setsockopt(4, SOL_IPV6, IPV6_MTU_DISCOVER, [IPV6_PMTUDISC_DONT], 4) = 0\n'
  const get = '+0 getsockopt(4, SOL_IPV6, IPV6_MTU_DISCOVER, [0], [4]) = 0\n'
  t.equal(await why(IPV6 + accepted(1440) + set + get), 'ok')
  t.match(await why(IPV6 + accepted(1440) + get), /IPV6_MTU_DISCOVER: expected 0, got 1/)
  const sysctl = (setting: string) => `${IPV6}\`sysctl -q net.ipv6.${setting}\`\n${accepted(1440)}`
  t.equal(await why(sysctl('conf.all.accept_ra=0')), 'ok', 'a matter of links')
  t.equal(await why(`${IPV6}\`ip -6 route show\`\n${accepted(1440)}`), 'ok', 'looking is not judged')
  t.match(await why(sysctl('conf.all.hop_limit=9')), /^line 2: unsupported: the sysctl net\.ipv6\.conf\.all\.hop_limit/)
  t.match(await why(sysctl('auto_flowlabels=0')), /unsupported: the sysctl net\.ipv6\.auto_flowlabels/)
})

t.test('merged segments have a longer header before them', async (t) => {
  const merged = `${IPV6}--mss=1000
${accepted(1440)}+0 < . 1:10001(10000) ack 1 win 20000
+0 > . 1:1(0) ack 10001
+0 %{ assert tcpi_rcv_mss == 1000, tcpi_rcv_mss }%
`
  t.equal(await why(merged), 'ok')
})

t.test('ICMP by names, which are not the same', async (t) => {
  const numbers = (wire: Wire, type: string, code?: string) => Object.values(icmpNumbers(wire, type, code) ?? {})
  t.strictSame(numbers(4, 'unreachable', 'port_unreachable'), [3, 3])
  t.strictSame(numbers(6, 'unreachable', 'port_unreachable'), [1, 4])
  t.strictSame(numbers(4, 'time_exceeded'), [11, 0])
  t.strictSame(numbers(6, 'time_exceeded', 'exceeded_frag_time'), [3, 1])
  t.strictSame(numbers(6, 'unreachable', 'net_unreachable'), [1, 0])
  t.strictSame(numbers(6, 'unreachable', 'frag_needed'), [])
  t.strictSame(numbers(4, 'packet_too_big'), [])
  t.equal(formatIcmp(6, 1, 4), 'icmp unreachable port_unreachable')
  t.equal(formatIcmp(6, 2, 0), 'icmp packet_too_big')
  t.equal(formatIcmp(6, 200, 9), 'icmp type_200 code_9')
  const text = 'icmp packet_too_big mtu 100000 [1:1001(1000)]'
  t.equal(formatBody(packet(`< ${text}`).body), text)
  t.throws(() => parseScript(`0 < ${text}`), { message: /^unsupported: ICMP packet_too_big/ })
  t.throws(() => parseScript('0 < icmp unreachable frag_needed', 'ipv6'), { message: /^unsupported: ICMP unreachable/ })
})

t.test('flow labels: those that are expected are names, for what is there', async (t) => {
  t.match(packet('< [flowlabel 0xfffff, ttl 3] . 1:1(0) win 1').ip, { flowLabel: 0xfffff, ttl: 3 })
  t.throws(() => parseScript('0 < [flowlabel 0x100000] . 1:1(0) win 1', 'ipv6'), { message: /a flow label of 20 bits/ })
  for (const version of IP_VERSIONS.filter((name) => name !== 'ipv6')) {
    t.throws(() => parseScript('0 < [flowlabel 1] . 1:1(0) win 1', version), { message: /^unsupported: the IP field/ })
  }
  const flow = new Flow(1, 2)
  t.equal(flow.flowLabelFault(1, 0x77), undefined)
  t.equal(flow.flowLabelFault(1, 0x77), undefined)
  t.equal(flow.flowLabelFault(2, 0x77), 'flowlabel: expected another than 0x77, got the same')
  t.equal(flow.flowLabelFault(3, 0x78), undefined)
  t.equal(flow.flowLabelFault(3, 0x79), 'flowlabel: expected 0x78 as before, got 0x79')
  t.equal(flow.flowLabelFault(3, 0), 'flowlabel: expected one, got none')
  t.match(await why(`${IPV6}${accepted(1440)}+0 close(4) = 0\n+0 > [flowlabel 0x1] F. 1:1(0) ack 1\n`), 'ok')
})

const IP: IpHeader = {
  source: parseAddress('fd00::1'),
  destination: parseAddress('2001:db8::ffff:1'),
  tos: 0xb9,
  ttl: 7,
  dontFragment: true,
  flowLabel: 0xfedcb,
}
const PACKET: TcpPacket = {
  kind: 'tcp',
  ...IP,
  sourcePort: 8080,
  destinationPort: 40_000,
  seq: 5,
  ack: 7,
  flags: 0x10,
  window: 9,
  urgent: 0,
  options: [{ name: 'mss', value: 1440 }],
  payload: Uint8Array.of(1, 2, 3),
}

t.test('a packet is read as it was written, and damage is found wherever a checksum covers it', async (t) => {
  const octets = encodeTcpPacket(PACKET)
  t.strictSame(decodePacket(octets), PACKET)
  // Of the first four octets and the hop limit IPv6 has no checksum.
  for (let i = 4; i < octets.length; i++) {
    const damaged = octets.slice()
    damaged[i] = (damaged[i] as number) ^ 0x10
    t.equal(decodePacket(damaged).kind, i === 7 ? 'tcp' : 'bad', `octet ${i}`)
  }
  for (let length = 0; length < octets.length; length++) {
    t.equal(decodePacket(octets.subarray(0, length)).kind, 'bad', `cut to ${length}`)
  }
})

t.test('an error of ICMPv6 quotes the packet it is about, and its checksum covers the addresses', async (t) => {
  const octets = encodeIcmpError(
    IP,
    { type: 2, code: 0, mtu: 0x12345 },
    { ...IP, sourcePort: 1, destinationPort: 2, seq: 3, length: 1000 },
  )
  t.strictSame(decodePacket(octets), { kind: 'icmp', ...IP, type: 2, code: 0 })
  const view = new DataView(octets.buffer)
  t.equal(octets[6], 58)
  t.equal(view.getUint32(44), 0x12345)
  t.equal(view.getUint16(52), 1020, 'the payload length of what was sent')
  t.strictSame([view.getUint16(88), view.getUint16(90), view.getUint32(92)], [1, 2, 3])
  octets[20] = (octets[20] as number) ^ 1
  t.strictSame(decodePacket(octets), { kind: 'bad', fault: 'wrong ICMP checksum' })
})
