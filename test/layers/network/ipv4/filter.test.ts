/** A router with a policy, on virtual time: what passes, what is told, what is changed, what is counted. */
import t, { type Test } from 'tap'
import { ms, seconds } from '../../../../src/kernel/clock.ts'
import { packetsInUse } from '../../../../src/kernel/packet.ts'
import { network } from '../../../../src/testing.ts'
import type { Ipv4Options } from './stand.ts'

/** A and B on one side of the router, S on the other. */
function world(options: Omit<Ipv4Options, 'address' | 'addresses' | 'forwarding'>) {
  const net = network({
    seed: 5,
    hosts: { A: {}, B: {}, S: {} },
    routers: { R: { ipv4: options } },
    links: [
      { between: ['R', 'A', 'B'], prefix: '192.168.0.0/24', delay: ms(1) },
      { between: ['R', 'S'], prefix: '203.0.113.0/24', delay: ms(1) },
    ],
  })
  return { net, ...net.nodes }
}

type World = ReturnType<typeof world>
const [SERVER, INSIDE] = ['203.0.113.2', '192.168.0.2']

function scenario(
  name: string,
  options: Parameters<typeof world>[0],
  body: (t: Test, on: World) => Promise<void>,
): void {
  t.test(name, async (t) => {
    const before = packetsInUse()
    const on = world(options)
    await body(t, on)
    await on.net.close()
    t.equal(packetsInUse(), before, 'every packet was released')
    t.equal(on.net.sim.timers.size, 0, 'no timer is left')
  })
}

function drops({ R }: World): Record<string, number> {
  return { ...R.snapshot().find(({ name }) => name === 'R/ipv4')?.drops }
}

/** What a connection comes to: what the server said, or the code of the error. */
async function tried({ net, ...nodes }: World, from: 'A' | 'B' | 'S' | 'R', address: string, port: number, time = 3) {
  let outcome = 'nothing'
  const socket = nodes[from].net.connect(port, address)
  socket.on('data', (data: Buffer) => (outcome = String(data)))
  socket.on('error', (error: NodeJS.ErrnoException) => (outcome = String(error.code)))
  await net.sim.run(seconds(time))
  socket.destroy()
  return outcome
}

const counted = ({ R }: World) => Object.fromEntries(R.top.network.policy().map(({ name, packets }) => [name, packets]))

scenario(
  'rules by link, port and direction',
  {
    policy: {
      rules: [
        { name: 'known', tcp: 'established', action: 'allow' },
        { name: 'web', hook: 'forward', in: 'eth0', destinationPort: 80, action: 'allow' },
        { name: 'ssh', hook: 'input', in: 'eth0', destinationPort: 22, action: 'allow' },
        { name: 'no-mail', hook: 'forward', destinationPort: 25, action: 'reject' },
        { name: 'own', hook: 'output', action: 'allow' },
      ],
      default: 'deny',
    },
  },
  async (t, on) => {
    for (const node of [on.A, on.S, on.R]) {
      for (const port of [22, 25, 80]) node.net.createServer((socket) => socket.end(`${port}`)).listen(port)
    }
    t.equal(await tried(on, 'A', SERVER, 80), '80')
    t.equal(await tried(on, 'S', INSIDE, 80), 'nothing', 'by the other link')
    t.equal(await tried(on, 'A', SERVER, 25), 'EHOSTUNREACH', 'the sender is told')
    t.equal(await tried(on, 'A', SERVER, 22), 'nothing')
    t.equal(await tried(on, 'A', '192.168.0.1', 22), '22', 'to the router')
    t.equal(await tried(on, 'S', '203.0.113.1', 22), 'nothing')
    t.equal(await tried(on, 'R', SERVER, 80), '80', 'from the router')
    t.equal(await tried(on, 'R', '127.0.0.1', 22), '22', 'to itself')
    const counts = counted(on)
    t.match(counts, { web: 1, ssh: 1, 'no-mail': 1 })
    t.equal(counts.default, drops(on).policyDenied)
    t.ok((counts.default as number) >= 3)
    t.equal(drops(on).policyRejected, 1)
  },
)

scenario(
  'what the node sends is refused before it leaves',
  { policy: { rules: [{ hook: 'output', destination: '203.0.113.0/24', action: 'reject' }] } },
  async (t, on) => {
    on.S.net.createServer((socket) => socket.end('served')).listen(80)
    t.equal(await tried(on, 'R', SERVER, 80), 'EHOSTUNREACH')
    t.equal(await tried(on, 'A', SERVER, 80), 'served', 'what passes through is another matter')
  },
)

scenario(
  'packets are marked, and led elsewhere',
  {
    policy: {
      rules: [
        { name: 'mark', protocol: 'udp', action: 'rewrite', rewrite: { dscp: 46 } },
        {
          name: 'lead',
          hook: 'forward',
          destination: '198.51.100.7',
          action: 'rewrite',
          rewrite: { destination: SERVER, destinationPort: 5353 },
        },
      ],
    },
  },
  async (t, on) => {
    const { net, A, S } = on
    A.top.network.routes.add({ prefix: '0.0.0.0/0', via: '192.168.0.1' })
    const got: string[] = []
    S.dgram
      .createSocket('udp4')
      .on('message', (message, from) => got.push(`${from.address} ${message}`))
      .bind(5353)
    const classes: number[] = []
    for (const boundary of S.boundaries) {
      if (boundary.name !== 'S/ipv4') continue
      boundary.watch({
        packet: (packet, _address, direction) => {
          if (direction === 'up' && packet.networkStart >= 0)
            classes.push(packet.view.getUint8(packet.networkStart + 1))
        },
      })
    }
    const socket = A.dgram.createSocket('udp4')
    socket.send('hello', 53, '198.51.100.7')
    socket.send(Buffer.alloc(4000, 'x'), 5353, SERVER)
    await net.sim.run(seconds(2))
    t.equal(got.length, 2)
    t.equal(got[0], `${INSIDE} hello`)
    t.strictSame(classes, [46 << 2, 46 << 2])
    t.strictSame(drops(on), {})
  },
)

scenario(
  'answers of translation are known, and what else comes to a forward is not',
  {
    nat: { link: 'eth1', filtering: 'endpointIndependent', forwards: [{ protocol: 'tcp', port: 80, to: INSIDE }] },
    policy: {
      rules: [
        { name: 'out', hook: 'forward', in: 'eth0', action: 'allow' },
        { name: 'answers', hook: 'forward', answer: true, action: 'allow' },
      ],
      default: 'deny',
    },
  },
  async (t, on) => {
    for (const node of [on.A, on.S]) node.net.createServer((socket) => socket.end('served')).listen(80)
    t.equal(await tried(on, 'A', SERVER, 80), 'served')
    t.equal(await tried(on, 'S', '203.0.113.1', 80), 'nothing')
    t.ok((counted(on).answers as number) > 0)
  },
)

scenario(
  'a function sees every packet',
  {
    policy: {
      rules: ({ hook, protocol, destinationPort }) =>
        hook === 'forward' && protocol === 6 && destinationPort === 80 ? 'reject' : 'allow',
    },
  },
  async (t, on) => {
    on.S.net.createServer((socket) => socket.end('served')).listen(80)
    on.S.net.createServer((socket) => socket.end('served')).listen(81)
    t.equal(await tried(on, 'A', SERVER, 80), 'EHOSTUNREACH')
    t.equal(await tried(on, 'A', SERVER, 81), 'served')
  },
)

t.test('rules are checked when the options are', async (t) => {
  t.throws(() => world({ policy: { rules: [{ action: 'allow', source: 'x' }] } }), { code: 'ERR_INVALID_ARG_VALUE' })
})
