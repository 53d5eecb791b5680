/** A simulation of 100 hosts around one router: packets forwarded per second of real time, against `forward`'s rate. */
import { ethernet } from '../layers/datalink/index.ts'
import { ip, ipv4 } from '../layers/network/index.ts'
import { type CableEnd, cable } from '../layers/physical/index.ts'
import type { DatagramSocket } from '../src/api/sockets.ts'
import { parseAddress } from '../src/kernel/address.ts'
import { ms as milliseconds } from '../src/kernel/clock.ts'
import { beside, stack } from '../src/kernel/stack.ts'
import { Simulation } from '../src/runtime/simulation.ts'
import { alternate, type Bench, figure, type Subject } from './harness.ts'
import { host } from './hosts.ts'
import { throughRouter } from './router-stand.ts'

const HOSTS = 100
/** Datagrams each host has under way. */
const WINDOW = 32
/** A payload of 36 octets makes packets of 64. */
const PAYLOAD = new Uint8Array(36).fill(5)
const PORT = 7

export const sim: Bench = async (effort, tell) => {
  const rates = await alternate({ ours: simulated(), peer: await throughRouter() }, effort)
  const gate = { bench: 'sim', unit: 'packets/s', peer: 'forward', target: 0.2 }
  tell(figure({ ...gate, metric: '100 hosts, virtual time' }, rates.ours, rates.peer, effort))
}

/** Each host sends to the one half way round; each datagram that arrives is answered by one to the host that is next. */
function simulated(): Subject {
  const simulation = new Simulation({ seed: 1 })
  const ends: CableEnd<'ethernet'>[] = []
  const links: Record<string, CableEnd<'ethernet'>> = {}
  const addresses: Record<string, string> = {}
  for (let i = 0; i < HOSTS; i++) {
    const [end, routers] = cable({ medium: 'ethernet', delay: milliseconds(1) })
    ends.push(end)
    links[`link${i}`] = routers
    addresses[`link${i}`] = `10.0.${i}.1/24`
  }
  const stacked = Object.fromEntries(Object.entries(links).map(([name, end]) => [name, stack(end, ethernet())]))
  simulation.boot('router', stack(beside(stacked), ip(ipv4({ addresses, forwarding: true }))))
  let arrived = 0
  const sockets = ends.map((end, i): DatagramSocket => {
    const node = simulation.boot(`host${i}`, host(end, `10.0.${i}.2/24`, { gateway: `10.0.${i}.1` }))
    const to = parseAddress(`10.0.${(i + HOSTS / 2) % HOSTS}.2`, 'address')
    return node.top.datagram.bind(
      { port: PORT },
      {
        message(socket, _octets, _start, length) {
          if (length === PAYLOAD.length) arrived++
          socket.send(PAYLOAD, 0, PAYLOAD.length, to, PORT)
        },
      },
    )
  })
  // Some of the first are lost while neighbours are asked for (ARP keeps a few); the others go round for ever.
  for (const [i, socket] of sockets.entries()) {
    const to = parseAddress(`10.0.${(i + HOSTS / 2) % HOSTS}.2`, 'address')
    for (let n = 0; n < WINDOW; n++) socket.send(PAYLOAD, 0, PAYLOAD.length, to, PORT)
  }
  return {
    async measure(ms) {
      const before = arrived
      const started = performance.now()
      while (performance.now() - started < ms) await simulation.run(milliseconds(20))
      return ((arrived - before) * 1000) / (performance.now() - started)
    },
    close: () => simulation.close(),
  }
}
