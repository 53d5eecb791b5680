/** What goes wrong between us and a kernel: it vanishes, comes back or not, reads slowly, closes half, resets. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { setTimeout as wait } from 'node:timers/promises'
import t from 'tap'
import { seconds } from '../../src/index.ts'
import { packetsInUse, poisonReleased } from '../../src/kernel/packet.ts'
import { oracle, until } from './helpers.ts'
import { payload, payloadFile, payloadHash, type Received, received, type Sending } from './payload.ts'
import { OURS, stand, THEIRS } from './stand.ts'

poisonReleased(true)
t.setTimeout(600_000)
const FILE_OCTETS = 8 << 20
const skip = oracle('root', 'tun', 'ip', 'ping', 'curl', 'socat', 'bridge', 'ethtool')

for (const medium of ['tap', 'vxlan'] as const) {
  t.test(`the kernel's link over ${medium} goes down mid transfer, and comes back`, { skip }, async (t) => {
    const packetsBefore = packetsInUse()
    const { node, kernel, wire } = await stand(t, medium)
    let sending: Sending | undefined
    let upload: Received | undefined
    let uploading = false
    let going = true
    const server = createServer(async (request, response) => {
      if (request.method === 'GET') {
        sending = payload(() => going)
        sending.stream.pipe(response)
      } else {
        uploading = true
        upload = await received(request)
        response.end()
      }
    })
    await once(node.net.attach(server).listen(80), 'listening')
    const url = `http://${OURS}/`
    const source = payload(() => going)
    const down = kernel.run('bash', '-o', 'pipefail', '-c', `curl -sS ${url} | sha256sum`)
    const up = kernel.feed(source.stream, 'curl', '-sS', '-T', '-', url)
    await until(() => uploading && (sending?.sent().octets ?? 0) > 0, 'both transfers are under way')
    await wait(500)
    wire('down')
    await wait(3000)
    const sent = (): number[] => [sending?.sent().octets ?? 0, source.sent().octets]
    const before = sent()
    wire('up')
    await until(() => sent().every((octets, i) => octets > (before[i] as number)), 'both go on')
    going = false
    const [downloaded, uploaded] = await Promise.all([down, up])
    t.match(downloaded, { code: 0, output: sending?.sent().hash }, 'the download is whole')
    t.match(uploaded, { code: 0, output: '' })
    t.same(upload, source.sent(), 'the upload is whole')
    await node.close()
    t.equal(packetsInUse(), packetsBefore)
  })

  t.test(`the kernel's link over ${medium} goes down for good`, { skip }, async (t) => {
    const before = packetsInUse()
    const { node, kernel, wire } = await stand(t, medium, {
      tcp: {
        connection: {
          userTimeout: seconds(4),
          keepAlive: true,
          keepAliveIdle: seconds(1),
          keepAliveInterval: seconds(1),
          keepAliveCount: 3,
        },
      },
    })
    await kernel.start(/listening/, 'socat', '-d', '-d', '-u', 'TCP4-LISTEN:7,fork', 'OPEN:/dev/null')
    const writing = node.net.connect(7, THEIRS)
    const idle = node.net.connect(7, THEIRS)
    await Promise.all([once(writing, 'connect'), once(idle, 'connect')])
    timed(60_000).stream.pipe(writing)
    await wait(500)
    wire('down')
    const began = performance.now()
    const failures = [writing, idle].map(async (socket) => {
      const [error] = await once(socket, 'error')
      return { code: error.code, after: (performance.now() - began) / 1000 }
    })
    for (const { code, after } of await Promise.all(failures)) {
      t.ok(['ETIMEDOUT', 'EHOSTUNREACH'].includes(code), `${code} after ${after.toFixed(1)} s`)
      t.ok(after > 2 && after < 20, 'not at once, and soon after the user timeout')
    }
    const late = node.net.connect(7, THEIRS)
    const [error] = await once(late, 'error')
    t.match(error.code, /^(ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENETDOWN)$/, 'nor is it to be had anew')
    await node.close()
    t.equal(packetsInUse(), before)
  })
}

t.test('slow readers on either side', { skip }, async (t) => {
  const { node, kernel } = await stand(t, 'tap+vnet')
  const server = createServer(async (request, response) => {
    if (request.method === 'GET') {
      payload((octets) => octets < FILE_OCTETS).stream.pipe(response)
      return
    }
    // Nothing is taken until the window has long been closed.
    await wait(3000)
    const { hash } = await received(request)
    response.end(hash)
  })
  await once(node.net.attach(server).listen(80), 'listening')
  const file = await payloadFile(t, FILE_OCTETS)
  const url = `http://${OURS}/`
  const [down, up] = await Promise.all([
    kernel.run('sh', '-c', `curl -sS --limit-rate 2M ${url} | sha256sum`),
    kernel.run('curl', '-sS', '-T', file, url),
  ])
  t.match(down.output, payloadHash(FILE_OCTETS), 'the kernel reads slowly')
  t.equal(up.output, payloadHash(FILE_OCTETS), 'we do')
})

t.test('a connection closed half', { skip }, async (t) => {
  const { node, kernel } = await stand(t, 'tap')
  const server = node.net.createServer({ allowHalfOpen: true }, async (socket) => {
    const { octets } = await received(socket)
    // The other half is open still.
    payload((sent) => sent < octets).stream.pipe(socket)
  })
  server.listen(7)
  await once(server, 'listening')
  const file = await payloadFile(t, FILE_OCTETS)
  const { output } = await kernel.run('sh', '-c', `cat ${file} | socat -t 30 - TCP4:${OURS}:7 | sha256sum`)
  t.match(output, payloadHash(FILE_OCTETS), 'the kernel closes its half, and we answer')

  await kernel.start(/listening/, 'socat', '-d', '-d', '-t', '30', 'TCP4-LISTEN:8', 'SYSTEM:sha256sum')
  const socket = node.net.connect(8, THEIRS)
  payload((sent) => sent < FILE_OCTETS).stream.pipe(socket)
  const chunks: Buffer[] = []
  for await (const chunk of socket) chunks.push(chunk)
  t.match(Buffer.concat(chunks).toString(), payloadHash(FILE_OCTETS), 'we close ours, and the kernel answers')
})

t.test('resets', { skip }, async (t) => {
  const { node, kernel } = await stand(t, 'tap')
  const errors: NodeJS.ErrnoException[] = []
  const server = node.net.createServer((socket) => {
    socket.on('error', (error) => errors.push(error))
    timed(10_000).stream.pipe(socket)
  })
  server.listen(7)
  await once(server, 'listening')
  // A process that is killed with something left to read resets.
  await kernel.run('bash', '-c', `exec 3<>/dev/tcp/${OURS}/7; sleep 0.5; kill -KILL $$`)
  await until(() => errors.length > 0, 'the error')
  t.match(errors, [{ code: 'ECONNRESET' }])

  const resetting = node.net.createServer((socket) => setTimeout(() => socket.resetAndDestroy(), 100))
  resetting.listen(8)
  await once(resetting, 'listening')
  const { output } = await kernel.run('socat', '-d', '-d', '-u', `TCP4:${OURS}:8`, '-')
  t.match(output, /Connection reset by peer/, 'ours')
})

t.test('a host that is not there', { skip }, async (t) => {
  // An unreachable host ends no attempt (RFC 9293 §3.9.2.2): it is what the attempt failed of when it is given up.
  const { node } = await stand(t, 'tap', { tcp: { connection: { synRetries: 2 } } })
  const [error] = await once(node.net.connect(80, '10.9.0.77'), 'error')
  t.match(error, { code: 'EHOSTUNREACH', syscall: 'connect', address: '10.9.0.77', port: 80 })
})

/** The payload for so many milliseconds from when the first of it is wanted. */
function timed(periodMs: number): Sending {
  let end = 0
  return payload(() => {
    end ||= Date.now() + periodMs
    return Date.now() < end
  })
}
