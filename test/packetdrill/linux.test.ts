/** Calls of Linux that wait for several sockets, or tell what became of a write. */
import t from 'tap'
import { runScript } from './run/runner.ts'

/** A connection on descriptor 4, lines 1 to 7. */
const ACCEPTED = `0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 setsockopt(3, SOL_SOCKET, SO_ZEROCOPY, [1], 4) = 0
+0 bind(3, ..., ...) = 0
+0 listen(3, 1) = 0
+0 < S 0:0(0) win 20000 <mss 1000,nop,wscale 7>
+0 > S. 0:0(0) ack 1 <mss 1460,nop,wscale 8>
+.1 < . 1:1(0) ack 1 win 257
+0 accept(3, ..., ...) = 4
+0 fcntl(4, F_SETFL, O_NONBLOCK) = 0
`
const NOTHING = '+0 epoll_wait(9, {events=0, ptr=0}, 1, 0) = 0\n'
const ready = (events: string) => `+0 epoll_wait(9, {events=${events}, fd=4}, 1, 0) = 1\n`
const control = (what: string, events: string) =>
  `+0 epoll_ctl(9, EPOLL_CTL_${what}, 4, {events=${events}, fd=4}) = 0\n`
const watched = (events: string) => `${ACCEPTED}+0 epoll_create(1) = 9\n${control('ADD', events)}`
const arrives = (from: number) => `+0 < P. ${from}:${from + 500}(500) ack 1 win 257\n+0 > . 1:1(0) ack ${from + 500}\n`

async function why(script: string): Promise<string> {
  const verdict = await runScript(script)
  return verdict.ok ? 'ok' : verdict.why
}

t.test('epoll: level and edge', async (t) => {
  const level = watched('EPOLLIN') + NOTHING + arrives(1) + ready('EPOLLIN') + ready('EPOLLIN')
  t.equal(await why(`${level}+0 read(4, ..., 1000) = 500\n${NOTHING}`), 'ok')
  const edge = watched('EPOLLIN|EPOLLOUT|EPOLLET') + ready('EPOLLOUT') + NOTHING
  const twice = arrives(1) + ready('EPOLLIN|EPOLLOUT') + NOTHING + arrives(501) + ready('EPOLLIN|EPOLLOUT') + NOTHING
  t.equal(await why(`${edge}${twice}+0 read(4, ..., 10) = 10\n${NOTHING}`), 'ok')
  t.match(await why(edge + arrives(1) + ready('EPOLLIN')), /events of 4: expected 0x1, got 0x5/)
  t.match(await why(edge + ready('EPOLLOUT')), /epoll_wait\(\): expected 1, got 0/)
  const output = watched('EPOLLOUT|EPOLLET') + ready('EPOLLOUT') + arrives(1)
  t.equal(await why(output + NOTHING), 'ok', 'data is no matter of who waits for room')
})

t.test('epoll: room again is an edge for who found too little', async (t) => {
  const small = `\`sysctl -q net.ipv4.tcp_wmem="4096 4000 4000"\`\n${watched('EPOLLOUT|EPOLLET')}${ready('EPOLLOUT')}`
  const full = `${small}+0 write(4, ..., 5000) = 4000\n+0 > P. 1:4001(4000) ack 1\n${NOTHING}`
  t.equal(await why(`${full}+0 < . 1:1(0) ack 4001 win 257\n${ready('EPOLLOUT')}${NOTHING}`), 'ok')
  const enough = `${small}+0 write(4, ..., 3000) = 3000\n+0 > P. 1:3001(3000) ack 1\n`
  t.equal(await why(`${enough}+0 < . 1:1(0) ack 3001 win 257\n${NOTHING}`), 'ok')
})

t.test('epoll: once, changed, removed, and the end', async (t) => {
  const once = watched('EPOLLIN|EPOLLONESHOT') + arrives(1) + ready('EPOLLIN') + arrives(501) + NOTHING
  t.equal(await why(once + control('MOD', 'EPOLLIN|EPOLLONESHOT') + ready('EPOLLIN') + NOTHING), 'ok')
  t.equal(await why(watched('EPOLLIN') + arrives(1) + control('DEL', '0') + NOTHING), 'ok')
  t.match(await why(watched('EPOLLIN') + control('ADD', 'EPOLLIN')), /expected 0, got -1 EEXIST/)
  t.equal(await why(`${watched('EPOLLIN')}${arrives(1)}+0 close(4) = 0\n${NOTHING}`), 'ok')
  const ended = '+0 < F. 1:1(0) ack 1 win 257\n+0 > . 1:1(0) ack 2\n'
  t.equal(await why(watched('EPOLLIN|EPOLLRDHUP|EPOLLET') + ended + ready('EPOLLIN|EPOLLRDHUP') + NOTHING), 'ok')
  const later = '+0...0.100 epoll_wait(9, {events=EPOLLIN, fd=4}, 1, 1000) = 1\n+.1 < P. 1:11(10) ack 1 win 257\n'
  t.equal(await why(watched('EPOLLIN') + later), 'ok')
  t.equal(await why(`${watched('EPOLLIN')}+0...0.050 epoll_wait(9, {events=0, ptr=0}, 1, 50) = 0\n`), 'ok')
})

const notice = (control: string, flags: string, result = '0') =>
  `+0 recvmsg(4, {msg_name(...)=..., msg_iov(1)=[{...,0}], msg_flags=${flags}, msg_control=[${control}]}, MSG_ERRQUEUE) = ${result}\n`
const released = (first: number, last: number) =>
  notice(
    `{cmsg_level=CMSG_LEVEL_IP, cmsg_type=CMSG_TYPE_RECVERR, cmsg_data={ee_errno=0, ee_origin=SO_EE_ORIGIN_ZEROCOPY,
      ee_type=0, ee_code=SO_EE_CODE_ZEROCOPY_COPIED, ee_info=${first}, ee_data=${last}}}`,
    'MSG_ERRQUEUE',
  )
const NO_NOTICE = notice('', 'MSG_ERRQUEUE', '-1 EAGAIN (Resource temporarily unavailable)')

t.test('what was written without copying is released when it is acknowledged', async (t) => {
  const sent = `${ACCEPTED}+0 setsockopt(4, SOL_TCP, TCP_NODELAY, [1], 4) = 0
+0 send(4, ..., 1000, MSG_ZEROCOPY) = 1000
+0 > P. 1:1001(1000) ack 1
+0 write(4, ..., 500) = 500
+0 > P. 1001:1501(500) ack 1
+0 send(4, ..., 500, MSG_ZEROCOPY) = 500
+0 > P. 1501:2001(500) ack 1
${NO_NOTICE}`
  const first = `${sent}+.1 < . 1:1(0) ack 1001 win 257\n`
  t.equal(await why(first + released(0, 0) + NO_NOTICE), 'ok')
  t.match(await why(first + released(0, 1)), /ee_data: expected 1, got 0/)
  t.equal(await why(`${first}+0 < . 1:1(0) ack 2001 win 257\n${released(0, 1)}${NO_NOTICE}`), 'ok')
  const polled = '+0 poll([{fd=4, events=POLLIN, revents=POLLERR}], 1, 0) = 1\n'
  t.equal(await why(first + polled), 'ok')
})

t.test('times at which the last octet of a call was sent, and acknowledged', async (t) => {
  const time = (what: string, octet: number, ms: number) =>
    notice(
      `{cmsg_level=SOL_SOCKET, cmsg_type=SCM_TIMESTAMPING, cmsg_data={scm_sec=0, scm_nsec=${ms}000000}},
       {cmsg_level=CMSG_LEVEL_IP, cmsg_type=CMSG_TYPE_RECVERR, cmsg_data={ee_errno=ENOMSG,
         ee_origin=SO_EE_ORIGIN_TIMESTAMPING, ee_type=0, ee_code=0, ee_info=SCM_TSTAMP_${what}, ee_data=${octet}}}`,
      'MSG_ERRQUEUE|MSG_TRUNC',
    )
  const bits = ['TX_SCHED', 'TX_SOFTWARE', 'TX_ACK', 'SOFTWARE', 'OPT_ID'].map((bit) => `SOF_TIMESTAMPING_${bit}`)
  const written = `${ACCEPTED}+0 write(4, ..., 100) = 100
+0 > P. 1:101(100) ack 1
+0 < . 1:1(0) ack 101 win 257
+0 setsockopt(4, SOL_SOCKET, SO_TIMESTAMPING, [${bits.join('|')}], 4) = 0
+0 write(4, ..., 11000) = 11000
+0 > P. 101:10101(10000) ack 1
+.1 < . 1:1(0) ack 10101 win 257
+0 > P. 10101:11101(1000) ack 1
+.1 < . 1:1(0) ack 11101 win 257
`
  t.equal(await why(written + time('SCHED', 10999, 200) + time('SND', 10999, 200) + time('ACK', 10999, 300)), 'ok')
  t.match(await why(written + time('SCHED', 10999, 210)), /SCM_TIMESTAMPING: expected 0\.21 s, got 0\.2 s/)
  t.match(await why(written + time('SND', 10999, 200)), /ee_info: expected 0, got 1/)
})

t.test('connect() to AF_UNSPEC resets, and the socket may connect anew', async (t) => {
  const again = `${ACCEPTED}+0 connect(4, AF_UNSPEC, ...) = 0
+0 > R. 1:1(0) ack 1
+0 connect(4, ..., ...) = -1 EINPROGRESS (Operation now in progress)
+0 > S 0:0(0) <...>
`
  t.equal(await why(again), 'ok')
})

t.test('a call that waits for room goes on when there is, before anything is acknowledged', async (t) => {
  const blocked = `\`sysctl -q net.ipv4.tcp_wmem="4096 4000 4000"\`\n${ACCEPTED}+0 fcntl(4, F_SETFL, O_RDWR) = 0
+0...0.100 write(4, ..., 6000) = 6000
+0 > P. 1:4001(4000) ack 1
+.1 < P. 1:101(100) ack 4001 win 257
+0 > P. 4001:6001(2000) ack 101
`
  t.equal(await why(blocked), 'ok')
  t.match(await why(blocked.replace('> P. 4001:6001(2000)', '> . 4001:4001(0)')), /length|flags/)
})

t.test('a segment without data and one with it are not one packet cut in pieces', async (t) => {
  const joined = `${ACCEPTED}+0 < P. 1:101(100) ack 1 win 257
+.1 write(4, ..., 100) = 100
+0 > P. 1:101(100) ack 101
`
  t.match(await why(joined), /^line 12: length: expected 0, got 100.*not one packet cut in pieces/)
})
