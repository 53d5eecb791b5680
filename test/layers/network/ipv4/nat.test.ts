/** Translation end to end: sockets of hosts inside, a router that translates, and servers outside, on virtual time. */
import t, { type Test } from 'tap'
import type { NatOptions } from '../../../../src/api/rules.ts'
import type { Sockets } from '../../../../src/api/sockets.ts'
import { ms, seconds } from '../../../../src/kernel/clock.ts'
import { packetsInUse } from '../../../../src/kernel/packet.ts'
import type { Node } from '../../../../src/runtime/node.ts'
import { network } from '../../../../src/testing.ts'

const OUTSIDE = '203.0.113.1'
const SERVER = '203.0.113.2'
const OTHER = '203.0.113.3'
const INSIDE = '192.168.0.2'

/** Two hosts inside, the gateway, and two servers outside, which would know the way in. */
function world(nat: Partial<NatOptions> = {}, outside: { mtu?: number } = {}) {
  const net = network({
    seed: 5,
    hosts: { A: {}, B: {}, S: {}, T: {} },
    routers: { R: { ipv4: { nat: { link: 'eth1', inside: ['192.168.0.0/24'], ...nat } } } },
    links: [
      { between: ['R', 'A', 'B'], prefix: '192.168.0.0/24', delay: ms(1) },
      { between: ['R', 'S', 'T'], prefix: '203.0.113.0/24', delay: ms(5), ...outside },
    ],
  })
  return { net, ...net.nodes }
}

type World = ReturnType<typeof world>

function scenario(
  name: string,
  body: (t: Test, on: World) => Promise<void>,
  nat: Partial<NatOptions> = {},
  outside: { mtu?: number } = {},
): void {
  t.test(name, async (t) => {
    const before = packetsInUse()
    const on = world(nat, outside)
    await body(t, on)
    await on.net.close()
    t.equal(packetsInUse(), before, 'every packet was released')
    t.equal(on.net.sim.timers.size, 0, 'no timer is left')
  })
}

/** A UDP socket that keeps what it gets, as 'address:port text'. */
function udp(node: Node<Sockets>, port: number, echo = false) {
  const socket = node.dgram.createSocket('udp4').bind(port)
  const got: string[] = []
  const errors: string[] = []
  socket.on('message', (message, from) => {
    got.push(`${from.address}:${from.port} ${message.length > 20 ? message.length : String(message)}`)
    if (echo) socket.send(message, from.port, from.address)
  })
  socket.on('error', (error: NodeJS.ErrnoException) => errors.push(String(error.code)))
  return { socket, got, errors }
}

/** How often the gateway dropped packets for each reason. */
function drop({ R }: World): Record<string, number> {
  const found = R.snapshot().find(({ name }) => name === 'R/ipv4')
  return Object.fromEntries(Object.entries(found?.drops ?? {}).filter(([, count]) => count > 0))
}

scenario('UDP and TCP keep their ports, and both hosts are one address', async (t, on) => {
  const { net, A, B, S, T } = on
  const [server, other] = [udp(S, 53, true), udp(T, 53, true)]
  const [a, b] = [udp(A, 5000), udp(B, 5000)]
  a.socket.send('one', 53, SERVER)
  await net.sim.run(seconds(1))
  a.socket.send('two', 53, OTHER)
  b.socket.send('three', 53, SERVER)
  await net.sim.run(seconds(1))
  t.strictSame(server.got[0], `${OUTSIDE}:5000 one`)
  t.strictSame(other.got, [`${OUTSIDE}:5000 two`])
  t.match(server.got[1], /^203\.0\.113\.1:\d+ three$/)
  t.notMatch(server.got[1], ':5000 ')
  t.strictSame(a.got, [`${SERVER}:53 one`, `${OTHER}:53 two`])
  t.strictSame(b.got, [`${SERVER}:53 three`])

  const sum = { octets: 0, peer: '' }
  S.net
    .createServer((socket) => {
      sum.peer = `${socket.remoteAddress}:${socket.remotePort}`
      socket.on('data', (data: Buffer) => (sum.octets += data.length)).on('end', () => socket.end('thanks'))
    })
    .listen(80)
  let said = ''
  const client = A.net.connect({ port: 80, host: SERVER, localPort: 6000 })
  client.on('data', (data: Buffer) => (said += String(data)))
  client.end(Buffer.alloc(300_000, 7))
  await net.sim.run(seconds(10))
  t.strictSame(sum, { octets: 300_000, peer: `${OUTSIDE}:6000` })
  t.equal(said, 'thanks')
  t.strictSame(drop(on), {})
})

scenario('nobody outside reaches inside unasked', async (t, on) => {
  const { net, A, S, T } = on
  const a = udp(A, 5000)
  const [server, other] = [udp(S, 53), udp(T, 53)]
  server.socket.send('direct', 5000, INSIDE)
  server.socket.send('before', 5000, OUTSIDE)
  await net.sim.run(seconds(1))
  a.socket.send('hello', 53, SERVER)
  await net.sim.run(seconds(1))
  other.socket.send('stranger', 5000, OUTSIDE)
  server.socket.send('friend', 5000, OUTSIDE)
  await net.sim.run(seconds(1))
  t.strictSame(a.got, [`${SERVER}:53 friend`])
  t.match(drop(on), { natUnsolicited: 1, natFiltered: 1 })
  await net.sim.run(seconds(301))
  server.socket.send('late', 5000, OUTSIDE)
  await net.sim.run(seconds(1))
  t.strictSame(a.got, [`${SERVER}:53 friend`])
})

scenario(
  'a forward leads in, and by the outside address also from inside',
  async (t, on) => {
    const { net, A, B, S } = on
    const peers: string[] = []
    A.net
      .createServer((socket) => {
        peers.push(`${socket.remoteAddress}`)
        socket.end('served')
      })
      .listen(80)
    const said: string[] = []
    for (const node of [S, B]) {
      node.net.connect(8080, OUTSIDE).on('data', (data: Buffer) => said.push(String(data)))
      await net.sim.run(seconds(1))
    }
    t.strictSame(said, ['served', 'served'])
    t.strictSame(peers, [SERVER, OUTSIDE], 'a host inside is seen as from outside')
    t.strictSame(drop(on), {})
  },
  { forwards: [{ protocol: 'tcp', port: 8080, to: `${INSIDE}:80` }] },
)

scenario(
  'a forward works, and hears what went wrong, when there is no room for a session',
  async (t, on) => {
    const { net, A, S } = on
    const [a, other] = [udp(A, 53, true), udp(A, 5000)]
    const asking = udp(S, 4000)
    other.socket.send('the only session', 99, OTHER)
    await net.sim.run(seconds(1))
    asking.socket.send('one', 53, OUTSIDE)
    await net.sim.run(seconds(1))
    t.strictSame(asking.got, [`${OUTSIDE}:53 one`])
    t.strictSame(drop(on), {})
    asking.socket.close()
    a.socket.connect(4000, SERVER)
    await net.sim.run(seconds(1))
    a.socket.send('two')
    await net.sim.run(seconds(1))
    t.strictSame(a.errors, ['ECONNREFUSED'])
  },
  { forwards: [{ protocol: 'udp', port: 53, to: `${INSIDE}:53` }], maxSessions: 1 },
)

scenario('hairpin: two hosts inside meet at their ports outside', async (t, on) => {
  const { net, A, B, S } = on
  const [a, b, server] = [udp(A, 5000), udp(B, 6000), udp(S, 53)]
  a.socket.send('a', 53, SERVER)
  b.socket.send('b', 53, SERVER)
  await net.sim.run(seconds(1))
  t.strictSame(server.got, [`${OUTSIDE}:5000 a`, `${OUTSIDE}:6000 b`])
  a.socket.send('hi b', 6000, OUTSIDE)
  await net.sim.run(seconds(1))
  b.socket.send('hi a', 5000, OUTSIDE)
  await net.sim.run(seconds(1))
  t.strictSame(b.got, [`${OUTSIDE}:5000 hi b`])
  t.strictSame(a.got, [`${OUTSIDE}:6000 hi a`])
})

scenario('the node itself uses the address too, and ports do not collide', async (t, on) => {
  const { net, A, R, S } = on
  const server = udp(S, 53, true)
  const [router, a] = [udp(R, 5000), udp(A, 5000)]
  router.socket.send('router', 53, SERVER)
  await net.sim.run(seconds(1))
  a.socket.send('inside', 53, SERVER)
  await net.sim.run(seconds(1))
  t.strictSame(router.got, [`${SERVER}:53 router`])
  t.strictSame(a.got, [`${SERVER}:53 inside`])
  t.equal(new Set(server.got.map((line) => line.split(' ')[0])).size, 2, `${server.got}`)
  // The other way round: a host has the port first.
  const [late, first] = [udp(R, 7000), udp(A, 7000)]
  first.socket.send('inside', 53, SERVER)
  await net.sim.run(seconds(1))
  late.socket.send('router', 53, SERVER)
  await net.sim.run(seconds(1))
  t.strictSame(first.got, [`${SERVER}:53 inside`])
  t.strictSame(late.got, [`${SERVER}:53 router`])
  R.net.createServer((socket) => socket.end('router')).listen(22)
  const said: string[] = []
  S.net.connect(22, OUTSIDE).on('data', (data: Buffer) => said.push(String(data)))
  S.net.connect(23, OUTSIDE).on('error', (error: NodeJS.ErrnoException) => said.push(String(error.code)))
  await net.sim.run(seconds(1))
  t.strictSame(said.sort(), ['ECONNREFUSED', 'router'])
  t.match(await pinged(on, S, OUTSIDE), { outcome: 'reply' })
  t.match(await pinged(on, R, SERVER), { outcome: 'reply' })
})

scenario("a connection of the node's own may be silent for as long as others", async (t, on) => {
  const { net, A, R, S } = on
  const heard: string[] = []
  const served: { write(text: string): boolean }[] = []
  S.net.createServer((socket) => served.push(socket.on('error', () => {}))).listen(80)
  for (const [name, node] of [
    ['inside', A],
    ['router', R],
  ] as const) {
    const socket = node.net.connect({ port: 80, host: SERVER, localPort: 6000 })
    socket.on('data', (data: Buffer) => heard.push(`${name}: ${data}`)).on('error', () => {})
    await net.sim.run(seconds(1))
  }
  await net.sim.run(seconds(900))
  for (const socket of served) socket.write('still there')
  await net.sim.run(seconds(5))
  t.strictSame(heard.sort(), ['inside: still there', 'router: still there'])
})

async function pinged({ net }: World, node: Node<Sockets>, address: string, options: object = {}) {
  const result = node.icmp.ping(address, options).catch(({ code }: NodeJS.ErrnoException) => ({ outcome: code }))
  await net.sim.run(seconds(6))
  return result
}

scenario('echo, and errors about what was sent', async (t, on) => {
  const { A, B, S } = on
  t.match(await pinged(on, A, SERVER), { outcome: 'reply', address: SERVER })
  t.match(await pinged(on, B, SERVER, { size: 4000 }), { outcome: 'reply', octets: 4000 }, 'in fragments')
  t.match(await pinged(on, A, SERVER, { ttl: 1 }), { outcome: 'timeExceeded', address: '192.168.0.1' })
  t.match(await pinged(on, S, INSIDE), { outcome: 'ETIMEDOUT' }, 'not from outside')
  const a = A.dgram.createSocket('udp4').bind(5000)
  let code = ''
  a.on('error', (error: NodeJS.ErrnoException) => (code = String(error.code)))
  a.connect(9, SERVER, () => a.send('nobody'))
  await on.net.sim.run(seconds(1))
  t.equal(code, 'ECONNREFUSED', 'port unreachable comes back inside')
  let refused = ''
  A.net.connect(81, SERVER).on('error', (error: NodeJS.ErrnoException) => (refused = String(error.code)))
  await on.net.sim.run(seconds(1))
  t.equal(refused, 'ECONNREFUSED', 'and so does a reset')
  t.match(await pinged(on, A, '203.0.113.99'), { outcome: 'hostUnreachable' }, 'of our own neighbours too')
})

scenario('datagrams in fragments, both ways', async (t, on) => {
  const { net, A, S } = on
  const [a, server] = [udp(A, 5000), udp(S, 53, true)]
  for (const octets of [1473, 4000, 20_000]) {
    a.socket.send(Buffer.alloc(octets, 3), 53, SERVER)
    await net.sim.run(seconds(1))
  }
  t.strictSame(
    server.got,
    [1473, 4000, 20_000].map((octets) => `${OUTSIDE}:5000 ${octets}`),
  )
  t.strictSame(
    a.got,
    [1473, 4000, 20_000].map((octets) => `${SERVER}:53 ${octets}`),
  )
})

scenario(
  'a narrow link outside is told to the host inside',
  async (t, on) => {
    const { net, A, S } = on
    let octets = 0
    S.net.createServer((socket) => socket.on('data', (data: Buffer) => (octets += data.length))).listen(80)
    A.net.connect(80, SERVER).end(Buffer.alloc(100_000))
    await net.sim.run(seconds(10))
    t.equal(octets, 100_000)
    t.match(await pinged(on, A, SERVER, { size: 1400, dontFragment: true }), { outcome: 'fragmentationNeeded' })
  },
  {},
  { mtu: 1300 },
)

scenario('an error from inside about what came from outside reaches the one outside', async (t, on) => {
  const { net, A, S } = on
  const server = S.dgram.createSocket('udp4').bind(53)
  let code = ''
  server.on('error', (error: NodeJS.ErrnoException) => (code = String(error.code)))
  const a = A.dgram.createSocket('udp4').bind(5000)
  a.send('hello', 53, SERVER)
  await net.sim.run(seconds(1))
  a.close()
  server.connect(5000, OUTSIDE, () => server.send('are you there'))
  await net.sim.run(seconds(1))
  t.equal(code, 'ECONNREFUSED')
})

scenario('another address outside ends what was', async (t, on) => {
  const { net, A, R, S } = on
  const [a, server] = [udp(A, 5000), udp(S, 53)]
  a.socket.send('one', 53, SERVER)
  await net.sim.run(seconds(1))
  R.top.network.removeAddress('eth1', OUTSIDE)
  a.socket.send('none', 53, SERVER)
  await net.sim.run(seconds(1))
  R.top.network.addAddress('eth1', '203.0.113.77/24')
  await net.sim.run(seconds(10))
  server.socket.send('late', 5000, '203.0.113.77')
  await net.sim.run(seconds(1))
  a.socket.send('two', 53, SERVER)
  await net.sim.run(seconds(1))
  t.strictSame(server.got, [`${OUTSIDE}:5000 one`, '203.0.113.77:5000 two'])
  t.strictSame(a.got, [])
})

t.test('translation without forwarding is a contradiction', async (t) => {
  t.throws(
    () => network({ hosts: { A: { ipv4: { nat: { link: 'eth0' } } }, B: {} }, links: [{ between: ['A', 'B'] }] }),
    { code: 'ERR_INVALID_ARG_VALUE' },
  )
})
