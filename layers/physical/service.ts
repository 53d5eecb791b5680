/** What the physical tier offers to the data link tier: octets or frames to one wire, without addresses. */
import type { Service } from '../../src/kernel/layer.ts'

/**
 * How a medium presents bits: a run of `octets` (serial line, stream); self-delimited `frames` with their FCS (cable,
 * UDP tunnel); `ethernet` frames without FCS (TAP); `ip` packets (TUN).
 */
export type Medium = 'octets' | 'frames' | 'ethernet' | 'ip'

/** What a link takes beyond single packets of the wire. */
export interface Offload {
  /** Largest super-segment, in octets of the whole packet at this boundary; 0 when it takes none. */
  readonly segment: number
  /** It completes, or vouches for, transport checksums: `packet.checksum` may be 'partial'. */
  readonly checksum: boolean
  /** What it delivers comes in bursts: segments of a flow are worth merging before a transport sees them. */
  readonly merge?: boolean
}

/** The offer of a link that takes only single, complete packets. */
export const NO_OFFLOAD: Offload = Object.freeze({ segment: 0, checksum: false })

/** The same of one that delivers many of them at a time. */
export const BURSTS: Offload = Object.freeze({ segment: 0, checksum: false, merge: true })

/** The wire has no addresses: `send(packet, undefined)`. */
export interface PhysicalService<M extends Medium = Medium> extends Service<undefined> {
  readonly tier: 'physical'
  readonly medium: M
  readonly offload: Offload
  /**
   * Of a medium that is a connection: ends it, since nothing that comes over it can be understood. The medium goes down for
   * `reason` before this returns, and up when there is another connection. Also from within `receive`.
   */
  hangUp?(reason: string): void
}
