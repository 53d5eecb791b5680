/**
 * Reassembly (RFC 791 §3.2, RFC 815) as a machine: fragments in, datagrams out, those that never become one expire.
 *
 *   offset 0        1480       2960            5920    6200
 *     ├─ fragment ────┼─ fragment ┤  (missing)   ├─ last ─┤        fragments wait in the order of their offsets
 *
 * Fragments that disagree about an octet end the datagram, and what still comes of it (RFC 5722 §3); an exact copy of one
 * is the network's doing, and only dropped (RFC 8200 §4.5). Memory is bounded, for all and for each source: what is
 * counted are whole slots, so that many small fragments cannot hold more than they seem to (RFC 8900 §3.7). When there is
 * none left, the oldest datagram of the source gives way, then the oldest of all.
 */
import { type Duration, type Instant, seconds } from '../../../src/kernel/clock.ts'
import { integer } from '../../../src/kernel/errors.ts'
import type { Timed } from '../../../src/kernel/machine.ts'
import { Packet } from '../../../src/kernel/packet.ts'
import * as header from './header.ts'

/** How long fragments wait for the rest: our choice within RFC 1122 §3.3.2, Linux's too. */
export const REASSEMBLY_LIFE: Duration = seconds(30)

const TCP = 6
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

/** A datagram of which fragments have come. */
class Datagram {
  readonly source: number
  readonly destination: number
  /** Protocol and identification. */
  readonly which: number
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

  constructor(source: number, destination: number, which: number, until: Instant) {
    this.source = source
    this.destination = destination
    this.which = which
    this.until = until
  }
}

/** A fragment's place in the payload of its datagram. */
const offsetOf = (packet: Packet): number => header.fragmentOffset(packet.view, packet.start)
const lengthOf = (packet: Packet): number => packet.length - header.headerOctets(packet.view, packet.start)

/** Told of each packet that is given up, before its life ends: drops it. */
export type GiveUp = (packet: Packet, reason: FragmentFault) => void

export class Reassembly implements Timed {
  /** The oldest first, which is also the order in which they expire. */
  private readonly waiting: Datagram[] = []
  private readonly expired: Packet[] = []
  private readonly giveUp: GiveUp
  private readonly octetLimit: number
  private readonly datagramLimit: number
  private held = 0

  /** @param giveUp takes ownership of fragments that lead to nothing. */
  constructor(giveUp: GiveUp, limits: ReassemblyLimits = {}) {
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
   * A fragment, its data from the IP header to the end by total length. Takes ownership.
   * @returns the whole datagram when this was what it lacked.
   */
  input(packet: Packet, now: Instant): Packet | undefined {
    const fault = faultOf(packet)
    if (fault !== undefined) return this.refuse(packet, fault)
    const datagram = this.find(packet) ?? this.begin(packet, now)
    if (datagram.refused) return this.refuse(packet, 'fragmentOverlap')
    const at = placeOf(datagram, packet)
    if (at < 0) {
      if (isCopy(datagram, packet)) return this.refuse(packet, 'fragmentDuplicate')
      return this.contradict(datagram, packet)
    }
    if (!fitsTotal(datagram, packet)) return this.contradict(datagram, packet)
    datagram.fragments.splice(at, 0, packet)
    datagram.octets += lengthOf(packet)
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
      for (const fragment of datagram.fragments) this.expired.push(fragment)
    }
  }

  /** The next fragment that expired, owned by the caller. The first of its datagram is to be complained about. */
  output(): Packet | undefined {
    return this.expired.pop()
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

  private find({ view, start }: Packet): Datagram | undefined {
    const source = header.source(view, start)
    const destination = header.destination(view, start)
    const which = whichOf(view, start)
    for (const datagram of this.waiting) {
      if (datagram.which === which && datagram.source === source && datagram.destination === destination)
        return datagram
    }
    return undefined
  }

  private begin({ view, start }: Packet, now: Instant): Datagram {
    const source = header.source(view, start)
    const mine = this.waiting.filter((other) => other.source === source)
    if (mine.length * SHARE >= this.datagramLimit) this.evict(mine[0] as Datagram)
    else if (this.waiting.length >= this.datagramLimit) this.evict(this.waiting[0] as Datagram)
    const until = now + REASSEMBLY_LIFE
    const datagram = new Datagram(source, header.destination(view, start), whichOf(view, start), until)
    this.waiting.push(datagram)
    return datagram
  }

  /** Keeps within the limits of memory, at the cost of the oldest; of `grown` itself last. */
  private makeRoom(grown: Datagram): void {
    while (this.held > this.octetLimit || this.memoryOf(grown.source) * SHARE > this.octetLimit) {
      const ofSource = this.memoryOf(grown.source) * SHARE > this.octetLimit
      const candidate = this.waiting.find(
        (other) => other !== grown && other.fragments.length > 0 && (!ofSource || other.source === grown.source),
      )
      this.evict(candidate ?? grown)
      if (candidate === undefined) return
    }
  }

  private memoryOf(source: number): number {
    let octets = 0
    for (const datagram of this.waiting) if (datagram.source === source) octets += datagram.memory
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
    const first = datagram.fragments[0] as Packet
    const octets = header.headerOctets(first.view, first.start)
    if (octets + datagram.total > header.LONGEST_DATAGRAM_OCTETS) {
      this.empty(datagram, 'badFragment')
      return undefined
    }
    this.held -= datagram.memory
    return join(datagram, first, octets)
  }
}

/** The datagram in one piece. Ends the life of its fragments. @param octets of the first one's header. */
function join(datagram: Datagram, first: Packet, octets: number): Packet {
  const whole = Packet.take(first.start - first.base, octets + datagram.total)
  const start = whole.put(octets)
  whole.octets.copyWithin(start, first.start, first.start + octets)
  for (const fragment of datagram.fragments) {
    const length = lengthOf(fragment)
    whole.octets.copyWithin(whole.put(length), fragment.end - length, fragment.end)
    fragment.release()
  }
  header.rewrite(whole.view, start, octets + datagram.total, 0)
  whole.networkStart = start
  return whole
}

function whichOf(view: DataView, at: number): number {
  return (header.protocol(view, at) << 16) | header.identification(view, at)
}

function faultOf(packet: Packet): FragmentFault | undefined {
  const { view, start } = packet
  const offset = offsetOf(packet)
  const length = lengthOf(packet)
  if (length === 0 || (header.moreFragments(view, start) && length % 8 !== 0)) return 'badFragment'
  // The whole must itself be a datagram, with the header that we have here at least.
  if (offset + length + header.headerOctets(view, start) > header.LONGEST_DATAGRAM_OCTETS) return 'badFragment'
  return offset === 8 && header.protocol(view, start) === TCP ? 'tinyFragment' : undefined
}

/** Where a fragment belongs among the others, or -1 when it overlaps one. Most come in order, so from the back. */
function placeOf(datagram: Datagram, packet: Packet): number {
  const { fragments } = datagram
  const offset = offsetOf(packet)
  let at = fragments.length
  while (at > 0 && offsetOf(fragments[at - 1] as Packet) >= offset) at--
  const before = fragments[at - 1]
  const after = fragments[at]
  if (before !== undefined && offsetOf(before) + lengthOf(before) > offset) return -1
  if (after !== undefined && offset + lengthOf(packet) > offsetOf(after)) return -1
  return at
}

/** Keeps the end of the datagram where the last fragment puts it; false when two say different things of it. */
function fitsTotal(datagram: Datagram, packet: Packet): boolean {
  const end = offsetOf(packet) + lengthOf(packet)
  if (header.moreFragments(packet.view, packet.start)) return datagram.total < 0 || end < datagram.total
  const last = datagram.fragments.at(-1)
  if (datagram.total >= 0 || (last !== undefined && offsetOf(last) + lengthOf(last) > end)) return false
  datagram.total = end
  return true
}

function isCopy(datagram: Datagram, packet: Packet): boolean {
  const offset = offsetOf(packet)
  const other = datagram.fragments.find((fragment) => offsetOf(fragment) === offset)
  if (other === undefined || lengthOf(other) !== lengthOf(packet)) return false
  const flags = header.flagsAndOffset(packet.view, packet.start) & header.MF
  if ((header.flagsAndOffset(other.view, other.start) & header.MF) !== flags) return false
  const length = lengthOf(packet)
  for (let i = 1; i <= length; i++) if (packet.octets[packet.end - i] !== other.octets[other.end - i]) return false
  return true
}
