/** Packets of a script that arrive: their numbers turned into those of the wire. */
import { Failure } from '../failure.ts'
import type { IcmpBody, PacketAction, TcpBody } from '../language/script.ts'
import type { IpHeader } from '../wire/ip.ts'
import { encodeIcmpError, encodeTcpPacket } from '../wire/packet.ts'
import type { Config } from './config.ts'
import type { Conversations } from './conversations.ts'
import type { NodeUnderTest } from './node.ts'
import type { Outbox } from './outbox.ts'

const DEFAULT_TTL = 255

export class Arrivals {
  private readonly node: NodeUnderTest
  private readonly conversations: Conversations
  private readonly outbox: Outbox
  private readonly scaledEcho: boolean
  private readonly mss: number

  /** @param config timestamps to echo may be such that were never sent; more data than an MSS was merged. */
  constructor(node: NodeUnderTest, conversations: Conversations, outbox: Outbox, { scaledEcho, mss }: Config) {
    this.node = node
    this.conversations = conversations
    this.outbox = outbox
    this.scaledEcho = scaledEcho
    this.mss = mss
  }

  /** @throws Failure — it has a timestamp to echo that was never sent, or is about no conversation. */
  arrive({ body, ip: { tos, ttl = DEFAULT_TTL, flowLabel = 0 } }: PacketAction, line: number): void {
    const { remote: source, local: destination } = this.node
    const ip = { source, destination, tos: tos?.value ?? 0, ttl, dontFragment: false, flowLabel }
    if (body.kind === 'icmp') this.node.link.inject(this.error(body, ip, line), 0)
    else this.node.link.inject(this.segment(body, ip, line), body.length > this.mss ? this.mss : 0)
  }

  private segment(body: TcpBody, ip: IpHeader, line: number): Uint8Array {
    const flow = this.conversations.inbound(body)
    const numbers = flow.toWire(body, this.scaledEcho)
    if (numbers === undefined) throw new Failure(line, 'no timestamp was sent that this one could echo')
    return encodeTcpPacket({
      ...ip,
      ...numbers,
      sourcePort: flow.remotePort,
      destinationPort: flow.localPort,
      flags: body.flags,
      window: body.window ?? 0,
      urgent: body.urgent,
      payload: new Uint8Array(body.length),
    })
  }

  private error(body: IcmpBody, ip: IpHeader, line: number): Uint8Array {
    const flow = this.conversations.outbound(undefined)
    if (flow === undefined) throw new Failure(line, 'ICMP about no conversation')
    this.outbox.look(line)
    const { seq, length } = body.quote ?? { seq: 0, length: 0 }
    return encodeIcmpError(ip, body, {
      source: ip.destination,
      destination: ip.source,
      tos: 0,
      ttl: DEFAULT_TTL,
      dontFragment: this.outbox.dontFragment,
      flowLabel: 0,
      sourcePort: flow.localPort,
      destinationPort: flow.remotePort,
      seq: flow.wireSeq(seq),
      length,
    })
  }
}
