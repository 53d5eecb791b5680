import t from 'tap'
import { ethernet } from '../../../layers/datalink/ethernet/ethernet.ts'
import { ip } from '../../../layers/network/ip.ts'
import { ipv4 } from '../../../layers/network/ipv4/ipv4.ts'
import { cable } from '../../../layers/physical/cable.ts'
import { sockets } from '../../../layers/transport/sockets.ts'
import { udp } from '../../../layers/transport/udp/udp.ts'
import type { EchoReply, EchoRequest } from '../../../src/api/sockets.ts'
import { ms, seconds } from '../../../src/kernel/clock.ts'
import { packetsInUse, poisonReleased } from '../../../src/kernel/packet.ts'
import { beside, stack } from '../../../src/kernel/stack.ts'
import { Simulation } from '../../../src/runtime/simulation.ts'
import { A, at, B, codeOf, drops, type Host, pair } from './udp-pair.ts'

poisonReleased(true)

function ask(host: Host, request: EchoRequest): { replies: EchoReply[]; stop: () => void } {
  const replies: EchoReply[] = []
  return { replies, stop: host.top.icmp.echo(request, (reply) => void replies.push(reply)) }
}

t.test('echo of every size comes back, with its round trip', async (t) => {
  const { sim, a } = pair({ cable: { delay: ms(5) } })
  ask(a, { address: B })
  await sim.run(seconds(1))
  for (const size of [0, 1, 56, 1472, 1473, 65_507]) {
    const { replies } = ask(a, { address: B, size })
    t.same(replies, [], 'on a later turn')
    await sim.run(seconds(1))
    t.same(replies, [{ address: '10.0.0.2', outcome: 'reply', octets: size, ttl: 64, roundTrip: ms(10) }])
  }
  await sim.close()
  t.equal(packetsInUse(), 0)
})

t.test('own addresses answer without a link', async (t) => {
  const { sim, a, link } = pair()
  link.unplug()
  for (const address of [A, at('127.0.0.1')]) {
    const { replies } = ask(a, { address })
    await sim.run(ms(1))
    t.match(replies, [{ address: address.toString(), outcome: 'reply' }])
  }
  await sim.close()
})

t.test('a router says that the time was exceeded, the last host that it is reached', async (t) => {
  const sim = new Simulation()
  const [left, right] = [cable(), cable()]
  const a = sim.boot(
    'A',
    stack(left[0], ethernet(), ip(ipv4({ address: '10.0.0.1/24', gateway: '10.0.0.254' })), sockets(udp())),
  )
  const links = beside({ l: stack(left[1], ethernet()), r: stack(right[0], ethernet()) })
  sim.boot(
    'R',
    stack(links, ip(ipv4({ forwarding: true, addresses: { l: '10.0.0.254/24', r: '10.0.1.254/24' } })), sockets(udp())),
  )
  sim.boot(
    'B',
    stack(right[1], ethernet(), ip(ipv4({ address: '10.0.1.1/24', gateway: '10.0.1.254' })), sockets(udp())),
  )
  const trace = [1, 2].map((ttl) => ask(a, { address: at('10.0.1.1'), ttl }))
  await sim.run(seconds(1))
  t.match(trace[0]?.replies, [{ address: '10.0.0.254', outcome: 'timeExceeded' }])
  t.match(trace[1]?.replies, [{ address: '10.0.1.1', outcome: 'reply', ttl: 63 }])
  await sim.close()
})

t.test('nobody there: an outcome; no way there, or too large: thrown', async (t) => {
  const { sim, a } = pair()
  const { replies } = ask(a, { address: at('10.0.0.9') })
  await sim.run(seconds(5))
  t.match(replies, [{ outcome: 'hostUnreachable' }])
  t.equal(
    codeOf(() => ask(a, { address: at('192.0.2.1') })),
    'ENETUNREACH',
  )
  t.equal(
    codeOf(() => ask(a, { address: B, size: 1473, dontFragment: true })),
    'EMSGSIZE',
  )
  t.equal(
    codeOf(() => ask(a, { address: B, size: 65_508 })),
    'ERR_OUT_OF_RANGE',
  )
  t.equal(
    codeOf(() => ask(a, { address: B, ttl: 0 })),
    'ERR_OUT_OF_RANGE',
  )
  t.equal(
    codeOf(() => ask(a, { address: at('10.0.0.255') })),
    'EACCES',
  )
  t.equal(
    codeOf(() => ask(a, { address: '10.0.0.2' as never })),
    'ERR_INVALID_ARG_TYPE',
  )
  await sim.close()
})

t.test('whoever stops waiting is not told, and those who wait are limited', async (t) => {
  const { sim, a } = pair()
  const { replies, stop } = ask(a, { address: B })
  stop()
  stop()
  await sim.run(seconds(1))
  t.same(replies, [])
  t.match(drops(a, 'icmp'), { unexpected: 1 })
  const waiting = Array.from({ length: 4096 }, () => ask(a, { address: at('10.0.0.9') }))
  t.equal(
    codeOf(() => ask(a, { address: B })),
    'ENOBUFS',
  )
  for (const { stop: end } of waiting) end()
  t.equal(
    codeOf(() => ask(a, { address: B })),
    'nothing',
  )
  await sim.close()
  t.equal(packetsInUse(), 0)
})
