/**
 * Both families in Node's shape: what Node does over its own sockets, ours do over the host and over our stack. All is said to
 * one node, by its loopback addresses.
 */
import { networkInterfaces } from 'node:os'
import tap, { type Test } from 'tap'
import { ethernet } from '../../layers/datalink/index.ts'
import { ip, ipv4, ipv6 } from '../../layers/network/index.ts'
import { cable } from '../../layers/physical/index.ts'
import { sockets } from '../../layers/transport/sockets.ts'
import { tcp } from '../../layers/transport/tcp/tcp.ts'
import { udp } from '../../layers/transport/udp/udp.ts'
import type { Dgram, DgramSocket, Net, Server, Socket } from '../../src/api/node-net.ts'
import type { LinkEntry } from '../../src/api/routes.ts'
import { ms, seconds } from '../../src/kernel/clock.ts'
import { stack } from '../../src/kernel/stack.ts'
import { Simulation } from '../../src/runtime/simulation.ts'
import { once } from './events.ts'
import { nodesOwn, onHost, type Subject } from './subjects.ts'

type Failure = Error & { code: string; address?: string; port?: number; errors?: Failure[] }

interface DualStack {
  readonly net: Net
  readonly dgram: Dgram
  readonly isReal: boolean
  readonly run: Subject['run']
  close(): Promise<void>
}

const fromSubject = (subject: Subject): DualStack => ({
  net: subject.client,
  dgram: subject.dgram as Dgram,
  isReal: subject.real,
  run: subject.run,
  close: subject.close,
})

/** A node of ours with both families, and addresses at which nobody answers. */
async function inSimulation(): Promise<DualStack> {
  const sim = new Simulation()
  const [end] = cable()
  const family = [ipv4({ address: '10.0.0.1/24' }), ipv6({ address: 'fd00::1/64' })] as const
  const node = sim.boot('A', stack(end, ethernet(), ip(...family), sockets(tcp(), udp())), { hosts: HOSTS })
  await sim.run(seconds(4))
  return {
    net: node.net,
    dgram: node.dgram,
    isReal: false,
    close: () => sim.close(),
    async run(body) {
      let over = false
      const finished = body().finally(() => {
        over = true
      })
      finished.catch(() => {})
      if (!(await sim.runUntil(() => over, seconds(600)))) throw new Error('nothing more happens in the simulation')
      return finished
    },
  }
}

const HOSTS = { both: ['::1', '127.0.0.1'], silent: ['fd00::9', 'fd00::1', '10.0.0.9'], six: 'fd00::1' }

const SUBJECTS: readonly [name: string, make: () => Promise<DualStack>][] = [
  ["Node's own", async () => fromSubject(nodesOwn())],
  ['hostSockets', async () => fromSubject(await onHost())],
  ['our stack', inSimulation],
]

const hostHasIpv6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'))

function check(title: string, body: (t: Test, node: DualStack) => Promise<void>, subjects = SUBJECTS): void {
  for (const [name, make] of subjects) {
    const skip = !hostHasIpv6 && name !== 'our stack' ? 'this machine has no ::1' : false
    tap.test(`${name}: ${title}`, { timeout: 120_000, skip }, async (t) => {
      const node = await make()
      try {
        await node.run(() => body(t, node))
      } finally {
        await node.close()
      }
    })
  }
}

/** A server that listens as told; its port. */
async function listening(net: Net, options: object): Promise<{ server: Server; port: number }> {
  const server = net.createServer()
  server.listen({ port: 0, ...options })
  await once(server, 'listening')
  return { server, port: (server.address() as { port: number }).port }
}

const errorOf = (server: Server): Promise<Failure> => once<Failure>(server, 'error')

check('without a host, a server listens to both families', async (t, { net }) => {
  const { server, port } = await listening(net, {})
  t.match(server.address(), { address: '::', family: 'IPv6' })
  for (const [host, shown] of [
    ['::1', '::1'],
    ['127.0.0.1', '::ffff:127.0.0.1'],
  ] as const) {
    const accepted = once<Socket>(server, 'connection')
    const near = net.connect(port, host)
    const ready = once(near, 'ready')
    const far = await accepted
    await ready
    t.match(near.address(), { address: host, family: host === '::1' ? 'IPv6' : 'IPv4' })
    t.equal(near.remoteAddress, host)
    t.equal(far.localAddress, shown, host)
    t.equal(far.remoteAddress, shown, host)
    t.equal(far.localFamily, 'IPv6')
    t.equal(far.remoteFamily, 'IPv6')
    near.destroy()
    far.destroy()
  }
  server.close()
})

check('a server of one family does not hear the other', async (t, { net }) => {
  const six = await listening(net, { host: '::', ipv6Only: true })
  const four = await listening(net, { host: '0.0.0.0', port: six.port })
  t.match(four.server.address(), { address: '0.0.0.0', family: 'IPv4', port: six.port }, 'they share a port')
  for (const [host, server] of [
    ['::1', six.server],
    ['127.0.0.1', four.server],
  ] as const) {
    const accepted = once<Socket>(server, 'connection')
    const near = net.connect(six.port, host)
    const far = await accepted
    t.equal(far.remoteAddress, host)
    near.destroy()
    far.destroy()
  }
  four.server.close()
  t.match(await once(net.connect(six.port, '127.0.0.1'), 'error'), { code: 'ECONNREFUSED' })
  six.server.close()
})

check('who listens to both families leaves no room for either', async (t, { net }) => {
  const { server, port } = await listening(net, {})
  for (const host of ['::', '0.0.0.0', '127.0.0.1', '::1']) {
    const other = net.createServer().listen(port, host)
    t.match(await errorOf(other), { code: 'EADDRINUSE', address: host, port })
  }
  server.close()
  const four = await listening(net, { host: '127.0.0.1' })
  t.match(await errorOf(net.createServer().listen(four.port)), { code: 'EADDRINUSE', address: '::' })
  const beside = await listening(net, { host: '::1', port: four.port })
  beside.server.close()
  four.server.close()
})

check('an address that is not ours', async (t, { net }) => {
  t.match(await errorOf(net.createServer().listen(0, '2001:db8::77')), {
    code: 'EADDRNOTAVAIL',
    address: '2001:db8::77',
  })
  const socket = net.connect({ port: 9, host: '::1', localAddress: '2001:db8::77' })
  t.match(await once<Failure>(socket, 'error'), { code: 'EADDRNOTAVAIL' })
})

check('a mapped address stays one', async (t, { net }) => {
  const { server, port } = await listening(net, { host: '127.0.0.1' })
  const near = net.connect(port, '::ffff:127.0.0.1')
  await once(near, 'connect')
  t.match(near.address(), { address: '::ffff:127.0.0.1', family: 'IPv6' })
  t.equal(near.remoteAddress, '::ffff:127.0.0.1')
  t.equal(near.remoteFamily, 'IPv6')
  near.destroy()
  server.close()
  t.match(await once(net.connect(port, '::ffff:127.0.0.1'), 'error'), {
    code: 'ECONNREFUSED',
    address: '::ffff:127.0.0.1',
  })
})

/** A lookup function that knows several addresses of any name. */
function answering(...addresses: readonly string[]): (name: string, options: { all?: boolean }, tell: Tell) => void {
  const all = addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
  return (_name, options, tell) => {
    if (options.all) process.nextTick(tell, null, all)
    else process.nextTick(tell, null, all[0]?.address, all[0]?.family)
  }
}
type Tell = (error: Error | null, ...answer: unknown[]) => void

/** The events of a socket that tries several addresses, as text. */
function attempts(socket: Socket): string[] {
  const log: string[] = []
  for (const event of ['lookup', 'connectionAttempt', 'connectionAttemptFailed', 'connectionAttemptTimeout'] as const) {
    socket.on(event, (...args: unknown[]) => {
      const told = event === 'lookup' ? args.slice(1, 3) : [args[0], args[2], (args[3] as Failure | undefined)?.code]
      log.push(`${event} ${told.filter((part) => part !== undefined).join(' ')}`)
    })
  }
  return log
}

check('the addresses of a name are tried in turn, by family', async (t, { net }) => {
  const { server, port } = await listening(net, { host: '127.0.0.1' })
  const lookup = answering('::1', '::1', '127.0.0.1') as never
  const socket = net.connect({ port, host: 'some.name', lookup, autoSelectFamily: true })
  const log = attempts(socket)
  await once(socket, 'connect')
  t.strictSame(log, [
    'lookup ::1 6',
    'lookup ::1 6',
    'lookup 127.0.0.1 4',
    'connectionAttempt ::1 6',
    'connectionAttemptFailed ::1 6 ECONNREFUSED',
    'connectionAttempt 127.0.0.1 4',
  ])
  t.strictSame(socket.autoSelectFamilyAttemptedAddresses, [`::1:${port}`, `127.0.0.1:${port}`])
  t.match(socket.address(), { address: '127.0.0.1' })
  socket.destroy()
  server.close()
})

check('all of them refuse', async (t, { net }) => {
  const { server, port } = await listening(net, { host: '127.0.0.1' })
  server.close()
  await once(server, 'close')
  const lookup = answering('127.0.0.1', '::1') as never
  const error = await once<Failure>(net.connect({ port, host: 'some.name', lookup, autoSelectFamily: true }), 'error')
  t.equal(error.name, 'AggregateError')
  t.equal(error.code, 'ECONNREFUSED')
  t.equal(error.message, '')
  t.match(error.errors, [
    { code: 'ECONNREFUSED', address: '127.0.0.1', port, syscall: 'connect' },
    { code: 'ECONNREFUSED', address: '::1', port, syscall: 'connect' },
  ])
})

check('no choice where none is wanted', async (t, { net }) => {
  const { server, port } = await listening(net, { host: '127.0.0.1' })
  const lookup = answering('::1', '127.0.0.1') as never
  for (const options of [{ autoSelectFamily: false }, { family: 6 }]) {
    const socket = net.connect({ port, host: 'some.name', lookup, ...options })
    const log = attempts(socket)
    t.match(await once<Failure>(socket, 'error'), { code: 'ECONNREFUSED', address: '::1', errors: undefined })
    t.match(log, ['lookup ::1 6', 'connectionAttempt ::1 6'])
    t.strictSame(socket.autoSelectFamilyAttemptedAddresses ?? [], [])
  }
  server.close()
})

const OURS = SUBJECTS.slice(2)

check(
  'who does not answer in time is left for the next, and forgotten',
  async (t, { net }) => {
    const { server, port } = await listening(net, {})
    const socket = net.connect({ port, host: 'silent', autoSelectFamilyAttemptTimeout: 100 })
    const log = attempts(socket)
    await once(socket, 'connect')
    t.strictSame(log.slice(3), [
      'connectionAttempt 10.0.0.9 4',
      'connectionAttemptTimeout 10.0.0.9 4',
      'connectionAttempt fd00::9 6',
      'connectionAttemptTimeout fd00::9 6',
      'connectionAttempt fd00::1 6',
    ])
    socket.destroy()
    server.close()
  },
  OURS,
)

check(
  'a socket that is destroyed tries no further',
  async (t, { net }) => {
    const socket = net.connect({ port: 9, host: 'silent', autoSelectFamilyAttemptTimeout: 50 })
    const log = attempts(socket)
    await once(socket, 'connectionAttempt')
    socket.destroy()
    await once(socket, 'close')
    const again = net.connect({ port: 9, host: 'silent', autoSelectFamilyAttemptTimeout: 100 })
    const error = await once<Failure>(again, 'error')
    t.match(error.errors, [{ code: 'ETIMEDOUT' }, { code: 'ETIMEDOUT' }, { code: 'ECONNREFUSED' }])
    t.equal(error.code, 'ETIMEDOUT')
    t.equal(log.filter((line) => line.startsWith('connectionAttempt')).length, 1)
  },
  OURS,
)

check(
  'names of the node: localhost has both addresses, and hosts those they are given',
  async (t, { net }) => {
    const { server, port } = await listening(net, {})
    for (const [options, address] of [
      [{ host: 'localhost' }, '::1'],
      [{}, '::1'],
      [{ host: 'localhost', family: 4 }, '127.0.0.1'],
      [{ host: 'both', family: 6 }, '::1'],
      [{ host: 'six' }, 'fd00::1'],
      [{ host: 'FD00:0::1' }, 'fd00::1'],
    ] as const) {
      const socket = net.connect({ port, ...options })
      await once(socket, 'connect')
      t.equal(socket.remoteAddress, address)
      socket.destroy()
    }
    t.match(await once(net.connect({ port, host: 'six', family: 4 }), 'error'), { code: 'ENOTFOUND' })
    server.close()
  },
  OURS,
)

async function bound(dgram: Dgram, options: object, address?: string, port = 0): Promise<DgramSocket> {
  const socket = dgram.createSocket(options as never)
  socket.bind(port, address)
  await once(socket, 'listening')
  return socket
}

check('datagrams of both families reach a udp6 socket', async (t, { dgram }) => {
  const server = await bound(dgram, { type: 'udp6' })
  const { port } = server.address()
  t.match(server.address(), { address: '::', family: 'IPv6' })
  const six = await bound(dgram, { type: 'udp6' })
  const four = await bound(dgram, { type: 'udp4' })
  t.match(four.address(), { address: '0.0.0.0', family: 'IPv4' })
  const heard = (): Promise<unknown[]> =>
    new Promise((resolve) => server.once('message', (message, from) => resolve([String(message), from])))
  for (const [socket, to, address] of [
    [six, '::1', '::1'],
    [six, undefined, '::1'],
    [four, '127.0.0.1', '::ffff:127.0.0.1'],
    [six, '::ffff:127.0.0.1', '::ffff:127.0.0.1'],
  ] as const) {
    const told = heard()
    socket.send('hello', port, to as string)
    t.match(await told, ['hello', { address, family: 'IPv6', port: socket.address().port }])
  }
  // And back, to where it says that it came from.
  const answer = once<Buffer>(four, 'message')
  server.send('back', four.address().port, '::ffff:127.0.0.1')
  t.equal(String(await answer), 'back')
  for (const socket of [server, six, four]) socket.close()
})

check('datagrams: the other family, and the rules of ports', async (t, { dgram }) => {
  const four = await bound(dgram, { type: 'udp4' })
  const six = await bound(dgram, { type: 'udp6' })
  const failure = (socket: DgramSocket, address: string): Promise<Failure | null> =>
    new Promise((resolve) => socket.send('x', 9, address, (error) => resolve(error as Failure | null)))
  t.match(await failure(four, '::1'), { code: 'EINVAL', syscall: 'send' })
  t.match(await failure(six, '127.0.0.1'), { code: 'EINVAL', syscall: 'send' })
  const { port } = six.address()
  const taken = dgram.createSocket('udp4')
  taken.bind(port)
  t.match(await once<Failure>(taken, 'error'), { code: 'EADDRINUSE' })
  const only = await bound(dgram, { type: 'udp6', ipv6Only: true })
  const beside = await bound(dgram, 'udp4' as never, undefined, only.address().port)
  six.connect(four.address().port, '::1')
  await once(six, 'connect')
  t.match(six.remoteAddress(), { address: '::1', family: 'IPv6' })
  for (const socket of [four, six, taken, only, beside]) socket.close()
})

tap.test('the addresses of a name are tried in the order of their ways there (RFC 6724 §6)', async (t) => {
  const sim = new Simulation()
  const [end] = cable()
  const hosts = {
    unroutable: ['2001:db8:9::1', '10.0.0.9'],
    native: ['10.0.0.9', '2001:db8::9'],
    scope: ['2001:db8::9', 'fe80::9%eth0'],
    near: ['10.1.0.9', '10.0.0.9'],
    equal: ['10.0.1.9', '10.0.0.9'],
    ula: ['fd00::9', '10.0.0.9'],
    given: ['2001:db8::9', '2001:db8::8'],
  }
  const network = ip(ipv4({ address: '10.0.0.1/16', gateway: '10.0.0.254' }), ipv6({ address: '2001:db8::1/64' }))
  const node = sim.boot('A', stack(end, ethernet(), network, sockets(tcp(), udp())), { hosts })
  await sim.run(seconds(4))
  const first = Object.fromEntries(
    Object.keys(hosts).map((host) => {
      let attempt = ''
      const socket = node.net.connect({ host, port: 9, autoSelectFamily: true })
      socket.once('connectionAttempt', (address) => {
        attempt = address
        socket.destroy()
      })
      return [host, () => attempt]
    }),
  )
  await sim.run(seconds(1))
  t.same(Object.fromEntries(Object.entries(first).map(([host, attempt]) => [host, attempt()])), {
    unroutable: '10.0.0.9', // rule 1
    native: '2001:db8::9', // rule 6
    scope: 'fe80::9%eth0', // rule 8
    near: '10.0.0.9', // rule 9
    equal: '10.0.1.9', // both are in the prefix of the source
    ula: '10.0.0.9', // rules 1 and 5: nothing of ours is in fd00::/8
    given: '2001:db8::9', // rule 10
  })
  await sim.close()
})

tap.test('a link-local peer is known with its link', async (t) => {
  const sim = new Simulation()
  const ends = cable({ delay: ms(1) })
  const host = (name: string, end: (typeof ends)[0]) =>
    sim.boot(name, stack(end, ethernet(), ip(ipv6()), sockets(tcp(), udp())))
  const [a, b] = [host('A', ends[0]), host('B', ends[1])]
  await sim.run(seconds(4))
  const [link] = b.top.network.links() as [LinkEntry]
  const [address = ''] = (link.addresses[0] ?? '').split('/')
  const server = b.net.createServer((socket) => socket.end(`${socket.remoteAddress} ${socket.localAddress}`))
  server.listen(80)
  const echo = b.dgram.createSocket('udp6', (message, from) => echo.send(message, from.port, from.address))
  echo.bind(7)
  const socket = a.net.connect(80, `${address}%eth0`)
  const chunks: string[] = []
  socket.on('connect', () => chunks.push(`to ${socket.remoteAddress}`))
  socket.on('data', (chunk) => chunks.push(String(chunk)))
  const dgram = a.dgram.createSocket('udp6', (message, from) => chunks.push(`${message} from ${from.address}`))
  await sim.run(seconds(1))
  dgram.send('x', 7, `${address}%eth0`)
  const ping = a.icmp.ping(`${address}%eth0`)
  await sim.run(seconds(1))
  t.match(chunks, [`to ${address}%eth0`, /^fe80::[0-9a-f:]+%eth0 fe80::[0-9a-f:]+%eth0$/, `x from ${address}%eth0`])
  t.match(await ping, { address: `${address}%eth0`, outcome: 'reply' })
  const wrong = once<Failure>(a.net.connect(80, `${address}%eth7`), 'error')
  await sim.run(seconds(1))
  t.match(await wrong, { code: 'ENODEV' })
  await sim.close()
})
