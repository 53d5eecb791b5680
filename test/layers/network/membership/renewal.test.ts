/** Memberships of sockets on links that go down, and on links that go and come again: x is one, y stays. */
import { once } from 'node:events'
import t from 'tap'
import { ETHERTYPE } from '../../../../layers/datalink/service.ts'
import { ip } from '../../../../layers/network/ip.ts'
import { ipv4 } from '../../../../layers/network/ipv4/ipv4.ts'
import { ipv6 } from '../../../../layers/network/ipv6/ipv6.ts'
import { EVERYBODY } from '../../../../layers/network/membership/source-filter.ts'
import type { NetworkService } from '../../../../layers/network/service.ts'
import { sockets } from '../../../../layers/transport/sockets.ts'
import { tcp } from '../../../../layers/transport/tcp/tcp.ts'
import { udp } from '../../../../layers/transport/udp/udp.ts'
import { parseAddress } from '../../../../src/kernel/address.ts'
import { ms, seconds } from '../../../../src/kernel/clock.ts'
import type { Env } from '../../../../src/kernel/env.ts'
import { packetsInUse } from '../../../../src/kernel/packet.ts'
import { beside, stack } from '../../../../src/kernel/stack.ts'
import { Simulation } from '../../../../src/runtime/simulation.ts'
import * as v4 from '../ipv4/bare.ts'
import { TestLink } from '../ipv4/link.ts'
import * as v6 from '../ipv6/bare.ts'

const UDP = 17
const PORT = 5000

/** A datagram to PORT as UDP has it, with `text`; of IPv4 without a checksum. */
function datagram(text: string, checksum: (octets: Uint8Array) => number): Uint8Array {
  const octets = Uint8Array.from([0, 9, PORT >> 8, PORT & 255, 0, 8 + text.length, 0, 0, ...Buffer.from(text)])
  const sum = checksum(octets)
  octets[6] = sum >> 8
  octets[7] = sum & 255
  return octets
}

/** What differs between the families. */
interface Kind {
  readonly type: 'udp4' | 'udp6'
  readonly protocol: number
  readonly group: string
  readonly other: string
  readonly third: string
  readonly wanted: string
  readonly stranger: string
  /** A packet with a datagram. */
  say(source: string, group: string, text: string): Uint8Array
  /** Records of the reports that were sent: 'type group sources', and where from. */
  reports(wire: TestLink): string[]
}

/** Records from `at` on, with addresses of so many octets. */
function records(octets: Uint8Array, at: number, size: 4 | 16, text: (octets: Uint8Array) => string): string[] {
  const found: string[] = []
  let next = at + 8
  for (let left = (octets[at + 6] as number) * 256 + (octets[at + 7] as number); left > 0; left--) {
    const sources = octets[next + 3] as number
    const addresses = Array.from({ length: sources + 1 }, (_, i) => octets.subarray(next + 4 + i * size))
    found.push([octets[next], ...addresses.map((one) => text(one.subarray(0, size)))].join(' '))
    next += 4 + size * (sources + 1)
  }
  return found
}

const words = (octets: Uint8Array) =>
  parseAddress(
    Array.from({ length: 8 }, (_, i) =>
      ((octets[2 * i] as number) * 256 + (octets[2 * i + 1] as number)).toString(16),
    ).join(':'),
  ).toString()

const KINDS: readonly Kind[] = [
  {
    type: 'udp4',
    protocol: ETHERTYPE.ipv4,
    group: '239.1.2.3',
    other: '239.1.2.4',
    third: '239.1.2.5',
    wanted: '10.0.0.2',
    stranger: '10.0.0.3',
    say: (source, destination, text) => {
      const payload = datagram(text, () => 0)
      return v4.datagram({ source, destination, protocol: UDP, payload })
    },
    reports: ({ sent }) =>
      sent
        .filter((octets) => octets[9] === 2 && octets[24] === 0x22)
        .flatMap((octets) => records(octets, 24, 4, (address) => address.join('.'))),
  },
  {
    type: 'udp6',
    protocol: ETHERTYPE.ipv6,
    group: 'ff15::3',
    other: 'ff15::4',
    third: 'ff15::5',
    wanted: 'fd00::2',
    stranger: 'fd00::3',
    say: (source, destination, text) => {
      const payload = datagram(text, (octets) => v6.checksumOf(source, destination, UDP, octets))
      return v6.packet({ source, destination, next: UDP, payload })
    },
    reports: ({ sent }) =>
      sent
        .filter((octets) => octets[6] === 0 && octets[48] === 143)
        .flatMap((octets) => records(octets, 48, 16, words)),
  },
]

/** A node with links x and y, of which x is to be attached. */
function stand({ protocol }: Kind) {
  const sim = new Simulation({ seed: 3 })
  let network: NetworkService | undefined
  const wires: TestLink[] = []
  const link = (env: Env) => {
    const made = new TestLink(env, undefined, protocol)
    wires.push(made)
    return made
  }
  const families = ip(
    ipv4({ addresses: { x: '10.0.0.1/24', y: '10.9.0.1/24' } }),
    ipv6({ addresses: { x: 'fd00::1/64', y: 'fd09::1/64' }, autoconfigure: false }),
  )
  const node = sim.boot('A', (env) => {
    network = families(stack(beside({ y: link }))(env), env)
    return sockets(tcp(), udp())(network, env)
  })
  const top = network as unknown as NetworkService
  /** x comes. @returns its wire, and how it goes. */
  const attach = async () => {
    const part = await node.attach('x', link)
    const wire = part.top
    top.attach('x', wire)
    return {
      wire,
      detach: async () => {
        top.detach('x')
        await part.close()
      },
    }
  }
  return { sim, node, network: top, attach, y: wires[0] as TestLink }
}

for (const kind of KINDS) {
  const { type, group, other, third, wanted, stranger } = kind

  t.test(`${type}: sockets stay in their groups when a link comes again`, async (t) => {
    const before = packetsInUse()
    const { sim, node, network, attach, y } = stand(kind)
    const got: string[] = []
    let { wire, detach } = await attach()
    const socket = node.dgram.createSocket(type)
    socket.on('message', (octets) => got.push(octets.toString()))
    socket.bind(PORT)
    await once(socket, 'listening')
    const local = network.control.links().find(({ name }) => name === 'x')?.addresses
    const address = local?.find((one) => one.startsWith(type === 'udp4' ? '10.' : 'fd00'))?.split('/')[0] as string
    socket.addSourceSpecificMembership(wanted, group, type === 'udp4' ? address : '::%x')
    socket.addMembership(other, type === 'udp4' ? address : '::%x')
    const hear = async (): Promise<string[]> => {
      got.length = 0
      wire.inject(kind.say(wanted, group, 'wanted'), 'multicast')
      wire.inject(kind.say(stranger, group, 'strange'), 'multicast')
      wire.inject(kind.say(stranger, other, 'other'), 'multicast')
      y.inject(kind.say(wanted, group, 'elsewhere'), 'multicast')
      await sim.run(ms(10))
      return [...got]
    }
    await sim.run(seconds(5))
    t.strictSame(await hear(), ['wanted', 'other'])
    for (const round of [1, 2, 3]) {
      await detach()
      await sim.run(seconds(round))
      ;({ wire, detach } = await attach())
      t.strictSame(await hear(), ['wanted', 'other'], `round ${round}`)
      await sim.run(seconds(5))
      const told = kind.reports(wire)
      for (const record of [`5 ${group} ${wanted}`, `4 ${other}`]) {
        t.equal(told.filter((one) => one === record).length, 2, `${record}, and once more: round ${round}`)
      }
    }
    const member = network.joinGroup(parseAddress(third), network.linkIndex('x'), EVERYBODY)
    await detach()
    member?.leave()
    const elsewhere = type === 'udp4' ? '10.0.0.77' : '::%z'
    t.throws(() => socket.dropMembership(other, elsewhere), { code: 'EADDRNOTAVAIL' }, 'not joined there')
    socket.dropMembership(other, type === 'udp4' ? address : '::%x')
    ;({ wire, detach } = await attach())
    await sim.run(seconds(5))
    for (const left of [third, other]) {
      t.notOk(
        kind.reports(wire).some((record) => record.includes(left)),
        `${left}, which was left while the link was away, is`,
      )
    }
    t.strictSame(await hear(), ['wanted'], 'of the others nothing is left out')
    await detach()
    socket.close()
    ;({ wire, detach } = await attach())
    await sim.run(seconds(5))
    t.notOk(
      kind.reports(wire).some((record) => record.includes(group)),
      'nor what a socket was in that has closed',
    )
    await sim.close()
    t.equal(packetsInUse(), before)
  })

  t.test(`${type}: routers of a link that comes up are told again`, async (t) => {
    const { sim, network, attach } = stand(kind)
    const { wire } = await attach()
    const index = network.linkIndex('x')
    network.joinGroup(parseAddress(group), index, { mode: 'include', sources: [parseAddress(wanted)] })
    const member = network.joinGroup(parseAddress(other), index, EVERYBODY)
    await sim.run(seconds(5))
    wire.boundary.linkChanged('down', 'test')
    await sim.run(seconds(1))
    wire.sent.length = 0
    wire.boundary.linkChanged('up', 'test')
    await sim.run(seconds(5))
    const told = kind.reports(wire)
    t.equal(told.filter((one) => one === `5 ${group} ${wanted}`).length, 2, told.join('; '))
    t.equal(told.filter((one) => one === `4 ${other}`).length, 2)
    member?.leave()
    wire.boundary.linkChanged('up', 'test')
    wire.sent.length = 0
    await sim.run(seconds(5))
    t.equal(kind.reports(wire).filter((one) => one === `3 ${other}`).length, 2, 'a leaving that was not told yet is')
    await sim.close()
  })
}
