/** The ways that a routing protocol gives to its node, and a table that is not its own. */
import t from 'tap'
import { NodeRoutes } from '../../../../layers/middleware/routing/service.ts'
import { cable, ethernet, IpAddress, ip, ipv4, Simulation, sockets, stack, tcp, udp } from '../../../../src/index.ts'

t.test('a link that has just gone takes no way, and what was taken out is put in again', async (t) => {
  const sim = new Simulation({ seed: 1 })
  const [end] = cable({ medium: 'ethernet' })
  const { top } = sim.boot('A', stack(end, ethernet(), ip(ipv4({ address: '10.0.0.1/24' })), sockets(tcp(), udp())))
  const { routes: table } = top.network
  let refused = 0
  const routes = new NodeRoutes(top.network, 'babel', 1024, () => refused++)
  routes.set('10.8.0.0/16', IpAddress.ipv4(0x0a00_0009), 'eth0')
  routes.set('10.9.0.0/16', IpAddress.ipv4(0x0a00_0009), 'gone')
  t.equal(refused, 1)
  table.remove({ prefix: '10.8.0.0/16' })
  routes.restore(['10.8.0.0/16'])
  t.match(table.lookup('10.8.0.1'), { via: '10.0.0.9', origin: 'babel', metric: 1024 })
  t.equal(refused, 2, 'it was tried once more')
  routes.set('10.9.0.0/16', null)
  t.match(table.lookup('10.9.0.1'), { action: 'unreachable' })
  routes.clear()
  t.same(
    table.list().map(({ origin }) => origin),
    ['link'],
  )
  await sim.close()
})
