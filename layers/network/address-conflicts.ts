/**
 * Other stations of a link that use addresses of ours (RFC 4862 §5.4, RFC 5227), for whoever looks after the node: what is
 * done about them is decided by those who find neighbours.
 */
import type { AddressConflict } from '../../src/api/routes.ts'
import { formatMac, type IpAddress } from '../../src/kernel/address.ts'
import { type Clock, type Instant, seconds } from '../../src/kernel/clock.ts'
import type { LinkAddress } from '../datalink/service.ts'

/** Addresses that are remembered; the one that was heard of least lately gives way. */
const MOST = 32
/** Of a station that has not been heard of for so long we say nothing more. */
const OVER_AFTER = seconds(600)

interface Known {
  readonly address: IpAddress
  peer: LinkAddress
  lost: boolean
  /** Until the address is given anew, or taken away. */
  lasting: boolean
  times: number
  at: Instant
}

export class AddressConflicts {
  /** The one heard of last behind. */
  private known: Known[] = []
  private readonly clock: Clock

  constructor(clock: Clock) {
    this.clock = clock
  }

  /**
   * A station has shown that it uses an address.
   * @param peer as `NeighbourOwner.conflict` has it. @param lost we do not use it any more.
   * @param lasting where it is lost: nothing but its configuration brings it back.
   * @returns whether that is news.
   */
  add(address: IpAddress, peer: LinkAddress, lost: boolean, lasting: boolean): boolean {
    const now = this.expire()
    const before = this.take(address)
    const known = before ?? { address: address.clone(), peer, lost, lasting, times: 0, at: now }
    const isNews = before === undefined || before.lost !== lost
    this.known.push(Object.assign(known, { peer, lost, lasting: lost && lasting, times: known.times + 1, at: now }))
    if (this.known.length > MOST) this.known.shift()
    return isNews
  }

  /** The address is given to the link anew, or taken away. */
  forget(address: IpAddress): void {
    this.take(address)
  }

  list(): AddressConflict[] {
    const now = this.expire()
    return this.known.map(({ address, peer, lost, times, at }) => ({
      address: address.toString(),
      linkAddress: peer < 0 ? undefined : formatMac(peer),
      lost,
      times,
      age: now - at,
    }))
  }

  private take(address: IpAddress): Known | undefined {
    const at = this.known.findIndex((each) => each.address.equals(address))
    return at < 0 ? undefined : this.known.splice(at, 1)[0]
  }

  /** @returns now. */
  private expire(): Instant {
    const now = this.clock.now()
    this.known = this.known.filter(({ lasting, at }) => lasting || now - at < OVER_AFTER)
    return now
  }
}
