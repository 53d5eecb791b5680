import t from 'tap'
import type { DatagramRequest, DatagramSocket } from '../../../src/api/sockets.ts'
import { seconds } from '../../../src/kernel/clock.ts'
import { packetsInUse, poisonReleased } from '../../../src/kernel/packet.ts'
import { at, codeOf, drops, Ears, pair, say } from './udp-pair.ts'

poisonReleased(true)

t.test('interception: a flow is shown once, and goes on in a socket of its own', async (t) => {
  const { sim, a, b } = pair({ a: { gateway: '10.0.0.2' } })
  const requests: DatagramRequest[] = []
  const undo = b.top.datagram.intercept(
    { prefix: '198.51.100.0/24', ports: [53, 54] },
    (request) => void requests.push(request),
  )
  const far = at('198.51.100.9')
  const client = new Ears()
  const socket = a.top.datagram.bind({ port: 2000 }, client)
  for (const word of ['one', 'two']) say(socket, word, far, 53)
  await sim.run(seconds(1))
  t.equal(requests.length, 1)
  t.equal(`${requests[0]?.source.address}:${requests[0]?.source.port}`, '10.0.0.1:2000')
  t.equal(`${requests[0]?.destination.address}:${requests[0]?.destination.port}`, '198.51.100.9:53')
  const server = new Ears()
  const flow = requests[0]?.accept(server) as DatagramSocket
  t.same(server.heard, [], 'never within the call')
  t.equal(
    codeOf(() => requests[0]?.accept(server)),
    'ECONNABORTED',
  )
  say(socket, 'three', far, 53)
  await sim.run(seconds(1))
  t.same(
    server.heard.map((line) => line.split(': ')[1]),
    ['one', 'three'],
  )
  say(flow, 'answer')
  await sim.run(seconds(1))
  t.same(client.heard, ['198.51.100.9:53 to 10.0.0.1: answer'], 'from the address that was asked')
  client.heard.length = 0
  say(socket, 'x', far, 54)
  await sim.run(seconds(1))
  requests[1]?.reset()
  requests[1]?.drop()
  await sim.run(seconds(1))
  t.same(client.heard, ['ECONNREFUSED portUnreachable about 198.51.100.9:54'])
  say(socket, 'x', far, 54)
  await sim.run(seconds(1))
  requests[2]?.unreachable()
  await sim.run(seconds(1))
  t.equal(client.heard[1], 'soft EHOSTUNREACH hostUnreachable about 198.51.100.9:54')
  say(socket, 'x', far, 54)
  await sim.run(seconds(31))
  t.equal(
    codeOf(() => requests[3]?.accept(server)),
    'ECONNABORTED',
    'undecided for too long',
  )
  say(socket, 'x', far, 55)
  await sim.run(seconds(1))
  t.equal(requests.length, 4)
  t.match(client.heard[2], /ECONNREFUSED/, 'ports of no rule are refused as ever')
  undo()
  undo()
  say(socket, 'x', far, 54)
  await sim.run(seconds(1))
  t.equal(requests.length, 4)
  t.match(drops(b, 'udp'), { interceptPending: 1, intercepted: 1 })
  await sim.close()
  t.equal(packetsInUse(), 0)
})

t.test('interception of everything: answers still leave', async (t) => {
  const { sim, a, b } = pair({ a: { gateway: '10.0.0.2' } })
  b.top.datagram.intercept({ prefix: '0.0.0.0/0' }, (request) => {
    const flow = request.accept({
      message(socket, octets, start, length) {
        socket.send(octets, start, length)
      },
    })
    t.equal(flow.local.port, 53)
  })
  const client = new Ears()
  const socket = a.top.datagram.bind({ port: 2000 }, client)
  say(socket, 'echo', at('203.0.113.5'), 53)
  await sim.run(seconds(1))
  t.same(client.heard, ['203.0.113.5:53 to 10.0.0.1: echo'])
  await sim.close()
})

t.test('who sends from port 0 wants no answer, and is no flow to be shown', async (t) => {
  const { sim, a, b } = pair()
  let asked = 0
  b.top.datagram.intercept({ prefix: '10.9.0.0/16' }, (request) => {
    asked++
    request.accept({})
  })
  a.top.network.routes.add({ prefix: '10.9.0.0/16', via: '10.0.0.2' })
  const client = a.top.datagram.bind({}, {})
  // No socket of ours sends from port 0: the packet is changed on its way, as a tap must never do, but a test may.
  a.boundaries
    .find(({ name }) => name === 'A/udp')
    ?.watch({
      packet: ({ view, start }) => {
        view.setUint16(start, 0)
        view.setUint16(start + 6, 0) // no checksum
      },
    })
  say(client, 'x', at('10.9.0.1'), 9)
  await sim.run(seconds(1))
  t.equal(asked, 0)
  t.same(drops(b, 'udp'), { noPort: 1 })
  await sim.close()
  t.equal(packetsInUse(), 0)
})
