/**
 * A switch with three ports and a station of its own, which learns who is behind which port. On virtual time.
 * Run: npx tsx examples/bridge.ts
 */
import {
  beside,
  bridge,
  type CableEnd,
  cable,
  ethernet,
  formatMac,
  ip,
  ipv4,
  Simulation,
  seconds,
  sockets,
  stack,
  tcp,
  udp,
} from '../src/index.ts'

async function main(): Promise<void> {
  const sim = new Simulation({ seed: 3 })
  const wires = [cable(), cable(), cable()] as const
  const [one, two, three] = wires.map(([end]) => end) as [CableEnd, CableEnd, CableEnd]
  const host = (end: CableEnd, n: number) =>
    sim.boot(
      `H${n}`,
      stack(
        end,
        ethernet({ address: `02:00:00:00:00:0${n}` }),
        ip(ipv4({ address: `10.0.0.${n}/24` })),
        sockets(tcp(), udp()),
      ),
    )
  const hosts = wires.map(([, end], i) => host(end, i + 1))
  const plain = sim.boot('switch', stack(beside({ p1: one, p2: two, p3: three }), bridge()))

  const reply = hosts[0]?.icmp.ping('10.0.0.3')
  await sim.run(seconds(1))
  process.stdout.write(`${(await reply)?.outcome} from 10.0.0.3\n`)
  for (const { address, port } of plain.top.stations())
    process.stdout.write(`${formatMac(address)} is behind ${port}\n`)
  await sim.close()
}

void main()
