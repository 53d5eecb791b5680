/** Ends of media in memory, booted in a simulation of their own. */

import type { Medium, PhysicalService } from '../../../layers/physical/service.ts'
import { seconds } from '../../../src/kernel/clock.ts'
import type { Blueprint } from '../../../src/kernel/layer.ts'
import { Packet } from '../../../src/kernel/packet.ts'
import { Simulation } from '../../../src/runtime/simulation.ts'
import type { PhysicalPair } from '../../conformance/physical.ts'

export type End<M extends Medium = Medium> = Blueprint<PhysicalService<M>>

/** Boots the first as A and the second as B; without a second, A is its own other end. */
export function pairOf([near, far]: readonly [near: End, far?: End]): PhysicalPair & { readonly sim: Simulation } {
  const sim = new Simulation({ seed: 7 })
  const a = sim.boot('A', near).top
  const b = far === undefined ? a : sim.boot('B', far).top
  return {
    sim,
    near: a,
    far: b,
    settle: () => sim.run(seconds(10)),
    close: () => sim.close(),
    timers: () => sim.timers.size,
  }
}

/** A packet of `length` octets whose first is `mark`. */
export function marked(service: PhysicalService, length: number, mark: number): Packet {
  const packet = Packet.take(service.headroom, length + service.tailroom)
  const at = packet.put(length)
  packet.octets.fill(0, at, at + length)
  if (length > 0) packet.octets[at] = mark
  return packet
}

/** Notes when each packet arrives, and its mark. */
export function arrivals(sim: Simulation, service: PhysicalService): [at: number, mark: number][] {
  const seen: [number, number][] = []
  service.boundary.attach({
    receive(packet) {
      seen.push([sim.now(), packet.octets[packet.start] ?? -1])
      packet.release()
    },
  })
  return seen
}

export const dropsOf = (service: PhysicalService): Record<string, number> =>
  Object.fromEntries([...service.boundary.drops].filter(([, count]) => count > 0))
