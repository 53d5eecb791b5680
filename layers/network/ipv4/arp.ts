/**
 * ARP: neighbour resolution for IPv4 on a link with broadcast (RFC 826, RFC 1122 §2.3.2, RFC 5227).
 *
 * Requests for our addresses are answered, and their senders entered, because they are about to talk to us. Anything
 * else only updates what is known already: an answer nobody asked for makes no entry, so a flood of them costs nothing.
 */
import { IpAddress, maskIpv4 } from '../../../src/kernel/address.ts'
import type { Boundary, Reasons } from '../../../src/kernel/boundary.ts'
import { Drive } from '../../../src/kernel/drive.ts'
import type { Env } from '../../../src/kernel/env.ts'
import type { LinkState, User } from '../../../src/kernel/layer.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import type { Random } from '../../../src/kernel/random.ts'
import {
  type ArpFormat,
  ETHERTYPE,
  type LinkAddress,
  LinkAddressing,
  type LinkService,
} from '../../datalink/service.ts'
import type { Neighbour } from '../neighbour-cache.ts'
import type { NeighbourOptions, NeighbourOwner, Neighbours } from '../neighbours.ts'
import { Resolution } from '../resolution.ts'
import { AddressClaim } from './arp-claim.ts'
import * as arpPacket from './arp-packet.ts'

const REASONS = {
  short: 'RFC 826',
  hardwareType: 'RFC 826',
  protocolType: 'RFC 826',
  addressLength: 'RFC 826',
  operation: 'RFC 826',
  /** The sender's hardware address is not that of one station. */
  senderHardware: 'RFC 1812 §3.3.2',
  /** The sender's protocol address cannot be that of a station. */
  senderProtocol: 'RFC 1122 §3.2.1.3',
  /** The link gave us back what we sent. */
  ownPacket: '',
  /** Somebody else says that one of our addresses is theirs. */
  conflict: 'RFC 5227 §2.4',
  notForUs: 'RFC 826',
  unsolicited: '',
  /** Too many packets wait for a neighbour's answer. */
  queueFull: 'RFC 1122 §2.3.2.2',
  closed: '',
} as const satisfies Reasons

type ArpReason = keyof typeof REASONS

export interface ArpOptions extends NeighbourOptions {
  /** Probe for other users of an address before using it (RFC 5227 §2.1); takes 4 to 7 s. Default false. */
  readonly detectConflicts?: boolean | undefined
}

/**
 * Starts ARP on a link; detaches with `close`.
 * @param link one with a broadcast address.
 * @param owner told of packets that cannot be delivered, and of conflicts.
 */
export function arp(link: LinkService, env: Env, owner: NeighbourOwner, options: ArpOptions = {}): Neighbours {
  return new Arp(link, env, owner, options)
}

/** One of our addresses, and what drives its claim. */
interface Claimed {
  readonly claim: AddressClaim
  readonly drive: Drive
}

class Arp extends Resolution implements Neighbours, User<LinkAddressing> {
  private readonly link: LinkService
  private readonly format: ArpFormat
  private readonly owner: NeighbourOwner
  private readonly detectConflicts: boolean
  private readonly random: Random
  private readonly boundary: Boundary<LinkAddressing, ArpReason>
  private readonly claims = new Map<number, Claimed>()
  private readonly to = new LinkAddressing()
  private readonly scratch = new IpAddress()
  private readonly detach: () => void

  constructor(link: LinkService, env: Env, owner: NeighbourOwner, options: ArpOptions) {
    const random = env.random('arp')
    super(env, options, random)
    this.link = link
    this.format = link.arp ?? arpPacket.ETHERNET
    this.owner = owner
    this.detectConflicts = options.detectConflicts ?? false
    this.random = random
    this.boundary = env.boundary<LinkAddressing, ArpReason>('arp', 'link', REASONS)
    this.detach = link.boundary.attach(this, ETHERTYPE.arp)
  }

  claim(address: IpAddress, length: number): boolean {
    this.renounce(address)
    const now = this.env.clock.now()
    const claim = new AddressClaim(address.w3, length, this.detectConflicts, this.random, now)
    const drive = new Drive(claim, this.env.timers, { pump: () => this.pumpClaim(claim) })
    this.claims.set(claim.address, { claim, drive })
    drive.arm()
    return claim.state === 'held'
  }

  renounce(address: IpAddress): void {
    this.claims.get(address.w3)?.drive.stop()
    this.claims.delete(address.w3)
  }

  close(): void {
    this.detach()
    for (const { drive } of this.claims.values()) drive.stop()
    this.claims.clear()
    this.stopResolving((packet) => this.boundary.drop(packet, 'closed'))
    this.env.forget(this.boundary)
  }

  receive(packet: Packet, from: LinkAddressing): void {
    this.boundary.up(packet, from, 0)
    const reason = arpPacket.fault(packet, this.format) ?? this.input(packet, from)
    if (reason === undefined) packet.release()
    else this.boundary.drop(packet, reason)
  }

  linkChanged(state: LinkState): void {
    const now = this.env.clock.now()
    if (state === 'down') {
      this.forgetAll()
      return
    }
    for (const { claim, drive } of this.claims.values()) {
      claim.announce(now)
      drive.arm()
    }
  }

  protected override transmit(packet: Packet, peer: LinkAddress): void {
    this.to.peer = peer
    this.to.protocol = ETHERTYPE.ipv4
    this.link.send(packet, this.to)
  }

  protected override undeliverable(packet: Packet, nextHop: IpAddress): void {
    this.owner.undeliverable(packet, nextHop)
  }

  protected override overflow(packet: Packet): void {
    this.boundary.drop(packet, 'queueFull')
  }

  /** The one station that may still be there, or all (RFC 1122 §2.3.2.1). */
  protected override solicit({ address, state, linkAddress }: Neighbour): void {
    const target = address.w3
    const peer = state === 'probe' ? linkAddress : this.broadcast
    this.send(arpPacket.OP_REQUEST, this.sourceFor(target), 0, target, peer)
  }

  private get broadcast(): LinkAddress {
    return this.link.broadcast ?? 0xffff_ffff_ffff
  }

  /** Our address on the target's prefix, else any; none makes it a probe, which is answered all the same. */
  private sourceFor(target: number): number {
    let source = 0
    for (const { claim } of this.claims.values()) {
      if (claim.state !== 'held') continue
      if (((claim.address ^ target) & maskIpv4(claim.length)) === 0) return claim.address
      if (source === 0) source = claim.address
    }
    return source
  }

  private send(op: number, spa: number, tha: LinkAddress, tpa: number, peer: LinkAddress): void {
    const { link, to, format } = this
    const packet = this.env.packet(link.headroom, arpPacket.octetsOf(format) + link.tailroom)
    arpPacket.write(packet, { op, sha: link.address, spa, tha, tpa }, format)
    to.peer = peer
    to.protocol = ETHERTYPE.arp
    this.boundary.down(packet, to)
    link.send(packet, to)
  }

  /** @returns why the packet was of no use, or undefined. */
  private input(packet: Packet, from: LinkAddressing): ArpReason | undefined {
    const { format } = this
    const sha = arpPacket.sha(packet, format)
    const spa = arpPacket.spa(packet, format)
    if (sha === this.link.address) return 'ownPacket'
    if (sha <= 0 || isGroup(sha)) return 'senderHardware'
    const request = arpPacket.op(packet) === arpPacket.OP_REQUEST
    const target = this.claims.get(arpPacket.tpa(packet, format))
    if (spa === 0) {
      if (!request) return 'senderProtocol'
      // A probe for an address that we probe for ourselves (RFC 5227 §2.1.1).
      if (target?.claim.state === 'probing') return this.conflict(target, sha)
      return this.answer(target, sha, 0)
    }
    if (!isStation(spa)) return 'senderProtocol'
    const mine = this.claims.get(spa)
    if (mine !== undefined) return this.conflict(mine, sha)
    const forUs = target !== undefined && target.claim.state === 'held'
    const solicited = !request && forUs && from.cast === 'unicast'
    const known = this.learn(spa, sha, solicited, request && forUs)
    if (request) return this.answer(target, sha, spa) === undefined || known ? undefined : 'notForUs'
    return known ? undefined : 'unsolicited'
  }

  private learn(spa: number, sha: LinkAddress, solicited: boolean, create: boolean): boolean {
    const now = this.env.clock.now()
    const known = this.cache.learn(this.scratch.setIpv4(spa), sha, solicited, create, now)
    if (known) this.drive.run(now)
    return known
  }

  private answer(target: Claimed | undefined, sha: LinkAddress, spa: number): ArpReason | undefined {
    if (target === undefined || target.claim.state !== 'held') return 'notForUs'
    this.send(arpPacket.OP_REPLY, target.claim.address, sha, spa, sha)
    return undefined
  }

  private conflict({ claim, drive }: Claimed, peer: LinkAddress): ArpReason {
    const verdict = claim.conflict(this.env.clock.now())
    const address = IpAddress.ipv4(claim.address)
    if (verdict === 'defend') this.announce(claim.address)
    if (verdict === 'lost') {
      drive.stop()
      this.claims.delete(claim.address)
    }
    this.owner.conflict?.(address, peer, verdict === 'lost')
    return 'conflict'
  }

  private announce(address: number): void {
    this.send(arpPacket.OP_REQUEST, address, 0, address, this.broadcast)
  }

  private pumpClaim(claim: AddressClaim): void {
    const due = claim.output()
    if (due === 'probe') this.send(arpPacket.OP_REQUEST, 0, 0, claim.address, this.broadcast)
    if (due !== 'announcement') return
    this.announce(claim.address)
    if (claim.takeClaimed()) this.owner.claimed?.(IpAddress.ipv4(claim.address))
  }
}

/** The group bit of a hardware address: broadcast or multicast. */
const isGroup = (address: LinkAddress): boolean => Math.floor(address / 0x100_0000_0000) % 2 === 1

/** Neither "this network", nor loopback, nor multicast, nor reserved. */
function isStation(address: number): boolean {
  const first = address >>> 24
  return first !== 0 && first !== 127 && first < 224
}
