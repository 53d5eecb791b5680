/** Two ends that each find the other's segments unacceptable: they must not answer one another for ever (RFC 5961 §7). */
import t from 'tap'
import type { TcpConnection } from '../../../../layers/transport/tcp/connection.ts'
import { tcp } from '../../../../layers/transport/tcp/tcp.ts'
import type { Connection, StreamSockets } from '../../../../src/api/sockets.ts'
import { ms, seconds } from '../../../../src/kernel/clock.ts'
import type { Env } from '../../../../src/kernel/env.ts'
import { Simulation } from '../../../../src/runtime/simulation.ts'
import { NetworkDouble, Wire } from './network-double.ts'

/** Two established ends whose sequence numbers have come apart by a million in both directions. */
async function apart(): Promise<{ sim: Simulation; wires: Wire[]; ends: TcpConnection[] }> {
  const sim = new Simulation({ seed: 1 })
  const doubles: NetworkDouble[] = []
  const boot = (name: string, address: string): StreamSockets['stream'] =>
    sim.boot(name, (env: Env) => {
      const double = new NetworkDouble(env, address)
      doubles.push(double)
      return tcp({ timestamps: false })(double, env)
    }).top.stream
  const a = boot('A', '10.0.0.1')
  const b = boot('B', '10.0.0.2')
  const [da, db] = doubles as [NetworkDouble, NetworkDouble]
  const wires = [da, db].map(
    (from, i) => new Wire(from, i === 0 ? db : da, sim.timers, () => sim.now(), sim.random(`${i}`), { delay: ms(1) }),
  )
  const ends: Connection[] = []
  b.listen(
    { port: 80 },
    {
      acceptable(listener) {
        ends.push(listener.accept() as Connection)
      },
    },
  )
  ends.push(a.connect({ address: db.local, port: 80 }, {}))
  await sim.run(seconds(1))
  for (const { tcb } of ends as TcpConnection[]) {
    tcb.snd.una = tcb.snd.nxt = tcb.snd.end = (tcb.snd.nxt + 1_000_000) | 0
    tcb.rcv.nxt = (tcb.rcv.nxt - 1_500_000) | 0
  }
  return { sim, wires, ends: ends as TcpConnection[] }
}

t.test('a loop of ACKs ends by itself', async (t) => {
  const { sim, wires, ends } = await apart()
  const carried = (): number => wires.reduce((sum, wire) => sum + wire.carried, 0)
  const before = carried()
  for (const end of ends) {
    end.tcb.ackNow = true
    end.set('noDelay', true)
  }
  await sim.run(seconds(60))
  t.ok(carried() - before >= 4, 'they do answer')
  t.ok(carried() - before <= 22, `${carried() - before} segments`)
  t.same(
    ends.map(({ state }) => state),
    ['ESTABLISHED', 'ESTABLISHED'],
  )
  await sim.close()
})

t.test('data that is never acceptable is answered for as long as it is sent, and no longer', async (t) => {
  const { sim, wires, ends } = await apart()
  const [one] = ends as [TcpConnection]
  one.write(new Uint8Array(10))
  await sim.run(seconds(3600))
  t.equal(one.state, 'CLOSED', 'given up')
  const total = wires.reduce((sum, wire) => sum + wire.carried, 0)
  t.ok(total < 400, `${total} segments in an hour`)
  await sim.close()
})
