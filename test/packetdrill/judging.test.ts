/** What passes and what does not: each kind of difference is found, and says what was expected and what came. */
import t from 'tap'
import { leakCheck } from '../../src/testing.ts'
import { type RunOptions, runScript } from './run/runner.ts'

/** A connection on descriptor 4, made in 0.1 s; lines 1 to 7. */
const ACCEPTED = `0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+0 < S 0:0(0) win 20000 <mss 1000,sackOK,nop,nop,nop,wscale 7>
+0 > S. 0:0(0) ack 1 <mss 1460,nop,nop,sackOK,nop,wscale 8>
+.1 < . 1:1(0) ack 1 win 257
+0 accept(3, ..., ...) = 4
`
const WRITTEN = `${ACCEPTED}+0 write(4, ..., 2000) = 2000
`

async function why(script: string, options?: RunOptions): Promise<string> {
  const verdict = await runScript(script, options)
  return verdict.ok ? 'ok' : verdict.why
}

t.test('a script that says what happens passes', async (t) => {
  const leaks = leakCheck()
  const script = `${WRITTEN}+0 > P. 1:2001(2000) ack 1
+.1 < . 1:1(0) ack 2001 win 257
+0 < P. 1:101(100) ack 2001 win 257
+0 > . 2001:2001(0) ack 101
+0 read(4, ..., 1000) = 100
+0 close(4) = 0
+0 > F. 2001:2001(0) ack 101
`
  t.strictSame(await runScript(script), { ok: true, why: '', trace: '' })
  leaks.assert()
})

t.test('what Linux does about calls that TCP has no part in', async (t) => {
  const shut = `${ACCEPTED}+0 shutdown(4, SHUT_RD) = 0
+0 read(4, ..., 1000) = 0
+0 < . 1:1001(1000) ack 1 win 257
+0 > . 1:1(0) ack 1001
+0 read(4, ..., 1000) = 1000
`
  t.equal(await why(shut), 'ok', 'SHUT_RD leaves what arrives to be read')
  const bad = `${ACCEPTED}+0 write(4, NULL, 10) = -1 EFAULT (Bad address)
+0 read(4, NULL, 10) = -1 EFAULT (Bad address)
+0 setsockopt(4, SOL_SOCKET, SO_ZEROCOPY, [1], 4) = 0
+0 send(4, ..., 10, MSG_ZEROCOPY) = 10
+0 > P. 1:11(10) ack 1
`
  t.equal(await why(bad), 'ok')
})

t.test('with --mss, more data than that arrives as merged segments', async (t) => {
  const merged = `--mss=1000
${ACCEPTED}+0 < . 1:10001(10000) ack 1 win 257
+0 > . 1:1(0) ack 10001
+0 %{ assert tcpi_rcv_mss == 1000, tcpi_rcv_mss }%
`
  t.equal(await why(merged), 'ok')
  t.match(await why(merged.replace('--mss=1000\n', '')), /tcpi_rcv_mss == 1000/)
})

t.test('packets that are not as expected', async (t) => {
  const cases: [expected: string, why: string | RegExp][] = [
    [
      '+0 > P. 2:2002(2000) ack 1',
      /^line 9: seq: expected 2, got 1 \(expected P\. 2:2002\(2000\) ack 1, got P\. 1:2001/,
    ],
    ['+0 > P. 1:2001(2000) ack 2', /ack: expected 2, got 1/],
    ['+0 > . 1:2001(2000) ack 1', /flags: expected \., got P\./],
    ['+0 > FP. 1:2001(2000) ack 1', /flags: expected FP\., got P\./],
    ['+0 > P. 1:2001(2000) ack 1 win 17', /win: expected 17, got \d+/],
    ['+0 > P. 1:2001(2000) ack 1 <nop,nop,TS val 1 ecr 2>', /options: expected <nop,nop,TS val 1 ecr 2>, got <>/],
    ['+0 > P. 1:2001(2000) ack 1 urg 3', /urg: expected 3, got 0/],
    ['+0 > P. 1:1501(1500) ack 1', /length: expected 1500, got 2000/],
    ['+0 > P. 1:3001(3000) ack 1', /expected P\. 1:3001\(3000\) ack 1 by 0\.1\d+ s; the next packet was sent at/],
    ['+0 > [ect0] P. 1:2001(2000) ack 1', /ecn: expected 2, got 0/],
    ['+0 > [tos 0x10] P. 1:2001(2000) ack 1', /tos: expected 0x10, got 0x0/],
    ['+0 > [ttl 9] P. 1:2001(2000) ack 1', /ttl: expected 9, got 64/],
    ['+0 > icmp unreachable', /expected icmp unreachable net_unreachable, got a segment of TCP/],
  ]
  for (const [line, expected] of cases) t.match(await why(`${WRITTEN}${line}\n`), expected, line)
  t.equal(await why(`${WRITTEN}+0 > [noecn] P. 1:2001(2000) ack 1 <...>\n`), 'ok')
  const small = WRITTEN.replace('+0 bind', '+0 setsockopt(3, SOL_SOCKET, SO_RCVBUF, [25600], 4) = 0\n+0 bind')
  t.equal(await why(`${small}+0 > [ttl 64] P. 1:2001(2000) ack 1 win 100\n`), 'ok')
})

t.test('the payload of packets is zeros', async (t) => {
  const script = `${ACCEPTED}+0 write(4, "abc", 3) = 3\n+0 > P. 1:4(3) ack 1\n`
  t.equal(await why(script), 'line 9: payload: expected zeros, got other octets, in P. 1:4(3) ack 1')
})

t.test('options must come in order', async (t) => {
  const swapped = ACCEPTED.replace('mss 1460,nop,nop,sackOK,nop,wscale 8', 'mss 1460,nop,wscale 8,nop,nop,sackOK')
  t.match(
    await why(swapped),
    /^line 5: options: expected <mss 1460,nop,wscale 8,nop,nop,sackOK>, got <mss 1460,nop,nop,/,
  )
})

t.test('packets in time', async (t) => {
  t.equal(await why(`${WRITTEN}* > P. 1:2001(2000) ack 1\n`), 'ok')
  t.equal(await why(`${WRITTEN}+.003 > P. 1:2001(2000) ack 1\n`), 'ok')
  t.match(await why(`${WRITTEN}+.005 > P. 1:2001(2000) ack 1\n`), /time: expected at 0\.105000 s, sent at 0\.100000 s/)
  t.equal(await why(`--tolerance_usecs=6000\n${WRITTEN}+.005 > P. 1:2001(2000) ack 1\n`), 'ok')
  // An eighth of the time since the event before is allowed, too: a SYN is sent again after a second.
  const connecting = `0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0
+0 connect(3, ..., ...) = -1 EINPROGRESS (Operation now in progress)
+0 > S 0:0(0) <...>
`
  const again = (time: string, head = '') => why(`${head}${connecting}${time} > S 0:0(0) <...>\n`)
  t.equal(await again('+.9'), 'ok')
  t.match(await again('+.9', '--tolerance_percent=1\n'), /by 0\.909000 s; the next packet was sent at 1\.0/)
  t.match(await again('+1.15'), /expected at 1\.150000 s, sent at 1\.000000 s/)
  t.equal(await again('+.8~+.95'), 'ok')
  t.match(await again('+1.2~+1.3'), /expected at 1\.200000 s to 1\.300000 s, sent at 1\.000000/)
  t.match(
    await why(`${ACCEPTED}+0 > . 1:1(0) ack 1\n`),
    /^line 8: expected \. 1:1\(0\) ack 1 by 0\.104000 s, got nothing/,
  )
  t.match(await why(`${ACCEPTED}0.05 close(4) = 0\n`), /^line 8: time runs backward/)
})

t.test('a packet too many', async (t) => {
  const script = `${WRITTEN}+.1 < . 1:1(0) ack 2001 win 257\n+0 write(4, ..., 10) = 10\n+0 > P. 2001:2011(10) ack 1\n`
  t.match(
    await why(script),
    /^line 11: flags: expected P\., got \. .*got \. 1:1001\(1000\)|^line 11: seq: expected 2001, got 1/,
  )
})

t.test('PSH, unless it is to be ignored', async (t) => {
  const script = `${WRITTEN}+0 > . 1:2001(2000) ack 1\n`
  t.match(await why(script), /flags/)
  t.equal(await why(script, { ignorePsh: true }), 'ok')
  t.match(await why(script.replace('> .', '> F.'), { ignorePsh: true }), /flags: expected F\., got \./)
})

t.test('one packet of the script may be several, unless it says otherwise', async (t) => {
  t.match(
    await why(`--strict_segments\n${WRITTEN}+0 > P. 1:2001(2000) ack 1\n`),
    /^line 10: flags: expected P\., got \. |length: expected 2000, got 1000/,
  )
  t.equal(await why(`--strict_segments\n${WRITTEN}+0 > . 1:1001(1000) ack 1\n+0 > P. 1001:2001(1000) ack 1\n`), 'ok')
})

t.test('calls', async (t) => {
  const cases: [line: string, why: RegExp | 'ok'][] = [
    ['+0 close(4) = -1 EINVAL (Invalid argument)', /^line 8: close\(\): expected -1 EINVAL, got 0/],
    ['+0 read(4, ..., 10) = 0', /^line 8: read\(\): expected to return at once, but it waits/],
    ['+0...0.100 read(4, ..., 10) = 0', /read\(\): expected to return at 0\.200000 s, but it still waits/],
    ['+0...0.100 close(4) = 0', /close\(\): expected to return at 0\.200000 s, returned at 0\.100000 s/],
    ['+0 recv(4, ..., 10, MSG_DONTWAIT) = -1 EAGAIN (Resource temporarily unavailable)', 'ok'],
    ['+0 recv(4, ..., 10, MSG_DONTWAIT) = -1 EWOULDBLOCK (Operation would block)', 'ok'],
    ['+0 recv(4, ..., 10, MSG_DONTWAIT) = -1 EPIPE (Broken pipe)', /expected -1 EPIPE, got -1 EAGAIN/],
    ['+0 read(3, ..., 10) = -1 ENOTCONN (Transport endpoint is not connected)', 'ok'],
    ['+0 write(7, ..., 10) = 10', /no file descriptor 7/],
    ['+0 getsockopt(4, SOL_TCP, TCP_MAXSEG, [999], [4]) = 0', /TCP_MAXSEG: expected 999, got 1000/],
    ['+0 setsockopt(4, SOL_TCP, TCP_CONGESTION, "reno", 4) = 0', 'ok'],
    ['+0 setsockopt(4, SOL_TCP, TCP_CONGESTION, "vegas", 5) = 0', /unsupported: the congestion control "vegas"/],
    ['+0 getsockopt(4, SOL_SOCKET, SO_ERROR, [ECONNRESET], [4]) = 0', /SO_ERROR: expected ECONNRESET, got 0/],
    ['+0 setsockopt(4, SOL_TCP, TCP_KEEPCNT, [0], 4) = -1 EINVAL (Invalid argument)', 'ok'],
    ['+0 ioctl(4, SIOCINQ, [1]) = 0', /SIOCINQ: expected 1, got 0/],
    ['+0 fcntl(4, F_SETFL, O_RDWR|O_NONBLOCK) = 0\n+0 fcntl(4, F_GETFL) = 0x802 (flags O_RDWR|O_NONBLOCK)', 'ok'],
    ['+0 poll([{fd=4, events=POLLIN|POLLOUT, revents=POLLOUT}], 1, 0) = 1', 'ok'],
    ['+0 poll([{fd=4, events=POLLIN, revents=POLLIN}], 1, 0) = 1', /poll\(\): expected 1, got 0/],
    ['+0 poll([{fd=4, events=POLLOUT, revents=POLLIN}], 1, 0) = 1', /revents of 4: expected 0x1, got 0x4/],
    ['+0...0.050 poll([{fd=4, events=POLLIN}], 1, 50) = 0', 'ok'],
    [
      '+0...0.050 poll([{fd=4, events=POLLIN, revents=POLLIN}], 1, 9) = 1\n+.05 < P. 1:2(1) ack 1 win 9',
      /expected 1, got 0/,
    ],
    ['+0 shutdown(4, SHUT_WR) = 0\n+0 write(4, ..., 9) = -1 EPIPE (Broken pipe)', 'ok'],
    [
      `+0 setsockopt(4, SOL_TCP, TCP_INQ, [1], 4) = 0
+0 < FP. 1:31(30) ack 1 win 257
+.04 > . 1:1(0) ack 32
+0 recvmsg(4, {msg_name(...)=..., msg_iov(1)=[{..., 10}], msg_flags=0,
   msg_control=[{cmsg_level=SOL_TCP, cmsg_type=TCP_CM_INQ, cmsg_data=20}]}, 0) = 10
+0 recvmsg(4, {msg_name(...)=..., msg_iov(1)=[{..., 20}], msg_flags=0,
   msg_control=[{cmsg_level=SOL_TCP, cmsg_type=TCP_CM_INQ, cmsg_data=7}]}, 0) = 20`,
      /TCP_CM_INQ: expected 7, got 1/,
    ],
    ['+0 connect(4, ..., ...) = -1 EISCONN (Transport endpoint is already connected)', 'ok'],
  ]
  for (const [line, expected] of cases) {
    const got = await why(`${ACCEPTED}${line}\n`)
    if (expected === 'ok') t.equal(got, 'ok', line)
    else t.match(got, expected, line)
  }
})

t.test('what is set on a listener, its connections have', async (t) => {
  const set = (value: number) => `+0 setsockopt(3, SOL_TCP, TCP_KEEPCNT, [${value}], 4) = 0\n`
  const late = ACCEPTED.replace('+0 <', `${set(4)}+0 <`)
  const early = ACCEPTED.replace('+0 listen', `${set(4)}+0 listen`)
  for (const script of [late, early]) {
    t.equal(await why(`${script}+0 getsockopt(4, SOL_TCP, TCP_KEEPCNT, [4], [4]) = 0\n`), 'ok')
  }
  const smaller = ACCEPTED.replace('+0 <', '+0 setsockopt(3, SOL_TCP, TCP_MAXSEG, [900], 4) = 0\n+0 <')
  t.equal(await why(smaller.replace('mss 1460', 'mss 900')), 'ok', 'what its SYN-ACKs say')
})

t.test('calls that wait', async (t) => {
  t.equal(
    await why(`${ACCEPTED}+0...0.200 read(4, ..., 100) = 10
+.2 < P. 1:11(10) ack 1 win 257
+0 > . 1:1(0) ack 11
+0 read(4, ..., 100) = -1 EAGAIN (Resource temporarily unavailable)
`),
    'line 11: read(): expected to return at once, but it waits',
  )
  t.match(
    await why(`${ACCEPTED}+0...0.100 read(4, ..., 100) = 10\n+.2 < P. 1:11(10) ack 1 win 257\n`),
    /^line 8: read\(\): expected to return at 0\.200000 s/,
  )
  const refused = `0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0...0.100 connect(3, ..., ...) = -1 ECONNREFUSED (Connection refused)
+0 > S 0:0(0) <...>
+.1 < R. 0:0(0) ack 1 win 0
`
  t.equal(await why(refused), 'ok')
  t.match(
    await why(refused.replace('-1 ECONNREFUSED', '0')),
    /^line 2: connect\(\): expected 0 ECONNREFUSED|expected 0/,
  )
})

t.test('figures of the connection', async (t) => {
  t.equal(await why(`${ACCEPTED}+0 %{ assert tcpi_snd_cwnd == 10 and tcpi_state == TCP_ESTABLISHED }%\n`), 'ok')
  t.match(
    await why(`${ACCEPTED}+0 %{ assert tcpi_snd_cwnd == 9, tcpi_snd_cwnd }%\n`),
    /^line 8: assertion failed: .*\(10\)/,
  )
  const sent = `${WRITTEN}+0 > P. 1:2001(2000) ack 1\n`
  const figures = 'tcpi_unacked == 2 and tcpi_lost == 0 and tcpi_options == TCPI_OPT_SACK | TCPI_OPT_WSCALE'
  t.equal(await why(`${sent}+0 %{ assert ${figures} and tcpi_ca_state == TCP_CA_Open }%\n`), 'ok')
  const delivered = 'tcpi_delivered == 3 and tcpi_unacked == 0 and tcpi_min_rtt == 100000 and tcpi_advmss == 1460'
  t.equal(await why(`${sent}+.1 < . 1:1(0) ack 2001 win 257\n+0 %{ assert ${delivered}, tcpi_delivered }%\n`), 'ok')
  t.match(await why(`${ACCEPTED}+0 %{ assert tcpi_nonsense == 9 }%\n`), /^line 8: unsupported: tcpi_nonsense/)
  t.equal(await why(`${ACCEPTED}+0 %{ x = tcpi_snd_cwnd }%\n+1 %{ x += 1; assert x == 11 }%\n`), 'ok')
})

t.test('a socket has a state before it has a connection', async (t) => {
  const bound = '0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 bind(3, ..., ...) = 0\n'
  const listening = `${bound}+0 %{ assert tcpi_state == TCP_CLOSE }%\n+0 listen(3, 1) = 0\n`
  t.equal(await why(`${listening}+0 %{ assert tcpi_state == TCP_LISTEN }%\n`), 'ok')
  t.match(await why(`${listening}+0 %{ assert tcpi_snd_cwnd == 10 }%\n`), /^line 5: .*there is no connection to ask/)
})

t.test('timestamps', async (t) => {
  const script = (echoed: number, sent: number | '...', echo = 700) => `--tcp_ts_tick_usecs=1000
0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0
+0 connect(3, ..., ...) = -1 EINPROGRESS (Operation now in progress)
+0 > S 0:0(0) <mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 8>
+.1 < S. 0:0(0) ack 1 win 20000 <mss 1000,nop,nop,TS val 700 ecr ${echoed}>
+0 > . 1:1(0) ack 1 <nop,nop,TS val ${sent} ecr ${echo}>
`
  t.equal(await why(script(100, 200)), 'ok')
  t.match(
    await why(script(100, 300)),
    /options: expected <nop,nop,TS val 300 ecr 700>, got <nop,nop,TS val 200 ecr 700>/,
  )
  t.equal(await why(script(100, '...')), 'ok')
  for (const sent of [200, '...'] as const) {
    t.match(await why(script(100, sent, 701)), /ecr 701>, got <nop,nop,TS val 200 ecr 700>/)
  }
  t.match(
    await why(script(100, 200).replace('TS val 700', 'TS val ...')),
    /syntax: expected options, in a packet to be sent/,
  )
  t.match(await why(script(150, 200)), /^line 6: no timestamp was sent/)
  t.equal(await why(`--tcp_ts_ecr_scaled\n${script(150, 200)}`), 'ok')
})

t.test('what is out of scope is no pass', async (t) => {
  const cases: [script: string, why: RegExp][] = [
    ['0 socket(..., SOCK_DGRAM, IPPROTO_UDP) = 3', /^line 1: unsupported: SOCK_DGRAM/],
    ['0 pipe([3, 4]) = 0', /unsupported: the call pipe\(\)/],
    [`${ACCEPTED}+0 send(4, ..., 1, MSG_OOB) = 1`, /unsupported: the constant MSG_OOB/],
    [`${ACCEPTED}+0 setsockopt(4, SOL_TCP, TCP_REPAIR, [1], 4) = 0`, /unsupported: the option TCP_REPAIR/],
    [
      '0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 getsockopt(3, SOL_SOCKET, SO_RCVBUF, [1], [4]) = 0',
      /^line 2: unsupported: SO_RCVBUF of a socket that was told none/,
    ],
    ['`iptables -F`\n0 close(3) = 0', /^line 1: unsupported: the shell line iptables -F/],
    ['`sysctl -q net.ipv4.tcp_no_such=1`\n0 close(3) = 0', /unsupported: net\.ipv4\.tcp_no_such=1/],
    ['`sysctl -q net.ipv4.tcp_congestion_control=bbr`\n0 close(3) = 0', /^line 1: unsupported: net\.ipv4\..*=bbr/],
    ['`echo 1 > /proc/sys/net/ipv4/tcp_no_such`\n0 close(3) = 0', /^line 1: unsupported: net\.ipv4\.tcp_no_such=1/],
    ['`echo 1 > /etc/passwd`\n0 close(3) = 0', /^line 1: unsupported: the shell line echo 1 > \/etc\/passwd/],
    ['`tc qdisc add dev tun0 root netem loss 1%`\n0 close(3) = 0', /unsupported: the shell line tc/],
    ['`sysctl -q net.mptcp.x=1`\n0 close(3) = 0', /unsupported: the sysctl net\.mptcp\.x/],
    [`${ACCEPTED}+0 \`sysctl -w net.ipv4.tcp_fack=1\``, /^line 8: unsupported: net\.ipv4\.tcp_fack=1/],
    ['--ip_version=ipv5\n0 close(3) = 0', /^line 1: unsupported: --ip_version=ipv5/],
    ['0 close(3) = ', /^line 2: syntax: /],
  ]
  for (const [script, expected] of cases) t.match(await why(`${script}\n`), expected, script)
})

t.test('settings of the node', async (t) => {
  const plain = ACCEPTED.replace('sackOK,nop,nop,nop,wscale 7', 'sackOK,TS val 1 ecr 0,nop,wscale 7')
  const answered = plain.replace('mss 1460,nop,nop,sackOK,nop,wscale 8', 'mss 1460,sackOK,TS val 5 ecr 1,nop,wscale 8')
  const upToAnswer = (script: string) => script.split('\n').slice(0, -3).join('\n')
  t.equal(await why(upToAnswer(answered)), 'ok')
  const without = `\`../common/defaults.sh\nsysctl -q net.ipv4.tcp_timestamps=0 # off\`\n${plain}`
  t.equal(await why(upToAnswer(without)), 'ok')
  const later = plain.replace('+0 < S', '+0 `sysctl -q net.ipv4.tcp_timestamps=0`\n+0 < S')
  t.equal(await why(upToAnswer(later)), 'ok', 'while it runs')
  const python = `\`common/set_sysctls.py \\\n /proc/sys/net/ipv4/tcp_window_scaling=0\`\n${answered.replace(',nop,wscale 8', '')}`
  t.equal(await why(upToAnswer(python)), 'ok')
  const echoed = `\`tc qdisc replace dev tun0 root fq 2> /dev/null; echo 0 > /proc/sys/net/ipv4/tcp_timestamps\`\n${plain}`
  t.equal(await why(upToAnswer(echoed)), 'ok')
  const pieces = `\`sysctl -q net.ipv4.tcp_min_tso_segs=255\`\n${ACCEPTED}`
  t.equal(await why(pieces), 'ok', 'more than a super-segment holds')
  const unanswered = ACCEPTED.split('\n').slice(0, -3).join('\n')
  const again = '\n+1 > S. 0:0(0) ack 1 <...>\n+1 > S. 0:0(0) ack 1 <...>\n+1 > S. 0:0(0) ack 1 <...>\n'
  t.equal(await why(`\`sysctl -q net.ipv4.tcp_rto_max_ms=1000\`\n${unanswered}${again}`), 'ok')
})

t.test('a failure shows what happened before', async (t) => {
  const { trace } = await runScript(`${WRITTEN}+0 > P. 2:2002(2000) ack 1\n`)
  t.match(trace, /^ +0\.000000 socket\(\) = 3$/m)
  t.match(trace, /^ +0\.100000 < \. 1:1\(0\) ack 1 win 257$/m)
  t.match(trace, /^ +0\.100000 > P\. 1001:2001\(1000\) ack 1 win \d+$/m)
})
