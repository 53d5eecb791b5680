/**
 * What a dump remembers of earlier packets. The TCP connections it has seen, for sequence numbers that count from the beginning of their connection: the SYN is
 * shown as it is, its first octet of data is 1, as other dump tools show it. What began before the capture counts from
 * the first segment that was seen. And the links of AX.25 that were set up with long control fields, which says no other frame.
 */
import type { IpAddress } from '../../src/kernel/address.ts'

/** Connections remembered; beyond, the one that began first is forgotten and counts anew. */
const MAX_FLOWS = 65_536

/** Links remembered; beyond, the one that was set up first is forgotten. */
const MAX_LINKS = 4096

/** One direction of a connection. */
export interface FlowKey {
  readonly source: IpAddress
  readonly destination: IpAddress
  readonly sourcePort: number
  readonly destinationPort: number
}

export class Flows {
  /** By direction: the sequence number that is shown as 0. */
  private readonly origins = new Map<string, number>()
  /** Pairs of stations whose numbers are modulo 128. */
  private readonly extended = new Set<string>()

  /** Learns from a segment. @param syn whether it opens the direction. */
  see(flow: FlowKey, sequence: number, syn: boolean, acknowledgment: number | undefined): void {
    const key = keyOf(flow)
    // Between a SYN and the first octet of data is one number (RFC 9293 §3.4).
    if (syn) this.learn(key, sequence)
    else if (!this.origins.has(key)) this.learn(key, sequence - 1)
    const back = keyOf(reverse(flow))
    if (acknowledgment !== undefined && !this.origins.has(back)) this.learn(back, acknowledgment - 1)
  }

  /** A sequence number of this direction, counted from its beginning; as it is where that is not known. */
  relative(flow: FlowKey, sequence: number): number {
    const origin = this.origins.get(keyOf(flow))
    return origin === undefined ? sequence : (sequence - origin) >>> 0
  }

  /** A link between two stations is set up, with numbers modulo 128 if `extended`. */
  setUp(a: string, b: string, extended: boolean): void {
    const pair = pairOf(a, b)
    this.extended.delete(pair)
    if (!extended) return
    this.extended.add(pair)
    if (this.extended.size <= MAX_LINKS) return
    for (const oldest of this.extended) {
      this.extended.delete(oldest)
      break
    }
  }

  /** Are the numbers of this link modulo 128? False where its beginning was not seen. */
  isExtended(a: string, b: string): boolean {
    return this.extended.has(pairOf(a, b))
  }

  private learn(key: string, origin: number): void {
    this.origins.delete(key)
    this.origins.set(key, origin)
    if (this.origins.size <= MAX_FLOWS) return
    for (const oldest of this.origins.keys()) {
      this.origins.delete(oldest)
      break
    }
  }
}

/** The other direction. */
export const reverse = (flow: FlowKey): FlowKey => ({
  source: flow.destination,
  destination: flow.source,
  sourcePort: flow.destinationPort,
  destinationPort: flow.sourcePort,
})

const pairOf = (a: string, b: string): string => (a < b ? `${a} ${b}` : `${b} ${a}`)

const keyOf = ({ source, destination, sourcePort, destinationPort }: FlowKey): string =>
  `${source} ${sourcePort} ${destination} ${destinationPort}`
