/** Errors about what a transport has not sent: nothing is believed of them, above all no path MTU (RFC 5927 §4, §7). */
import t from 'tap'
import { ip } from '../../../layers/network/ip.ts'
import { ipv4 } from '../../../layers/network/ipv4/ipv4.ts'
import { type DatagramOnlySockets, sockets } from '../../../layers/transport/sockets.ts'
import { udp } from '../../../layers/transport/udp/udp.ts'
import { parseAddress } from '../../../src/kernel/address.ts'
import { packetsInUse } from '../../../src/kernel/packet.ts'
import { stack } from '../../../src/kernel/stack.ts'
import { Simulation } from '../../../src/runtime/simulation.ts'
import { datagram, ICMP, icmp } from '../network/ipv4/bare.ts'
import { TestLink } from '../network/ipv4/link.ts'
import { codeOf } from './udp-pair.ts'

const PEER = '192.0.2.7'

t.test('a path MTU is learnt only from who has seen what we sent', async (t) => {
  const before = packetsInUse()
  const sim = new Simulation()
  let link: TestLink | undefined
  const node = sim.boot<DatagramOnlySockets>(
    'A',
    stack(
      (env) => {
        link = new TestLink(env)
        return link
      },
      ip(ipv4({ address: '10.0.0.1/24', gateway: '10.0.0.254' })),
      sockets(udp()),
    ),
  )
  const wire = link as unknown as TestLink
  const { datagram: datagrams, icmp: pings } = node.top
  const errors: string[] = []
  const socket = datagrams.bind(
    { port: 4000, options: { pathMtuDiscovery: true } },
    { error: (_socket, { reason }) => void errors.push(String(reason)) },
  )
  const tooBig = (quoted: Uint8Array, mtu: number) =>
    wire.inject(datagram({ source: '192.0.2.254', protocol: ICMP, payload: icmp(3, 4, mtu, quoted) }))
  const widest = () =>
    [1472, 972].find((size) => codeOf(() => socket.send(new Uint8Array(size), 0, size)) === 'nothing')
  socket.connect(parseAddress(PEER), 5000)
  t.equal(widest(), 1472)
  const sent = wire.sent.at(-1) as Uint8Array
  const quoteWith = (at: number, value: number) => {
    const quote = sent.slice(0, 28)
    quote[at] = value
    return quote
  }
  tooBig(quoteWith(21, 1), 1000)
  tooBig(quoteWith(23, 1), 1000)
  t.equal(widest(), 1472, 'of other ports')

  pings.echo({ address: parseAddress(PEER), size: 1400, dontFragment: true }, () => errors.push('echo'))
  const echo = (wire.sent.at(-1) as Uint8Array).slice(0, 28)
  for (const at of [20, 25, 27]) {
    const forged = echo.slice()
    forged[at] = (forged[at] as number) ^ 3
    tooBig(forged, 1000)
  }
  t.equal(widest(), 1472, 'of another question')
  t.strictSame(errors, [])
  const drops = node.snapshot().find(({ name }) => name === 'A/ipv4')?.drops
  t.match(drops, { icmpQuote: 5 })

  tooBig(sent.slice(0, 28), 1000)
  t.strictSame(errors, ['fragmentationNeeded'])
  t.equal(widest(), 972)
  await sim.close()
  t.equal(packetsInUse(), before)
})
