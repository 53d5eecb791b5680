/**
 * Finds what a segment belongs to by its four addresses and ports (and its link, where those are link-local): open addressing with linear probing in one
 * Int32Array, mixed with a key that peers do not know, so that they cannot aim at one place of the table.
 *
 *   slots   │ hash │ place + 1 │ hash │ 0 (empty) │ …        places   │ flow │ flow │ …
 */
import type { Endpoint } from '../../../src/api/sockets.ts'
import type { IpAddress } from '../../../src/kernel/address.ts'
import type { HashKey } from '../../../src/kernel/keyed-hash.ts'

/** Something with two ends. */
export interface Flow {
  readonly local: Endpoint
  readonly remote: Endpoint
  /** Index of the link that a link-local `remote` is on, as another link may have one of the same address; else 0. */
  readonly scope: number
}

/** The scope of a flow to this end. @param link index of the one that leads there. */
export const scopeOf = ({ address }: Endpoint, link: number): number => (address.isScoped ? link : 0)

/** Both ends as the first nine words of what is to be hashed. */
export function writeEnds(words: Int32Array, local: Endpoint, remote: Endpoint): void {
  words[0] = local.address.w0
  words[1] = local.address.w1
  words[2] = local.address.w2
  words[3] = local.address.w3
  words[4] = remote.address.w0
  words[5] = remote.address.w1
  words[6] = remote.address.w2
  words[7] = remote.address.w3
  words[8] = (local.port << 16) | remote.port
}

const FIRST_SLOTS = 64

export class FlowTable<T extends Flow> {
  private readonly key: HashKey
  private slots: Int32Array = new Int32Array(FIRST_SLOTS * 2)
  private mask = FIRST_SLOTS - 1
  private readonly flows: (T | undefined)[] = []
  private readonly free: number[] = []
  private count = 0
  /** What `find` found last: segments come in runs. */
  private last: T | undefined

  constructor(key: HashKey) {
    this.key = key
  }

  get size(): number {
    return this.count
  }

  /** @param link index of the one the segment came by; 0: the node itself, or unknown. */
  find(local: IpAddress, localPort: number, remote: IpAddress, remotePort: number, link: number): T | undefined {
    const { last } = this
    if (last !== undefined && isBetween(last, local, localPort, remote, remotePort, link)) return last
    const hash = this.hash(local, localPort, remote, remotePort)
    for (let i = hash & this.mask; ; i = (i + 1) & this.mask) {
      const place = this.slots[2 * i + 1] as number
      if (place === 0) return undefined
      if (this.slots[2 * i] !== hash) continue
      const flow = this.flows[place - 1] as T
      if (isBetween(flow, local, localPort, remote, remotePort, link)) {
        this.last = flow
        return flow
      }
    }
  }

  /** There is none with the same ends yet. */
  add(flow: T): void {
    if ((this.count + 1) * 2 > this.mask + 1) this.grow()
    const place = this.free.pop() ?? this.flows.length
    this.flows[place] = flow
    this.count++
    this.put(this.hashOf(flow), place + 1)
  }

  /** @returns whether it was there. */
  delete(flow: T): boolean {
    if (this.last === flow) this.last = undefined
    const hash = this.hashOf(flow)
    for (let i = hash & this.mask; ; i = (i + 1) & this.mask) {
      const place = this.slots[2 * i + 1] as number
      if (place === 0) return false
      if (this.flows[place - 1] !== flow) continue
      this.flows[place - 1] = undefined
      this.free.push(place - 1)
      this.count--
      this.close(i)
      return true
    }
  }

  *[Symbol.iterator](): IterableIterator<T> {
    for (const flow of this.flows) if (flow !== undefined) yield flow
  }

  private hashOf({ local, remote }: T): number {
    return this.hash(local.address, local.port, remote.address, remote.port)
  }

  private hash(local: IpAddress, localPort: number, remote: IpAddress, remotePort: number): number {
    const [k0, k1, k2, k3] = this.key
    let h = mix(k0 ^ remote.w3, remote.w2 ^ k1)
    h = mix(h ^ ((localPort << 16) | remotePort), local.w3 ^ k2)
    if (!remote.isIpv4) h = mix(mix(h ^ remote.w0, remote.w1), mix(local.w0 ^ k3, local.w1 ^ local.w2))
    return mix(h, k3)
  }

  private put(hash: number, entry: number): void {
    let i = hash & this.mask
    while (this.slots[2 * i + 1] !== 0) i = (i + 1) & this.mask
    this.slots[2 * i] = hash
    this.slots[2 * i + 1] = entry
  }

  /** Empties slot `hole` and moves up those behind it that would not be found otherwise (Knuth 6.4, algorithm R). */
  private close(hole: number): void {
    let gap = hole
    for (let i = (gap + 1) & this.mask; this.slots[2 * i + 1] !== 0; i = (i + 1) & this.mask) {
      const home = (this.slots[2 * i] as number) & this.mask
      if (((i - home) & this.mask) < ((i - gap) & this.mask)) continue
      this.slots[2 * gap] = this.slots[2 * i] as number
      this.slots[2 * gap + 1] = this.slots[2 * i + 1] as number
      gap = i
    }
    this.slots[2 * gap + 1] = 0
  }

  private grow(): void {
    const old = this.slots
    this.slots = new Int32Array(old.length * 2)
    this.mask = this.slots.length / 2 - 1
    for (let i = 0; i < old.length; i += 2) {
      if (old[i + 1] !== 0) this.put(old[i] as number, old[i + 1] as number)
    }
  }
}

function isBetween(
  flow: Flow,
  local: IpAddress,
  localPort: number,
  remote: IpAddress,
  remotePort: number,
  link: number,
): boolean {
  return (
    flow.remote.port === remotePort &&
    flow.local.port === localPort &&
    flow.remote.address.equals(remote) &&
    flow.local.address.equals(local) &&
    (flow.scope === 0 || flow.scope === link || link === 0)
  )
}

/** Two rounds of multiplication and folding (after MurmurHash3's finaliser). */
function mix(a: number, b: number): number {
  let h = Math.imul(a ^ (a >>> 16), 0x85eb_ca6b) ^ b
  h = Math.imul(h ^ (h >>> 13), 0xc2b2_ae35)
  return h ^ (h >>> 16)
}
