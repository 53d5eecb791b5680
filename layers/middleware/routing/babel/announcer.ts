/**
 * Says what we know (RFC 8966 §3.7): everything now and then, and what has changed soon, what must not wait at once. Changes
 * are gathered for a moment, as one event brings many, and said on all links together.
 */
import { type Duration, type Instant, ms } from '../../../../src/kernel/clock.ts'
import { fraction, type Random } from '../../../../src/kernel/random.ts'
import { Timer, type Timers } from '../../../../src/kernel/timers.ts'
import type { Filter } from '../service.ts'
import type { Interface } from './interface.ts'
import type { Neighbour } from './neighbour.ts'
import type { WirePrefix } from './pdu.ts'
import type { RouteTable } from './route-table.ts'
import type { Destination } from './tables.ts'
import { centiseconds, INFINITY } from './tlv.ts'

/** Longest time that changes are gathered; the shortest is a quarter of it. */
const SOON: Duration = ms(250)
const AT_ONCE: Duration = ms(25)
/** A retraction that is lost leaves a hole until the next update: it is said again after this time. */
const AGAIN: Duration = ms(1000)
const REPEATS = 1
const RETRACTION = { routerHigh: 0, routerLow: 0, seqno: 0, metric: INFINITY }
/** A mark of a destination that was waiting: some link has been told. */
const SAID = 3

/** The router on whose behalf things are said. */
export interface Speaker {
  readonly interfaces: readonly Interface[]
  readonly table: RouteTable
  readonly timers: Timers
  readonly random: Random
  readonly routerHigh: number
  readonly routerLow: number
  /** Of our own destinations. */
  readonly seqno: number
  /** @returns the metric to say on the link; INFINITY: nothing. */
  readonly announceFilter: Filter
}

/** What decides what a link hears of what we know. */
export interface Manners {
  readonly announceFilter: Filter
  readonly splitHorizon: boolean
}

export class Announcer {
  private readonly speaker: Speaker
  private readonly timer: Timer
  private readonly againTimer: Timer
  private waiting: Destination[] = []
  private again: Destination[] = []
  /** What one link alone hears of no more. */
  private takenBack: { readonly prefix: WirePrefix; readonly on: Interface }[] = []
  private readonly said = { routerHigh: 0, routerLow: 0, seqno: 0, metric: 0 }

  constructor(speaker: Speaker) {
    this.speaker = speaker
    this.timer = new Timer({ expire: (now) => this.sayChanges(now) })
    this.againTimer = new Timer({ expire: (now) => this.repeat(now) })
  }

  /** The way to a destination may have changed: others are told if it matters to them (§3.7.2). */
  changed(destination: Destination, router: boolean, now: Instant): void {
    const { metric, advertised } = destination
    if (metric === INFINITY) {
      if (advertised < 0 || advertised === INFINITY) {
        if (destination.triggered === 0) this.speaker.table.release(destination)
        return
      }
      destination.repeats = REPEATS
      this.trigger(destination, 2, now)
    } else if (advertised < 0 || advertised === INFINITY) {
      this.trigger(destination, 1, now)
    } else if (router) {
      this.trigger(destination, 2, now)
    } else if (Math.abs(metric - advertised) > Math.max(16, advertised >> 4)) {
      this.trigger(destination, 1, now)
    }
  }

  /** @param urgency 1: soon, 2: at once. */
  trigger(destination: Destination, urgency: 1 | 2, now: Instant): void {
    if (destination.triggered === 0) this.waiting.push(destination)
    if (destination.triggered >= urgency) return
    destination.triggered = urgency
    const { timers, random } = this.speaker
    const most = urgency === 2 ? AT_ONCE : SOON
    const at = now + Math.round(most * (0.25 + 0.75 * fraction(random)))
    if (at < this.timer.deadline) timers.arm(this.timer, at)
  }

  /** Says everything on a link (§3.7.1). */
  sayAll(on: Interface, now: Instant): void {
    on.lastUpdate = now
    for (const destination of this.speaker.table.destinations.all) {
      if (this.say(destination, on, null, true, now)) destination.advertised = destination.metric
    }
  }

  /**
   * Says what there is to say of one destination.
   * @param to who has asked, and gets an answer whatever it is (§3.8.1.1); null: all neighbours.
   * @param periodic nothing new: what the link itself leads to is not worth a word.
   * @returns whether there was anything to say.
   */
  say(destination: Destination, on: Interface, to: Neighbour | null, periodic: boolean, now: Instant): boolean {
    const { speaker, said } = this
    const { selected: route, advertised } = destination
    let { metric } = destination
    const asked = to !== null
    if (metric !== INFINITY && route !== null && on.settings.splitHorizon && route.neighbour.interface === on) {
      if (!asked && (periodic || advertised < 0)) return false
      metric = INFINITY
    }
    const interval = centiseconds(on.settings.updateInterval)
    if (metric !== INFINITY) {
      metric = speaker.announceFilter(destination, metric, on.settings.name)
      if (metric === INFINITY && !asked) return false
    } else if (!asked && (advertised < 0 || (periodic && destination.routes === null))) return false
    said.metric = metric
    said.routerHigh = route?.source.routerHigh ?? speaker.routerHigh
    said.routerLow = route?.source.routerLow ?? speaker.routerLow
    said.seqno = route?.seqno ?? speaker.seqno
    on.update(to, destination, said, interval)
    if (metric !== INFINITY && route !== null) speaker.table.announced(route, metric, now)
    return true
  }

  /**
   * What may be said on a link is something else now: says what its neighbours did not hear before, or at another metric, and takes
   * back what they are to hear no more.
   */
  review(on: Interface, before: Manners, now: Instant): void {
    const after = this.manners(on)
    const same = after.announceFilter === before.announceFilter && after.splitHorizon === before.splitHorizon
    if (same || on.neighbours.length === 0) return
    for (const destination of this.speaker.table.destinations.all) {
      const { advertised } = destination
      const isKnown = advertised >= 0 && advertised !== INFINITY
      const metric = heard(destination, on, after)
      if (metric === heard(destination, on, before)) continue
      if (metric !== INFINITY) {
        this.say(destination, on, null, false, now)
        if (!isKnown) destination.advertised = destination.metric
      } else if (isKnown) {
        this.takeBack(destination, on)
        this.takenBack.push({ prefix: destination, on })
      }
    }
    const { timers } = this.speaker
    if (this.takenBack.length > 0 && !this.againTimer.armed) timers.arm(this.againTimer, now + AGAIN)
  }

  /** Says that nothing leads over us to a destination. @param to null: to all neighbours of the link. */
  takeBack(prefix: WirePrefix, on: Interface, to: Neighbour | null = null): void {
    on.update(to, prefix, RETRACTION, centiseconds(on.settings.updateInterval))
  }

  stop(): void {
    this.speaker.timers.cancel(this.timer)
    this.speaker.timers.cancel(this.againTimer)
  }

  private sayChanges(now: Instant): void {
    const changes = this.waiting
    this.waiting = []
    for (const on of this.speaker.interfaces) {
      if (on.neighbours.length === 0) continue
      for (const destination of changes) if (this.say(destination, on, null, false, now)) destination.triggered = SAID
    }
    for (const destination of changes) {
      if (destination.triggered === SAID || destination.advertised >= 0) destination.advertised = destination.metric
      destination.triggered = 0
      if (destination.metric !== INFINITY) destination.repeats = 0
      if (destination.repeats === 0) {
        this.speaker.table.release(destination)
        continue
      }
      destination.repeats--
      this.again.push(destination)
      if (!this.againTimer.armed) this.speaker.timers.arm(this.againTimer, now + AGAIN)
    }
  }

  private repeat(now: Instant): void {
    const destinations = this.again
    this.again = []
    for (const destination of destinations) {
      if (destination.metric === INFINITY && destination.index >= 0) this.trigger(destination, 1, now)
    }
    const takenBack = this.takenBack
    this.takenBack = []
    for (const { prefix, on } of takenBack) {
      if (!this.speaker.interfaces.includes(on)) continue
      const destination = this.speaker.table.destinations.find(prefix)
      if (destination === null || heard(destination, on, this.manners(on)) === INFINITY) this.takeBack(prefix, on)
    }
  }

  private manners({ settings: { splitHorizon } }: Interface): Manners {
    return { announceFilter: this.speaker.announceFilter, splitHorizon }
  }
}

/** The metric that a link hears of a destination; INFINITY: it hears nothing, or that nothing leads there. */
function heard(destination: Destination, on: Interface, { announceFilter, splitHorizon }: Manners): number {
  const { metric, selected } = destination
  if (metric === INFINITY || (splitHorizon && selected?.neighbour.interface === on)) return INFINITY
  return announceFilter(destination, metric, on.settings.name)
}
