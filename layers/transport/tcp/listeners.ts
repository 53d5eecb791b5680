/** The listeners of a node, by port; which addresses are the node's own. */
import { IpAddress, tryParseAddress } from '../../../src/kernel/address.ts'
import type { NetworkService } from '../../network/service.ts'
import { type Bound, overlap, standsFor } from '../wildcard.ts'
import type { TcpListener } from './listener.ts'

export class Listeners {
  private readonly network: NetworkService
  private readonly byPort = new Map<number, TcpListener[]>()
  private own: readonly IpAddress[] = []
  private ownGeneration = -1

  constructor(network: NetworkService) {
    this.network = network
  }

  /** Would a listener that is bound so be in the way of another? Those of different links are not. @param link 0: all. */
  taken(bound: Bound, port: number, link: number): boolean {
    const meets = (listener: TcpListener) => listener.link === 0 || link === 0 || listener.link === link
    return this.byPort.get(port)?.some((listener) => meets(listener) && overlap(listener.bound, bound)) ?? false
  }

  add(listener: TcpListener): void {
    const listeners = this.byPort.get(listener.local.port)
    if (listeners === undefined) this.byPort.set(listener.local.port, [listener])
    else listeners.push(listener)
  }

  delete(listener: TcpListener): void {
    const left = (this.byPort.get(listener.local.port) ?? []).filter((other) => other !== listener)
    if (left.length === 0) this.byPort.delete(listener.local.port)
    else this.byPort.set(listener.local.port, left)
  }

  /** Who listens for `address` and `port` on a link? One that names the address comes before one that takes all. */
  find(address: IpAddress, port: number, link: number): TcpListener | undefined {
    let found: TcpListener | undefined
    for (const listener of this.byPort.get(port) ?? []) {
      if (listener.link !== 0 && listener.link !== link) continue
      const { address: local, ipv6Only } = listener.bound
      if (local.equals(address)) return listener
      if (local.isUnspecified && standsFor(local, ipv6Only, address)) found = listener
    }
    return found
  }

  /** Is it an address of a link, not of a prefix that was merely declared local? */
  isOwn(address: IpAddress): boolean {
    if (this.ownGeneration !== this.network.generation) {
      this.ownGeneration = this.network.generation
      this.own = this.network.control
        .addresses()
        .map((text) => tryParseAddress(text.split('/')[0] as string))
        .filter((parsed): parsed is IpAddress => parsed !== undefined)
    }
    return this.own.some((candidate) => candidate.equals(address)) || isLoopback(address)
  }

  *[Symbol.iterator](): IterableIterator<TcpListener> {
    for (const listeners of this.byPort.values()) yield* listeners
  }
}

function isLoopback(address: IpAddress): boolean {
  return address.isIpv4 ? address.w3 >>> 24 === 127 : address.equals(new IpAddress(0, 0, 0, 1))
}
