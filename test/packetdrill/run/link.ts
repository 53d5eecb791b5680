/** The link double: keeps what the node sends, with the instant, and hands in what the script says arrives. */
import type { Blueprint, Boundary, Env, Instant, Offload, Packet, PhysicalService } from '../../../src/index.ts'

const IP_OCTETS: Readonly<Record<number, number>> = { 4: 20, 6: 40 }

export interface Captured {
  readonly at: Instant
  readonly octets: Uint8Array
}

/** Both sides of one link of IP packets: `blueprint` is what the node stands on. */
export class ScriptLink {
  /** Sent and not yet looked at, oldest first. */
  readonly sent: Captured[] = []
  readonly blueprint: Blueprint<PhysicalService<'ip'>>
  private service: LinkDouble | undefined

  constructor(mtu: number) {
    this.blueprint = (env) => {
      this.service = new LinkDouble(env, mtu, this.sent)
      return this.service
    }
  }

  /** A packet arrives. @param segmentOctets of data in each of the segments that it was merged from; 0: it was not. */
  inject(octets: Uint8Array, segmentOctets: number): void {
    this.service?.arrive(octets, segmentOctets)
  }
}

class LinkDouble implements PhysicalService<'ip'> {
  readonly tier = 'physical'
  readonly medium = 'ip'
  readonly headroom = 0
  readonly tailroom = 0
  readonly offload: Offload = { segment: 0, checksum: false }
  readonly mtu: number
  readonly boundary: Boundary<undefined, 'noUser'>
  private readonly env: Env
  private readonly sent: Captured[]

  constructor(env: Env, mtu: number, sent: Captured[]) {
    this.env = env
    this.mtu = mtu
    this.sent = sent
    this.boundary = env.boundary('script', 'ip', { noUser: '' })
  }

  send(packet: Packet): boolean {
    this.boundary.down(packet, undefined)
    this.sent.push({ at: this.env.clock.now(), octets: packet.bytes().slice() })
    packet.release()
    return true
  }

  arrive(octets: Uint8Array, segmentOctets: number): void {
    const packet = this.env.packet(0, octets.length)
    packet.append(octets)
    if (segmentOctets > 0) merged(packet, segmentOctets)
    if (!this.boundary.up(packet, undefined, 0)) this.boundary.drop(packet, 'noUser')
  }
}

/** Makes it a super-segment, as links hand them in that merge: our packets have no IP options or extension headers. */
function merged(packet: Packet, segmentOctets: number): void {
  packet.segmentOctets = segmentOctets
  packet.checksum = 'verified'
  packet.checksumStart = packet.start + (IP_OCTETS[packet.view.getUint8(packet.start) >> 4] ?? 0)
  packet.checksumOffset = 16
  packet.headerOctets = (packet.view.getUint8(packet.checksumStart + 12) >> 4) * 4
}
