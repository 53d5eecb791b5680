/**
 * Packets that are like the one before. What was found out for that one holds for them, so they must leave and arrive as if each were
 * looked at: two worlds in which the same happens are compared, one of which never takes the short way.
 */
import assert from 'node:assert'
import fc from 'fast-check'
import t from 'tap'
import { ethernet } from '../../../layers/datalink/ethernet/ethernet.ts'
import type { Cast } from '../../../layers/datalink/service.ts'
import { ip } from '../../../layers/network/ip.ts'
import { ipv4 } from '../../../layers/network/ipv4/ipv4.ts'
import { ipv6 } from '../../../layers/network/ipv6/ipv6.ts'
import { NetworkAddressing, type NetworkService, PROTOCOL } from '../../../layers/network/service.ts'
import { type Cable, cable } from '../../../layers/physical/cable.ts'
import type { PolicyOptions } from '../../../src/api/rules.ts'
import { parseAddress } from '../../../src/kernel/address.ts'
import { seconds } from '../../../src/kernel/clock.ts'
import { Packet, packetsInUse } from '../../../src/kernel/packet.ts'
import { beside, stack } from '../../../src/kernel/stack.ts'
import { Simulation } from '../../../src/runtime/simulation.ts'
import * as v4 from './ipv4/bare.ts'
import { drops, pattern, referenceChecksum } from './ipv4/stand.ts'
import * as v6 from './ipv6/bare.ts'

// ── sending

/** Of each family: a neighbour on either link, one whom nobody knows, and one that is reached by a route. */
const TARGETS = ['10.1.0.2', '10.2.0.2', '10.1.0.9', '10.9.0.1', 'fd00:1::2', 'fd00:2::2', 'fd00:1::9', 'fd00:9::1']
const ROUTED = ['10.9.0.0/16', 'fd00:9::/48']
const VIA: Readonly<Record<string, readonly string[]>> = { a: ['10.1.0.2', 'fd00:1::2'], b: ['10.2.0.2', 'fd00:2::2'] }

type Step =
  | { readonly kind: 'send'; readonly target: number; readonly link: string; readonly times: number }
  | { readonly kind: 'again'; readonly times: number }
  | { readonly kind: 'reroute' | 'policy' | 'unplug' | 'plug' | 'renumber' | 'mtu' | 'silence' | 'wait' }

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({
        kind: fc.constant('send' as const),
        target: fc.nat(7),
        link: fc.constantFrom('', '', 'a', 'b'),
        times: fc.nat(3),
      }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('again' as const), times: fc.integer({ min: 1, max: 3 }) }) },
    fc.record({ kind: fc.constantFrom('reroute', 'policy', 'unplug', 'plug', 'renumber', 'mtu', 'silence', 'wait') }),
  ),
  { maxLength: 30 },
)

/** What was refused is not like what left before it. */
const REFUSED: Step[] = [
  { kind: 'unplug' },
  { kind: 'send', target: 1, link: '', times: 0 },
  { kind: 'send', target: 1, link: 'a', times: 1 },
]

/** A node between two neighbours that it knows. */
class Sender {
  readonly frames: string[] = []
  private readonly sim = new Simulation()
  private readonly cables: readonly [Cable, Cable] = [cable(), cable()]
  private readonly network: NetworkService
  private readonly short: boolean
  private readonly to = new NetworkAddressing()
  private readonly states = { via: 'a', policy: false, renumbered: false, narrow: false }
  private sent = 0
  /** The packet before was sent on this turn. */
  private sameTurn = false

  /** @param short what is like the packet before says so. */
  constructor(short: boolean) {
    this.short = short
    const [[near, left], [far, right]] = this.cables
    const addresses = { a: '10.1.0.1/24', b: '10.2.0.1/24' }
    const routes = [ROUTED[0], ROUTED[1]].map((prefix, i) => ({ prefix: prefix as string, via: VIA.a?.[i] as string }))
    const node = this.sim.boot(
      'S',
      stack(
        beside({ a: stack(near, ethernet()), b: stack(far, ethernet()) }),
        ip(
          ipv4({ addresses, routes: routes.slice(0, 1) }),
          ipv6({ addresses: { a: 'fd00:1::1/64', b: 'fd00:2::1/64' }, autoconfigure: false, routes: routes.slice(1) }),
        ),
      ),
    )
    for (const [i, end] of [left, right].entries()) {
      this.sim.boot(
        `N${i}`,
        stack(
          end,
          ethernet(),
          ip(ipv4({ address: `10.${i + 1}.0.2/24` }), ipv6({ address: `fd00:${i + 1}::2/64`, autoconfigure: false })),
        ),
      )
    }
    this.network = node.top
    for (const boundary of node.boundaries) {
      if (!boundary.name.endsWith('/cable')) continue
      boundary.watch({
        packet: (packet, _address, direction) => {
          if (direction === 'down') this.frames.push(`${boundary.name} ${Buffer.from(packet.bytes()).toString('hex')}`)
        },
      })
    }
  }

  async run(steps: readonly Step[]): Promise<void> {
    await this.sim.run(seconds(3))
    for (const target of [0, 1, 4, 5]) this.send(target, false)
    await this.sim.run(seconds(1))
    this.frames.length = 0
    for (const step of steps) await this.take(step)
    await this.sim.run(seconds(1))
  }

  get counts(): unknown[] {
    return [drops(this.network), this.network.control.policy()]
  }

  async close(): Promise<void> {
    await this.sim.close()
  }

  private async take(step: Step): Promise<void> {
    const { states, network } = this
    const { control } = network
    const [{ link }] = this.cables
    switch (step.kind) {
      case 'send':
        this.send(step.target, false, step.link)
        for (let i = 0; i < step.times; i++) this.send(-1, true)
        return
      case 'again':
        for (let i = 0; i < step.times; i++) this.send(-1, true)
        return
      case 'reroute': {
        if (states.renumbered) return
        const from = VIA[states.via] as readonly string[]
        states.via = states.via === 'a' ? 'b' : 'a'
        for (const [i, via] of (VIA[states.via] as readonly string[]).entries()) {
          control.routes.add({ prefix: ROUTED[i] as string, via })
          control.routes.remove({ prefix: ROUTED[i] as string, via: from[i] as string })
        }
        return
      }
      case 'policy':
        states.policy = !states.policy
        control.setPolicy(
          states.policy
            ? { rules: [{ hook: 'output', destination: ['10.1.0.2', 'fd00:2::2'], action: 'deny' }] }
            : null,
        )
        return
      case 'unplug':
        link.unplug()
        return
      case 'plug':
        link.plug()
        return
      case 'renumber':
        states.renumbered = !states.renumbered
        if (states.renumbered) control.removeAddress('b', '10.2.0.1/24')
        else control.addAddress('b', '10.2.0.1/24')
        return
      case 'mtu':
        states.narrow = !states.narrow
        link.setMtu(states.narrow ? 1280 : 1500)
        return
      case 'silence': {
        // Long enough for the neighbours of a link to be forgotten, when they are asked for.
        const cut = link.cut()
        await this.sim.run(seconds(50))
        for (const target of [0, 4]) this.send(target, false)
        await this.sim.run(seconds(10))
        cut.heal()
        this.sameTurn = false
        return
      }
      case 'wait':
        await this.sim.run(0)
        this.sameTurn = false
    }
  }

  /** @param target of TARGETS; -1: the last one, by the same link. @param again it is like the one before. */
  private send(target: number, again: boolean, link = ''): void {
    const { to, network } = this
    if (target >= 0) {
      to.destination.set(parseAddress(TARGETS[target] as string))
      to.source.set(parseAddress(target < 4 ? '10.2.0.1' : 'fd00:2::1'))
      Object.assign(to, { protocol: PROTOCOL.udp, ttl: 9, trafficClass: 4, dontFragment: true })
      to.link = network.linkIndex(link)
    }
    to.again = again && this.short && this.sameTurn
    this.sameTurn = true
    const packet = Packet.take(network.headroom, 1400 + network.tailroom)
    packet.octets.fill(0, packet.put(1400), packet.end)
    packet.view.setUint16(packet.start, ++this.sent)
    network.send(packet, to)
  }
}

t.test('what is like the packet before leaves as if it were looked at', async (t) => {
  const before = packetsInUse()
  await t.resolves(
    fc.assert(
      fc.asyncProperty(steps, async (steps) => {
        const [long, short] = [new Sender(false), new Sender(true)]
        for (const sender of [long, short]) await sender.run(steps)
        assert.deepStrictEqual(short.frames, long.frames)
        assert.deepStrictEqual(short.counts, long.counts)
        for (const sender of [long, short]) await sender.close()
      }),
      { numRuns: 800, examples: [[REFUSED]] },
    ),
  )
  t.equal(packetsInUse(), before, 'every packet was released')
})

// ── receiving

const BURSTS = { segment: 0, checksum: false, merge: true } as const
/** It lets everything pass, but has to see it. */
const LOOKS: PolicyOptions = { rules: [{ hook: 'input', action: 'allow' }] }

interface Arrival {
  /** A source port; where its flow goes on, but for a gap. */
  readonly flow: number
  readonly gap: boolean
  readonly data: number
  readonly flags: number
  readonly hops: number
  readonly cast: Cast
  /** An address that is ours, or not. */
  readonly host: number
  readonly harm: 'none' | 'sum' | 'header' | 'fragment' | 'padding'
  /** The burst is over. */
  readonly last: boolean
}

/** Mostly the first. */
const mostly = <Value>(value: Value, ...others: Value[]): fc.Arbitrary<Value> =>
  fc.oneof({ weight: 40, arbitrary: fc.constant(value) }, fc.constantFrom(...others))

const arrivals: fc.Arbitrary<Arrival[]> = fc.array(
  fc.record({
    flow: mostly(1, 2, 3),
    gap: mostly(false, true),
    data: mostly(100, 60, 140),
    flags: mostly(0x10, 0x18, 0x11),
    hops: mostly(64, 63),
    cast: mostly<Cast>('unicast', 'broadcast', 'multicast'),
    host: mostly(1, 7),
    harm: mostly<Arrival['harm']>('none', 'sum', 'header', 'fragment', 'padding'),
    last: mostly(false, true),
  }),
  { maxLength: 40 },
)

/** What arrives, as octets. @param seq where its flow is. */
function octetsOf({ flow, data, flags, hops, host, harm }: Arrival, seq: number, family: 4 | 6): Uint8Array {
  const tcp = [0, flow, 0, 9, 0, 0, seq >> 8, seq & 255, 0, 0, 0, 1, 0x50, flags, 4, 0, 0, 0, 0, 0]
  const payload = Uint8Array.of(...tcp, ...pattern(data, seq))
  const destination = family === 4 ? `10.0.0.${host}` : `fd00::${host}`
  const pseudo = [10, 0, 0, 2, 10, 0, 0, host, 0, PROTOCOL.tcp, 0, payload.length]
  const sum =
    family === 4
      ? referenceChecksum(Uint8Array.of(...pseudo, ...payload))
      : v6.checksumOf('fd00::2', destination, PROTOCOL.tcp, payload)
  payload.set([sum >> 8, (sum & 255) ^ (harm === 'sum' ? 1 : 0)], 16)
  const octets =
    family === 4
      ? v4.datagram({ protocol: PROTOCOL.tcp, destination, ttl: hops, flags: harm === 'fragment' ? 3 : 0, payload })
      : v6.packet({ next: PROTOCOL.tcp, destination, hopLimit: hops, flow: harm === 'fragment' ? 3 : 0, payload })
  if (harm === 'header') octets[4] = (octets[4] as number) ^ 255
  return harm === 'padding' ? Uint8Array.of(...octets, 0, 0, 0) : octets
}

/** What a transport gets, and what is dropped. */
async function received(family: 4 | 6, options: { policy?: PolicyOptions }, arrivals: readonly Arrival[]) {
  const { sim, network, wire } = family === 4 ? v4.stand(options, BURSTS) : v6.stand(options, BURSTS)
  const got: string[] = []
  network.boundary.attach(
    {
      receive(packet: Packet, from: NetworkAddressing) {
        const text = Buffer.from(packet.bytes()).toString('hex')
        got.push(`${from.ttl} ${packet.segmentOctets} ${packet.checksum} ${text}`)
        packet.release()
      },
    },
    PROTOCOL.tcp,
  )
  const next = [0, 0, 0, 0]
  for (const arrival of arrivals) {
    const seq = (next[arrival.flow] as number) + (arrival.gap ? 9 : 0)
    next[arrival.flow] = seq + arrival.data
    wire.inject(octetsOf(arrival, seq, family), arrival.cast)
    if (arrival.last) await sim.run(0)
  }
  await sim.run(0)
  const counts = drops(network)
  await sim.close()
  return { got, counts }
}

for (const family of [4, 6] as const) {
  t.test(`a segment of IPv${family} that continues others arrives as if it were looked at`, async (t) => {
    const before = packetsInUse()
    const most: number[] = []
    await t.resolves(
      fc.assert(
        fc.asyncProperty(arrivals, async (arrivals) => {
          const short = await received(family, {}, arrivals)
          assert.deepStrictEqual(short, await received(family, { policy: LOOKS }, arrivals))
          most.push(...short.got.map((text) => text.length))
        }),
        { numRuns: 500 },
      ),
    )
    t.ok(Math.max(...most) > 2000, 'and they were merged')
    t.equal(packetsInUse(), before, 'every packet was released')
  })
}
