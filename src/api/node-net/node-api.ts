/** The Node-shaped APIs of one node, each made at its first use. */
import { NetError } from '../../kernel/errors.ts'
import type { IcmpSockets } from '../sockets.ts'
import type { ApiHost, NetStreams } from './context.ts'
import { createDgram, type Dgram } from './dgram.ts'
import type { NetDatagrams } from './dgram-sender.ts'
import { publishStackEvents } from './diagnostics.ts'
import { createIcmp, type Icmp } from './icmp.ts'
import { type Hosts, Names } from './names.ts'
import { createNet, type Net } from './net.ts'

/** What a node has, by what its topmost layer offers: a stack without a transport has no `net`. */
export type NetOf<Top> = Top extends NetStreams ? Net : never
export type DgramOf<Top> = Top extends NetDatagrams ? Dgram : never
export type IcmpOf<Top> = Top extends IcmpSockets ? Icmp : never

export class NodeApi {
  private readonly top: unknown
  private readonly host: ApiHost
  private readonly names: Names
  private madeNet: Net | undefined
  private madeDgram: Dgram | undefined
  private madeIcmp: Icmp | undefined

  /** @throws TypeError ERR_INVALID_ARG_TYPE — a host's value is not an IP address. */
  constructor(top: unknown, host: ApiHost, hosts: Hosts) {
    publishStackEvents()
    this.top = top
    this.host = host
    this.names = new Names(hosts, (top as NetStreams | null | undefined) ?? {})
  }

  /** @throws NetError ENOTSUP — the topmost layer offers no streams. */
  get net(): Net {
    this.madeNet ??= createNet(this.offering<NetStreams>('stream'), this.host, this.names)
    return this.madeNet
  }

  /** @throws NetError ENOTSUP — the topmost layer offers no datagrams. */
  get dgram(): Dgram {
    this.madeDgram ??= createDgram(this.offering<NetDatagrams>('datagram'), this.host, this.names)
    return this.madeDgram
  }

  /** @throws NetError ENOTSUP — the topmost layer offers no echo requests. */
  get icmp(): Icmp {
    this.madeIcmp ??= createIcmp(this.offering<IcmpSockets>('icmp'), this.host, this.names)
    return this.madeIcmp
  }

  /** The types have checked it for those who use them; this is for the others. */
  private offering<Part>(name: keyof Part & string): Part {
    const { top } = this
    if (typeof top === 'object' && top !== null && name in top) return top as Part
    throw new NetError(
      'ENOTSUP',
      `the topmost layer of this node offers no '${name}': stack sockets(…) or hostSockets()`,
    )
  }
}
