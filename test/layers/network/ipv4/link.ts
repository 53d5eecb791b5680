/** A point-to-point link double: keeps what is sent as octets, and takes in what a test makes up. */
import {
  type Cast,
  ETHERTYPE,
  type LinkAddress,
  LinkAddressing,
  type LinkOffload,
  type LinkService,
} from '../../../../layers/datalink/service.ts'
import type { Boundary } from '../../../../src/kernel/boundary.ts'
import type { Env } from '../../../../src/kernel/env.ts'
import { Packet } from '../../../../src/kernel/packet.ts'

export class TestLink implements LinkService {
  readonly tier = 'datalink'
  readonly mtu = 1500
  readonly headroom = 14
  readonly tailroom = 4
  readonly address: LinkAddress = 0
  readonly broadcast = null
  readonly offload: LinkOffload
  readonly boundary: Boundary<LinkAddressing>
  readonly sent: Uint8Array[] = []
  /** The checksum's state and the segment size of each packet sent. */
  readonly states: string[] = []
  private readonly from = new LinkAddressing()

  /** @param protocol of what is injected: an EtherType. */
  constructor(env: Env, offload: LinkOffload = { segment: 0, checksum: false }, protocol: number = ETHERTYPE.ipv4) {
    this.boundary = env.boundary('link', 'link', {})
    this.offload = offload
    this.from.protocol = protocol
  }

  send(packet: Packet): boolean {
    packet.push(this.headroom)
    packet.pull(this.headroom)
    packet.put(this.tailroom)
    packet.trim(packet.length - this.tailroom)
    this.sent.push(packet.bytes().slice())
    this.states.push(`${packet.checksum} ${packet.segmentOctets}`)
    packet.release()
    return true
  }

  /** As if the octets had come over the link, in a packet without any room around them. @param leave offload fields. */
  inject(octets: Uint8Array, cast: Cast = 'unicast', leave?: (packet: Packet) => void): void {
    const packet = Packet.take(0, octets.length)
    packet.append(octets)
    leave?.(packet)
    this.from.cast = cast
    if (!this.boundary.up(packet, this.from, this.from.protocol)) packet.release()
  }
}
