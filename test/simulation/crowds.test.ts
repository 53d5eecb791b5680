/** Many connections, and slow ones: backlogs that overflow, and windows that stay closed. */
import t from 'tap'
import { ms, seconds } from '../../src/index.ts'
import { network } from '../../src/testing.ts'
import { scenario } from './scenario.ts'
import { octetsOf, Stream } from './world.ts'

const star = (seed: number) =>
  network({
    seed,
    hosts: { A: {}, B: {}, S: {} },
    routers: { R: {} },
    links: [
      { between: ['A', 'R'], delay: ms(3), loss: 0.005, queue: 8192 },
      { between: ['B', 'R'], delay: ms(7), loss: 0.005, queue: 8192 },
      { between: ['S', 'R'], delay: ms(1), rate: 100_000_000, queue: 8192 },
    ],
  })

await scenario(t, 'a thousand connections to one server', star, async (t, net, seed) => {
  const { A, B, S } = net.nodes
  const server = S.net.createServer((socket) => {
    socket.on('error', () => socket.destroy())
    socket.pipe(socket)
  })
  server.listen(80, undefined, 1024)
  let answered = 0
  const failures: unknown[] = []
  for (let i = 0; i < 1000; i++) {
    const message = Buffer.from(octetsOf(seed * 1000 + i, 2000))
    const socket = (i % 2 === 0 ? A : B).net.connect(80, 'S')
    const chunks: Buffer[] = []
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    socket.on('error', (error) => failures.push(error))
    socket.on('end', () => {
      if (Buffer.concat(chunks).equals(message)) answered++
    })
    socket.end(message)
  }
  t.ok(await net.sim.runUntil(() => answered + failures.length === 1000, seconds(300)))
  t.same(failures, [])
  t.equal(answered, 1000)
  await net.sim.run(seconds(90))
  const left = [A, B, S].flatMap((node) => [...node.top.stream.list()].filter(({ state }) => state !== 'LISTEN'))
  t.equal(left.length, 0, 'TIME-WAIT is over, and everything else too')
})

await scenario(t, 'a backlog that overflows', star, async (t, net) => {
  const { A, S, B } = net.nodes
  const heard = new Set<string>()
  const into = new Uint8Array(100)
  const listener = S.top.stream.listen({ port: 80, backlog: 4 }, { acceptable: () => {} })
  // One is accepted every 100 ms, whoever waits.
  const accept = (): void => {
    const connection = listener.accept()
    if (connection !== undefined) {
      const read = (): void => {
        const n = connection.read(into)
        if (n > 0) heard.add(Buffer.from(into.subarray(0, n)).toString())
        if (connection.ended) connection.close()
      }
      connection.handler = { readable: read }
      read()
    }
    if (heard.size < 60) net.sim.after(ms(100), accept)
  }
  net.sim.after(seconds(2), accept)
  const codes = new Set<unknown>()
  const call = (i: number): void => {
    const socket = (i % 2 === 0 ? A : B).net.connect(80, 'S', () => socket.end(`client ${i}`))
    socket.resume()
    socket.on('error', (error: NodeJS.ErrnoException) => {
      codes.add(error.code)
      call(i)
    })
  }
  for (let i = 0; i < 60; i++) call(i)
  t.ok(await net.sim.runUntil(() => heard.size === 60, seconds(600)), 'all are heard in the end')
  t.ok(codes.size === 0 || (codes.size === 1 && codes.has('ECONNRESET')), 'or told that they were not')
  const full = S.snapshot().find(({ name }) => name === 'S/tcp')?.drops.backlogFull ?? 0
  t.ok(full > 0, 'the backlog did overflow')
})

const pair = (seed: number) =>
  network({ seed, hosts: { A: {}, S: {} }, links: [{ between: ['A', 'S'], delay: ms(1) }] })

await scenario(
  t,
  'handshakes that complete at one instant take no more than the room there is',
  pair,
  async (t, net) => {
    const { A, S } = net.nodes
    const listener = S.top.stream.listen({ port: 80, backlog: 1 }, { acceptable: () => {} })
    const codes: unknown[] = []
    for (let i = 0; i < 3; i++)
      A.net.connect(80, 'S').on('error', (error: NodeJS.ErrnoException) => codes.push(error.code))
    await net.sim.run(ms(500))
    let accepted = 0
    for (let second = 0; second < 20; second++) {
      while (listener.accept() !== undefined) accepted++
      await net.sim.run(seconds(1))
    }
    t.same(codes, [], 'nobody is turned away')
    t.equal(accepted, 3)
  },
)

await scenario(t, 'a reader that does not read for ten minutes', star, async (t, net, seed) => {
  const octets = octetsOf(seed, 3_000_000)
  const receiver = { receiveBuffer: 65_536 }
  const stream = new Stream(net.nodes.A, net.nodes.S, net.address('S'), octets, { receiver })
  stream.reading = false
  await net.sim.run(seconds(30))
  const window = stream.receiver?.info().rcvWnd ?? Number.NaN
  t.ok(window < 1460, `the window of ${window} octets takes no segment`)
  t.ok(stream.acknowledged <= stream.received, 'what was acknowledged is there')
  const segments = stream.connection.info().segmentsSent
  await net.sim.run(seconds(600))
  const probes = stream.connection.info().segmentsSent - segments
  t.ok(probes >= 5 && probes < 60, `${probes} probes of the window, ever more rarely`)
  t.ok(!stream.senderClosed && !stream.receiverClosed, 'a peer that answers is never given up (RFC 9293 §3.8.6.1)')
  stream.resume()
  t.ok(await net.sim.runUntil(() => stream.senderClosed && stream.receiverClosed, seconds(300)))
  t.equal(stream.senderError, null)
  t.ok(stream.complete)
})
