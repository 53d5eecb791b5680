/**
 * A conversation: its ports, and how the script's numbers stand to those on the wire. As in the original, numbers in
 * segments with SYN are absolute, all others count from the initial one of their side; ours is what the stack chose.
 */
import type { TcpBody, TcpOption } from '../language/script.ts'
import type { TcpHeader, TcpPacket } from '../wire/packet.ts'
import { FLAG } from '../wire/tcp-flags.ts'

export class Flow {
  localPort: number
  readonly remotePort: number
  /** Initial sequence numbers on the wire; 0 while unknown. */
  private remoteIsn: number
  private localIsn: number
  /** That of our SYN in the script. */
  private scriptIsn: number
  /** Timestamps we sent, by those the script gives for them. */
  private readonly timestamps = new Map<number, number>()
  private firstTimestamp: { readonly script: number; readonly wire: number } | undefined

  /** The last flow label, as the script calls it and as it is. */
  private flowLabel: { readonly script: number; readonly wire: number } | undefined

  constructor(localPort: number, remotePort: number, like?: Flow) {
    this.localPort = localPort
    this.remotePort = remotePort
    this.remoteIsn = like?.remoteIsn ?? 0
    this.localIsn = like?.localIsn ?? 0
    this.scriptIsn = like?.scriptIsn ?? 0
  }

  /** The peer begins, or answers, with this sequence number. */
  peerBegins(seq: number): void {
    this.remoteIsn = seq
  }

  /** We have begun with `wire`, where the script says `script`. */
  weBegin(script: number, wire: number): void {
    this.scriptIsn = script
    this.localIsn = wire
  }

  /** Is the packet of this conversation, from us? */
  sent({ sourcePort, destinationPort }: TcpHeader): boolean {
    return sourcePort === this.localPort && destinationPort === this.remotePort
  }

  /** Sequence number of ours as it stands on the wire. */
  wireSeq(script: number): number {
    return (script + this.localIsn) >>> 0
  }

  /**
   * A segment to arrive, in numbers of the wire; a timestamp to echo is one that the script said we sent.
   * @param scaled a timestamp that was not sent is reckoned from the first.
   * @returns undefined when no timestamp sent can be meant.
   */
  toWire(body: TcpBody, scaled: boolean): (Pick<TcpHeader, 'seq' | 'ack'> & { options: TcpOption[] }) | undefined {
    const { flags } = body
    const syn = (flags & FLAG.syn) !== 0
    const ackOffset = syn ? this.localIsn - this.scriptIsn : this.localIsn
    const options: TcpOption[] = []
    for (const option of body.options === 'any' ? [] : body.options) {
      if (option.name === 'sack') options.push(moved(option, ackOffset))
      else if (option.name === 'TS' && (flags & FLAG.ack) !== 0) {
        const echo = this.wireTimestamp(option.echo, scaled)
        if (echo === undefined) return undefined
        options.push({ ...option, echo })
      } else options.push(option)
    }
    return {
      seq: (body.seq + (syn ? 0 : this.remoteIsn)) >>> 0,
      ack: (flags & FLAG.ack) !== 0 ? (body.ack + ackOffset) >>> 0 : 0,
      options,
    }
  }

  private wireTimestamp(script: number, scaled: boolean): number | undefined {
    const known = this.timestamps.get(script)
    if (known !== undefined || !scaled || this.firstTimestamp === undefined) return known
    return (script - this.firstTimestamp.script + this.firstTimestamp.wire) >>> 0
  }

  /** A segment of ours in the script's numbers. */
  toScript(packet: TcpPacket): TcpBody {
    const { flags, seq, ack, window, urgent, payload } = packet
    const syn = (flags & FLAG.syn) !== 0
    const ackOffset = syn ? 0 : -this.remoteIsn
    return {
      kind: 'tcp',
      ports: undefined,
      flags,
      seq: (seq - (syn ? this.localIsn - this.scriptIsn : this.localIsn)) >>> 0,
      length: payload.length,
      ack: (flags & FLAG.ack) !== 0 ? (ack + ackOffset) >>> 0 : ack,
      window,
      urgent,
      options: packet.options.map((option) => this.optionToScript(option, ackOffset)),
    }
  }

  private optionToScript(option: TcpOption, ackOffset: number): TcpOption {
    if (option.name === 'sack') return moved(option, ackOffset)
    if (option.name !== 'TS' || this.firstTimestamp === undefined) return option
    return { ...option, value: (option.value - this.firstTimestamp.wire + this.firstTimestamp.script) >>> 0 }
  }

  /**
   * What is wrong with the flow label of a segment we sent; undefined: nothing. As in the original, the script's is a
   * name for the one that is there: the same means that it is as before, another that it has changed.
   */
  flowLabelFault(script: number, wire: number): string | undefined {
    const before = this.flowLabel
    this.flowLabel = { script, wire }
    if (wire === 0) return 'flowlabel: expected one, got none'
    if (before === undefined || (script === before.script) === (wire === before.wire)) return undefined
    const hex = `0x${before.wire.toString(16)}`
    if (script !== before.script) return `flowlabel: expected another than ${hex}, got the same`
    return `flowlabel: expected ${hex} as before, got 0x${wire.toString(16)}`
  }

  /** Learns from a segment we sent, as expected, which of our timestamps the script's is. */
  learnTimestamp(expected: TcpBody, packet: TcpPacket): void {
    if (expected.options === 'any') return
    const script = expected.options.find(({ name }) => name === 'TS')
    const wire = packet.options.find(({ name }) => name === 'TS')
    if (script?.name !== 'TS' || wire?.name !== 'TS') return
    this.timestamps.set(script.value, wire.value)
    this.firstTimestamp ??= { script: script.value, wire: wire.value }
  }
}

function moved(option: TcpOption & { name: 'sack' }, by: number): TcpOption {
  return { name: 'sack', blocks: option.blocks.map(([left, right]) => [(left + by) >>> 0, (right + by) >>> 0]) }
}
