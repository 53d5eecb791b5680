/**
 * What a host makes of router advertisements, as a machine (RFC 4861 §6.3, RFC 4862 §5.5, RFC 4191, RFC 8106): routes,
 * addresses, names, and the parameters of the link, each for its time. `output` gives the changes one by one.
 */
import { IpAddress } from '../../../../src/kernel/address.ts'
import { type Duration, type Instant, ms } from '../../../../src/kernel/clock.ts'
import type { HashKey } from '../../../../src/kernel/keyed-hash.ts'
import type { Timed } from '../../../../src/kernel/machine.ts'
import type { Packet } from '../../../../src/kernel/packet.ts'
import type { LinkAddress } from '../../../datalink/service.ts'
import { maskOf } from '../../prefix-trie.ts'
import { isLinkLocal, isMulticast, UNSPECIFIED } from '../address-kinds.ts'
import { DISCOVERY_TYPE } from '../discovery.ts'
import { readAddress, SMALLEST_MTU } from '../header.ts'
import { Autoconfiguration } from './autoconfiguration.ts'
import { domainsIn } from './domains.ts'
import type { Learnt } from './learnt.ts'
import * as message from './message.ts'
import * as option from './options.ts'
import { Redirects } from './redirects.ts'
import { MOST_NAMES, ResolverList } from './resolver-list.ts'
import { Ways } from './ways.ts'

/** Times that a router may set: 4861 §6.2.1 has the upper end; the lower keeps it from making us flood the link. */
const LEAST_TIME: Duration = ms(100)
const MOST_TIME_MS = 3_600_000

/** What a host heeds beyond routers. */
export interface HostSettings {
  /** Take addresses. */
  readonly autoconfigure: boolean
  /** The secret of identifiers. */
  readonly key: HashKey
  /** Our address on the link, and the link's MTU. */
  readonly link: LinkAddress
  readonly mtu: number
}

export class Host implements Timed {
  private readonly settings: HostSettings
  private readonly learnt: Learnt[] = []
  private readonly ways: Ways = new Ways(this.learnt)
  private readonly redirects: Redirects = new Redirects(this.learnt)
  private readonly addresses: Autoconfiguration
  private readonly names: ResolverList = new ResolverList(this.learnt)
  private readonly prefix = new IpAddress()
  private mtu = 0
  private hopLimit = 0
  private reachable: Duration = 0
  private retransmit: Duration = 0

  constructor(settings: HostSettings) {
    this.settings = settings
    this.addresses = new Autoconfiguration(settings.key, settings.link, this.learnt)
  }

  get deadline(): Instant {
    return Math.min(this.ways.deadline, this.redirects.deadline, this.addresses.deadline, this.names.deadline)
  }

  expire(now: Instant): void {
    this.ways.expire(now)
    this.redirects.expire(now)
    this.addresses.expire(now)
    this.names.expire(now)
  }

  /** The next change, or undefined. */
  output(): Learnt | undefined {
    return this.learnt.shift()
  }

  /**
   * A router advertisement, its form checked.
   * @param router its source, a link-local address.
   * @returns whether the router is one of default.
   */
  input(packet: Packet, router: IpAddress, now: Instant): boolean {
    const { view, start, end } = packet
    const lifetime = message.routerLifetime(view, start)
    this.ways.learn(UNSPECIFIED, 0, router, message.routerPreference(view, start), lifetime, now)
    this.learnTimes(message.reachableMs(view, start), message.retransmitMs(view, start))
    const hopLimit = message.hopLimit(view, start)
    if (hopLimit !== 0 && hopLimit !== this.hopLimit) {
      this.hopLimit = hopLimit
      this.learnt.push({ kind: 'hopLimit', hopLimit })
    }
    let at = start + message.fixedOctets(DISCOVERY_TYPE.routerAdvertisement)
    for (; at < end; at += option.optionOctets(view, at)) this.learnOption(view, at, router, now)
    this.names.expire(now)
    return lifetime > 0
  }

  /** Somebody else has an address of ours. */
  duplicate(address: IpAddress): void {
    this.addresses.duplicate(address)
  }

  /** As in `Redirects.learn`. */
  redirect(destination: IpAddress, target: IpAddress, now: Instant): void {
    this.redirects.learn(destination, target, now)
  }

  /** A neighbour answers: as a router, or as none, which ends what it was to us. */
  answered(neighbour: IpAddress, router: boolean, now: Instant): void {
    if (!router && isLinkLocal(neighbour)) this.redirects.leave(neighbour)
    if (!this.ways.isRouter(neighbour)) return
    if (router) this.ways.doubt(neighbour, false)
    else this.ways.leave(neighbour, now)
  }

  /** A neighbour does not answer: if it is a router, another one is to be used. */
  silent(neighbour: IpAddress): void {
    this.ways.doubt(neighbour, true)
    this.redirects.leave(neighbour)
  }

  private learnOption(view: DataView, at: number, router: IpAddress, now: Instant): void {
    switch (option.optionType(view, at)) {
      case option.OPTION.prefix:
        this.learnPrefix(view, at, now)
        break
      case option.OPTION.route:
        this.learnRoute(view, at, router, now)
        break
      case option.OPTION.mtu:
        this.learnMtu(option.mtu(view, at))
        break
      case option.OPTION.nameServers:
        this.learnServers(view, at, now)
        break
      case option.OPTION.searchDomains:
        this.learnDomains(view, at, now)
        break
    }
  }

  private learnPrefix(view: DataView, at: number, now: Instant): void {
    const length = option.prefixLength(view, at)
    const prefix = masked(readAddress(view, option.prefixAt(at), this.prefix), length)
    if (!isNetwork(prefix)) return
    const valid = option.validLifetime(view, at)
    const preferred = option.preferredLifetime(view, at)
    if (option.isOnLink(view, at)) this.ways.learn(prefix, length, null, 'medium', valid, now)
    const usable = option.isAutonomous(view, at) && length === 64 && preferred <= valid
    if (this.settings.autoconfigure && usable) this.addresses.learn(prefix, valid, preferred, now)
  }

  private learnRoute(view: DataView, at: number, router: IpAddress, now: Instant): void {
    const preference = message.preferenceIn(option.routeFlags(view, at))
    if (preference === undefined) return // a reserved value (RFC 4191 §2.3)
    const length = option.prefixLength(view, at)
    const prefix = masked(option.routePrefix(view, at, this.prefix), length)
    if (length > 0 && !isNetwork(prefix)) return
    this.ways.learn(prefix, length, router, preference, option.lifetime(view, at), now)
  }

  private learnMtu(mtu: number): void {
    if (mtu < SMALLEST_MTU || mtu > this.settings.mtu || mtu === this.mtu) return
    this.mtu = mtu
    this.learnt.push({ kind: 'mtu', mtu })
  }

  private learnTimes(reachableMs: number, retransmitMs: number): void {
    const reachable = timeOf(reachableMs, this.reachable)
    const retransmit = timeOf(retransmitMs, this.retransmit)
    if (reachable === this.reachable && retransmit === this.retransmit) return
    this.reachable = reachable
    this.retransmit = retransmit
    this.learnt.push({ kind: 'times', reachable, retransmit })
  }

  private learnServers(view: DataView, at: number, now: Instant): void {
    const end = at + option.optionOctets(view, at)
    for (let one = option.contentAt(at); one < end; one += message.ADDRESS_OCTETS) {
      const server = readAddress(view, one, this.prefix)
      if (!server.isUnspecified && !isMulticast(server)) {
        this.names.learnServer(server, option.lifetime(view, at), now)
      }
    }
  }

  private learnDomains(view: DataView, at: number, now: Instant): void {
    const domains = domainsIn(view, option.contentAt(at), at + option.optionOctets(view, at), MOST_NAMES)
    for (const domain of domains ?? []) this.names.learnDomain(domain, option.lifetime(view, at), now)
  }
}

/** Can a router tell of it? Not of everything, nor of the block of `::`, link-local addresses and groups. */
const isNetwork = (prefix: IpAddress): boolean =>
  (prefix.w0 | prefix.w1) !== 0 && !isLinkLocal(prefix) && !isMulticast(prefix)

/** A time of an advertisement; what says nothing, or too much, leaves it as it was. */
const timeOf = (told: number, before: Duration): Duration =>
  told === 0 || told > MOST_TIME_MS ? before : Math.max(LEAST_TIME, ms(told))

function masked(address: IpAddress, length: number): IpAddress {
  address.w0 &= maskOf(length, 0)
  address.w1 &= maskOf(length, 1)
  address.w2 &= maskOf(length, 2)
  address.w3 &= maskOf(length, 3)
  return address
}
