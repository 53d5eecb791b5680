/** Sockets over IPv6 and the kernel's programs: HTTP, iperf3, datagrams, link-local addresses, both families on one port. */
import { once } from 'node:events'
import { createServer, request } from 'node:http'
import { join } from 'node:path'
import t from 'tap'
import { iperf3, type TestReport } from '../../examples/iperf3-server.ts'
import { ipv4 } from '../../src/index.ts'
import { packetsInUse, poisonReleased } from '../../src/kernel/packet.ts'
import { addAddress, type Namespace, oracle, until } from './helpers.ts'
import { linkLocalOf, OURS, pair, THEIRS } from './ipv6-stand.ts'
import { folder, payload, payloadFile, payloadHash, received } from './payload.ts'
import { dropsOf } from './stand.ts'
import { assertCleanCapture } from './tshark.ts'

poisonReleased(true)
t.setTimeout(600_000)
const FILE_OCTETS = 8 << 20
const skip = oracle('root', 'tun', 'ip', 'ping', 'curl', 'iperf3', 'socat', 'tshark', 'python3')

/** What is dropped while both look for each other. */
const ofDiscovery = (drop: string): boolean => /notMember|icmpType|notOurNeighbour|duplicateData/.test(drop)

/** The kernel's address fe80::… on x0. */
async function theirLinkLocal(kernel: Namespace): Promise<string> {
  const { output } = await kernel.run('ip', '-6', 'addr', 'show', 'dev', 'x0', 'scope', 'link')
  return /fe80::[0-9a-f:]+/.exec(output)?.[0] ?? ''
}

for (const vnetHdr of [false, true]) {
  const how = vnetHdr ? 'with' : 'without'
  t.test(`an HTTP server of Node's and curl, ${how} offload`, { skip }, async (t) => {
    const before = packetsInUse()
    const { kernel, node } = await pair(t, vnetHdr, [ipv4({ address: '10.9.0.2/24' })])
    addAddress(kernel, 'x0', '10.9.0.1/24')
    const seen: unknown[] = []
    const server = createServer((asked, response) => {
      seen.push(asked.socket.remoteAddress)
      if (asked.method === 'GET') payload((sent) => sent < FILE_OCTETS).stream.pipe(response)
      else void received(asked).then(({ octets, hash }) => response.end(`${octets} ${hash}`))
    })
    const listening = node.net.attach(server).listen(80)
    await once(listening, 'listening')
    t.match(listening.address(), { address: '::', family: 'IPv6' })
    const hash = payloadHash(FILE_OCTETS)
    const link = `${linkLocalOf(node)}%25x0`
    for (const address of [`[${OURS}]`, `[${link}]`, '10.9.0.2']) {
      const { output } = await kernel.run('sh', '-c', `curl -sS -g 'http://${address}/' | sha256sum`)
      t.match(output, hash, `from ${address}`)
    }
    t.same(seen, [THEIRS, `${await theirLinkLocal(kernel)}%eth0`, '::ffff:10.9.0.1'])
    const file = await payloadFile(t, FILE_OCTETS)
    const { output } = await kernel.run('curl', '-sS', '-g', '-T', file, `http://[${OURS}]/`)
    t.equal(output, `${FILE_OCTETS} ${hash}`, 'the upload')
    t.same(
      dropsOf(node).filter((drop) => !ofDiscovery(drop)),
      [],
    )
    listening.close()
    await once(listening, 'close')
    await node.close()
    t.equal(packetsInUse(), before)
  })

  t.test(`iperf3, ${how} offload`, { skip }, async (t) => {
    const { kernel, node } = await pair(t, vnetHdr)
    const reports: TestReport[] = []
    const server = node.net.createServer({ noDelay: true }, iperf3({ ended: (report) => reports.push(report) }))
    await once(server.listen(5201), 'listening')
    // A client tells of its end when it has written all: what is on its way then is not counted.
    for (const options of ['-n 20M', '-n 20M -R', '-n 20M -P 2']) {
      const { code } = await kernel.run('iperf3', '-6', '-C', 'cubic', '-c', OURS, ...options.split(' '))
      t.equal(code, 0, options)
      await until(() => reports.length > 0, 'the report')
      const octets = (reports.pop()?.streams ?? []).reduce((sum, stream) => sum + stream.octets, 0)
      t.ok(octets > 9_000_000, `${octets} octets`)
    }
  })
}

t.test('our client, by name and by link', { skip }, async (t) => {
  const { kernel, node } = await pair(t, true, [ipv4({ address: '10.9.0.2/24' })])
  addAddress(kernel, 'x0', '10.9.0.1/24')
  const answer = "printf 'HTTP/1.0 200 OK\\r\\n\\r\\n'; cat"
  await kernel.start(/listening/, 'socat', '-d', '-d', '-t', '1', 'TCP6-LISTEN:8080,fork', `SYSTEM:"${answer}"`)
  const theirs = await theirLinkLocal(kernel)
  const lookup = (_name: string, { all }: { all?: boolean }, tell: (...answer: unknown[]) => void): void => {
    // The first of them is nobody's.
    const addresses = ['fd09::99', '10.9.0.1', THEIRS].map((address) => ({
      address,
      family: address.includes(':') ? 6 : 4,
    }))
    if (all) tell(null, addresses)
    else tell(null, THEIRS, 6)
  }
  for (const options of [{ host: THEIRS }, { host: `${theirs}%eth0` }, { host: 'their.name', lookup }]) {
    const asked = request({ ...options, port: 8080, agent: node.httpAgent() } as never)
    asked.end()
    const [response] = await once(asked, 'response')
    t.equal(response.statusCode, 200, options.host)
    response.destroy()
  }
  const refused = node.net.connect(9, THEIRS)
  const [error] = await once(refused, 'error').catch((failure) => [failure])
  t.match(error, { code: 'ECONNREFUSED', syscall: 'connect', address: THEIRS, port: 9 })
  const alone = node.net.connect(9, 'fd09::98')
  const [unreachable] = await once(alone, 'error').catch((failure) => [failure])
  t.match(unreachable, { code: 'EHOSTUNREACH', address: 'fd09::98' })
})

t.test('tshark reads what is captured of it', { skip }, async (t) => {
  const { kernel, node } = await pair(t, true)
  const path = join(folder(t), 'ipv6.pcapng')
  const capture = node.capture(path)
  node.net.createServer((socket) => socket.pipe(socket)).listen(7)
  await kernel.run('sh', '-c', `head -c 300000 /dev/zero | socat -t 60 - TCP6:[${OURS}]:7 | wc -c`)
  await kernel.run('ping', '-6', '-c', '1', '-s', '3000', OURS)
  await capture.stop()
  const { frames, good } = await assertCleanCapture(t, path)
  t.ok(good.tcp > 200 && good.icmpv6 > 1 && frames > good.tcp, JSON.stringify(good))
})

/** Sends each datagram back. */
const ECHO = `
import socket
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.bind(('::', 7))
print('listening')
while True:
    s.sendto(*s.recvfrom(65535))
`

t.test('datagrams of every size', { skip }, async (t) => {
  const { kernel, node } = await pair(t, true)
  await kernel.start(/listening/, 'python3', '-u', '-c', ECHO)
  const socket = node.dgram.createSocket('udp6')
  socket.bind()
  await once(socket, 'listening')
  for (const size of [1, 1452, 1453, 20_000]) {
    const octets = Buffer.from(Array.from({ length: size }, (_, i) => i * 31 + (i >> 8)))
    for (const host of [THEIRS, `${await theirLinkLocal(kernel)}%eth0`]) {
      socket.send(octets, 7, host)
      const [message, from] = await once(socket, 'message')
      t.ok(octets.equals(message.subarray(0, size)), `${size} octets from ${from.address}`)
      t.match(from, { address: host, family: 'IPv6', port: 7, size })
    }
  }
  const echo = node.dgram.createSocket('udp6', (message, from) => echo.send(message, from.port, from.address))
  echo.bind(9)
  await once(echo, 'listening')
  const { output } = await kernel.run('sh', '-c', `echo hello | socat -t 60 - UDP6:[${OURS}]:9,readbytes=6`)
  t.equal(output, 'hello\n')
  socket.send('x', 99, THEIRS)
  t.match(await once(socket, 'icmp'), [{ code: 'ECONNREFUSED' }])
})
