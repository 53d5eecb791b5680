/** The options of the network control protocols: IPCP's address (RFC 1332 §3.3), IPv6CP's interface identifier (RFC 5072 §4.1). */
import type { Random } from '../../../src/kernel/random.ts'
import type { Policy, Verdict } from './automaton.ts'
import { CODE, numberOf, type Option, option } from './control.ts'

const IP_ADDRESS = 3
const INTERFACE_IDENTIFIER = 1
const IDENTIFIER_OCTETS = 8

/** IPCP: the IPv4 address of each end. Header compression is refused. */
export class IpcpPolicy implements Policy {
  /** Ours and the peer's, as words; 0 while not known. */
  local = 0
  peer = 0
  private readonly wishedLocal: number
  private readonly wishedPeer: number
  private unwanted = false

  /** @param local ours, or 0 to be told. @param peer the peer's, or 0 to leave it to the peer. */
  constructor(local: number, peer: number) {
    this.wishedLocal = local
    this.wishedPeer = peer
  }

  reset(): void {
    this.local = this.wishedLocal
    this.peer = 0
    this.unwanted = false
  }

  request(): Option[] {
    return this.unwanted ? [] : [option(IP_ADDRESS, this.local, 4)]
  }

  judge(options: readonly Option[]): Verdict {
    const foreign = options.filter(({ type, data }) => type !== IP_ADDRESS || data.length !== 4)
    if (foreign.length > 0) return { code: CODE.configureReject, options: foreign }
    for (const asked of options) {
      const address = numberOf(asked, 4)
      const insists = this.wishedPeer !== 0 && address !== this.wishedPeer
      if (insists) return { code: CODE.configureNak, options: [option(IP_ADDRESS, this.wishedPeer, 4)] }
      // It asks for an address, and we have none to give.
      if (address === 0) return { code: CODE.configureReject, options: [asked] }
      this.peer = address
    }
    return { code: CODE.configureAck, options: [] }
  }

  /** An address we were given is ours for good; without one, we take what the peer says. */
  nakked(options: readonly Option[]): void {
    for (const wanted of options) {
      if (wanted.type === IP_ADDRESS && this.wishedLocal === 0) this.local = numberOf(wanted, 4)
    }
  }

  rejected(options: readonly Option[]): void {
    if (options.some(({ type }) => type === IP_ADDRESS)) this.unwanted = true
  }
}

/** IPv6CP: the lower half of each end's link-local address. */
export class Ipv6cpPolicy implements Policy {
  /** Octets of both identifiers; the peer's is null while not known. */
  local: Uint8Array = new Uint8Array(IDENTIFIER_OCTETS)
  peer: Uint8Array | null = null
  private readonly random: Random
  private unwanted = false

  constructor(random: Random) {
    this.random = random
  }

  reset(): void {
    this.local = this.any()
    this.peer = null
    this.unwanted = false
  }

  request(): Option[] {
    return this.unwanted ? [] : [{ type: INTERFACE_IDENTIFIER, data: this.local }]
  }

  judge(options: readonly Option[]): Verdict {
    const foreign = options.filter(
      ({ type, data }) => type !== INTERFACE_IDENTIFIER || data.length !== IDENTIFIER_OCTETS,
    )
    if (foreign.length > 0) return { code: CODE.configureReject, options: foreign }
    for (const { data } of options) {
      // Zero asks for one; ours would be no other than ours (§4.1).
      if (isZero(data) || isSame(data, this.local)) {
        return { code: CODE.configureNak, options: [{ type: INTERFACE_IDENTIFIER, data: this.any() }] }
      }
      this.peer = data.slice()
    }
    return { code: CODE.configureAck, options: [] }
  }

  nakked(options: readonly Option[]): void {
    for (const { type, data } of options) {
      if (type === INTERFACE_IDENTIFIER && data.length === IDENTIFIER_OCTETS && !isZero(data)) this.local = data.slice()
    }
  }

  rejected(): void {
    this.unwanted = true
  }

  /** Not the identifier of a device: its universal/local bit is 0 (§4.1). */
  private any(): Uint8Array {
    const octets = this.random.octets(IDENTIFIER_OCTETS).slice()
    octets[0] = (octets[0] as number) & ~2
    octets[7] = (octets[7] as number) | 1
    return octets
  }
}

const isZero = (octets: Uint8Array): boolean => octets.every((octet) => octet === 0)
const isSame = (a: Uint8Array, b: Uint8Array): boolean => a.every((octet, i) => octet === b[i])
