/** Which IPv6 addresses mean this node. */
import { IpAddress } from '../../../src/kernel/address.ts'
import { commonPrefix } from '../../../src/kernel/address-selection.ts'
import { folded } from '../flow.ts'
import { isLoopback, LOOPBACK } from './address-kinds.ts'
import type { Ipv6Assigned, Ipv6Port } from './port.ts'

interface Declared {
  readonly prefix: IpAddress
  readonly length: number
}

export class Addresses {
  /** Of all links, by `folded`. */
  private readonly own = new Map<number, Ipv6Assigned[]>()
  private declared: readonly Declared[] = []
  /** The last of others that was asked for, at first an IPv4 address; and the last of ours, at first loopback's. */
  private readonly lastSource = new IpAddress()
  private readonly lastLocal = LOOPBACK.clone()

  /** Takes the addresses of all ports anew. */
  update(ports: readonly (Ipv6Port | undefined)[]): void {
    this.own.clear()
    this.lastSource.setIpv4(0)
    this.lastLocal.set(LOOPBACK)
    for (const port of ports) {
      for (const assigned of port?.addresses ?? []) {
        if (!assigned.usable) continue
        const key = folded(assigned.address)
        const others = this.own.get(key)
        if (others === undefined) this.own.set(key, [assigned])
        else others.push(assigned)
      }
    }
  }

  /** Packets to it are for us: it is assigned, loopback, or of a declared prefix. */
  isLocal(address: IpAddress): boolean {
    if (address.equals(this.lastLocal)) return true
    if (!this.isAssigned(address) && !isLoopback(address) && !this.isDeclared(address)) return false
    this.lastLocal.set(address)
    return true
  }

  isAssigned(address: IpAddress): boolean {
    return this.find(address, 0) !== undefined
  }

  /** The address as it is assigned to a link; to any when `link` is 0. */
  find(address: IpAddress, link: number): Ipv6Assigned | undefined {
    const found = this.own.get(folded(address))
    if (found === undefined) return undefined
    for (const assigned of found) {
      if (assigned.address.equals(address) && (link === 0 || assigned.link === link)) return assigned
    }
    return undefined
  }

  /** Can a packet that came in by a link have this source? Not if it is ours. Remembers the last one. */
  isForeign(address: IpAddress): boolean {
    if (address.equals(this.lastSource)) return true
    if (this.isAssigned(address)) return false
    this.lastSource.set(address)
    return true
  }

  declare(prefix: IpAddress, length: number): () => void {
    const added: Declared = { prefix: prefix.clone(), length }
    this.declared = [...this.declared, added]
    return () => {
      this.declared = this.declared.filter((other) => other !== added)
      this.lastLocal.set(LOOPBACK)
    }
  }

  private isDeclared(address: IpAddress): boolean {
    for (const { prefix, length } of this.declared) if (commonPrefix(address, prefix) >= length) return true
    return false
  }
}
