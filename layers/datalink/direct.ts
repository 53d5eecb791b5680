/**
 * The data link of a medium that carries IP packets as they are (TUN): no header, two stations, nothing to resolve.
 * The version field says which protocol a packet is of (RFC 791 §3.1, RFC 8200 §3).
 */
import type { Boundary, Reasons } from '../../src/kernel/boundary.ts'
import type { Env } from '../../src/kernel/env.ts'
import type { Layer, LinkState, User } from '../../src/kernel/layer.ts'
import type { Packet } from '../../src/kernel/packet.ts'
import type { PhysicalService } from '../physical/service.ts'
import { ETHERTYPE, type LinkAddress, LinkAddressing, type LinkOffload, type LinkService } from './service.ts'

/** Why `direct` drops packets. */
export type DirectDrop = 'empty' | 'badVersion' | 'notIp' | 'unknownProtocol'

const REASONS: Reasons<DirectDrop> = { empty: '', badVersion: 'RFC 1122 §3.2.1.1', notIp: '', unknownProtocol: '' }

/** A point-to-point link of IP packets. What is neither IPv4 nor IPv6 is dropped, in both directions. */
export function direct(): Layer<PhysicalService<'ip'>, LinkService> {
  return (below, env) => new Direct(below, env)
}

class Direct implements LinkService, User<undefined> {
  readonly tier = 'datalink'
  readonly address: LinkAddress = 0
  readonly broadcast = null
  readonly offload: LinkOffload
  readonly boundary: Boundary<LinkAddressing, DirectDrop>
  private readonly below: PhysicalService<'ip'>
  private readonly from = new LinkAddressing()

  constructor(below: PhysicalService<'ip'>, env: Env) {
    this.below = below
    this.offload = below.offload
    this.boundary = env.boundary('direct', 'link', REASONS)
    env.defer(below.boundary.attach(this))
  }

  get mtu(): number {
    return this.below.mtu
  }

  get headroom(): number {
    return this.below.headroom
  }

  get tailroom(): number {
    return this.below.tailroom
  }

  send(packet: Packet, to: LinkAddressing): boolean {
    this.boundary.down(packet, to)
    if (to.protocol !== ETHERTYPE.ipv4 && to.protocol !== ETHERTYPE.ipv6) {
      this.boundary.drop(packet, 'notIp')
      return true
    }
    return this.below.send(packet, undefined)
  }

  receive(packet: Packet): void {
    const reason = this.deliver(packet)
    if (reason !== undefined) this.boundary.drop(packet, reason)
  }

  ready(): void {
    this.boundary.ready()
  }

  linkChanged(state: LinkState, reason: string): void {
    this.boundary.linkChanged(state, reason)
  }

  /** @returns why the packet must be dropped; undefined when the user above has it. */
  private deliver(packet: Packet): DirectDrop | undefined {
    if (packet.length === 0) return 'empty'
    const version = (packet.octets[packet.start] as number) >> 4
    if (version !== 4 && version !== 6) return 'badVersion'
    const protocol = version === 4 ? ETHERTYPE.ipv4 : ETHERTYPE.ipv6
    this.from.protocol = protocol
    return this.boundary.up(packet, this.from, protocol) ? undefined : 'unknownProtocol'
  }
}
