/** What the node has sent, decoded, in order, until somebody asks for it. */
import { Failure } from '../failure.ts'
import { decodePacket, type IcmpPacket, type TcpPacket } from '../wire/packet.ts'
import type { Captured } from './link.ts'

export interface Sent {
  /** Microseconds since the script began. */
  readonly at: number
  readonly packet: TcpPacket | IcmpPacket
}

export class Outbox {
  private readonly captured: Captured[]
  private readonly since: (instant: number) => number
  private readonly waiting: Sent[] = []
  private fragmentable = false

  /**
   * @param captured what the link keeps; taken from there.
   * @param since microseconds of the script, for an instant of the node.
   */
  constructor(captured: Captured[], since: (instant: number) => number) {
    this.captured = captured
    this.since = since
  }

  /** The last segment sent had DF. True before any was sent. */
  get dontFragment(): boolean {
    return !this.fragmentable
  }

  /**
   * All that is there.
   * @param line of the script, to blame.
   * @throws Failure — a packet that should never be sent: checksums always count.
   */
  look(line: number): readonly Sent[] {
    for (const { at, octets } of this.captured.splice(0)) {
      const packet = decodePacket(octets)
      if (packet.kind === 'bad') throw new Failure(line, `a malformed packet was sent: ${packet.fault}`)
      if (packet.kind === 'tcp') this.fragmentable = !packet.dontFragment
      this.waiting.push({ at: this.since(at), packet })
    }
    return this.waiting
  }

  /** Takes the first that is wanted; those before it are forgotten. Undefined: none is. */
  take(wanted: (sent: Sent) => boolean): Sent | undefined {
    const index = this.waiting.findIndex(wanted)
    return index < 0 ? undefined : this.waiting.splice(0, index + 1).at(-1)
  }
}
