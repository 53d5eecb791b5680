/**
 * Neighbours: which station of a link an address of the network belongs to. What ARP and Neighbour Discovery offer the
 * network layer, so that it need not know which of them is below; the cache behind both is in neighbour-cache.ts.
 */
import type { IpAddress } from '../../src/kernel/address.ts'
import type { Duration } from '../../src/kernel/clock.ts'
import { integer } from '../../src/kernel/errors.ts'
import type { Packet } from '../../src/kernel/packet.ts'
import type { LinkAddress } from '../datalink/service.ts'

/** What `resolve` returns when it has taken the packet, and a solicitation where there is no address yet. */
export const UNRESOLVED: -1 = -1

export type NeighbourState = 'incomplete' | 'reachable' | 'stale' | 'delay' | 'probe' | 'failed' | 'permanent'

/** What the network layer asks of the resolution on one link. */
export interface Neighbours {
  /**
   * The station to send a packet to. On UNRESOLVED the packet has been taken: it is sent on the link once the
   * neighbour answers, given to `NeighbourOwner.undeliverable` when it does not, or dropped and counted.
   * @param nextHop a single station's address; read during the call only.
   * @param packet ready for `send` of the link: with its header and room, and no more offload than the link offers.
   */
  resolve(nextHop: IpAddress, packet: Packet): LinkAddress | typeof UNRESOLVED
  /** Something above knows that the neighbour received what we sent it (RFC 4861 §7.3.1). */
  confirm(nextHop: IpAddress): void
  /** The opposite: what we send by it is not answered. It is asked at once (RFC 9293 §3.8.3). */
  doubt(nextHop: IpAddress): void
  /**
   * Takes `address` for this node: announces it and answers for it, after the check for conflicts if configured.
   * @param length of its prefix; chooses whom we ask as this address.
   * @returns true: it can be used at once. False: wait for `NeighbourOwner.claimed`.
   */
  claim(address: IpAddress, length: number): boolean
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
  /** After `claim` returned false: `address` is ours to use, nobody else has claimed it. */
  claimed?(address: IpAddress): void
  /**
   * Another station uses one of our addresses.
   * @param lost true when the claim failed: it must not be used (RFC 5227 §2.1.1), and is renounced already. False
   *   when we keep and defend it (§2.4 (c)).
   */
  conflict?(address: IpAddress, peer: LinkAddress, lost: boolean): void
}

/** How long states last (1 us to 1 day) and how much is kept (1 to 2^20); RFC 4861 §10's constants unless said otherwise. */
export interface NeighbourOptions {
  /** Neighbours known or sought on this link. Default 1024. */
  readonly entries?: number | undefined
  /** Packets that wait for one neighbour; the oldest gives way. Default 64. */
  readonly waiting?: number | undefined
  /** Packets that wait for all neighbours of the link together. Default 1024. */
  readonly waitingInAll?: number | undefined
  /** Mean time for which an answer counts as proof of reachability. Default 30 s. */
  readonly reachable?: Duration | undefined
  /** Time between solicitations. Default 1 s. */
  readonly retransmit?: Duration | undefined
  /** Solicitations before a neighbour is given up: 1 to 100. Default 3. */
  readonly tries?: number | undefined
  /** How long after its first use a stale address is relied on before it is probed. Default 5 s. */
  readonly delay?: Duration | undefined
  /** How long a neighbour that did not answer is not asked for again. Default 1 s; ours, to bound solicitations. */
  readonly hold?: Duration | undefined
}

const MOST = 2 ** 20
const MOST_TRIES = 100
const DAY: Duration = 86_400_000_000

/** @throws RangeError ERR_OUT_OF_RANGE, TypeError ERR_INVALID_ARG_TYPE — see `NeighbourOptions`. */
export function checkNeighbours(options: NeighbourOptions): void {
  const { entries, waiting, waitingInAll, tries, reachable, retransmit, delay, hold } = options
  for (const [name, value] of Object.entries({ entries, waiting, waitingInAll })) {
    if (value !== undefined) integer(name, value, 1, MOST)
  }
  if (tries !== undefined) integer('tries', tries, 1, MOST_TRIES)
  for (const [name, value] of Object.entries({ reachable, retransmit, delay, hold })) {
    if (value !== undefined) integer(name, value, 1, DAY)
  }
}
