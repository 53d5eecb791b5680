/** What real connections leave in a translation that has little room, on virtual time. */
import t from 'tap'
import { ms, seconds } from '../../../../src/kernel/clock.ts'
import { network } from '../../../../src/testing.ts'

const SERVER = '203.0.113.2'

/** One host inside, a gateway with room for a few sessions, and a server; a part of the packets may be lost. */
function world(loss: number, maxSessionsPerHost: number) {
  return network({
    seed: 11,
    hosts: { A: {}, S: {} },
    routers: { R: { ipv4: { nat: { link: 'eth1', maxSessions: 6, maxSessionsPerHost } } } },
    links: [
      { between: ['R', 'A'], prefix: '192.168.0.0/24', delay: ms(1) },
      { between: ['R', 'S'], prefix: '203.0.113.0/24', delay: ms(5), loss },
    ],
  })
}

for (const [closer, loss] of [
  ['client', 0],
  ['server', 0],
  ['client', 0.1],
  ['server', 0.1],
] as const) {
  t.test(
    `a host opens and closes one connection after the other; the ${closer} first, with a loss of ${loss}`,
    async (t) => {
      const net = world(loss, 3)
      const { A, R, S } = net.nodes
      S.net
        .createServer({ allowHalfOpen: true }, (socket) => {
          socket.on('data', (data: Buffer) => (closer === 'server' ? socket.end(data) : socket.write(data)))
          socket.on('end', () => socket.end())
        })
        .listen(80)
      let echoed = 0
      const codes: string[] = []
      for (let i = 0; i < 20; i++) {
        const socket = A.net.connect(80, SERVER, () => socket.write('hello'))
        socket.on('data', () => {
          echoed++
          if (closer === 'client') socket.end()
        })
        socket.on('error', ({ code }: NodeJS.ErrnoException) => codes.push(String(code)))
        // Shorter than what is closing may be silent, so that nothing ends but for others.
        await net.sim.run(seconds(loss === 0 ? 1 : 20))
      }
      t.strictSame(codes, [])
      t.equal(echoed, 20)
      const { sessions, endedEarly } = R.top.network.translation() ?? {}
      t.equal(sessions?.tcp, 6, 'as many as there is room for')
      t.equal(endedEarly, 14, 'all of them were seen to be over')
      await net.close()
    },
  )
}

t.test('open connections keep their room, however many others ask for it', async (t) => {
  const net = world(0, 7)
  const { A, S } = net.nodes
  const heard: string[] = []
  const served: { write(text: string): boolean }[] = []
  S.net.createServer((socket) => served.push(socket)).listen(80)
  for (let i = 0; i < 6; i++) {
    A.net.connect(80, SERVER).on('data', (data: Buffer) => heard.push(String(data)))
    await net.sim.run(seconds(1))
  }
  const refused: string[] = []
  for (let i = 0; i < 20; i++) {
    A.net.connect(80, SERVER).on('error', ({ code }: NodeJS.ErrnoException) => refused.push(String(code)))
    await net.sim.run(seconds(300))
  }
  t.strictSame(refused, new Array(20).fill('EHOSTUNREACH'))
  for (const socket of served) socket.write('still there')
  await net.sim.run(seconds(1))
  t.strictSame(heard, new Array(6).fill('still there'), 'after 6,000 seconds of silence')
  await net.close()
})
