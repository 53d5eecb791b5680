/**
 * Tells the routers of a link which groups we want, and from whom: the host's side of IGMPv3 (RFC 3376 §5) and MLDv2
 * (RFC 3810 §6), which differ in their octets alone, and of the older versions while a router of theirs is heard (§7, §8).
 *
 *   changed ──► at once, and again within a second: TO_IN, TO_EX, ALLOW, BLOCK    of what has changed
 *   query   ──► after a while that chance chooses:   IS_IN, IS_EX                  of what is asked for
 *
 * Older routers know no sources: they are told that we are members (again after a while), and the leaving, if they know of that.
 * Then the report of another member does for ours, too.
 */
import type { IpAddress } from '../../../src/kernel/address.ts'
import { type Duration, type Instant, seconds } from '../../../src/kernel/clock.ts'
import type { Timed } from '../../../src/kernel/machine.ts'
import { below, type Random } from '../../../src/kernel/random.ts'
import { has, isNobody, NOBODY, type SourceFilter, without } from './source-filter.ts'

/** Types of records, as both protocols number them (RFC 3376 §4.2.12). */
export const RECORD = { isInclude: 1, isExclude: 2, toInclude: 3, toExclude: 4, allow: 5, block: 6 } as const

export interface GroupRecord {
  readonly type: (typeof RECORD)[keyof typeof RECORD]
  readonly group: IpAddress
  readonly sources: readonly IpAddress[]
}

/** Generations of the protocols: IGMPv1; IGMPv2 and MLDv1; IGMPv3 and MLDv2. */
export type Generation = 1 | 2 | 3

/** What is to be sent now. */
export type Report =
  | { readonly kind: 'records'; readonly records: readonly GroupRecord[] }
  | { readonly kind: 'member'; readonly generation: 1 | 2; readonly group: IpAddress }
  | { readonly kind: 'leave'; readonly group: IpAddress }

/** What a router wants to know. */
export interface Query {
  readonly generation: Generation
  /** Undefined: of all groups. */
  readonly group: IpAddress | undefined
  readonly sources: readonly IpAddress[]
  readonly mostDelay: Duration
  /** The querier's robustness and interval; 0 where it does not say. */
  readonly robustness: number
  readonly interval: Duration
}

const ROBUSTNESS = 2
/** The latest moment of the second report of a change: of this generation, and of older ones (RFC 3376 §8.11, RFC 2236 §8.10). */
const SOON: Duration = seconds(1)
const LATER: Duration = seconds(10)
const QUERY_INTERVAL: Duration = seconds(125)
/** Sources of a query that are remembered for one answer; beyond, all of the group are told. */
const MOST_ASKED = 256
/** Mere bound of what robustness may be; more is a mistake or malice. */
const MOST_ROBUST = 7
const NEVER: Instant = Number.POSITIVE_INFINITY

interface Change {
  readonly source: IpAddress
  left: number
}

class GroupState {
  readonly group: IpAddress
  filter: SourceFilter = NOBODY
  /** How often it is still to be told that the mode has changed; and, of sources, that they have. */
  modeLeft = 0
  changes: Change[] = []
  /** When a query of this group is answered, and of which sources; undefined: all. */
  answerAt: Instant = NEVER
  asked: IpAddress[] | undefined
  /** Of older generations: reports left to send, and whether the last one on the link was ours. */
  memberLeft = 0
  memberAt: Instant = NEVER
  wasLast = false

  constructor(group: IpAddress) {
    this.group = group
  }

  get isOver(): boolean {
    return isNobody(this.filter) && this.modeLeft === 0 && this.changes.length === 0
  }
}

export class Reporter implements Timed {
  private readonly random: Random
  private readonly groups: GroupState[] = []
  private robustness = ROBUSTNESS
  private changeAt: Instant = NEVER
  private answerAllAt: Instant = NEVER
  /** Until when a router of an older generation is reckoned with. */
  private readonly olderUntil: Record<1 | 2, Instant> = { 1: Number.NEGATIVE_INFINITY, 2: Number.NEGATIVE_INFINITY }
  private readonly outgoing: Report[] = []

  constructor(random: Random) {
    this.random = random
  }

  get deadline(): Instant {
    let deadline = Math.min(this.changeAt, this.answerAllAt)
    for (const { answerAt, memberAt } of this.groups) deadline = Math.min(deadline, answerAt, memberAt)
    return deadline
  }

  /** What is wanted of a group has become this. */
  changed(group: IpAddress, filter: SourceFilter, now: Instant): void {
    const state = this.groups.find((one) => one.group.equals(group)) ?? this.add(group)
    const before = state.filter
    state.filter = filter
    if (this.generation(now) < 3) this.tellOlder(state, before, now)
    else this.tell(state, before, now)
  }

  /** Tells of every group as if it were wanted from now on: whoever is on the link may know nothing of what was told. */
  renew(now: Instant): void {
    const older = this.generation(now) < 3
    for (const state of this.groups) {
      if (older) this.tellOlder(state, NOBODY, now)
      else this.tell(state, NOBODY, now)
    }
  }

  query(query: Query, now: Instant): void {
    if (query.robustness > 0) this.robustness = Math.min(query.robustness, MOST_ROBUST)
    if (query.generation < 3) this.heardOlder(query, now)
    const at = now + below(this.random, Math.max(1, query.mostDelay))
    if (this.generation(now) < 3) this.answerOlder(query.group, at)
    else this.answerLater(query, at)
  }

  /** Another member has reported the group, in an older way: that does for ours (RFC 2236 §3). */
  heard(group: IpAddress): void {
    const state = this.groups.find((one) => one.group.equals(group))
    if (state === undefined || state.memberAt === NEVER) return
    state.memberAt = NEVER
    state.memberLeft = 0
    state.wasLast = false
  }

  expire(now: Instant): void {
    if (this.answerAllAt <= now) this.answerAll()
    for (const state of this.groups) {
      if (state.answerAt <= now) this.answerGroup(state)
      if (state.memberAt <= now) this.sendMember(state, now)
    }
    if (this.changeAt <= now) this.sendChanges(now)
  }

  output(): Report | undefined {
    return this.outgoing.shift()
  }

  private add(group: IpAddress): GroupState {
    const state = new GroupState(group.clone())
    this.groups.push(state)
    return state
  }

  /** Routers of which generation are there? */
  private generation(now: Instant): Generation {
    if (now < this.olderUntil[1]) return 1
    return now < this.olderUntil[2] ? 2 : 3
  }

  private tell(state: GroupState, before: SourceFilter, now: Instant): void {
    const { filter } = state
    if (before.mode !== filter.mode) {
      state.modeLeft = this.robustness
      state.changes = []
    } else {
      const different = [...without(before.sources, filter.sources), ...without(filter.sources, before.sources)]
      const kept = state.changes.filter(({ source }) => !has(different, source))
      state.changes = [...kept, ...different.map((source) => ({ source, left: this.robustness }))]
    }
    this.changeAt = now
  }

  private sendChanges(now: Instant): void {
    const records = this.groups.flatMap(changesOf)
    for (let at = this.groups.length - 1; at >= 0; at--) if (this.groups[at]?.isOver) this.groups.splice(at, 1)
    if (records.length > 0) this.outgoing.push({ kind: 'records', records })
    const more = this.groups.some(({ modeLeft, changes }) => modeLeft > 0 || changes.length > 0)
    this.changeAt = more ? now + 1 + below(this.random, SOON) : NEVER
  }

  /** RFC 3376 §5.2: an answer that comes sooner does for a later one. */
  private answerLater({ group, sources }: Query, at: Instant): void {
    if (this.answerAllAt <= at) return
    if (group === undefined) {
      this.answerAllAt = at
      return
    }
    const state = this.groups.find((one) => one.group.equals(group))
    if (state === undefined) return
    const pending = state.answerAt !== NEVER
    const all = sources.length === 0 || (pending && state.asked === undefined)
    const asked = all ? undefined : [...(state.asked ?? []), ...without(sources, state.asked ?? [])]
    state.asked = asked === undefined || asked.length > MOST_ASKED ? undefined : asked
    state.answerAt = Math.min(state.answerAt, at)
  }

  private answerAll(): void {
    this.answerAllAt = NEVER
    const records = this.groups.flatMap(({ group, filter }) => recordOf(group, filter))
    if (records.length > 0) this.outgoing.push({ kind: 'records', records })
    // What was to be answered later has been.
    for (const state of this.groups) {
      state.answerAt = NEVER
      state.asked = undefined
    }
  }

  private answerGroup(state: GroupState): void {
    const { group, filter, asked } = state
    state.answerAt = NEVER
    state.asked = undefined
    const wanted = (source: IpAddress): boolean => has(filter.sources, source) === (filter.mode === 'include')
    const records =
      asked === undefined
        ? recordOf(group, filter)
        : recordOf(group, { mode: 'include', sources: asked.filter(wanted) })
    if (records.length > 0) this.outgoing.push({ kind: 'records', records })
  }

  /** All that is pending is for routers who will not hear it (RFC 3376 §7.2.1). */
  private heardOlder({ generation, interval, mostDelay }: Query, now: Instant): void {
    const lasts = this.robustness * (interval > 0 ? interval : QUERY_INTERVAL) + mostDelay
    const was = this.generation(now)
    if (generation < 3) this.olderUntil[generation as 1 | 2] = now + lasts
    if (this.generation(now) === was) return
    this.changeAt = this.answerAllAt = NEVER
    for (const state of this.groups) {
      state.answerAt = NEVER
      state.asked = undefined
      state.modeLeft = 0
      state.changes = []
    }
    for (let at = this.groups.length - 1; at >= 0; at--) if (this.groups[at]?.isOver) this.groups.splice(at, 1)
  }

  private answerOlder(group: IpAddress | undefined, at: Instant): void {
    for (const state of this.groups) {
      if (group !== undefined && !state.group.equals(group)) continue
      if (state.memberLeft === 0) state.memberLeft = 1
      state.memberAt = Math.min(state.memberAt, at)
    }
  }

  private tellOlder(state: GroupState, before: SourceFilter, now: Instant): void {
    if (isNobody(state.filter)) {
      if (state.wasLast && this.generation(now) === 2) this.outgoing.push({ kind: 'leave', group: state.group })
      this.groups.splice(this.groups.indexOf(state), 1)
    } else if (isNobody(before)) {
      state.memberLeft = this.robustness
      state.memberAt = now
    }
  }

  private sendMember(state: GroupState, now: Instant): void {
    const generation = this.generation(now)
    state.memberLeft--
    state.memberAt = state.memberLeft > 0 ? now + 1 + below(this.random, LATER) : NEVER
    state.wasLast = true
    // Since the older router was last heard, it has been given up.
    if (generation === 3) this.outgoing.push({ kind: 'records', records: recordOf(state.group, state.filter) })
    else this.outgoing.push({ kind: 'member', generation, group: state.group })
  }
}

/** What is wanted of a group now; nothing when nothing is. */
function recordOf(group: IpAddress, filter: SourceFilter): GroupRecord[] {
  if (isNobody(filter)) return []
  const type = filter.mode === 'include' ? RECORD.isInclude : RECORD.isExclude
  return [{ type, group, sources: filter.sources }]
}

/** What has changed of a group, told once more. */
function changesOf(state: GroupState): GroupRecord[] {
  const { group, filter, changes } = state
  for (const change of changes) change.left--
  state.changes = changes.filter(({ left }) => left > 0)
  if (state.modeLeft > 0) {
    state.modeLeft--
    return [{ type: filter.mode === 'include' ? RECORD.toInclude : RECORD.toExclude, group, sources: filter.sources }]
  }
  const listed = (change: Change): boolean => has(filter.sources, change.source)
  const allowed = changes.filter((change) => listed(change) === (filter.mode === 'include'))
  const blocked = changes.filter((change) => !allowed.includes(change))
  return [
    { type: RECORD.allow, group, sources: allowed.map(({ source }) => source) },
    { type: RECORD.block, group, sources: blocked.map(({ source }) => source) },
  ].filter(({ sources }) => sources.length > 0)
}
