/** An impairing link on a cable, and what became of the packets sent over it. */
import { cable } from '../../../layers/physical/cable.ts'
import { type ImpairControl, type ImpairOptions, impair } from '../../../layers/physical/impair/impair.ts'
import { seconds } from '../../../src/kernel/clock.ts'
import { stack } from '../../../src/kernel/stack.ts'
import { Simulation } from '../../../src/runtime/simulation.ts'
import { marked, pairOf } from './ends.ts'

/** A pair of ends of which the near one is impaired. */
export function over(options: ImpairOptions): ReturnType<typeof pairOf> & { readonly link: ImpairControl } {
  const [a, b] = cable({ queue: 16_384 })
  const layer = impair(options)
  return { ...pairOf([stack(a, layer), b]), link: layer.link }
}

/** Sends n packets over an impaired end, 50 at a time, and tells how often each arrived. */
export async function fates(options: ImpairOptions, n: number, seed = 1): Promise<Uint8Array> {
  const sim = new Simulation({ seed })
  const [a, b] = cable()
  const near = sim.boot('A', stack(a, impair(options))).top
  const far = sim.boot('B', b).top
  const fate = new Uint8Array(n)
  far.boundary.attach({
    receive(packet) {
      const index = packet.view.getUint32(packet.start)
      fate[index] = (fate[index] as number) + 1
      packet.release()
    },
  })
  for (let i = 0; i < n; i++) {
    const packet = marked(near, 60, 0)
    packet.view.setUint32(packet.start, i)
    near.send(packet, undefined)
    await (i % 50 === 49 ? sim.run(1) : undefined)
  }
  await sim.run(seconds(2))
  await sim.close()
  return fate
}

/** The share of packets that arrived `times` times. */
export const share = (fate: Uint8Array, times: number): number =>
  fate.reduce((sum, n) => sum + (n === times ? 1 : 0), 0) / fate.length
