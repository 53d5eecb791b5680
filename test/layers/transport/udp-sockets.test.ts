import t from 'tap'
import { ethernet } from '../../../layers/datalink/ethernet/ethernet.ts'
import { ip } from '../../../layers/network/ip.ts'
import { ipv4 } from '../../../layers/network/ipv4/ipv4.ts'
import { cable } from '../../../layers/physical/cable.ts'
import { sockets } from '../../../layers/transport/sockets.ts'
import { tcp } from '../../../layers/transport/tcp/tcp.ts'
import { udp } from '../../../layers/transport/udp/udp.ts'
import { stack } from '../../../src/kernel/stack.ts'
import { Simulation } from '../../../src/runtime/simulation.ts'

t.test('a node offers the transports it was given, with echo and the network', async (t) => {
  const sim = new Simulation()
  const below = (address: string) => stack(cable()[0], ethernet(), ip(ipv4({ address })))
  const both = sim.boot('both', stack(below('10.0.0.1/24'), sockets(tcp(), udp()))).top
  const streams = sim.boot('streams', stack(below('10.0.0.1/24'), sockets(tcp()))).top
  const datagrams = sim.boot('datagrams', stack(below('10.0.0.1/24'), sockets(udp()))).top
  t.same(Object.keys(both).sort(), ['datagram', 'icmp', 'ipv6', 'network', 'sourceOf', 'stream', 'tier'])
  t.same(Object.keys(streams).sort(), ['icmp', 'ipv6', 'network', 'sourceOf', 'stream', 'tier'])
  t.same(Object.keys(datagrams).sort(), ['datagram', 'icmp', 'ipv6', 'network', 'sourceOf', 'tier'])
  // @ts-expect-error no datagrams without udp()
  t.equal(streams.datagram, undefined)
  // @ts-expect-error no streams without tcp()
  t.equal(datagrams.stream, undefined)
  t.same(both.network.addresses(), ['10.0.0.1'])
  await sim.close()
})

t.test('transports in the wrong place, or none, do not compile', (t) => {
  const wrong = [
    // @ts-expect-error streams come first
    () => sockets(udp(), tcp()),
    // @ts-expect-error not the same one twice
    () => sockets(tcp(), tcp()),
    // @ts-expect-error at least one
    () => sockets(),
  ]
  t.equal(wrong.length, 3)
  t.end()
})
