/** Stations on links over media in memory, and a medium that is a double: it keeps what is sent. */
import type { LinkService } from '../../../layers/datalink/service.ts'
import { type Medium, NO_OFFLOAD, type Offload, type PhysicalService } from '../../../layers/physical/service.ts'
import { seconds } from '../../../src/kernel/clock.ts'
import type { Layer } from '../../../src/kernel/layer.ts'
import { Packet } from '../../../src/kernel/packet.ts'
import { Simulation } from '../../../src/runtime/simulation.ts'
import type { LinkPair } from '../../conformance/link.ts'
import type { End } from '../physical/ends.ts'

/** Two stations on the two ends of a medium. */
export function stationsOn<M extends Medium>(
  [a, b]: readonly [End<M>, End<M>],
  near: Layer<PhysicalService<M>, LinkService>,
  far: Layer<PhysicalService<M>, LinkService> = near,
): LinkPair & { readonly sim: Simulation } {
  const media: PhysicalService[] = []
  const on =
    (end: End<M>, layer: Layer<PhysicalService<M>, LinkService>): ((env: Parameters<End<M>>[0]) => LinkService) =>
    (env) => {
      const medium = end(env)
      media.push(medium)
      return layer(medium, env)
    }
  const sim = new Simulation({ seed: 5 })
  return {
    sim,
    near: sim.boot('A', on(a, near)).top,
    far: sim.boot('B', on(b, far)).top,
    nearBelow: media[0] as PhysicalService,
    farBelow: media[1] as PhysicalService,
    settle: () => sim.run(seconds(10)),
    close: () => sim.close(),
    timers: () => sim.timers.size,
  }
}

/** One station on a medium that keeps copies of what is sent, and hands up what it is told to. */
export function stationOver<M extends Medium, Link extends LinkService>(
  medium: M,
  layer: Layer<PhysicalService<M>, Link>,
  { mtu = 1518, offload = NO_OFFLOAD, seed = 1 }: { mtu?: number; offload?: Offload; seed?: number } = {},
): {
  readonly sim: Simulation
  readonly link: Link
  readonly sent: Uint8Array[]
  /** A packet arrives from the wire. */
  arrive(octets: Uint8Array): void
} {
  const sim = new Simulation({ seed })
  const sent: Uint8Array[] = []
  let below: PhysicalService<M> | undefined
  const { top: link } = sim.boot('A', (env) => {
    const boundary = env.boundary<undefined, 'never'>('double', 'octets', { never: '' })
    below = {
      tier: 'physical',
      medium,
      mtu,
      headroom: 3,
      tailroom: 2,
      offload,
      boundary,
      send(packet: Packet) {
        boundary.down(packet, undefined)
        sent.push(packet.bytes().slice())
        packet.release()
        return true
      },
    }
    return layer(below, env)
  })
  return {
    sim,
    link,
    sent,
    arrive(octets) {
      const packet = Packet.take(32, octets.length)
      packet.append(octets)
      below?.boundary.up(packet, undefined, 0)
    },
  }
}

/** A packet with exactly the room its link asks for. */
export function payloadFor(link: LinkService, octets: Uint8Array): Packet {
  const packet = Packet.take(link.headroom, octets.length + link.tailroom)
  packet.append(octets)
  return packet
}

export const linkDrops = (link: LinkService): Record<string, number> =>
  Object.fromEntries([...link.boundary.drops].filter(([, count]) => count > 0))
