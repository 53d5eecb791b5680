/**
 * What ARP and Neighbour Discovery do alike around the neighbour cache: ask it, drive it, and move what comes out. How
 * one asks on the link, and where packets go, is what each adds.
 */
import type { IpAddress } from '../../src/kernel/address.ts'
import { Drive, type Pump } from '../../src/kernel/drive.ts'
import type { Env } from '../../src/kernel/env.ts'
import type { Packet } from '../../src/kernel/packet.ts'
import type { Random } from '../../src/kernel/random.ts'
import type { LinkAddress } from '../datalink/service.ts'
import { type Neighbour, NeighbourCache } from './neighbour-cache.ts'
import { type NeighbourOptions, type NeighbourSnapshot, type Neighbours, UNRESOLVED } from './neighbours.ts'

export abstract class Resolution implements Omit<Neighbours, 'claim' | 'renounce' | 'close'>, Pump {
  protected readonly env: Env
  protected readonly cache: NeighbourCache
  protected readonly drive: Drive

  constructor(env: Env, options: NeighbourOptions, random: Random) {
    this.env = env
    this.cache = new NeighbourCache(options, random)
    this.drive = new Drive(this.cache, env.timers, this)
  }

  /** Asks on the link for a neighbour: at its link address while in `probe`, else all. */
  protected abstract solicit(entry: Neighbour): void
  /** Sends a packet whose neighbour is known now. Takes ownership, as the next three do. */
  protected abstract transmit(packet: Packet, peer: LinkAddress): void
  /** Nobody answers for `nextHop`, which is scratch. */
  protected abstract undeliverable(packet: Packet, nextHop: IpAddress): void
  /** Drops a packet because too many wait. */
  protected abstract overflow(packet: Packet): void

  resolve(nextHop: IpAddress, packet: Packet): LinkAddress | typeof UNRESOLVED {
    const peer = this.cache.usable(nextHop)
    return peer === UNRESOLVED ? this.ask(nextHop, packet) : peer
  }

  confirm(nextHop: IpAddress): void {
    this.cache.confirm(nextHop, this.env.clock.now())
    this.drive.arm()
  }

  doubt(nextHop: IpAddress): void {
    const now = this.env.clock.now()
    this.cache.doubt(nextHop, now)
    this.drive.run(now)
  }

  setPermanent(address: IpAddress, linkAddress: LinkAddress): void {
    const now = this.env.clock.now()
    this.cache.setPermanent(address, linkAddress, now)
    this.drive.run(now)
  }

  forget(address: IpAddress): boolean {
    const there = this.cache.forget(address, this.env.clock.now())
    this.drive.arm()
    return there
  }

  list(): readonly NeighbourSnapshot[] {
    return this.cache.list()
  }

  pump(): void {
    this.solicitDue()
    const { cache } = this
    for (let packet = cache.take(); packet !== undefined; packet = cache.take()) this.transmit(packet, cache.peer)
    for (let packet = cache.takeUndeliverable(); packet !== undefined; packet = cache.takeUndeliverable()) {
      this.undeliverable(packet, cache.nextHop)
    }
  }

  /** The link went down: what was known of it goes. */
  protected forgetAll(): void {
    this.cache.clear(this.env.clock.now())
    this.drive.arm()
  }

  /** Ends it: `drop` takes the packets that wait. */
  protected stopResolving(drop: (packet: Packet) => void): void {
    this.drive.stop()
    this.cache.clear(this.env.clock.now())
    for (let packet = this.cache.takeUndeliverable(); packet !== undefined; packet = this.cache.takeUndeliverable()) {
      drop(packet)
    }
  }

  private ask(nextHop: IpAddress, packet: Packet): LinkAddress {
    const peer = this.cache.offer(nextHop, packet, this.env.clock.now())
    for (let over = this.cache.takeOverflow(); over !== undefined; over = this.cache.takeOverflow()) this.overflow(over)
    this.solicitDue()
    this.drive.arm()
    return peer
  }

  private solicitDue(): void {
    for (let entry = this.cache.output(); entry !== undefined; entry = this.cache.output()) this.solicit(entry)
  }
}
