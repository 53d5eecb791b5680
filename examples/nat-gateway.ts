/**
 * A gateway as at home: two hosts inside share its address outside, a port leads to a server inside, and a policy lets nothing
 * in that nobody asked for, until it is exchanged for one that sends the television to bed. On virtual time.
 * Run: npx tsx examples/nat-gateway.ts
 */
import { seconds } from '../src/index.ts'
import { network } from '../src/testing.ts'

async function main(): Promise<void> {
  const gateway = {
    nat: { link: 'eth1', forwards: [{ protocol: 'tcp', port: 8080, to: '192.168.0.2:80' }] },
    policy: {
      rules: [
        { name: 'out', hook: 'forward', in: 'eth0', action: 'allow' },
        { name: 'answers', answer: true, action: 'allow' },
        { name: 'web', hook: 'forward', in: 'eth1', protocol: 'tcp', destinationPort: 80, action: 'allow' },
        { name: 'own', hook: 'output', action: 'allow' },
      ],
      default: 'deny',
    },
  } as const
  await using net = network({
    hosts: { tv: {}, phone: {}, server: {} },
    routers: { gateway: { ipv4: gateway } },
    links: [
      { between: ['gateway', 'tv', 'phone'], prefix: '192.168.0.0/24' },
      { between: ['gateway', 'server'], prefix: '203.0.113.0/24' },
    ],
  })
  const { tv, phone, server } = net.nodes
  const print = (data: Buffer) => process.stdout.write(String(data))

  server.net.createServer((socket) => socket.end(`you are ${socket.remoteAddress}\n`)).listen(80)
  tv.net.createServer((socket) => socket.end('this is the television\n')).listen(80)

  for (const host of [tv, phone]) {
    host.net.connect(80, '203.0.113.2').on('data', print)
    await net.sim.run(seconds(1))
  }
  server.net.connect(8080, '203.0.113.1').on('data', print)
  await net.sim.run(seconds(1))
  const { network: control } = net.nodes.gateway.top
  for (const { name, packets } of control.policy()) {
    process.stdout.write(`${name}: ${packets > 0 ? 'matched' : 'never'}\n`)
  }
  control.setPolicy({
    ...gateway.policy,
    rules: [{ name: 'bedtime', source: '192.168.0.2', action: 'reject' }, ...gateway.policy.rules],
  })
  tv.net
    .connect(80, '203.0.113.2')
    .on('data', print)
    .on('error', ({ code }: NodeJS.ErrnoException) => process.stdout.write(`the television: ${code}\n`))
  await net.sim.run(seconds(1))
}

void main()
