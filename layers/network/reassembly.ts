/**
 * Reassembly (RFC 791 §3.2, RFC 815, RFC 8200 §4.5) as a machine, whichever the family: fragments in, datagrams out, those that never become one expire.
 *
 *   offset 0        1480       2960            5920    6200
 *     ├─ fragment ────┼─ fragment ┤  (missing)   ├─ last ─┤        fragments wait in the order of their offsets
 *
 * Fragments that disagree about an octet end the datagram, and what still comes of it (RFC 5722 §3); an exact copy of one
 * is the network's doing, and only dropped (RFC 8200 §4.5). Memory is bounded, for all and for each source: what is
 * counted are whole slots, so that many small fragments cannot hold more than they seem to (RFC 8900 §3.7). When there is
 * none left, the oldest datagram of the source gives way, then the oldest of all.
 */
import { IpAddress } from '../../src/kernel/address.ts'
import type { Duration, Instant } from '../../src/kernel/clock.ts'
import { integer } from '../../src/kernel/errors.ts'
import type { Timed } from '../../src/kernel/machine.ts'
import type { Packet } from '../../src/kernel/packet.ts'

/** Octets of slots held for all sources, and for one. */
const MEMORY = 4_194_304
const SHARE = 4
/** Datagrams that wait, for all sources, and for one. */
const DATAGRAMS = 1024

/** Bounds, for tests and for nodes with little memory. */
export interface ReassemblyLimits {
  /** Octets of packet slots held by incomplete datagrams, 0 to 2^30. Default 4 MiB; a quarter of it for any one source. */
  readonly octets?: number | undefined
  /** Incomplete datagrams, 1 to 2^16. Default 1024; a quarter of them for any one source. */
  readonly datagrams?: number | undefined
}

/** @throws RangeError ERR_OUT_OF_RANGE, TypeError ERR_INVALID_ARG_TYPE — see `ReassemblyLimits`. */
export function checkReassembly({ octets, datagrams }: ReassemblyLimits): void {
  if (octets !== undefined) integer('reassembly.octets', octets, 0, 2 ** 30)
  if (datagrams !== undefined) integer('reassembly.datagrams', datagrams, 1, 2 ** 16)
}

export type FragmentFault =
  | 'badFragment'
  | 'tinyFragment'
  | 'fragmentOverlap'
  | 'fragmentDuplicate'
  | 'reassemblyTimeout'
  | 'reassemblyMemory'

/** Which datagram a fragment is a piece of. */
export class FragmentIdentity {
  readonly source: IpAddress = new IpAddress()
  readonly destination: IpAddress = new IpAddress()
  /** The identification, and what else tells datagrams apart. */
  which = 0
  /** The link without which the source means nothing (RFC 4007 §6), by its index; else 0. */
  zone = 0

  equals(other: FragmentIdentity): boolean {
    return (
      this.which === other.which &&
      this.zone === other.zone &&
      this.source.equals(other.source) &&
      this.destination.equals(other.destination)
    )
  }
}

/** Where a family keeps what a fragment says of itself. Offsets and lengths are octets of what was cut. */
export interface FragmentForm {
  /** How long fragments wait for the rest. */
  readonly life: Duration
  identify(packet: Packet, identity: FragmentIdentity): void
  offset(packet: Packet): number
  length(packet: Packet): number
  /** Others follow behind it. */
  more(packet: Packet): boolean
  /** What is wrong with a fragment taken by itself. */
  fault(packet: Packet): FragmentFault | undefined
  /**
   * The datagram in one piece, a new packet; the fragments are only read.
   * @param fragments all of them, in order. @param total octets of them together.
   * @returns undefined when it would be longer than a datagram can be.
   */
  join(fragments: readonly Packet[], total: number): Packet | undefined
}

/** A datagram of which fragments have come. */
class Datagram {
  readonly identity = new FragmentIdentity()
  readonly until: Instant
  /** By offset, without overlap; empty once the datagram is refused. */
  readonly fragments: Packet[] = []
  /** Octets of the slots of the fragments. */
  memory = 0
  /** Octets of payload that are there. */
  octets = 0
  /** Octets of all of the payload; -1 while the last fragment is missing. */
  total = -1
  /** Fragments contradicted each other; stays until its time so that the rest of them is recognised. */
  refused = false

  constructor(until: Instant) {
    this.until = until
  }
}

/** Told of each packet that is given up, before its life ends: drops it. */
export type GiveUp = (packet: Packet, reason: FragmentFault) => void

export class Reassembly implements Timed {
  /** The oldest first, which is also the order in which they expire. */
  private readonly waiting: Datagram[] = []
  private readonly expired: { readonly packet: Packet; readonly zone: number }[] = []
  /** That of the packet which `output` gave last. */
  zone = 0
  private readonly form: FragmentForm
  private readonly giveUp: GiveUp
  private readonly identity = new FragmentIdentity()
  private readonly octetLimit: number
  private readonly datagramLimit: number
  private held = 0

  /** @param giveUp takes ownership of fragments that lead to nothing. */
  constructor(form: FragmentForm, giveUp: GiveUp, limits: ReassemblyLimits = {}) {
    this.form = form
    this.giveUp = giveUp
    this.octetLimit = limits.octets ?? MEMORY
    this.datagramLimit = limits.datagrams ?? DATAGRAMS
  }

  get deadline(): Instant {
    return this.waiting[0]?.until ?? Number.POSITIVE_INFINITY
  }

  /** Octets of slots that wait. */
  get memory(): number {
    return this.held
  }

  /** Datagrams that wait. */
  get size(): number {
    return this.waiting.length
  }

  /**
   * A fragment, as its form has it. Takes ownership.
   * @param zone as `FragmentIdentity` has it.
   * @returns the whole datagram when this was what it lacked.
   */
  input(packet: Packet, now: Instant, zone = 0): Packet | undefined {
    const fault = this.form.fault(packet)
    if (fault !== undefined) return this.refuse(packet, fault)
    const datagram = this.find(packet, zone) ?? this.begin(now)
    if (datagram.refused) return this.refuse(packet, 'fragmentOverlap')
    const at = this.placeOf(datagram, packet)
    if (at < 0) {
      if (this.isCopy(datagram, packet)) return this.refuse(packet, 'fragmentDuplicate')
      return this.contradict(datagram, packet)
    }
    if (!this.fitsTotal(datagram, packet)) return this.contradict(datagram, packet)
    datagram.fragments.splice(at, 0, packet)
    datagram.octets += this.form.length(packet)
    datagram.memory += packet.limit - packet.base
    this.held += packet.limit - packet.base
    if (datagram.octets === datagram.total) return this.finish(datagram)
    this.makeRoom(datagram)
    return undefined
  }

  /** Fragments whose time is up; see `output`. */
  expire(now: Instant): void {
    while (this.waiting.length > 0 && (this.waiting[0] as Datagram).until <= now) {
      const datagram = this.waiting.shift() as Datagram
      this.held -= datagram.memory
      const { zone } = datagram.identity
      for (const packet of datagram.fragments) this.expired.push({ packet, zone })
    }
  }

  /** The next fragment that expired, owned by the caller. The first of its datagram is to be complained about. */
  output(): Packet | undefined {
    const next = this.expired.pop()
    this.zone = next?.zone ?? 0
    return next?.packet
  }

  /** Gives back all memory. */
  clear(): void {
    this.expire(Number.POSITIVE_INFINITY)
    for (let packet = this.output(); packet !== undefined; packet = this.output()) packet.release()
  }

  private refuse(packet: Packet, reason: FragmentFault): undefined {
    this.giveUp(packet, reason)
    return undefined
  }

  private find(packet: Packet, zone: number): Datagram | undefined {
    this.form.identify(packet, this.identity)
    this.identity.zone = zone
    for (const datagram of this.waiting) if (datagram.identity.equals(this.identity)) return datagram
    return undefined
  }

  /** Of what `find` looked for. */
  private begin(now: Instant): Datagram {
    const { source, destination, which, zone } = this.identity
    const mine = this.waiting.filter((other) => other.identity.source.equals(source))
    if (mine.length * SHARE >= this.datagramLimit) this.evict(mine[0] as Datagram)
    else if (this.waiting.length >= this.datagramLimit) this.evict(this.waiting[0] as Datagram)
    const datagram = new Datagram(now + this.form.life)
    datagram.identity.source.set(source)
    datagram.identity.destination.set(destination)
    datagram.identity.which = which
    datagram.identity.zone = zone
    this.waiting.push(datagram)
    return datagram
  }

  /** Keeps within the limits of memory, at the cost of the oldest; of `grown` itself last. */
  private makeRoom(grown: Datagram): void {
    const { source } = grown.identity
    while (this.held > this.octetLimit || this.memoryOf(source) * SHARE > this.octetLimit) {
      const ofSource = this.memoryOf(source) * SHARE > this.octetLimit
      const candidate = this.waiting.find(
        (other) => other !== grown && other.fragments.length > 0 && (!ofSource || other.identity.source.equals(source)),
      )
      this.evict(candidate ?? grown)
      if (candidate === undefined) return
    }
  }

  private memoryOf(source: IpAddress): number {
    let octets = 0
    for (const datagram of this.waiting) if (datagram.identity.source.equals(source)) octets += datagram.memory
    return octets
  }

  private contradict(datagram: Datagram, packet: Packet): undefined {
    datagram.refused = true
    this.empty(datagram, 'fragmentOverlap')
    return this.refuse(packet, 'fragmentOverlap')
  }

  private evict(datagram: Datagram): void {
    this.waiting.splice(this.waiting.indexOf(datagram), 1)
    this.empty(datagram, 'reassemblyMemory')
  }

  private empty(datagram: Datagram, reason: FragmentFault): void {
    this.held -= datagram.memory
    for (const fragment of datagram.fragments) this.giveUp(fragment, reason)
    datagram.fragments.length = 0
    datagram.memory = 0
  }

  /** All is there; yet the header that counts, the first fragment's, may be longer than the others were. */
  private finish(datagram: Datagram): Packet | undefined {
    this.waiting.splice(this.waiting.indexOf(datagram), 1)
    const whole = this.form.join(datagram.fragments, datagram.total)
    if (whole === undefined) {
      this.empty(datagram, 'badFragment')
      return undefined
    }
    this.held -= datagram.memory
    for (const fragment of datagram.fragments) fragment.release()
    return whole
  }

  /** Where a fragment belongs among the others, or -1 when it overlaps one. Most come in order, so from the back. */
  private placeOf(datagram: Datagram, packet: Packet): number {
    const { form } = this
    const { fragments } = datagram
    const offset = form.offset(packet)
    let at = fragments.length
    while (at > 0 && form.offset(fragments[at - 1] as Packet) >= offset) at--
    const before = fragments[at - 1]
    const after = fragments[at]
    if (before !== undefined && form.offset(before) + form.length(before) > offset) return -1
    if (after !== undefined && offset + form.length(packet) > form.offset(after)) return -1
    return at
  }

  /** Keeps the end of the datagram where the last fragment puts it; false when two say different things of it. */
  private fitsTotal(datagram: Datagram, packet: Packet): boolean {
    const { form } = this
    const end = form.offset(packet) + form.length(packet)
    if (form.more(packet)) return datagram.total < 0 || end < datagram.total
    const last = datagram.fragments.at(-1)
    if (datagram.total >= 0 || (last !== undefined && form.offset(last) + form.length(last) > end)) return false
    datagram.total = end
    return true
  }

  private isCopy(datagram: Datagram, packet: Packet): boolean {
    const { form } = this
    const offset = form.offset(packet)
    const other = datagram.fragments.find((fragment) => form.offset(fragment) === offset)
    if (other === undefined || form.length(other) !== form.length(packet)) return false
    if (form.more(other) !== form.more(packet)) return false
    const length = form.length(packet)
    for (let i = 1; i <= length; i++) if (packet.octets[packet.end - i] !== other.octets[other.end - i]) return false
    return true
  }
}
