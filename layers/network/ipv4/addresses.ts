/** Which IPv4 addresses mean this node, and which mean everybody on a link of it. */
import { maskIpv4 } from '../../../src/kernel/address.ts'
import type { Ipv4Port } from './port.ts'

/** 127.0.0.1 */
export const LOOPBACK: number = 0x7f00_0001
/** 255.255.255.255 */
export const LIMITED_BROADCAST: number = -1
/** 192.0.0.8: in whose name a router without any address reports errors (RFC 7600, RFC 9229). */
export const DUMMY: number = 0xc000_0008 | 0
/** 224.0.0.1: every host that takes multicasts is a member (RFC 1112 §7.2). */
export const ALL_HOSTS: number = 0xe000_0001 | 0

export const isLoopback = (word: number): boolean => word >>> 24 === 127
/** 224.0.0.0/4 */
/** 224.0.0.0/24: routers send it on to nobody (RFC 5771 §4). */
export const staysOnLink = (group: number): boolean => group >>> 8 === 0xe00000
export const isMulticast = (word: number): boolean => word >>> 28 === 14
/** 240.0.0.0/4, the limited broadcast included (RFC 1112 §4). */
export const isReserved = (word: number): boolean => word >>> 28 === 15
/** 0.0.0.0/8: this host on this network (RFC 1122 §3.2.1.3). */
export const isThisNetwork = (word: number): boolean => word >>> 24 === 0

interface Declared {
  readonly network: number
  readonly mask: number
}

export class Addresses {
  private readonly own = new Map<number, Ipv4Port>()
  private readonly broadcasts = new Map<number, Ipv4Port>()
  private declared: readonly Declared[] = []
  /** Of those that are foreign, and of ours, the ones looked for last: packets come and go in runs. 0: none. */
  private lastSource = 0
  private lastOwn = 0

  /** Takes the addresses of all ports anew. */
  update(ports: readonly (Ipv4Port | undefined)[]): void {
    this.own.clear()
    this.broadcasts.clear()
    this.lastSource = this.lastOwn = 0
    for (const port of ports) {
      for (const { address, length, usable } of port?.addresses ?? []) {
        if (port === undefined || !usable) continue
        this.own.set(address.w3, port)
        // Links of two stations have no broadcast (RFC 3021 §2.1); the address with host bits 0 is an old form of it.
        if (length > 30) continue
        this.broadcasts.set(address.w3 | ~maskIpv4(length), port)
        this.broadcasts.set(address.w3 & maskIpv4(length), port)
      }
    }
  }

  /** Packets to it are for us: it is assigned, loopback, or of a declared prefix. */
  isLocal(word: number): boolean {
    if (word === this.lastOwn && word !== 0) return true
    if (this.own.has(word)) {
      this.lastOwn = word
      return true
    }
    return isLoopback(word) || this.isDeclared(word)
  }

  /** Assigned to a link. */
  isAssigned(word: number): boolean {
    return this.own.has(word)
  }

  /** The link that `word` is a broadcast address of. */
  broadcastOf(word: number): Ipv4Port | undefined {
    return this.broadcasts.get(word)
  }

  /** Can a packet that came in by a link have this source? Not if it is ours or a broadcast. Remembers the last one. */
  isForeign(word: number): boolean {
    if (word === this.lastSource) return true
    if (this.own.has(word) || this.broadcasts.has(word)) return false
    this.lastSource = word
    return true
  }

  /** Any address of ours, or 0. */
  any(): number {
    for (const word of this.own.keys()) return word
    return 0
  }

  declare(network: number, length: number): () => void {
    const mask = maskIpv4(length)
    const added: Declared = { network: network & mask, mask }
    this.declared = [...this.declared, added]
    return () => {
      this.declared = this.declared.filter((other) => other !== added)
    }
  }

  private isDeclared(word: number): boolean {
    for (const { network, mask } of this.declared) if (((word ^ network) & mask) === 0) return true
    return false
  }
}
