/**
 * The links of the data link tier at work: pairs of nodes that send each other packets over a hub, and a third station
 * that hears every frame, and sends mutated copies of them. No link may throw, leak, or hold more than its queues.
 */
import { bridge } from '../../layers/datalink/ethernet/bridge.ts'
import { bpq } from '../../layers/datalink/hdlc/ax25.ts'
import { lapb } from '../../layers/datalink/hdlc/lapb.ts'
import { llc2 } from '../../layers/datalink/hdlc/llc2.ts'
import { ppp } from '../../layers/datalink/ppp/ppp.ts'
import { ETHERTYPE, LinkAddressing, type LinkService } from '../../layers/datalink/service.ts'
import type { PhysicalService } from '../../layers/physical/service.ts'
import { ethernet, hub, ms, Simulation, stack } from '../../src/index.ts'
import type { Env } from '../../src/kernel/env.ts'
import { Packet, packetsInUse } from '../../src/kernel/packet.ts'
import { below, type Random } from '../../src/kernel/random.ts'
import { Mutator } from './mutate.ts'
import { chance } from './stand.ts'
import type { Tally } from './tally.ts'
import { packetFor } from './zeros.ts'

type Above<M extends 'frames' | 'ethernet'> = (below: PhysicalService<M>, env: Env) => LinkService

const QUEUE = 16
const ABM = { queue: QUEUE, receiveQueue: QUEUE, k: 4, n2: 3, t1: ms(50) }
/** Far more than all queues of all layers of both nodes, and the hub's, can hold. */
const MOST_PACKETS = 4000

const ON_FRAMES: readonly [string, Above<'frames'>, Above<'frames'>][] = [
  ['lapb', lapb({ role: 'dte', fcs: 'none', ...ABM }), lapb({ role: 'dce', fcs: 'none', ...ABM })],
  [
    'lapb8',
    lapb({ role: 'dte', modulus: 8, fcs: 'none', ...ABM }),
    lapb({ role: 'dce', modulus: 8, fcs: 'none', ...ABM }),
  ],
  ['ppp', ppp({ address: '10.0.0.1', fcs: 'none', restart: ms(20) }), ppp({ fcs: 'none', restart: ms(20) })],
]

const bpqOver = (call: string): Above<'ethernet'> => {
  const layer = bpq({ call, modulus: 128, recovery: 'multi-srej', xid: true, n1: 256, ...ABM })
  return (below, env) => layer(ethernet()(below, env), env)
}

const ON_ETHERNET: readonly [string, Above<'ethernet'>, Above<'ethernet'>][] = [
  [
    'llc2',
    (below, env) => llc2(ABM)(ethernet()(below, env), env),
    (below, env) => llc2(ABM)(ethernet()(below, env), env),
  ],
  ['bpq', bpqOver('NODEA'), bpqOver('NODEB')],
  [
    'bridge',
    (below, env) => ethernet({ pause: true })(bridge({ pause: { rate: 1e8 } })({ port: below }, env), env),
    ethernet({ pause: { rate: 1e8 } }),
  ],
]

/**
 * @param frames mutated frames for each pair. @throws what a layer throws, and where a bound is passed: nothing should.
 */
export async function noisyLinks(tally: Tally, seed: number, frames: number, beat?: () => void): Promise<void> {
  for (const [name, near, far] of ON_FRAMES) await pair(name, 'frames', near, far, tally, seed, frames, beat)
  for (const [name, near, far] of ON_ETHERNET) await pair(name, 'ethernet', near, far, tally, seed, frames, beat)
}

async function pair<M extends 'frames' | 'ethernet'>(
  name: string,
  medium: M,
  near: Above<M>,
  far: Above<M>,
  tally: Tally,
  seed: number,
  frames: number,
  beat?: () => void,
): Promise<void> {
  const before = packetsInUse()
  const random = chance(seed, `noisy ${name}`)
  await using sim = new Simulation({ seed })
  const ports = hub(3, { medium, rate: 1e9 })
  const nodes = [near, far].map((layer, i) => sim.boot(`${name} ${i}`, stack(ports[i as 0 | 1], layer)))
  for (const { boundaries } of nodes) tally.add(boundaries)
  const talkers = nodes.map(({ top }, i) => new Talker(top, (nodes[1 - i] as (typeof nodes)[number]).top))
  const stranger = new Stranger(sim.boot(`${name} stranger`, ports[2]).top, random)
  for (let sent = 0; sent < frames; ) {
    for (const talker of talkers) talker.say()
    for (let burst = 1 + below(random, 4); burst > 0; burst--) sent += stranger.say()
    await sim.run(below(random, 50) === 0 ? ms(100) : ms(0.5))
    const held = packetsInUse() - before
    if (held > MOST_PACKETS) throw new Error(`${name}: ${held} packets are held`)
    if (sent % 64 === 0) beat?.()
  }
}

/** Who uses a link: sends while it is open, and reads all that comes. */
class Talker {
  private readonly link: LinkService
  private readonly to = new LinkAddressing()
  private open = true

  constructor(link: LinkService, peer: LinkService) {
    this.link = link
    this.to.peer = peer.address
    this.to.protocol = ETHERTYPE.ipv4
    link.boundary.attach({ receive: (packet) => packet.release(), ready: () => (this.open = true) }, ETHERTYPE.ipv4)
  }

  say(): void {
    if (this.open) this.open = this.link.send(packetFor(this.link, Math.min(this.link.mtu, 60)), this.to)
  }
}

const REMEMBERED = 128

/** Who hears everything, and says almost the same. */
class Stranger {
  private readonly medium: PhysicalService
  private readonly random: Random
  private readonly mutator: Mutator
  private readonly heard: Uint8Array[] = []

  constructor(medium: PhysicalService, random: Random) {
    this.medium = medium
    this.random = random
    this.mutator = new Mutator(random, [], [])
    medium.boundary.attach({
      receive: (packet) => {
        const at = this.heard.length < REMEMBERED ? this.heard.length : below(random, REMEMBERED)
        this.heard[at] = packet.bytes().slice()
        packet.release()
      },
    })
  }

  /** @returns how many frames it has sent: 1, or 0 while nothing has been heard. */
  say(): number {
    const original = this.heard[below(this.random, Math.max(1, this.heard.length))]
    if (original === undefined) return 0
    const octets = this.mutator.mutate(original, 'ip').subarray(0, this.medium.mtu)
    const packet = Packet.take(this.medium.headroom, octets.length + this.medium.tailroom)
    packet.append(octets)
    this.medium.send(packet, undefined)
    return 1
  }
}
