/** TCP Fast Open and the user timeout option with the kernel's TCP, both ways, and as tshark reads them. */
import { once } from 'node:events'
import { join } from 'node:path'
import t from 'tap'
import { FastOpenKeys } from '../../layers/transport/tcp/fast-open-keys.ts'
import { fastOpenSettings } from '../../layers/transport/tcp/fast-open-settings.ts'
import { parseAddress } from '../../src/kernel/address.ts'
import { SeededRandom } from '../../src/kernel/random.ts'
import { oracle } from './helpers.ts'
import { folder } from './payload.ts'
import { OURS, type Stand, stand, THEIRS } from './stand.ts'
import { dissect } from './tshark.ts'

t.setTimeout(600_000)
const skip = oracle('root', 'tun', 'ip', 'python3', 'tshark')
const PORT = 8000
const KEY: Uint8Array = Buffer.from('000102030405060708090a0b0c0d0e0f', 'hex')
/** The same as the kernel writes it. */
const KERNEL_KEY = '03020100-07060504-0b0a0908-0f0e0d0c'

/** Says of each of two requests whether its data went with the SYN (TCPI_OPT_SYN_DATA), and what came back. */
const CLIENT = `
import socket
for request in (b'first', b'second'):
    s = socket.socket()
    s.sendto(request, 0x20000000, ('${OURS}', ${PORT}))
    answer = s.recv(100)
    print(answer.decode(), s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 8)[5] & 32, flush=True)
    s.close()
`

/** Answers each request, and says whether its data came with the SYN. */
const SERVER = `
import socket
l = socket.socket()
l.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
l.bind(('${THEIRS}', ${PORT}))
l.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 5)
l.listen(5)
print('listening', flush=True)
while True:
    s, _ = l.accept()
    early = s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 8)[5] & 32
    s.sendall(s.recv(5000) + b' %d' % early)
    s.shutdown(socket.SHUT_WR)
    while s.recv(5000): # To close before all was read would be to reset.
        pass
    s.close()
`

async function fastOpenStand(t: Tap): Promise<Stand> {
  const made = await stand(t, 'tap', { tcp: { fastOpen: { keys: [KEY] } } })
  await made.kernel.run('sysctl', '-q', '-w', 'net.ipv4.tcp_fastopen=3', `net.ipv4.tcp_fastopen_key=${KERNEL_KEY}`)
  return made
}
type Tap = Parameters<typeof stand>[0] & { readonly name: string }

/** Writes at once. @returns the answer, and whether all that the SYN had was taken. */
async function request(node: Stand['node'], text: string): Promise<[string, unknown]> {
  const socket = node.net.connect({ host: THEIRS, port: PORT, tcp: { fastOpen: 1, advertisedTimeout: 200_000_000 } })
  socket.write(text)
  let accepted: unknown
  socket.once('connect', () => {
    accepted = socket.info()?.synDataAccepted
  })
  let answer = ''
  socket.on('data', (data) => {
    answer += data
  })
  await once(socket, 'close')
  return [answer, accepted]
}

/** Who sent a SYN with what: cookies, a request of one, and octets of data. */
async function synsOf(path: string): Promise<string[]> {
  const fields = ['ip.src', 'tcp.options.tfo.request', 'tcp.options.tfo.cookie', 'tcp.len'] as const
  const syns = await dissect(path, fields, '-Y', 'tcp.flags.syn == 1')
  return syns.map((syn) => {
    const [source, request, cookie, octets] = fields.map((field) => syn[field] ?? [])
    const asked = request?.length === 0 ? '' : ' asks'
    return `${source}${asked}${cookie?.length === 0 ? '' : ` ${cookie}`}${octets?.[0] === '0' ? '' : ` +${octets}`}`
  })
}

/** The cookie that both servers must make, for they have one key. */
function cookieFor(client: string, server: string): string {
  const keys = new FastOpenKeys({ fastOpen: fastOpenSettings({ keys: [KEY] }) }, new SeededRandom([1, 2, 3, 4]))
  return Buffer.from(keys.make(parseAddress(server), parseAddress(client), 0)).toString('hex')
}

t.test("the kernel's client with our server", { skip }, async (t) => {
  const { node, kernel } = await fastOpenStand(t)
  const path = join(folder(t), 'fast-open.pcapng')
  const capture = node.capture(path)
  const early: unknown[] = []
  const server = node.net.createServer((socket) => {
    early.push(socket.info()?.synDataAccepted)
    socket.on('data', (data) => socket.end(`got ${data}`))
  })
  server.listen({ port: PORT, tcp: { fastOpen: 5 } })
  await once(server, 'listening')
  const { output } = await kernel.run('python3', '-c', CLIENT)
  t.equal(output, 'got first 0\ngot second 32\n')
  t.same(early, [false, true])
  await capture.stop()
  const cookie = cookieFor(THEIRS, OURS)
  t.same(await synsOf(path), [`${THEIRS} asks`, `${OURS} ${cookie}`, `${THEIRS} ${cookie} +6`, OURS])
  server.close()
})

t.test("our client with the kernel's server", { skip }, async (t) => {
  const { node, kernel } = await fastOpenStand(t)
  await kernel.start(/listening/, 'python3', '-u', '-c', SERVER)
  const path = join(folder(t), 'fast-open.pcapng')
  const capture = node.capture(path)
  t.same(await request(node, 'first'), ['first 0', false])
  t.same(await request(node, 'second'), ['second 32', true])
  const long = 'x'.repeat(4000)
  const [answer, accepted] = await request(node, long)
  t.equal(accepted, true, 'all that fitted the SYN')
  t.ok(answer.length > 1000)
  await capture.stop()
  const cookie = cookieFor(OURS, THEIRS)
  t.same(await synsOf(path), [
    ...[`${OURS} asks`, `${THEIRS} ${cookie}`],
    ...[`${OURS} ${cookie} +6`, THEIRS],
    ...[`${OURS} ${cookie} +1420`, THEIRS],
  ])
  const timeouts = await dissect(path, ['tcp.options.user_to_val'], '-Y', `tcp.flags.syn == 1 && ip.src == ${OURS}`)
  t.same(
    timeouts.map((syn) => syn['tcp.options.user_to_val']),
    [['200'], ['200'], ['200']],
  )
})

t.test(
  'a SYN with data that is swallowed on the way goes again without',
  { skip: oracle('root', 'tun', 'ip', 'python3', 'nft') },
  async (t) => {
    const { node, kernel } = await fastOpenStand(t)
    await kernel.start(/listening/, 'python3', '-u', '-c', SERVER)
    t.same(await request(node, 'first'), ['first 0', false])
    const rules =
      'add table ip f; add chain ip f i { type filter hook input priority 0; }; add rule ip f i tcp option 34 exists drop'
    t.equal((await kernel.run('nft', rules)).code, 0)
    t.same(await request(node, 'second'), ['second 0', false])
    t.equal((await kernel.run('nft', 'delete table ip f')).code, 0)
    t.same(await request(node, 'third'), ['third 32', true])
  },
)
