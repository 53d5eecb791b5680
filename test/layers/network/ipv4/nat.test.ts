/** Translation end to end: sockets of hosts inside, a router that translates, and servers outside, on virtual time. */
import t, { type Test } from 'tap'
import { cable } from '../../../../layers/physical/cable.ts'
import type { NatOptions } from '../../../../src/api/rules.ts'
import type { Sockets } from '../../../../src/api/sockets.ts'
import { ms, seconds } from '../../../../src/kernel/clock.ts'
import { packetsInUse } from '../../../../src/kernel/packet.ts'
import type { Node } from '../../../../src/runtime/node.ts'
import { Simulation } from '../../../../src/runtime/simulation.ts'
import { network } from '../../../../src/testing.ts'
import { drops, host, type Ipv4Options, pattern, router, Sink } from './stand.ts'

const OUTSIDE = '203.0.113.1'
const SERVER = '203.0.113.2'
const OTHER = '203.0.113.3'
const INSIDE = '192.168.0.2'

/** Two hosts inside, the gateway, and two servers outside, which would know the way in. */
function world(
  nat: Partial<NatOptions> = {},
  outside: { mtu?: number } = {},
  router: Pick<Ipv4Options, 'errors'> = {},
) {
  const net = network({
    seed: 5,
    hosts: { A: {}, B: {}, S: {}, T: {} },
    routers: { R: { ipv4: { ...router, nat: { link: 'eth1', inside: ['192.168.0.0/24'], ...nat } } } },
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
  router: Pick<Ipv4Options, 'errors'> = {},
): void {
  t.test(name, async (t) => {
    const before = packetsInUse()
    const on = world(nat, outside, router)
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

/** What becomes of a connection. */
async function tried({ net }: World, node: Node<Sockets>, address: string, port: number) {
  let outcome = 'nothing'
  const socket = node.net.connect(port, address)
  socket.on('connect', () => (outcome = 'connected'))
  socket.on('error', ({ code, reason }: NodeJS.ErrnoException & { reason?: string }) => (outcome = `${code} ${reason}`))
  await net.sim.run(seconds(3))
  socket.destroy()
  return outcome
}

scenario(
  'whoever finds no room is told that it is prohibited, and may go on with what he has (RFC 5508 REQ-8)',
  async (t, on) => {
    const { net, A, B, S } = on
    const server = udp(S, 53, true)
    const [first, other] = [udp(A, 5000), udp(B, 5001)]
    first.socket.send('one', 53, SERVER)
    other.socket.send('one', 53, SERVER)
    await net.sim.run(seconds(1))
    t.strictSame(drop(on), {})
    t.equal(await tried(on, A, SERVER, 80), 'EHOSTUNREACH prohibited', 'TCP')
    t.match(await pinged(on, A, SERVER), { outcome: 'prohibited', address: '192.168.0.1' }, 'echo')
    const second = udp(A, 5002)
    second.socket.connect(53, SERVER, () => second.socket.send('two'))
    await net.sim.run(seconds(1))
    t.strictSame(second.errors, ['EHOSTUNREACH'], 'UDP')
    const near = udp(B, 5003)
    near.socket.connect(5000, OUTSIDE, () => near.socket.send('hairpin'))
    await net.sim.run(seconds(1))
    t.strictSame(near.errors, ['EHOSTUNREACH'], 'by the outside address')
    t.strictSame(drop(on), { natFull: 4 })
    first.socket.send('three', 53, SERVER)
    await net.sim.run(seconds(1))
    t.equal(server.got.at(-1), `${OUTSIDE}:5000 three`)
    t.equal(first.got.length, 2)
  },
  { maxSessions: 2, maxSessionsPerHost: 2 },
)

scenario(
  'a host that has all it may have is told apart from a table that is full',
  async (t, on) => {
    const { net, A, B, S } = on
    const server = udp(S, 53, true)
    const [a, b] = [udp(A, 5000), udp(B, 5000)]
    a.socket.send('one', 53, SERVER)
    await net.sim.run(seconds(1))
    t.equal(await tried(on, A, SERVER, 80), 'EHOSTUNREACH prohibited')
    t.strictSame(drop(on), { natHostFull: 1 })
    b.socket.send('others may', 53, SERVER)
    await net.sim.run(seconds(1))
    t.equal(server.got.length, 2)
  },
  { maxSessionsPerHost: 1 },
)

scenario(
  'those who are told are told as often as errors may be sent',
  async (t, on) => {
    const { net, A } = on
    udp(A, 5000).socket.send('one', 53, SERVER)
    await net.sim.run(seconds(1))
    const second = udp(A, 5002)
    second.socket.connect(53, SERVER)
    await net.sim.run(ms(1))
    for (let i = 0; i < 6; i++) {
      second.socket.send('again', () => {})
      await net.sim.run(ms(10))
    }
    t.strictSame(drop(on), { natFull: 6 })
    t.ok(second.errors.length > 0 && second.errors.length <= 2, `${second.errors}`)
  },
  { maxSessions: 1, maxSessionsPerHost: 2 },
  {},
  { errors: { perSecond: 1, burst: 2 } },
)

scenario('without an address outside the server is unreachable, and a connection waits for one', async (t, on) => {
  const { net, A, R, S } = on
  S.net.createServer(() => {}).listen(80)
  R.top.network.removeAddress('eth1', OUTSIDE)
  R.top.network.routes.add({ prefix: '203.0.113.0/24', link: 'eth1' })
  t.match(await pinged(on, A, SERVER), { outcome: 'hostUnreachable', address: '192.168.0.1' })
  let connected = false
  const socket = A.net.connect(80, SERVER, () => (connected = true)).on('error', t.fail)
  await net.sim.run(ms(500))
  t.strictSame(drop(on), { natNoAddress: 2 })
  R.top.network.addAddress('eth1', `${OUTSIDE}/24`)
  await net.sim.run(seconds(3))
  t.ok(connected)
  socket.destroy()
})

t.test('protocols without ports are prohibited', async (t) => {
  const GRE = 47
  const sim = new Simulation({ seed: 1 })
  const [[a, inside], [outside, s]] = [cable(), cable()]
  const addresses = { eth0: '192.168.0.1/24', eth1: `${OUTSIDE}/24` }
  const gateway = sim.boot('R', router([inside, outside], { addresses, nat: { link: 'eth1' } }))
  const sender = sim.boot('A', host(a, { address: `${INSIDE}/24`, gateway: '192.168.0.1' }))
  const server = sim.boot('S', host(s, { address: `${SERVER}/24` }))
  const [from, to] = [new Sink(sender.top, GRE), new Sink(server.top, GRE)]
  from.send(SERVER, pattern(40))
  await sim.run(seconds(1))
  t.match(from.reports, [{ code: 'EHOSTUNREACH', reason: 'prohibited', from: '192.168.0.1' }])
  t.strictSame(from.reports[0]?.quote, pattern(40), 'as it was sent')
  t.strictSame(to.got, [])
  t.strictSame(drops(gateway.top), { natProtocol: 1 })
  await Promise.all([gateway, sender, server].map((node) => node.close()))
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
