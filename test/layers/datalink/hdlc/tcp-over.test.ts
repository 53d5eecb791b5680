/** TCP over IPv4 over each link of the family, on media that lose frames: those that lose nothing, and PPP. */
import t from 'tap'
import { ethernet } from '../../../../layers/datalink/ethernet/ethernet.ts'
import { bpq } from '../../../../layers/datalink/hdlc/ax25.ts'
import { lapb } from '../../../../layers/datalink/hdlc/lapb.ts'
import { llc2 } from '../../../../layers/datalink/hdlc/llc2.ts'
import { ppp } from '../../../../layers/datalink/ppp/ppp.ts'
import type { LinkService } from '../../../../layers/datalink/service.ts'
import { ip, ipv4 } from '../../../../layers/network/index.ts'
import { cable } from '../../../../layers/physical/cable.ts'
import { impair } from '../../../../layers/physical/impair/impair.ts'
import type { PhysicalService } from '../../../../layers/physical/service.ts'
import { sockets, tcp, udp } from '../../../../layers/transport/index.ts'
import { ms } from '../../../../src/kernel/clock.ts'
import type { Layer } from '../../../../src/kernel/layer.ts'
import { stack } from '../../../../src/kernel/stack.ts'
import { Simulation } from '../../../../src/runtime/simulation.ts'

type Above = Layer<PhysicalService<'frames'>, LinkService>

const LINKS: readonly [string, Above, Above][] = [
  ['LAPB', lapb({ role: 'dte' }), lapb({ role: 'dce' })],
  ['LLC2', (below, env) => llc2()(ethernet()(below, env), env), (below, env) => llc2()(ethernet()(below, env), env)],
  [
    'AX.25',
    (below, env) => bpq({ call: 'NODEA', n1: 1400, t1: ms(200) })(ethernet()(below, env), env),
    (below, env) => bpq({ call: 'NODEB', n1: 1400, t1: ms(200) })(ethernet()(below, env), env),
  ],
  // It agrees on the addresses by itself.
  ['PPP', ppp({ address: '10.0.0.1', restart: ms(20) }), ppp({ address: '10.0.0.2', restart: ms(20) })],
]

for (const [name, near, far] of LINKS) {
  t.test(`TCP over ${name}, 2 % lost`, async (t) => {
    const sim = new Simulation({ seed: 11 })
    const [a, b] = cable({ delay: ms(1), rate: 10_000_000 })
    const loss = impair({ loss: 0.02 })
    const own = (host: number) => (name === 'PPP' ? {} : { address: `10.0.0.${host}/24` })
    const client = sim.boot('A', stack(a, loss, near, ip(ipv4(own(1))), sockets(tcp(), udp())))
    const server = sim.boot('B', stack(b, loss, far, ip(ipv4(own(2))), sockets(tcp(), udp())))
    const sent = Buffer.from(Array.from({ length: 100_000 }, (_, i) => (i * 7) & 255))
    const listening = server.net.createServer((socket) => socket.pipe(socket)).listen(7)
    const chunks: Buffer[] = []
    let octets = 0
    await sim.run(ms(100))
    const done = (async () => {
      const socket = await client.net.connect({ host: '10.0.0.2', port: 7 })
      socket.write(sent)
      for await (const chunk of socket) {
        chunks.push(chunk as Buffer)
        octets += (chunk as Buffer).length
        if (octets >= sent.length) break
      }
    })()
    await sim.run(ms(60_000))
    await done
    t.ok(Buffer.concat(chunks).equals(sent))
    listening.close()
    await sim.close()
  })
}
