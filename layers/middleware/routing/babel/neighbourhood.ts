/**
 * Who is there (RFC 8966 §3.4): hellos and IHUs, said and heard, and what they make of the cost of each link.
 */
import type { IpAddress } from '../../../../src/kernel/address.ts'
import { type Duration, type Instant, ms } from '../../../../src/kernel/clock.ts'
import { below, type Random } from '../../../../src/kernel/random.ts'
import type { Timer, Timers } from '../../../../src/kernel/timers.ts'
import type { Interface } from './interface.ts'
import { type Awaited, Neighbour } from './neighbour.ts'
import type { Hello, Ihu } from './pdu.ts'
import { centiseconds, INFINITY } from './tlv.ts'

/** IHUs go with every third hello (§3.4.2). */
const HELLOS_PER_IHU = 3
/** A hello is overdue after this many of its intervals, an IHU's word is void after as many of its own. */
const HELLO_PATIENCE = 1.5
const IHU_PATIENCE = 3.5
/** Two that have just met answer each other within this time. */
const GREETING: Duration = ms(40)

/** The router whose neighbours these are. */
export interface Host {
  readonly timers: Timers
  readonly random: Random
  costChanged(neighbour: Neighbour, now: Instant): void
  /** It is no neighbour any more. */
  lost(neighbour: Neighbour, now: Instant): void
  /** Something may have been entered into the tables' calendars. */
  keepTicking(now: Instant): void
}

export class Neighbourhood {
  private readonly host: Host
  private readonly limit: number

  /** @param limit neighbours one link may have. */
  constructor(host: Host, limit: number) {
    this.host = host
    this.limit = limit
  }

  /**
   * A hello of somebody new. The oldest to which nothing can be sent gives way to it.
   * @returns undefined when there are too many.
   */
  meet(on: Interface, address: IpAddress, now: Instant): Neighbour | undefined {
    if (on.neighbours.length >= this.limit) {
      const useless = on.neighbours.find(({ cost }) => cost === INFINITY)
      if (useless === undefined) return undefined
      this.remove(useless, now)
    }
    const neighbour = new Neighbour(on, address, below(this.host.random, 0x1_0000), (one, what, at) => {
      if (what === 'say') this.sayHelloTo(one, at)
      else this.overdue(one, what, at)
    })
    on.neighbours.push(neighbour)
    const { unicastHelloInterval: interval = 0 } = on.settings
    if (interval > 0) this.host.timers.arm(neighbour.sayTimer, now + below(this.host.random, interval))
    this.greet(on, now)
    return neighbour
  }

  /** A link is used in another way: neighbours hear of it soon, and what each costs may be something else. */
  reconfigured(on: Interface, now: Instant): void {
    const { helloInterval, unicastHelloInterval = 0 } = on.settings
    this.sooner(on.helloTimer, now + helloInterval)
    this.greet(on, now)
    for (const neighbour of on.neighbours) {
      if (unicastHelloInterval === 0) this.host.timers.cancel(neighbour.sayTimer)
      else this.sooner(neighbour.sayTimer, now + below(this.host.random, unicastHelloInterval))
      this.recost(neighbour, now, true)
    }
  }

  hello(from: Neighbour, { unicast, seqno, interval }: Hello, now: Instant): void {
    const history = unicast ? from.unicast : from.multicast
    history.heard(seqno)
    if (interval > 0) {
      const us = interval * 10_000
      if (unicast) from.unicastInterval = us
      else from.helloInterval = us
      this.host.timers.arm(unicast ? from.unicastTimer : from.helloTimer, now + us * HELLO_PATIENCE)
    }
    this.recost(from, now)
  }

  ihu(from: Neighbour, { address, rxcost, interval }: Ihu, now: Instant): void {
    if (address !== null && !address.equals(from.interface.settings.address)) return
    from.txcost = rxcost
    this.host.timers.arm(from.ihuTimer, now + interval * 10_000 * IHU_PATIENCE)
    this.recost(from, now)
  }

  sayHello(on: Interface, now: Instant): void {
    const { helloInterval } = on.settings
    on.lastHello = now
    on.hello(centiseconds(helloInterval))
    if (on.ihuCountdown-- <= 0) {
      on.ihuCountdown = HELLOS_PER_IHU - 1
      for (const neighbour of on.neighbours) on.ihu(neighbour, centiseconds(helloInterval * HELLOS_PER_IHU))
    }
    this.host.timers.arm(on.helloTimer, now + helloInterval - below(this.host.random, (helloInterval >> 5) + 1))
  }

  remove(neighbour: Neighbour, now: Instant): void {
    this.silence(neighbour)
    neighbour.cost = INFINITY
    const { neighbours } = neighbour.interface
    neighbours.splice(neighbours.indexOf(neighbour), 1)
    this.host.lost(neighbour, now)
  }

  /** Waits for nothing of it any more. */
  silence(neighbour: Neighbour): void {
    const { timers } = this.host
    timers.cancel(neighbour.helloTimer)
    timers.cancel(neighbour.unicastTimer)
    timers.cancel(neighbour.ihuTimer)
    timers.cancel(neighbour.sayTimer)
  }

  /** Its own hello, which has a seqno and an interval of its own (§3.4.1). */
  private sayHelloTo(neighbour: Neighbour, now: Instant): void {
    const on = neighbour.interface
    const { unicastHelloInterval: interval = 0 } = on.settings
    on.helloTo(neighbour, centiseconds(interval))
    this.host.timers.arm(neighbour.sayTimer, now + interval - below(this.host.random, (interval >> 5) + 1))
  }

  private overdue(neighbour: Neighbour, what: Awaited, now: Instant): void {
    const { timers } = this.host
    if (what === 'ihu') neighbour.txcost = INFINITY
    else if (what === 'hello') {
      neighbour.multicast.missed()
      timers.arm(neighbour.helloTimer, now + neighbour.helloInterval)
    } else {
      neighbour.unicast.missed()
      timers.arm(neighbour.unicastTimer, now + neighbour.unicastInterval)
    }
    if (neighbour.silent) this.remove(neighbour, now)
    else this.recost(neighbour, now)
    this.host.keepTicking(now)
  }

  /** The next hello comes early, with IHUs for all: so that two that have just met need not wait. */
  private greet(on: Interface, now: Instant): void {
    on.ihuCountdown = 0
    const soon = now + below(this.host.random, GREETING)
    this.sooner(on.helloTimer, Math.max(soon, on.lastHello + (on.settings.helloInterval >> 3)))
  }

  private sooner(timer: Timer, at: Instant): void {
    if (at < timer.deadline) this.host.timers.arm(timer, at)
  }

  /**
   * What is known of the link to a neighbour has changed: what does it cost now?
   * @param exact also what makes little difference is passed on.
   */
  private recost(neighbour: Neighbour, now: Instant, exact = false): void {
    const heard = neighbour.rxcost !== INFINITY
    if (heard !== neighbour.heard) {
      neighbour.heard = heard
      this.greet(neighbour.interface, now)
    }
    const { cost: before, presentCost: cost } = neighbour
    // A link that loses costs a little more or less with each hello: what makes no difference is not passed on.
    const wavers = !exact && neighbour.interface.type === 'wireless' && before !== INFINITY && cost !== INFINITY
    if (cost === before || (wavers && Math.abs(cost - before) * 8 < before)) return
    neighbour.cost = cost
    this.host.costChanged(neighbour, now)
    if (before === INFINITY) neighbour.interface.routeRequest(neighbour, null)
  }
}
