/** `node.net` with Fast Open, and what it says of a way that does not answer. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import t, { type Test } from 'tap'
import type { Socket } from '../../src/api/node-net.ts'
import { cable, ethernet, ip, ipv4, ipv6, ms, Simulation, seconds, sockets, stack, tcp, udp } from '../../src/index.ts'
import { once } from './events.ts'

const ROUND_TRIP = 100_000

async function hosts() {
  const sim = new Simulation({ seed: 1 })
  const [left, right] = cable({ delay: ROUND_TRIP / 2 })
  const host = (end: typeof left, n: number) => {
    const network = ip(ipv4({ address: `10.0.0.${n}/24` }), ipv6({ address: `fd00::${n}/64` }))
    return stack(end, ethernet(), network, sockets(tcp(), udp()))
  }
  const [client, server] = [sim.boot('A', host(left, 1)), sim.boot('B', host(right, 2))]
  await sim.run(seconds(4)) // Duplicates are looked for.
  return { sim, client, server }
}

const EARLY = 'what is written in the turn of connect goes with the SYN, and the answer takes one round trip'
for (const host of ['10.0.0.2', 'fd00::2']) {
  t.test(`${EARLY}, to ${host}`, (t) => early(t, host))
}

async function early(t: Test, host: string): Promise<void> {
  const { sim, client, server } = await hosts()
  const seen: unknown[] = []
  const listening = server.net.createServer((socket) => {
    seen.push(socket.info()?.state, socket.info()?.synDataAccepted)
    socket.on('error', () => {})
    socket.on('data', (data) => socket.write(data))
  })
  listening.listen({ port: 80, tcp: { fastOpen: 8 } })
  const rounds: string[] = []
  const ask = async (octets: number): Promise<void> => {
    const begun = sim.now()
    const socket = client.net.connect({ port: 80, host, tcp: { fastOpen: 1 } })
    let written = false
    socket.write(Buffer.alloc(octets), () => {
      written = true
    })
    let answered = 0
    while (answered < octets) answered += (await once<Buffer>(socket, 'data')).length
    rounds.push(`${octets}: ${Math.round((sim.now() - begun) / ROUND_TRIP)} ${written} ${socket.bytesWritten}`)
    socket.resetAndDestroy()
    await once(socket, 'close')
  }
  const over = (async () => {
    await ask(1) // also asks for the neighbour
    await ask(100)
    await ask(3000)
  })()
  let done = false
  void over.then(() => {
    done = true
  })
  await sim.runUntil(() => done, seconds(60))
  await over
  t.same(rounds, ['1: 3 true 1', '100: 1 true 100', '3000: 2 true 3000'])
  t.same(seen, ['ESTABLISHED', false, 'SYN-RECEIVED', true, 'SYN-RECEIVED', true])
  await sim.close()
}

t.test('a socket says when the same segment was sent again three times', async (t) => {
  const sim = new Simulation({ seed: 1 })
  const [left, right] = cable({ delay: ms(1) })
  const host = (end: typeof left, address: string) =>
    stack(end, ethernet(), ip(ipv4({ address })), sockets(tcp(), udp()))
  const client = sim.boot('A', host(left, '10.0.0.1/24'))
  const server = sim.boot('B', host(right, '10.0.0.2/24'))
  server.net.createServer().listen(80)
  let socket: Socket | undefined
  let unanswered = 0
  const heard: unknown[] = []
  const hear = (message: unknown): void => {
    heard.push((message as { socket: unknown }).socket)
  }
  subscribe('netstrata.net.unanswered', hear)
  const connecting = client.net.promises.connect({ port: 80, host: '10.0.0.2' }).then((connected) => {
    socket = connected
    connected.on('unanswered', () => unanswered++)
    connected.on('error', () => {})
  })
  await sim.runUntil(() => socket !== undefined, seconds(10))
  await connecting
  server.top.network.removeAddress('eth0', '10.0.0.2')
  socket?.write('anybody?')
  await sim.run(seconds(1))
  t.equal(unanswered, 0)
  t.same(
    client.top.network.neighbours().map(({ state }) => state),
    ['reachable'],
  )
  await sim.run(ms(1500))
  t.equal(unanswered, 1)
  t.strictSame(heard, [socket], 'and so is its diagnostics channel')
  unsubscribe('netstrata.net.unanswered', hear)
  t.equal(socket?.info()?.timeouts, 3)
  t.same(
    client.top.network.neighbours().map(({ state }) => state),
    ['probe'],
    'the next hop is asked',
  )
  await sim.close()
})
