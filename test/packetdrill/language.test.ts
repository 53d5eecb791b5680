/** The script language: what is a script, and what is told where it is none. */
import t from 'tap'
import { parseScript } from './language/parser.ts'
import type { Action, CallAction, PacketAction } from './language/script.ts'
import { encodeTcpOptions } from './wire/tcp-options.ts'
import { formatBody } from './wire/text.ts'

const action = (text: string): Action => parseScript(`0 ${text}`).events[0]?.action as Action
const packet = (text: string): PacketAction => action(text) as PacketAction
const call = (text: string): CallAction => action(text) as CallAction

t.test('times', async (t) => {
  const times = (text: string) => parseScript(text).events.map(({ time, line }) => ({ line, ...time }))
  t.strictSame(
    times('0 a() = 0\n+.5 a() = 0 // half a second\n/* two\nlines */ 1.25 a() = 0\n+1~+1.5 > . 1:1(0)\n2~3 > . 1:1(0)'),
    [
      { line: 1, from: 'zero', earliest: 0, latest: 0 },
      { line: 2, from: 'previous', earliest: 500_000, latest: 500_000 },
      { line: 4, from: 'zero', earliest: 1_250_000, latest: 1_250_000 },
      { line: 5, from: 'previous', earliest: 1_000_000, latest: 1_500_000 },
      { line: 6, from: 'zero', earliest: 2_000_000, latest: 3_000_000 },
    ],
  )
  t.match(times('* > . 1:1(0)'), [{ from: 'any' }])
  t.match(parseScript('+.1...0.3 a() = 0').events[0], { time: { earliest: 100_000 }, action: { returns: 300_000 } })
  t.match(parseScript('`x`\n0 a() = 0\n`y`').events, [
    { time: { from: 'start' }, action: { kind: 'shell', text: 'x' } },
    {},
    { time: { from: 'start' }, action: { kind: 'shell', text: 'y' } },
  ])
})

t.test('packets, and the same packets as text', async (t) => {
  for (const text of [
    'S 0:0(0) win 100 <mss 1460,sackOK,TS val 4294967295 ecr 0,nop,wscale 8>',
    'S. 0:0(0) ack 1 win 1 <...>',
    'FP. 1:101(100) ack 4294967295 win 0 <nop,nop,sack 1:2 30:40>',
    '- 7:7(0) win 1',
    'R 4294967295:4(5) win 1',
    'PU. 1:2(1) ack 1 win 1 urg 9',
    'SEW 0:0(0) win 1 <eol>',
    '1000 > 80 . 1:1(0) ack 1 win 1',
  ]) {
    const { body } = packet(`> ${text}`)
    t.equal(formatBody(body), text)
  }
  t.match(packet('> [ect0] .5 1:1(0) ack 1'), {
    ip: { tos: { check: 'ecn', value: 2 } },
    body: { flags: 0x10 | 0x140 },
  })
  t.match(packet('< (tos 0x20, ttl 9) . 1:1(0) ack 1 win 1'), { ip: { tos: { check: 'all', value: 32 }, ttl: 9 } })
  t.strictSame(packet('< icmp unreachable frag_needed mtu 1200 [1:1461(1460)]').body, {
    kind: 'icmp',
    wire: 4,
    type: 3,
    code: 4,
    mtu: 1200,
    quote: { seq: 1, length: 1460 },
  })
  t.match(packet('< icmp type_77 code_3').body, { type: 77, code: 3 })
  const before = packet('< [1:1461(1460)] icmp time_exceeded ttl_exceeded_in_transit').body
  t.match(before, { type: 11, code: 0, quote: { seq: 1, length: 1460 } })
  const { body } = packet('> S 0:0(0) <FO a1b2,FOEXP,md5 00>')
  t.equal(
    body.kind === 'tcp' && body.options !== 'any' && hex(encodeTcpOptions(body.options)),
    '2204a1b2fe04f989130300',
  )
})

const hex = (octets: Uint8Array): string => Buffer.from(octets).toString('hex')

t.test('calls', async (t) => {
  t.strictSame(call('close(3) = 0'), {
    kind: 'call',
    name: 'close',
    args: [{ kind: 'number', value: 3 }],
    result: { kind: 'number', value: 0 },
    errno: undefined,
    returns: undefined,
  })
  t.match(call('write(4, ..., 10) = -1 EPIPE (Broken pipe)'), { result: { value: -1 }, errno: 'EPIPE' })
  t.match(call('fcntl(3, F_GETFL) = 0x02 (flags O_RDWR)'), { result: { value: 2 }, errno: undefined })
  t.match(call('fcntl(3, F_SETFL, O_RDWR | O_NONBLOCK) = 0').args[2], { kind: 'or', parts: [{}, {}] })
  t.match(call('write(4, "GET" " /"..., 5) = 5').args[1], { kind: 'string', text: 'GET /' })
  const linger = call('setsockopt(4, SOL_SOCKET, SO_LINGER, {onoff=1, linger=2}, 8) = 0').args[3]
  t.strictSame(linger?.kind === 'struct' && [...linger.fields.keys()], ['onoff', 'linger'])
  const message = call('sendmsg(4, {msg_name(...)=..., msg_iov(2)=[{..., 1}, {..., 2}], msg_flags=0}, 0) = 3').args[1]
  t.match(message?.kind === 'struct' && message.fields.get('msg_iov'), { items: [{ kind: 'list' }, { kind: 'list' }] })
  const address = '{sa_family = AF_INET, sin_port = htons(80), sin_addr = inet_addr("1.2.3.4")}'
  t.match(call(`bind(3, ${address}, ...) = 0`).args[1], { kind: 'struct' })
})

t.test('options and definitions', async (t) => {
  const { options, events } = parseScript(
    '--tolerance_usecs=100\n--strict_segments\n--ip_version=ipv4-mapped-ipv6\n--define=FD=3\n--define=MSG="hi"\n0 write(FD, MSG, 2) = 2',
  )
  t.strictSame(
    options.map(({ name, value }) => `${name}=${value}`),
    ['tolerance_usecs=100', 'strict_segments=', 'ip_version=ipv4-mapped-ipv6', 'define=FD=3', 'define=MSG="hi"'],
  )
  t.match(events[0]?.action, { args: [{ value: 3 }, { kind: 'string', text: 'hi' }, {}] })
})

t.test('what is no script says where', async (t) => {
  const faults: [string, number, RegExp][] = [
    ['', 1, /expected an event/],
    ['0 close(3)', 1, /expected =/],
    ['0 close(3) = 0\n0 > S 0:1(0)', 2, /expected 0:0\(0\), got 0:1\(0\)/],
    ['0 > Q. 1:1(0)', 1, /expected flags of TCP, got Q\./],
    ['0 < . 1:1(0) ack 1', 1, /expected win, in a packet to be sent/],
    ['0 < . 1:1(0) ack 1 win 1 <...>', 1, /expected options/],
    ['0 < [1:1(0)] . 1:1(0) ack 1 win 5', 1, /expected icmp, got \./],
    ['0 < . 1:1(0) ack 1 win 70000', 1, /expected a window from 0 to 65535, got 70000/],
    ['* close(3) = 0', 1, /only a packet that is expected/],
    ['+.1~+.2 < . 1:1(0) ack 1 win 1', 1, /only a packet that is expected/],
    ['2~1 > . 1:1(0)', 1, /runs forward/],
    ['-1 close(3) = 0', 1, /not negative/],
    ['0 `sysctl', 1, /without its end/],
    ['0 close(3 = 0', 1, /syntax/],
    ['0 close(3) = -1 EINVAL (never', 1, /expected \)/],
  ]
  for (const [text, line, message] of faults) {
    t.throws(() => parseScript(text), { line, message }, text)
  }
  for (const text of [
    '0 < udp (10)',
    '0 > S 0:0(0) <dss 1>',
    '0 < icmp nonsense',
    '0 < icmp time_exceeded port_unreachable',
    '0 < [flowlabel 0x1] . 1:1(0) win 1',
  ]) {
    t.throws(() => parseScript(text), { message: /^unsupported: / }, text)
  }
})
