/**
 * A policy before IPv6's packets: what it looks at taken out of the headers, what it changes put in, what it refuses dropped.
 * Discovery is not asked about, as ARP is not: without it a link carries nothing.
 */

import type { PolicyHook } from '../../../src/api/rules.ts'
import { IpAddress } from '../../../src/kernel/address.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import type { Change } from '../policy/compiled-rule.ts'
import { PacketKey } from '../policy/packet-key.ts'
import type { Policy, PolicyOwner } from '../policy/policy.ts'
import { PROTOCOL } from '../service.ts'
import { followAddress, followPort } from '../transport-checksum.ts'
import { Chain } from './chain.ts'
import { DISCOVERY_TYPE } from './discovery.ts'
import * as header from './header.ts'
import { CODE, type Complaints, TYPE } from './icmp-message.ts'
import type { Ipv6Boundary } from './reasons.ts'

const TCP_FLAGS = 13
const DESTINATION_PORT = 2

export class Filter implements PolicyOwner {
  /** The last packet that passed goes to another destination now. */
  moved = false
  private readonly boundary: Ipv6Boundary
  private readonly complaints: Complaints
  private readonly policy: Policy
  private readonly key: PacketKey
  private readonly chain = new Chain()
  /** The one that is looked at, and where its transport header is; -1 when that is in another fragment. */
  private packet: Packet | null = null
  private transport = -1
  private readonly before = new IpAddress()

  /** @param nameOf the name of a link by its index. */
  constructor(boundary: Ipv6Boundary, complaints: Complaints, policy: Policy, nameOf: (link: number) => string) {
    this.boundary = boundary
    this.complaints = complaints
    this.policy = policy
    this.key = new PacketKey(false, nameOf)
  }

  /**
   * Looks at a packet, and may change it. Takes ownership of one that does not pass.
   * @param packet with its header at `start`. @param inLink index; 0 for none. So `outLink`. @returns whether it passes.
   */
  passes(hook: PolicyHook, packet: Packet, inLink: number, outLink: number): boolean {
    const { key } = this
    key.hook = hook
    key.inLink = inLink
    key.outLink = outLink
    this.moved = false
    this.read(packet)
    if (isDiscovery(key, header.hopLimit(packet.view, packet.start))) return true
    this.packet = packet
    const verdict = this.policy.decide(key, this)
    this.packet = null
    if (verdict === 'allow') return true
    if (verdict === 'reject') {
      packet.networkStart = packet.start
      this.complaints.complain(packet, TYPE.unreachable, CODE.prohibited, 0, inLink)
    }
    this.boundary.drop(packet, verdict === 'reject' ? 'policyRejected' : 'policyDenied')
    return false
  }

  change(key: PacketKey, { dscp, destination, destinationPort }: Change): void {
    const packet = this.packet as Packet
    const { view, start } = packet
    if (dscp >= 0) view.setUint16(start, (view.getUint16(start) & 0xf03f) | (dscp << 6))
    if (destination !== null && !destination.isIpv4) this.redirect(packet, key, destination)
    if (destinationPort >= 0 && key.destinationPort >= 0) {
      const at = this.transport + DESTINATION_PORT
      followPort(packet, key.protocol, this.transport, packet.end, key.destinationPort, destinationPort)
      view.setUint16(at, destinationPort)
      key.destinationPort = destinationPort
    }
  }

  failed(error: unknown): void {
    this.boundary.note(this.packet, 'policyFailed', String(error), '')
  }

  private redirect(packet: Packet, key: PacketKey, destination: IpAddress): void {
    const { view, start } = packet
    const before = header.readDestination(view, start, this.before)
    header.writeAddress(view, start + header.DESTINATION_AT, destination)
    if (this.transport >= 0) {
      for (const word of ['w0', 'w1', 'w2', 'w3'] as const) {
        followAddress(packet, key.protocol, this.transport, packet.end, before[word], destination[word])
      }
    }
    key.destination.set(destination)
    this.moved = true
  }

  private read({ view, start, end }: Packet): void {
    const { key, chain } = this
    key.clear()
    this.transport = -1
    header.readSource(view, start, key.source)
    header.readDestination(view, start, key.destination)
    const astray = chain.walk(view, start, end, false)
    key.protocol = chain.protocol
    if (astray !== undefined) return
    if (chain.protocol === header.NEXT.fragment) {
      if (chain.at + header.FRAGMENT_OCTETS > end) return
      const later = header.fragmentOffset(view, chain.at) !== 0
      // A later fragment names the header behind it all the same; only the first one has it.
      if (later) key.protocol = view.getUint8(chain.at)
      if (later || chain.walkBehind(view, chain.at, end) !== undefined) return
      key.protocol = chain.protocol
    }
    this.transport = chain.at
    this.readTransport(view, chain.at, end)
  }

  private readTransport(view: DataView, at: number, end: number): void {
    const { key } = this
    const { protocol } = key
    if (protocol === PROTOCOL.icmpv6 && at < end) key.icmpType = view.getUint8(at)
    if ((protocol !== PROTOCOL.tcp && protocol !== PROTOCOL.udp) || at + 4 > end) return
    key.sourcePort = view.getUint16(at)
    key.destinationPort = view.getUint16(at + DESTINATION_PORT)
    if (protocol === PROTOCOL.tcp && at + TCP_FLAGS < end) key.tcpFlags = view.getUint8(at + TCP_FLAGS)
  }
}

/** Of the link itself: no router sends on what has this hop limit left, and none of ours is asked about its own. */
function isDiscovery({ hook, protocol, icmpType }: PacketKey, hopLimit: number): boolean {
  return (
    hook !== 'forward' &&
    protocol === PROTOCOL.icmpv6 &&
    hopLimit === 255 &&
    icmpType >= DISCOVERY_TYPE.routerSolicitation &&
    icmpType <= DISCOVERY_TYPE.redirect
  )
}
