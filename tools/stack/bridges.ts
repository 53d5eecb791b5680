/** The bridges of a node that runs, so that it can be asked about them. */
import {
  type BridgedMedia,
  type BridgedPort,
  type BridgeOptions,
  type BridgeService,
  bridge,
  type Layer,
} from '../../src/index.ts'
import { formatMac } from '../../src/kernel/address.ts'

/** What a bridge tells of itself. */
export interface BridgeStatus {
  /** The name of its link. */
  readonly link: string
  readonly ports: readonly BridgedPort[]
  /** How many stations it knows. */
  readonly known: number
  /** Of these, those that were heard last, in that order. */
  readonly stations: readonly {
    readonly address: string
    /** Undefined for the node itself. */
    readonly port: string | undefined
    /** Since it was last heard. */
    readonly ageSeconds: number
  }[]
}

export class Bridges {
  private readonly running = new Map<string, BridgeService>()

  /** A bridge that can be asked about by the name of its link, as long as it runs. @throws RangeError — see `bridge`. */
  of(link: string, options: BridgeOptions): Layer<BridgedMedia, BridgeService> {
    const layer = bridge(options)
    return (below, env) => {
      const made = layer(below, env)
      this.running.set(link, made)
      // One of the same name may have taken its place.
      env.defer(() => void (this.running.get(link) === made && this.running.delete(link)))
      return made
    }
  }

  /** @param limit stations of each that are listed at most. */
  status(limit: number): BridgeStatus[] {
    return Array.from(this.running, ([link, running]) => {
      const stations = running.stations().sort((a, b) => a.age - b.age)
      return {
        ...{ link, ports: running.ports(), known: stations.length },
        stations: stations.slice(0, limit).map(({ address, port, age }) => ({
          ...{ address: formatMac(address), port, ageSeconds: age / 1e6 },
        })),
      }
    })
  }
}
