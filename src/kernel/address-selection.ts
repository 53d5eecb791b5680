/**
 * Which of our addresses to send from, and which of a name's to try first (RFC 6724), for both families: pure functions
 * over addresses and what is known of them.
 */
import type { IpAddress } from './address.ts'

/** Scopes of addresses (RFC 4291 §2.7); those of stations are link-local or global, IPv4's by RFC 6724 §3.2. */
export const SCOPE: {
  readonly interfaceLocal: 1
  readonly linkLocal: 2
  readonly siteLocal: 5
  readonly global: 14
} = { interfaceLocal: 1, linkLocal: 2, siteLocal: 5, global: 14 }

/** How far an address reaches: 0 to 15. */
export function scopeOf(address: IpAddress): number {
  const { w0, w1, w2, w3 } = address
  if (address.isIpv4) return w3 >>> 24 === 127 || w3 >>> 16 === 0xa9fe ? SCOPE.linkLocal : SCOPE.global
  if (w0 >>> 24 === 0xff) return (w0 >>> 16) & 15
  const site = w0 >>> 22
  if (site === 0xfe80 >>> 6 || (w0 === 0 && w1 === 0 && w2 === 0 && w3 === 1)) return SCOPE.linkLocal
  return site === 0xfec0 >>> 6 ? SCOPE.siteLocal : SCOPE.global
}

/** A row of the policy table (RFC 6724 §2.1): the prefix of the longest match counts. */
interface Policy {
  readonly word: readonly [number, number, number, number]
  readonly length: number
  readonly precedence: number
  readonly label: number
}

/** In an order in which the first match is the longest. */
const POLICIES: readonly Policy[] = [
  { word: [0, 0, 0, 1], length: 128, precedence: 50, label: 0 },
  { word: [0, 0, 0xffff, 0], length: 96, precedence: 35, label: 4 },
  { word: [0, 0, 0, 0], length: 96, precedence: 1, label: 3 },
  { word: [0x2001_0000, 0, 0, 0], length: 32, precedence: 5, label: 5 },
  { word: [0x2002_0000, 0, 0, 0], length: 16, precedence: 30, label: 2 },
  { word: [0x3ffe_0000, 0, 0, 0], length: 16, precedence: 1, label: 12 },
  { word: [0xfec0_0000 | 0, 0, 0, 0], length: 10, precedence: 1, label: 11 },
  { word: [0xfc00_0000 | 0, 0, 0, 0], length: 7, precedence: 3, label: 13 },
  { word: [0, 0, 0, 0], length: 0, precedence: 40, label: 1 },
]

function policyOf(address: IpAddress): Policy {
  for (const policy of POLICIES) {
    const [w0, w1, w2, w3] = policy.word
    if (commonBits(address.w0, address.w1, address.w2, address.w3, w0, w1, w2, w3) >= policy.length) return policy
  }
  throw new Error('the last row matches every address')
}

/** 0 to 13 of the default policy table. */
export const labelOf = (address: IpAddress): number => policyOf(address).label
/** Higher is better. */
export const precedenceOf = (address: IpAddress): number => policyOf(address).precedence

/** The leading bits that two addresses share: 0 to 128. */
export function commonPrefix(a: IpAddress, b: IpAddress): number {
  return commonBits(a.w0, a.w1, a.w2, a.w3, b.w0, b.w1, b.w2, b.w3)
}

function commonBits(
  a0: number,
  a1: number,
  a2: number,
  a3: number,
  b0: number,
  b1: number,
  b2: number,
  b3: number,
): number {
  if (a0 !== b0) return Math.clz32(a0 ^ b0)
  if (a1 !== b1) return 32 + Math.clz32(a1 ^ b1)
  if (a2 !== b2) return 64 + Math.clz32(a2 ^ b2)
  return 96 + Math.clz32(a3 ^ b3)
}

/** An address of ours that a packet may be sent from. */
export interface SourceCandidate {
  readonly address: IpAddress
  /** Of its prefix, in bits of 128. */
  readonly length: number
  /** To be avoided for new flows (RFC 4862 §5.5.4). */
  readonly deprecated: boolean
  /** The index of the link it is on. */
  readonly link: number
}

/**
 * Is `a` a better source than `b` (RFC 6724 §5)? Rules 4 and 7 are void: there are neither home nor temporary addresses.
 * @param link by which the packet leaves.
 */
export function isBetterSource(a: SourceCandidate, b: SourceCandidate, destination: IpAddress, link: number): boolean {
  if (a.address.equals(destination) !== b.address.equals(destination)) return a.address.equals(destination) // rule 1
  const scopeA = scopeOf(a.address)
  const scopeB = scopeOf(b.address)
  const wanted = scopeOf(destination)
  if (scopeA !== scopeB) return scopeA < scopeB ? scopeA >= wanted : scopeB < wanted // rule 2
  if (a.deprecated !== b.deprecated) return b.deprecated // rule 3
  if ((a.link === link) !== (b.link === link)) return a.link === link // rule 5
  const label = labelOf(destination)
  const matches = labelOf(a.address) === label
  if (matches !== (labelOf(b.address) === label)) return matches // rule 6
  const lengthA = Math.min(a.length, commonPrefix(a.address, destination))
  return lengthA > Math.min(b.length, commonPrefix(b.address, destination)) // rule 8
}

/** An address of a name, and where a packet to it would come from. */
export interface DestinationCandidate {
  readonly address: IpAddress
  /** Undefined when there is no way to the address. */
  readonly source: { readonly address: IpAddress; readonly length: number; readonly deprecated: boolean } | undefined
}

/**
 * The addresses of a name in the order in which to try them (RFC 6724 §6). Rules 4 and 7 are void, as above; equals stay
 * in the order of the name server (rule 10).
 */
export function orderDestinations<Candidate extends DestinationCandidate>(
  candidates: readonly Candidate[],
): Candidate[] {
  return candidates.toSorted(compareDestinations)
}

function compareDestinations(a: DestinationCandidate, b: DestinationCandidate): number {
  if (a.source === undefined || b.source === undefined) {
    return Number(a.source === undefined) - Number(b.source === undefined) // rule 1
  }
  const [scopeA, scopeB] = [scopeOf(a.address), scopeOf(b.address)]
  const strayA = scopeA !== scopeOf(a.source.address)
  const strayB = scopeB !== scopeOf(b.source.address)
  if (strayA !== strayB) return Number(strayA) - Number(strayB) // rule 2
  if (a.source.deprecated !== b.source.deprecated) {
    return Number(a.source.deprecated) - Number(b.source.deprecated) // rule 3
  }
  const oddA = labelOf(a.address) !== labelOf(a.source.address)
  const oddB = labelOf(b.address) !== labelOf(b.source.address)
  if (oddA !== oddB) return Number(oddA) - Number(oddB) // rule 5
  const precedence = precedenceOf(b.address) - precedenceOf(a.address)
  if (precedence !== 0) return precedence // rule 6
  if (scopeA !== scopeB) return scopeA - scopeB // rule 8
  if (a.address.isIpv4 !== b.address.isIpv4) return 0
  return sharedWithSource(b) - sharedWithSource(a) // rule 9
}

function sharedWithSource({ address, source }: DestinationCandidate): number {
  return source === undefined ? 0 : Math.min(source.length, commonPrefix(address, source.address))
}
