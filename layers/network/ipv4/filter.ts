/** A policy before IPv4's packets: what it looks at taken out of the header, what it changes put in, what it refuses dropped. */

import type { PolicyHook } from '../../../src/api/rules.ts'
import { adjust } from '../../../src/kernel/checksum.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import type { Change } from '../policy/compiled-rule.ts'
import { PacketKey } from '../policy/packet-key.ts'
import type { Policy, PolicyOwner } from '../policy/policy.ts'
import { PROTOCOL } from '../service.ts'
import * as header from './header.ts'
import { CODE, type Complaints, TYPE } from './icmp-message.ts'
import type { Ipv4Boundary } from './reasons.ts'
import { DESTINATION, rewriteAddress, rewritePort } from './rewrite.ts'

const TCP_FLAGS = 13
const HEADER_CHECKSUM = 10

export class Filter implements PolicyOwner {
  /** The last packet that passed goes to another destination now. */
  moved = false
  private readonly boundary: Ipv4Boundary
  private readonly complaints: Complaints
  private readonly policy: Policy
  private readonly key: PacketKey
  /** The one that is looked at. */
  private packet: Packet | null = null

  /** @param nameOf the name of a link by its index. */
  constructor(boundary: Ipv4Boundary, complaints: Complaints, policy: Policy, nameOf: (link: number) => string) {
    this.boundary = boundary
    this.complaints = complaints
    this.policy = policy
    this.key = new PacketKey(true, nameOf)
  }

  /**
   * Looks at a packet, and may change it. Takes ownership of one that does not pass.
   * @param packet with its header at `start`. @param inLink index; 0 for none. So `outLink`.
   * @param answer it answers what translation has let out. @returns whether it passes.
   */
  passes(hook: PolicyHook, packet: Packet, inLink: number, outLink: number, answer: boolean): boolean {
    const { key } = this
    key.hook = hook
    key.inLink = inLink
    key.outLink = outLink
    this.read(packet)
    key.answer = answer
    this.moved = false
    this.packet = packet
    const verdict = this.policy.decide(key, this)
    this.packet = null
    if (verdict === 'allow') return true
    if (verdict === 'reject') {
      packet.networkStart = packet.start
      this.complaints.complain(packet, TYPE.unreachable, CODE.prohibited, 0)
    }
    this.boundary.drop(packet, verdict === 'reject' ? 'policyRejected' : 'policyDenied')
    return false
  }

  change(key: PacketKey, { dscp, destination, destinationPort }: Change): void {
    const packet = this.packet as Packet
    const { view, start } = packet
    if (dscp >= 0) {
      const before = view.getUint16(start)
      const after = (before & 0xff03) | (dscp << 2)
      view.setUint16(start, after)
      view.setUint16(start + HEADER_CHECKSUM, adjust(view.getUint16(start + HEADER_CHECKSUM), before, after))
    }
    // What follows the header of a later fragment is no transport header.
    const later = header.fragmentOffset(view, start) !== 0
    const limit = later ? start + header.headerOctets(view, start) : packet.end
    if (destination?.isIpv4) {
      rewriteAddress(packet, start, limit, DESTINATION, destination.w3)
      key.destination.set(destination)
      this.moved = true
    }
    if (destinationPort >= 0 && key.destinationPort >= 0) {
      rewritePort(packet, start, limit, DESTINATION, destinationPort)
      key.destinationPort = destinationPort
    }
  }

  failed(error: unknown): void {
    this.boundary.note(this.packet, 'policyFailed', String(error), '')
  }

  private read({ view, start, end }: Packet): void {
    const { key } = this
    const protocol = header.protocol(view, start)
    const transport = start + header.headerOctets(view, start)
    key.clear()
    key.source.setIpv4(header.source(view, start))
    key.destination.setIpv4(header.destination(view, start))
    key.protocol = protocol
    if (header.fragmentOffset(view, start) !== 0) return
    if (protocol === PROTOCOL.icmp && transport < end) key.icmpType = view.getUint8(transport)
    if ((protocol !== PROTOCOL.tcp && protocol !== PROTOCOL.udp) || transport + 4 > end) return
    key.sourcePort = view.getUint16(transport)
    key.destinationPort = view.getUint16(transport + 2)
    if (protocol === PROTOCOL.tcp && transport + TCP_FLAGS < end) key.tcpFlags = view.getUint8(transport + TCP_FLAGS)
  }
}
