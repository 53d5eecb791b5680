/** What a protocol is told of the node's routes, and what that costs. */
import t from 'tap'
import { Residence, type Resident, type Speaking } from '../../../../layers/middleware/routing/residence.ts'
import { redistributeFilter } from '../../../../layers/middleware/routing/service.ts'
import {
  cable,
  ethernet,
  IpAddress,
  ip,
  ipv4,
  ms,
  Simulation,
  sockets,
  stack,
  tcp,
  udp,
} from '../../../../src/index.ts'
import { Drive } from '../../../../src/kernel/drive.ts'

const INFINITY = 16

/** A protocol that speaks nowhere, and remembers what it is told. */
class Listener implements Resident<Speaking> {
  readonly told: string[] = []
  refusals = 0
  left = false

  speak(): undefined {}
  silence(): void {}
  retire(): void {}
  refused(): void {
    this.refusals++
  }
  announce(prefix: { address: IpAddress; length: number }, metric: number): void {
    this.told.push(`+${prefix.address}/${prefix.length} ${metric}`)
  }
  withdraw(prefix: { address: IpAddress; length: number }): void {
    this.told.push(`-${prefix.address}/${prefix.length}`)
  }
  leave(): void {
    this.left = true
  }
}

function stand() {
  const sim = new Simulation({ seed: 1 })
  const [end] = cable({ medium: 'ethernet' })
  const node = sim.boot('A', stack(end, ethernet(), ip(ipv4({ address: '10.0.0.1/24' })), sockets(tcp(), udp())))
  const { network } = node.top
  const listener = new Listener()
  const drive = new Drive({ deadline: Number.POSITIVE_INFINITY, expire: () => {} }, node.env.timers, { pump: () => {} })
  const settings = {
    ...{ origin: 'mine', metric: 1024, links: [], group: IpAddress.ipv4(0xe000_0009), port: 5555, ttl: 1 },
    always: new Map([['10.7.0.0/16', 3]]),
    redistribute: redistributeFilter([{ origin: 'static', action: 'allow', metric: 5 }], INFINITY),
    infinity: INFINITY,
  }
  const residence = new Residence<Speaking>(node.top, node.env, settings, drive, listener)
  const told = async (time = ms(100)): Promise<string[]> => {
    await sim.run(time)
    return listener.told.splice(0).sort()
  }
  return { sim, network, listener, residence, told }
}

t.test('routes are announced as the rules have it, and what changes is told', async (t) => {
  const { sim, network, residence, told } = stand()
  network.routes.add({ prefix: '10.5.0.0/16', via: '10.0.0.9' })
  residence.begin()
  t.strictSame(await told(), ['+10.5.0.0/16 5', '+10.7.0.0/16 3'])
  network.routes.add({ prefix: '10.5.0.0/16', via: '10.0.0.8', metric: 9 })
  network.routes.add({ prefix: '10.6.0.0/16', via: '10.0.0.9', origin: 'other' })
  network.routes.add({ prefix: '10.7.0.0/16', via: '10.0.0.9' })
  network.addAddress('eth0', '10.0.5.1/24')
  t.strictSame(await told(), [], 'there is another, the rules say no, and 3 is less than 5')
  network.routes.remove({ prefix: '10.5.0.0/16', via: '10.0.0.9' })
  t.strictSame(await told(), [])
  network.routes.remove({ prefix: '10.5.0.0/16' })
  network.routes.remove({ prefix: '10.7.0.0/16' })
  network.routes.add({ prefix: '10.6.0.0/16', via: '10.0.0.9', metric: 3 })
  t.strictSame(await told(), ['+10.6.0.0/16 5', '-10.5.0.0/16'])
  residence.routes.set('10.6.0.0/16', IpAddress.ipv4(0x0a00_0007), 'eth0')
  network.routes.remove({ prefix: '10.6.0.0/16', origin: 'static' })
  t.strictSame(await told(), ['-10.6.0.0/16'], 'its own way there is not its to announce')
  t.match(network.routes.list('10.6.0.0/16'), [{ origin: 'other' }, { origin: 'mine' }])
  await sim.close()
})

t.test('a table that has not changed is not looked at again', async (t) => {
  const { sim, network, listener, residence, told } = stand()
  const { routes } = network
  residence.begin()
  for (let i = 0; i < 10_000; i++) {
    routes.add({ prefix: `20.${i >> 8}.${i & 255}.0/24`, via: '10.0.0.9' })
  }
  await sim.run(ms(51))
  const first = listener.told.length
  t.ok(first > 1000 && first < 10_001, `${first} at first, so that others have their turn`)
  t.equal((await told(ms(400))).length, 10_001)
  residence.routes.set('10.6.0.0/16', IpAddress.ipv4(0x0a00_0007), 'eth0')
  residence.routes.set('10.8.0.0/16', IpAddress.ipv4(0x0a00_0007), 'gone')
  const asked: (string | undefined)[] = []
  const list = routes.list.bind(routes)
  routes.list = (prefix) => {
    asked.push(prefix)
    return list(prefix)
  }
  t.teardown(() => {
    routes.list = list
  })
  network.addAddress('eth0', '10.0.0.2/24')
  t.strictSame(await told(), [])
  t.strictSame(asked.splice(0), ['10.8.0.0/16'], 'but for what was refused')
  t.equal(listener.refusals, 2)
  routes.remove({ prefix: '20.1.1.0/24' })
  t.strictSame(await told(), ['-20.1.1.0/24'])
  t.strictSame([...new Set(asked)].sort(), ['10.8.0.0/16', '20.1.1.0/24'])
  await sim.close()
  t.ok(listener.left)
})
