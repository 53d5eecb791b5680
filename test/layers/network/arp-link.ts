/** A link double for tests of ARP: a segment that joins any number of stations, delivers on a later turn, and logs. */

import { ETHERTYPE, type LinkAddress, LinkAddressing, type LinkService } from '../../../layers/datalink/service.ts'
import * as arpPacket from '../../../layers/network/ipv4/arp-packet.ts'
import { formatIpv4, formatMac } from '../../../src/kernel/address.ts'
import type { Boundary } from '../../../src/kernel/boundary.ts'
import type { Env } from '../../../src/kernel/env.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import { Queue } from '../../../src/kernel/queue.ts'
import { Timer } from '../../../src/kernel/timers.ts'

export const BROADCAST: LinkAddress = 0xffff_ffff_ffff

/** What all stations of a segment saw, one line a packet. */
export class Segment {
  readonly log: string[] = []
  readonly stations: StationLink[] = []
  /** Stations cut off from it neither send nor receive. */
  readonly cut: Set<StationLink> = new Set<StationLink>()
}

interface Sent {
  readonly packet: Packet
  readonly peer: LinkAddress
  readonly protocol: number
}

export class StationLink implements LinkService {
  readonly tier = 'datalink'
  readonly mtu = 1500
  readonly headroom = 16
  readonly tailroom = 4
  readonly broadcast: LinkAddress = BROADCAST
  readonly offload: { readonly segment: 0; readonly checksum: false } = { segment: 0, checksum: false }
  readonly boundary: Boundary<LinkAddressing>
  readonly address: LinkAddress
  private readonly segment: Segment
  private readonly env: Env
  private readonly queue = new Queue<Sent>(1024)
  private readonly timer: Timer = new Timer(this)
  private readonly from = new LinkAddressing()

  constructor(segment: Segment, env: Env, address: LinkAddress) {
    this.segment = segment
    this.env = env
    this.address = address
    this.boundary = env.boundary('link', 'link', {})
    segment.stations.push(this)
    env.defer(() => {
      env.timers.cancel(this.timer)
      for (let sent = this.queue.shift(); sent !== undefined; sent = this.queue.shift()) sent.packet.release()
    })
  }

  send(packet: Packet, to: LinkAddressing): boolean {
    this.boundary.down(packet, to)
    this.segment.log.push(`${this.env.clock.now() / 1000} ${this.env.node} > ${show(packet, to)}`)
    this.queue.push({ packet, peer: to.peer, protocol: to.protocol })
    this.env.timers.arm(this.timer, this.env.clock.now())
    return this.queue.open
  }

  expire(): void {
    for (let sent = this.queue.shift(); sent !== undefined; sent = this.queue.shift()) this.deliver(sent)
  }

  /** Puts octets on the segment as if `from` had sent them to this station. */
  inject(octets: readonly number[] | Uint8Array, from: LinkAddress, protocol: number = ETHERTYPE.arp): void {
    const packet = this.env.packet(0, octets.length)
    packet.append(Uint8Array.from(octets))
    this.take(packet, from, protocol, 'unicast')
  }

  private deliver({ packet, peer, protocol }: Sent): void {
    const { segment } = this
    for (const station of segment.stations) {
      if (station === this || segment.cut.has(this) || segment.cut.has(station)) continue
      if (peer !== BROADCAST && peer !== station.address) continue
      station.take(packet.copy(0, 0), this.address, protocol, peer === BROADCAST ? 'broadcast' : 'unicast')
    }
    packet.release()
  }

  private take(packet: Packet, peer: LinkAddress, protocol: number, cast: LinkAddressing['cast']): void {
    this.from.peer = peer
    this.from.protocol = protocol
    this.from.cast = cast
    if (!this.boundary.up(packet, this.from, protocol)) packet.release()
  }
}

function show(packet: Packet, to: LinkAddressing): string {
  const peer = to.peer === BROADCAST ? 'all' : formatMac(to.peer).slice(-2)
  const { view, start } = packet
  if (to.protocol !== ETHERTYPE.arp) return `${peer} data ${view.getUint8(start)}`
  const what = arpPacket.op(packet) === arpPacket.OP_REQUEST ? 'who has' : 'reply to'
  return `${peer} ${what} ${formatIpv4(arpPacket.tpa(packet))} tell ${formatIpv4(arpPacket.spa(packet))}`
}
