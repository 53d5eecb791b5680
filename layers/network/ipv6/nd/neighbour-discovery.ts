/**
 * Neighbour Discovery on one link (RFC 4861, RFC 4862): the messages in and out, around the neighbour cache, the claims to
 * our addresses, and the machines of a host and of a router.
 *
 * As in ARP, who asks for us is entered, because it is about to talk to us; an answer that nobody asked for makes no entry,
 * and what is sought is bounded in number and in rate (RFC 6583): a scan of a prefix harms no neighbour that works.
 *
 * Not here: optimistic addresses (RFC 4429), redirects that we send, proxies, anycast, SEND.
 */
import { IpAddress } from '../../../../src/kernel/address.ts'
import { Drive } from '../../../../src/kernel/drive.ts'
import type { Env } from '../../../../src/kernel/env.ts'
import type { LinkState } from '../../../../src/kernel/layer.ts'
import type { Packet } from '../../../../src/kernel/packet.ts'
import type { Random } from '../../../../src/kernel/random.ts'
import { TokenBucket } from '../../../../src/kernel/token-bucket.ts'
import { ETHERTYPE, type LinkAddress, LinkAddressing, type LinkService } from '../../../datalink/service.ts'
import type { Neighbour } from '../../neighbour-cache.ts'
import { UNRESOLVED } from '../../neighbours.ts'
import { Resolution } from '../../resolution.ts'
import { isLinkLocal, isMulticast, isStation, isUnspecified, solicitedNode } from '../address-kinds.ts'
import {
  type AdvertiseOptions,
  DISCOVERY_TYPE,
  type Discovery,
  type DiscoveryOptions,
  type DiscoveryOwner,
  type DiscoveryReason,
} from '../discovery.ts'
import { AddressClaim } from './address-claim.ts'
import { Claims } from './claims.ts'
import { secretOf } from './discovery-options.ts'
import { HostPart } from './host-part.ts'
import * as message from './message.ts'
import * as option from './options.ts'
import { RouterPart } from './router-part.ts'
import { Sender } from './sender.ts'

/** Solicitations for neighbours that are not known, a second and at once (ours). */
const SOLICITATION_RATE = 256

/**
 * Starts discovery on a link; ends with `close`.
 * @param owner asked to `join` at once; told of all else later.
 * @param options checked by `checkDiscovery`.
 * @param forwarding we are a router: say so, and heed no others unless told to.
 * @param advertise what to say as a router; checked by `checkAdvertise`.
 */
export function neighbourDiscovery(
  link: LinkService,
  env: Env,
  owner: DiscoveryOwner,
  options: DiscoveryOptions,
  forwarding: boolean,
  advertise?: AdvertiseOptions,
): Discovery {
  return new NeighbourDiscovery(link, env, owner, options, forwarding, advertise)
}

class NeighbourDiscovery extends Resolution implements Discovery {
  private readonly link: LinkService
  private readonly owner: DiscoveryOwner
  private readonly random: Random
  private readonly transmits: number
  private readonly claims = new Claims()
  private readonly sender: Sender
  /** Null where we heed no routers, and where we are none. */
  private readonly host: HostPart | null
  private readonly router: RouterPart | null
  private readonly solicitations = new TokenBucket(SOLICITATION_RATE, SOLICITATION_RATE)
  private readonly to = new LinkAddressing()
  private readonly redirects: boolean
  private readonly scratch = new IpAddress()
  private readonly destination = new IpAddress()
  private readonly group = new IpAddress()
  /** The link address that the message at hand tells, or UNRESOLVED. */
  private peer: LinkAddress = UNRESOLVED

  constructor(
    link: LinkService,
    env: Env,
    owner: DiscoveryOwner,
    options: DiscoveryOptions,
    forwarding: boolean,
    advertise: AdvertiseOptions | undefined,
  ) {
    const random = env.random('nd')
    super(env, options, random)
    this.link = link
    this.owner = owner
    this.random = random
    this.transmits = link.broadcast === null ? 0 : (options.duplicateTransmits ?? 1)
    this.sender = new Sender(link, env, owner, forwarding || advertise !== undefined)
    const { claims, sender, cache } = this
    const accept = options.accept ?? !forwarding
    this.redirects = options.redirects ?? !forwarding
    const settings = {
      autoconfigure: options.autoconfigure ?? true,
      key: secretOf(options.secret, random),
      link: link.address,
      mtu: link.mtu,
    }
    this.host = accept ? new HostPart(env, random, owner, claims, sender, cache, settings) : null
    this.router = advertise === undefined ? null : new RouterPart(env, random, owner, claims, sender, advertise)
  }

  override resolve(nextHop: IpAddress, packet: Packet): LinkAddress | typeof UNRESOLVED {
    return this.link.broadcast === null ? 0 : super.resolve(nextHop, packet)
  }

  claim(address: IpAddress, length: number): boolean {
    this.renounce(address)
    const now = this.env.clock.now()
    const { transmits, cache, random } = this
    const claim = new AddressClaim(address.clone(), length, transmits, cache.retransmit, random, now)
    const drive = new Drive(claim, this.env.timers, { pump: () => this.pumpClaim(claim) })
    this.claims.add(claim, drive)
    this.owner.join(solicitedNode(address, this.group))
    drive.arm()
    if (claim.state === 'held') this.held(claim)
    return claim.state === 'held'
  }

  renounce(address: IpAddress): void {
    if (!this.claims.remove(address)) return
    this.owner.leave(solicitedNode(address, this.group))
    if (this.claims.linkLocal() === undefined) this.silence()
  }

  linkChanged(state: LinkState): void {
    if (state === 'down') {
      this.forgetAll()
      this.silence()
      return
    }
    for (const address of this.claims.held()) this.sender.announce(address)
    if (this.claims.linkLocal() !== undefined) this.speak()
  }

  close(): void {
    this.router?.close()
    this.host?.close()
    this.claims.close()
    this.stopResolving((packet) => this.owner.discard(packet, 'discoveryClosed'))
  }

  receive(packet: Packet, source: IpAddress, destination: IpAddress): DiscoveryReason | undefined {
    const fault = message.fault(packet)
    if (fault !== undefined) return fault
    switch (packet.view.getUint8(packet.start)) {
      case DISCOVERY_TYPE.neighbourSolicitation:
        return this.solicited(packet, source, destination)
      case DISCOVERY_TYPE.neighbourAdvertisement:
        return this.advertised(packet, source, destination)
      case DISCOVERY_TYPE.routerSolicitation:
        return this.routersSought(packet, source)
      case DISCOVERY_TYPE.routerAdvertisement:
        return this.routerHeard(packet, source)
      default:
        return this.redirected(packet, source)
    }
  }

  protected override transmit(packet: Packet, peer: LinkAddress): void {
    this.to.peer = peer
    // Routes of IPv4 may lead by IPv6 neighbours.
    this.to.protocol = packet.view.getUint8(packet.start) >>> 4 === 4 ? ETHERTYPE.ipv4 : ETHERTYPE.ipv6
    this.link.send(packet, this.to)
  }

  protected override undeliverable(packet: Packet, nextHop: IpAddress): void {
    this.host?.silent(nextHop)
    this.owner.undeliverable(packet, nextHop)
  }

  protected override overflow(packet: Packet): void {
    this.owner.discard(packet, 'neighbourQueueFull')
  }

  /** Who is known is asked alone. Without an address of ours that is to wait (RFC 4861 §7.2.2). */
  protected override solicit({ address, state, linkAddress }: Neighbour): void {
    const known = state === 'probe'
    const source = this.claims.sourceFor(address)
    if (source === undefined || (!known && !this.solicitations.take(this.env.clock.now()))) return
    this.sender.solicit(address, source, known ? linkAddress : UNRESOLVED)
  }

  /** A neighbour solicitation (§7.2.3). */
  private solicited(packet: Packet, source: IpAddress, destination: IpAddress): DiscoveryReason | undefined {
    const target = message.target(packet.view, packet.start, this.scratch)
    if (isMulticast(target)) return 'discoveryTarget'
    const reason = this.readPeer(packet, option.OPTION.sourceLinkAddress)
    if (reason !== undefined) return reason
    const probe = isUnspecified(source)
    if (probe && (this.peer !== UNRESOLVED || !destination.equals(solicitedNode(target, this.group)))) {
      return 'discoverySource'
    }
    const mine = this.claims.find(target)
    if (mine === undefined) return 'notOurNeighbour'
    if (probe) return this.probed(packet, mine)
    if (mine.state !== 'held') return 'notOurNeighbour' // RFC 4862 §5.4.3
    const usurped = this.claims.find(source)
    if (usurped !== undefined) return this.conflict(usurped)
    this.learn(source)
    this.sender.answer(mine.address, source, this.peer)
    return undefined
  }

  /** Somebody wants an address of ours, and asks whether it is free (RFC 4862 §5.4.3). */
  private probed({ view, start, end }: Packet, mine: AddressClaim): DiscoveryReason | undefined {
    if (mine.state === 'held') {
      this.sender.announce(mine.address)
      return undefined
    }
    const from = start + message.fixedOctets(DISCOVERY_TYPE.neighbourSolicitation)
    const nonce = option.findOption(view, from, end, option.OPTION.nonce)
    if (nonce < 0 || !option.isNonce(view, nonce, mine.nonceHigh, mine.nonceLow)) return this.conflict(mine)
    mine.loopedBack()
    return 'ownDiscovery'
  }

  /** A neighbour advertisement (§7.2.5). */
  private advertised(packet: Packet, source: IpAddress, destination: IpAddress): DiscoveryReason | undefined {
    const { view, start } = packet
    const target = message.target(view, start, this.scratch)
    const solicited = message.isSolicited(view, start)
    if (isMulticast(target)) return 'discoveryTarget'
    if (isUnspecified(source)) return 'discoverySource'
    if (solicited && isMulticast(destination)) return 'solicitedGroup'
    const reason = this.readPeer(packet, option.OPTION.targetLinkAddress)
    if (reason !== undefined) return reason
    const mine = this.claims.find(target)
    if (mine !== undefined) return this.conflict(mine)
    const now = this.env.clock.now()
    const { cache } = this
    const peer = this.peer === UNRESOLVED ? cache.linkAddressOf(target) : this.peer
    if (peer === UNRESOLVED) return 'discoveryLinkAddress'
    const kept = !message.isOverride(view, start) && cache.dispute(target, peer, now)
    if (!kept && !cache.learn(target, peer, solicited, false, now)) return 'unsolicitedNeighbour'
    this.drive.run(now)
    // Who must not take another's place does not speak for it either: it changes nothing else.
    if (!kept) this.host?.answered(target, message.isRouter(view, start), now)
    return undefined
  }

  /** A router solicitation (§6.2.6). */
  private routersSought(packet: Packet, source: IpAddress): DiscoveryReason | undefined {
    const reason = this.readPeer(packet, option.OPTION.sourceLinkAddress)
    if (reason !== undefined) return reason
    const nameless = isUnspecified(source)
    if (nameless && this.peer !== UNRESOLVED) return 'discoverySource'
    if (this.router === null) return 'solicitationIgnored'
    if (!nameless) this.learn(source)
    this.router.solicited(this.env.clock.now())
    return undefined
  }

  /** A router advertisement (§6.3.4). */
  private routerHeard(packet: Packet, source: IpAddress): DiscoveryReason | undefined {
    if (!isLinkLocal(source)) return 'discoverySource'
    const reason = this.readPeer(packet, option.OPTION.sourceLinkAddress)
    if (reason !== undefined) return reason
    const usurped = this.claims.find(source)
    if (usurped !== undefined) return this.conflict(usurped)
    if (this.host === null) return 'advertisementIgnored'
    this.learn(source)
    this.host.input(packet, source, this.env.clock.now())
    return undefined
  }

  /** A router of ours knows a better one for a destination, or that it is on the link (§8.1, §8.3). */
  private redirected(packet: Packet, source: IpAddress): DiscoveryReason | undefined {
    const { view, start } = packet
    if (!isLinkLocal(source)) return 'discoverySource'
    const target = message.target(view, start, this.scratch)
    const destination = message.redirected(view, start, this.destination)
    const sensible = isStation(destination) && !isLinkLocal(destination)
    if (!sensible || !(isLinkLocal(target) || target.equals(destination))) return 'discoveryTarget'
    const reason = this.readPeer(packet, option.OPTION.targetLinkAddress)
    if (reason !== undefined) return reason
    const heeded = this.redirects && this.host !== null && this.owner.isFirstHop(destination, source)
    if (!heeded || this.claims.find(target) !== undefined) return 'redirectIgnored'
    this.learn(target)
    this.host?.redirect(destination, target, this.env.clock.now())
    return undefined
  }

  /** Reads the link address that a message tells into `peer`. @returns why it cannot be that of a station. */
  private readPeer(packet: Packet, type: 1 | 2): DiscoveryReason | undefined {
    this.peer = UNRESOLVED
    if (this.link.broadcast === null) return undefined
    const { view, start, end } = packet
    const at = option.findOption(view, start + message.fixedOctets(view.getUint8(start)), end, type)
    if (at < 0) return undefined
    const address = option.linkAddress(view, at)
    if (address === this.link.address) return 'ownDiscovery'
    if (address === 0 || isGroup(address)) return 'discoveryLinkAddress'
    this.peer = address
    return undefined
  }

  /** Enters who speaks to us, if it has told where it is. */
  private learn(neighbour: IpAddress): void {
    if (this.peer === UNRESOLVED) return
    const now = this.env.clock.now()
    if (this.cache.learn(neighbour, this.peer, false, true, now)) this.drive.run(now)
  }

  private conflict(claim: AddressClaim): DiscoveryReason {
    const { address } = claim
    const lost = claim.conflict()
    if (lost) this.renounce(address)
    this.owner.conflict?.(address, this.peer, lost)
    if (lost) this.host?.duplicate(address)
    return 'addressConflict'
  }

  private pumpClaim(claim: AddressClaim): void {
    if (claim.output()) this.sender.probe(claim)
    if (!claim.takeClaimed()) return
    this.owner.claimed?.(claim.address)
    this.held(claim)
  }

  /** An address is ours to use: the link-local one is what we speak to, and as, routers with. */
  private held({ address }: AddressClaim): void {
    if (isLinkLocal(address)) this.speak()
    else this.router?.changed()
  }

  private speak(): void {
    this.host?.start()
    this.router?.start()
  }

  private silence(): void {
    this.host?.stop()
    this.router?.stop()
  }
}

/** The group bit of a hardware address. */
const isGroup = (address: LinkAddress): boolean => Math.floor(address / 0x100_0000_0000) % 2 === 1
