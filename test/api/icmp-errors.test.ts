/** What routers and hosts say of what was sent, as sockets tell it. */
import t from 'tap'
import { ethernet } from '../../layers/datalink/index.ts'
import { type Ipv4Options, ip, ipv4 } from '../../layers/network/index.ts'
import { cable } from '../../layers/physical/index.ts'
import { sockets } from '../../layers/transport/sockets.ts'
import { tcp } from '../../layers/transport/tcp/tcp.ts'
import { udp } from '../../layers/transport/udp/udp.ts'
import { seconds } from '../../src/kernel/clock.ts'
import type { NetError } from '../../src/kernel/errors.ts'
import { stack } from '../../src/kernel/stack.ts'
import { Simulation } from '../../src/runtime/simulation.ts'
import { once } from './events.ts'
import { inSimulation } from './subjects.ts'

t.test('an ICMP error that may pass is an event of a connected socket, not an error', async (t) => {
  const subject = await inSimulation()
  await subject.run(async () => {
    const socket = await subject.dgram.promises.bind({ type: 'udp4' })
    socket.on('error', (error) => t.fail(error.message))
    const connected = once(socket, 'connect')
    socket.connect(9, '10.0.0.77')
    await connected
    const told = once<NetError>(socket, 'icmp')
    socket.send('nobody has this address')
    t.match(await told, { code: 'EHOSTUNREACH', reason: 'hostUnreachable', address: '10.0.0.77', port: 9 })
    await subject.sleep(1)
    socket.close()
  })
  await subject.close()
})

t.test('a connection to a neighbour who is not there says so, and not that this node said it', async (t) => {
  const sim = new Simulation()
  const [end] = cable()
  const a = sim.boot('A', stack(end, ethernet(), ip(ipv4({ address: '10.0.0.1/24' })), sockets(tcp(), udp())))
  const failure = a.net.promises.connect({ host: '10.0.0.77', port: 9 }).catch((error: NetError) => error)
  await sim.run(seconds(10))
  t.match(await failure, {
    code: 'EHOSTUNREACH',
    message: /10\.0\.0\.77:9 \(on the link nobody answers to this address/,
  })
  await sim.close()
})

t.test('what a router prohibits, and what the node itself does', async (t) => {
  const sim = new Simulation()
  const [left, right] = cable()
  const host = (end: typeof left, options: Ipv4Options) =>
    stack(end, ethernet(), ip(ipv4(options)), sockets(tcp(), udp()))
  const a = sim.boot('A', host(left, { address: '10.0.0.1/24', gateway: '10.0.0.2' }))
  const b = sim.boot('B', host(right, { address: '10.0.0.2/24', forwarding: true }))
  b.top.network.routes.add({ prefix: '10.8.0.0/16', action: 'prohibit' })
  a.top.network.routes.add({ prefix: '10.9.0.0/16', action: 'prohibit' })
  const told: unknown[] = []
  for (const host of ['10.8.0.1', '10.9.0.1']) {
    a.net.connect(80, host).on('error', (error: NetError) => told.push([host, error.code, error.errno]))
  }
  await sim.run(seconds(5))
  t.strictSame(told.toSorted(), [
    ['10.8.0.1', 'EHOSTUNREACH', -113],
    ['10.9.0.1', 'EACCES', -13],
  ])
  await sim.close()
})
