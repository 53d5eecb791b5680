/** An unmodified HTTP server of Node's on our stack, and the kernel's curl: large files both ways, compared by hash. */
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { createServer, request } from 'node:http'
import t from 'tap'
import { packetsInUse, poisonReleased } from '../../src/kernel/packet.ts'
import { oracle } from './helpers.ts'
import { payload, payloadFile, payloadHash, received } from './payload.ts'
import { dropsOf, MEDIA, OURS, stand, THEIRS } from './stand.ts'

poisonReleased(true)
t.setTimeout(600_000)
/** 100 MiB: of whole blocks of the payload. */
const FILE_OCTETS = 100 << 20
const skip = oracle('root', 'tun', 'ip', 'curl', 'bridge', 'socat')

const LINKS = [...MEDIA.map((medium) => ({ medium, engine: undefined })), { medium: 'vxlan', engine: 'dgram' }] as const

for (const { medium, engine } of LINKS) {
  const link = engine === undefined ? medium : `${medium}, ${engine} engine`
  t.test(`curl over ${link}`, { skip }, async (t) => {
    const before = packetsInUse()
    const { node, kernel } = await stand(t, medium, engine === undefined ? {} : { engine })
    const file = await payloadFile(t, FILE_OCTETS)
    const hash = payloadHash(FILE_OCTETS)
    const server = createServer((request, response) => {
      if (request.method === 'GET') {
        response.setHeader('content-length', FILE_OCTETS)
        createReadStream(file).pipe(response)
      } else void received(request).then((upload) => response.end(`${upload.octets} ${upload.hash}\n`))
    })
    const listening = node.net.attach(server).listen(80)
    await once(listening, 'listening')

    const down = await kernel.run('sh', '-c', `curl -sS http://${OURS}/ | sha256sum`)
    t.match(down.output, hash, 'the download')
    const up = await kernel.run('curl', '-sS', '-T', file, `http://${OURS}/`)
    t.equal(up.output, `${FILE_OCTETS} ${hash}\n`, 'the upload')
    // Linux probes with the last segment when our ACK of it takes longer than two round trips (RFC 8985 §7).
    const dropped = dropsOf(node).filter((drop) => !/ duplicateData \d+$/.test(drop))
    t.same(dropped, [], 'nothing was dropped but what had come already')
    const four = await kernel.run(
      'sh',
      '-c',
      `for i in 1 2 3 4; do curl -sS -r 0- http://${OURS}/ | head -c 10000000 | sha256sum & done; wait`,
    )
    t.same(four.output.match(/[0-9a-f]{64}/g), Array(4).fill(payloadHash(10_000_000)), 'four at once, given up midway')
    listening.close()
    await once(listening, 'close')
    await node.close()
    t.equal(packetsInUse(), before)
  })

  t.test(`our HTTP client over ${link}`, { skip }, async (t) => {
    const { node, kernel } = await stand(t, medium, engine === undefined ? {} : { engine })
    const file = await payloadFile(t, 20 << 20)
    // The kernel's server: takes a request of any kind, and answers with the file.
    const answer = `printf 'HTTP/1.0 200 OK\\r\\n\\r\\n'; cat ${file}`
    await kernel.start(/listening/, 'socat', '-d', '-d', 'TCP4-LISTEN:8080,fork,reuseaddr', `SYSTEM:"${answer}"`)
    const get = request({ host: THEIRS, port: 8080, agent: node.httpAgent() })
    get.end()
    const [response] = await once(get, 'response')
    t.same(await received(response), { octets: 20 << 20, hash: payloadHash(20 << 20) })
  })
}

t.test('a socket of ours and socat', { skip }, async (t) => {
  const { node, kernel } = await stand(t, 'tap')
  await kernel.start(/listening/, 'socat', '-d', '-d', 'TCP4-LISTEN:7,fork,reuseaddr', 'EXEC:cat')
  const socket = node.net.connect(7, THEIRS)
  await once(socket, 'connect')
  t.match(socket.address(), { address: OURS, family: 'IPv4' })
  t.equal(socket.remoteAddress, THEIRS)
  payload((octets) => octets < 5 << 20).stream.pipe(socket)
  t.same(await received(socket), { octets: 5 << 20, hash: payloadHash(5 << 20) }, 'an echo, ended by our FIN')

  const refused = node.net.connect(9, THEIRS)
  const [error] = await once(refused, 'error').catch((error) => [error])
  t.match(error, { code: 'ECONNREFUSED', syscall: 'connect', address: THEIRS, port: 9 })
})
