/** Our addresses on one link, each with its claim and what drives it. Few, so they are searched one by one. */
import type { IpAddress } from '../../../../src/kernel/address.ts'
import { commonPrefix } from '../../../../src/kernel/address-selection.ts'
import type { Drive } from '../../../../src/kernel/drive.ts'
import { isLinkLocal } from '../address-kinds.ts'
import type { AddressClaim } from './address-claim.ts'
import { ownPrefix, type PrefixSettings } from './advertise-options.ts'

interface Claimed {
  readonly claim: AddressClaim
  readonly drive: Drive
}

export class Claims {
  private claimed: Claimed[] = []

  add(claim: AddressClaim, drive: Drive): void {
    this.claimed.push({ claim, drive })
  }

  find(address: IpAddress): AddressClaim | undefined {
    for (const { claim } of this.claimed) if (claim.address.equals(address)) return claim
    return undefined
  }

  /** Ends a claim. @returns whether it was there. */
  remove(address: IpAddress): boolean {
    const at = this.claimed.findIndex(({ claim }) => claim.address.equals(address))
    if (at < 0) return false
    this.claimed[at]?.drive.stop()
    this.claimed.splice(at, 1)
    return true
  }

  /** The addresses that are ours to use. */
  held(): IpAddress[] {
    return this.claimed.filter(({ claim }) => claim.state === 'held').map(({ claim }) => claim.address)
  }

  /** As which of our addresses we ask for `target`: one of its network, else the link-local one, else any. */
  sourceFor(target: IpAddress): IpAddress | undefined {
    let source: IpAddress | undefined
    for (const { claim } of this.claimed) {
      if (claim.state !== 'held') continue
      if (commonPrefix(claim.address, target) >= claim.length) return claim.address
      if (source === undefined || isLinkLocal(claim.address)) source = claim.address
    }
    return source
  }

  /** What routers speak with (RFC 4861 §6.1.2). */
  linkLocal(): IpAddress | undefined {
    return this.held().find(isLinkLocal)
  }

  /** The networks of 64 bits that we have an address of, each once. @param most no more than these. */
  prefixes(most: number): PrefixSettings[] {
    const found: PrefixSettings[] = []
    for (const { claim } of this.claimed) {
      const { address, length, state } = claim
      if (state !== 'held' || length !== 64 || isLinkLocal(address) || found.length >= most) continue
      if (!found.some(({ prefix }) => commonPrefix(prefix, address) >= 64)) found.push(ownPrefix(address))
    }
    return found
  }

  close(): void {
    for (const { drive } of this.claimed) drive.stop()
    this.claimed = []
  }
}
