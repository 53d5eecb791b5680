/** When all has arrived that two ends of a stream have sent each other in real time. */
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import type { PhysicalService } from '../../../../layers/physical/service.ts'

/** @returns what waits for it, however long others take who carry it. A stream loses nothing that it has accepted. */
export function delivered(near: PhysicalService, far: PhysicalService): () => Promise<void> {
  let refused = 0
  const ends = [near.boundary, far.boundary]
  for (const boundary of ends) {
    boundary.watch({
      drop: (packet, reason) => {
        if (reason !== 'noUser') refused += packet.length
      },
    })
  }
  const underWay = (): number => ends.reduce((sum, { txOctets, rxOctets }) => sum + txOctets - rxOctets, -refused)
  return async () => {
    while (underWay() > 0) await sleep(5)
    // Later than the octets comes what the sender is told of them, such as that there is room again.
    await sleep(60)
    for (let i = 0; i < 8; i++) await turn()
  }
}
