/** The host in Neighbour Discovery: looks for routers, and does what they say to the owner of the link. */
import type { IpAddress } from '../../../../src/kernel/address.ts'
import type { Instant } from '../../../../src/kernel/clock.ts'
import { Drive } from '../../../../src/kernel/drive.ts'
import type { Env } from '../../../../src/kernel/env.ts'
import type { Packet } from '../../../../src/kernel/packet.ts'
import type { Random } from '../../../../src/kernel/random.ts'
import type { NeighbourCache } from '../../neighbour-cache.ts'
import type { DiscoveryOwner } from '../discovery.ts'
import type { Claims } from './claims.ts'
import { Host, type HostSettings } from './host.ts'
import type { Learnt } from './learnt.ts'
import { RouterSolicitor } from './router-solicitor.ts'
import type { Sender } from './sender.ts'

export class HostPart {
  private readonly env: Env
  private readonly owner: DiscoveryOwner
  private readonly claims: Claims
  private readonly sender: Sender
  private readonly cache: NeighbourCache
  private readonly host: Host
  private readonly hostDrive: Drive
  private readonly solicitor: RouterSolicitor
  private readonly solicitorDrive: Drive

  constructor(
    env: Env,
    random: Random,
    owner: DiscoveryOwner,
    claims: Claims,
    sender: Sender,
    cache: NeighbourCache,
    settings: HostSettings,
  ) {
    this.env = env
    this.owner = owner
    this.claims = claims
    this.sender = sender
    this.cache = cache
    this.host = new Host(settings)
    this.hostDrive = new Drive(this.host, env.timers, { pump: () => this.pumpHost() })
    this.solicitor = new RouterSolicitor(random)
    this.solicitorDrive = new Drive(this.solicitor, env.timers, { pump: () => this.pumpSolicitor() })
  }

  /** Looks for routers: the link is there, and we have an address to ask with. */
  start(): void {
    this.solicitor.start(this.env.clock.now())
    this.solicitorDrive.arm()
  }

  /** Looks no more; what is known lasts as long as it was told to. */
  stop(): void {
    this.solicitor.stop()
  }

  close(): void {
    this.hostDrive.stop()
    this.solicitorDrive.stop()
  }

  /** As in `Host`. */
  input(packet: Packet, router: IpAddress, now: Instant): void {
    if (this.host.input(packet, router, now)) this.solicitor.stop()
    this.hostDrive.run(now)
  }

  redirect(destination: IpAddress, target: IpAddress, now: Instant): void {
    this.host.redirect(destination, target, now)
    this.hostDrive.run(now)
  }

  answered(neighbour: IpAddress, router: boolean, now: Instant): void {
    this.host.answered(neighbour, router, now)
    this.hostDrive.run(now)
  }

  silent(neighbour: IpAddress): void {
    this.host.silent(neighbour)
    this.hostDrive.run(this.env.clock.now())
  }

  duplicate(address: IpAddress): void {
    this.host.duplicate(address)
    this.hostDrive.run(this.env.clock.now())
  }

  private pumpHost(): void {
    for (let learnt = this.host.output(); learnt !== undefined; learnt = this.host.output()) this.apply(learnt)
  }

  private apply(learnt: Learnt): void {
    const { owner } = this
    switch (learnt.kind) {
      case 'route':
        owner.learnRoute(learnt.prefix, learnt.length, learnt.via, learnt.preference)
        break
      case 'noRoute':
        owner.forgetRoute(learnt.prefix, learnt.length, learnt.via)
        break
      case 'address':
        owner.autoconfigured(learnt.address, learnt.length)
        break
      case 'deprecated':
        owner.deprecated(learnt.address, learnt.deprecated)
        break
      case 'expired':
        owner.expired(learnt.address)
        break
      case 'mtu':
        owner.learnMtu(learnt.mtu)
        break
      case 'hopLimit':
        owner.learnHopLimit(learnt.hopLimit)
        break
      case 'names':
        owner.learnNames(learnt.servers, learnt.domains)
        break
      case 'times':
        this.cache.setTimes(learnt.reachable, learnt.retransmit)
        break
    }
  }

  private pumpSolicitor(): void {
    const source = this.solicitor.output() ? this.claims.linkLocal() : undefined
    if (source !== undefined) this.sender.solicitRouters(source)
  }
}
