/** What a node says of its sockets: where they are bound, and by which link. */
import t from 'tap'
import type { NetworkService, Sockets } from '../../src/index.ts'
import {
  beside,
  cable,
  ethernet,
  ip,
  ipv4,
  ipv6,
  Simulation,
  seconds,
  sockets,
  stack,
  tcp,
  udp,
} from '../../src/index.ts'
import { parseAddress } from '../../src/kernel/address.ts'
import type { Node } from '../../src/runtime/node.ts'
import { nodeMethods } from '../../tools/control/node-methods.ts'

const NOTHING = { acceptable: () => {} }

t.test('a socket that is bound to a link is shown with it', async (t) => {
  const sim = new Simulation()
  const [lan, wan] = [cable(), cable()]
  const links = beside({ lan: stack(lan[0], ethernet()), wan: stack(wan[0], ethernet()) })
  const addresses = { lan: '10.0.0.1/24', wan: '10.0.1.1/24' }
  let network: NetworkService | undefined
  const node = sim.boot('R', (env) => {
    network = ip(ipv4({ addresses }), ipv6())(links(env), env)
    return sockets(tcp(), udp())(network, env)
  })
  const far = sim.boot('F', stack(lan[1], ethernet(), ip(ipv4({ address: '10.0.0.2/24' })), sockets(tcp(), udp())))
  far.top.stream.listen({ port: 80 }, NOTHING)
  await sim.run(seconds(3))
  const { stream, datagram } = node.top
  for (const link of ['lan', 'wan']) datagram.bind({ port: 6696, link }, {})
  datagram.bind({ port: 67, link: 'lan', address: parseAddress('0.0.0.0') }, {})
  datagram.bind({ port: 520, address: parseAddress('10.0.0.1') }, {})
  stream.listen({ port: 80, link: 'wan' }, NOTHING)
  stream.listen({ port: 81 }, NOTHING)
  const remote = parseAddress('10.0.0.2')
  stream.connect({ address: remote, port: 80, localPort: 1000, link: 'lan' }, {})
  stream.connect({ address: remote, port: 80, localPort: 1001 }, {})
  await sim.run(seconds(1))
  t.strictSame(shown(node).sort(), [
    '0.0.0.0%lan:67 lan',
    '10.0.0.1%lan:1000 lan',
    '10.0.0.1:1001 undefined',
    '10.0.0.1:520 undefined',
    '[::%lan]:6696 lan',
    '[::%wan]:6696 wan',
    '[::%wan]:80 wan',
    '[::]:81 undefined',
  ])
  network?.detach('wan')
  t.same(
    shown(node).filter((text) => text.includes('wan')),
    ['[::%wan]:80 wan', '[::%wan]:6696 wan'],
    'also while the link is away: they are bound to it all the same',
  )
  await sim.close()
})

function shown(node: Node<Sockets>): string[] {
  const all = nodeMethods(node).calls.sockets?.(undefined) as { readonly local: string; readonly link?: string }[]
  return all.map(({ local, link }) => `${local} ${link}`)
}
