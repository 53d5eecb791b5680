/** How frames lie in datagrams: what stands in front of each. A tunnel has one codec, which holds what it was told. */
import type { Packet } from '../../../src/kernel/packet.ts'
import { geneve } from './geneve.ts'
import { type L2tpv3Options, l2tpv3 } from './l2tpv3.ts'
import type { UdpTunnelCodec } from './options.ts'
import { vxlan } from './vxlan.ts'

/** Why a datagram is no frame for us. */
export type CodecFault =
  | 'truncated'
  | 'badFlags'
  | 'badVersion'
  | 'badType'
  | 'control'
  | 'criticalOption'
  | 'wrongVni'
  | 'wrongSession'
  | 'wrongCookie'

export interface Codec {
  /** Octets in front of each frame we send; a multiple of 4, so that they do not shift what follows. */
  readonly octets: number
  /** The port assigned to it, the default of both ends; 0: none. */
  readonly port: number
  /**
   * Datagrams go to the assigned port wherever they come from, and their source port tells flows apart: not peers. Otherwise
   * a peer is where its datagrams come from.
   */
  readonly spreads: boolean
  /** Pushes the header in front of a frame. @param packet with `octets` of headroom. */
  push(packet: Packet): void
  /** Takes the header off what arrived. @returns what is wrong with it; then the packet is left as it was. */
  pull(packet: Packet): CodecFault | undefined
}

/** QEMU's `-netdev dgram`, socat: the datagram is the frame. */
const raw: Codec = { octets: 0, port: 0, spreads: false, push: () => {}, pull: () => undefined }

/** @throws TypeError, RangeError — what the codec is told makes no sense. */
export function codecOf(name: UdpTunnelCodec, vni: number, session: L2tpv3Options | undefined): Codec {
  switch (name) {
    case 'raw':
      return raw
    case 'vxlan':
      return vxlan(vni)
    case 'geneve':
      return geneve(vni)
    case 'l2tpv3':
      return l2tpv3(session)
  }
}
