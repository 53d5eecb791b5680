/**
 * Neighbours: which station of a link an address of the network belongs to. The interface that ARP and Neighbour
 * Discovery share, and the cache behind both, as a machine (RFC 4861 §7.3, which Linux also follows for ARP).
 *
 *                  resolve()               answered
 *      (no entry) ──────────► incomplete ────────────► reachable ◄───────────────┐
 *          ▲                      │ no answer              │ not confirmed       │ answered,
 *          │ held 1 s             ▼                        ▼                     │ or confirmed
 *          └──────────────── failed                      stale ──► delay ──► probe ──► (no entry)
 *                                                           resolve()   5 s     no answer
 *
 * Every state but `stale` and `permanent` lasts equally long for all entries, so each state is a list in the order of
 * its deadlines: the next deadline is at the head of one of them, and nothing is searched or sorted.
 */
import { IpAddress } from '../../src/kernel/address.ts'
import { type Duration, type Instant, ms, seconds } from '../../src/kernel/clock.ts'
import type { Timed } from '../../src/kernel/machine.ts'
import type { Packet } from '../../src/kernel/packet.ts'
import { Queue } from '../../src/kernel/queue.ts'
import { below, type Random } from '../../src/kernel/random.ts'
import type { LinkAddress } from '../datalink/service.ts'

/** What `resolve` returns when it has taken the packet, and a solicitation where there is no address yet. */
export const UNRESOLVED: -1 = -1

export type NeighbourState = 'incomplete' | 'reachable' | 'stale' | 'delay' | 'probe' | 'failed' | 'permanent'

/** What the network layer asks of the resolution on one link. */
export interface Neighbours {
  /**
   * The station to send a packet to. On UNRESOLVED the packet has been taken: it is sent on the link once the
   * neighbour answers, given to `NeighbourOwner.undeliverable` when it does not, or dropped and counted.
   * @param nextHop read during the call only.
   */
  resolve(nextHop: IpAddress, packet: Packet): LinkAddress | typeof UNRESOLVED
  /** Something above knows that the neighbour received what we sent it (RFC 4861 §7.3.1). */
  confirm(nextHop: IpAddress): void
  /**
   * Answers for `address` from now on, after the check for conflicts if that is configured, and announces it.
   * @param length of its prefix; chooses whom we ask as this address.
   */
  claim(address: IpAddress, length: number): void
  /** No longer answers for `address`. */
  renounce(address: IpAddress): void
  /** Enters a neighbour that is neither checked nor changed nor forgotten. */
  setPermanent(address: IpAddress, linkAddress: LinkAddress): void
  /** Forgets a neighbour. @returns whether it was there. */
  forget(address: IpAddress): boolean
  /** Every entry, for listings. */
  list(): readonly NeighbourSnapshot[]
  /** Stops timers, detaches from the link, releases the packets that wait. */
  close(): void
}

export interface NeighbourSnapshot {
  readonly address: IpAddress
  /** Undefined while unknown. */
  readonly linkAddress: LinkAddress | undefined
  readonly state: NeighbourState
}

/** Told by the resolution, always from a turn of its own, never within `resolve`. */
export interface NeighbourOwner {
  /** Nobody answers for `nextHop`: the packet did not leave the node. Hands over ownership; `nextHop` is scratch. */
  undeliverable(packet: Packet, nextHop: IpAddress): void
  /** `address` is ours to use: nobody else claimed it. Told at once by `claim` where conflicts are not looked for. */
  claimed?(address: IpAddress): void
  /**
   * Another station uses one of our addresses.
   * @param lost true when it must not be used, or used any longer (RFC 5227 §2.1.1, §2.4); then it is renounced already.
   */
  conflict?(address: IpAddress, peer: LinkAddress, lost: boolean): void
}
