/** Connections with much to send take turns. */
import t from 'tap'
import { Script } from './script.ts'

const HEADER_OCTETS = 20

t.test('a turn is bounded, in segments and in octets', async (t) => {
  for (const [segment, most] of [
    [0, 64 * 1460],
    [65_535, 262_144 + 65_536],
  ] as const) {
    const connection = { congestionControl: 'none', sendBuffer: 4_194_304 } as const
    const s = new Script({ segment, tcp: { connection } })
    s.listen()
    for (const port of [40_000, 40_001]) {
      s.ports = [80, port]
      s.in('S 0:0 win 65535 <mss 1460,nop,ws 14>')
      s.skip()
      s.in('. 1:1 ack 1 win 65535')
      s.run(0)
    }
    const runs: [port: number, octets: number][] = []
    s.net.sent = (packet) => {
      const port = packet.view.getUint16(packet.start + 2)
      const last = runs.at(-1)
      if (last?.[0] === port) last[1] += packet.length - HEADER_OCTETS
      else runs.push([port, packet.length - HEADER_OCTETS])
      return true
    }
    for (const accepted of s.accepted) accepted.write(new Uint8Array(2_000_000))
    s.run(0)
    const shared = runs.slice(0, -2)
    t.ok(shared.length > 6, `${runs.length} turns`)
    t.ok(
      shared.every(([, octets]) => octets <= most),
      `${Math.max(...shared.map(([, octets]) => octets))} octets at the most`,
    )
  }
})

t.test('what a handler writes goes in the turn that calls it; when it throws, in the next', async (t) => {
  const s = new Script()
  const c = s.established()
  let broken = false
  c.handler = {
    readable(connection) {
      s.read(connection)
      connection.write(Uint8Array.of(0, 1, 2))
      if (broken) throw new Error('of the application')
    },
  }
  s.in('P. 1:11 ack 1')
  s.timers.advance(s.now, s.timers.nextAge)
  t.ok(s.timers.next() > s.now, 'nothing is left to do now')
  s.out('P. 1:4 ack 11')
  broken = true
  s.in('P. 11:21 ack 4')
  t.throws(() => s.run(0), /of the application/)
  s.out('P. 4:7 ack 21')
})
