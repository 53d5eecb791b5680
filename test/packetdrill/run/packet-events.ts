/** Packets of a script: makes those that arrive, and judges those that the node sends. */
import { Failure } from '../failure.ts'
import type { IcmpBody, PacketAction, TcpBody } from '../language/script.ts'
import { type Comparison, difference, ipDifference, merged, unmergeable } from '../wire/compare.ts'
import { formatIcmp } from '../wire/icmp.ts'
import {
  type DecodedPacket,
  decodePacket,
  encodeIcmpError,
  encodeTcpPacket,
  type IcmpPacket,
  type IpHeader,
  type TcpPacket,
} from '../wire/packet.ts'
import { formatBody } from '../wire/text.ts'
import type { Config } from './config.ts'
import type { Conversations } from './conversations.ts'
import type { Flow } from './flow.ts'
import type { NodeUnderTest } from './node.ts'
import type { Trace } from './trace.ts'

/** When a packet is expected; undefined: at any time. */
export interface Window {
  readonly earliest: number
  readonly latest: number
  readonly tolerance: number
}

/** Lets time pass until then or until the condition holds. @returns whether it does. */
type Advance = (until: number, condition: () => boolean) => Promise<boolean>

/** How long to wait for a packet at any time, and to look for one that is late. */
const PATIENCE_US = 600e6
const LATE_US = 10e6
const DEFAULT_TTL = 255
const NO_PAYLOAD = new Uint8Array(0)

interface Sent<Packet> {
  readonly at: number
  readonly packet: Packet
}

export class PacketEvents {
  private readonly node: NodeUnderTest
  private readonly config: Config
  private readonly conversations: Conversations
  private readonly trace: Trace
  private readonly comparison: Comparison
  /** Decoded and not yet asked for. */
  private readonly waiting: Sent<TcpPacket | IcmpPacket>[] = []
  /** The last segment sent has DF: so has one that is quoted. */
  private dontFragment = true

  constructor(node: NodeUnderTest, config: Config, conversations: Conversations, ignorePsh: boolean, trace: Trace) {
    this.node = node
    this.config = config
    this.conversations = conversations
    this.trace = trace
    const { timestampUs, toleranceUs } = config
    const timestampTolerance = timestampUs === 0 ? undefined : toleranceUs / timestampUs
    this.comparison = { ignorePsh, timestampTolerance }
  }

  // ── in

  /** @throws Failure — it has a timestamp to echo that was never sent. */
  arrive({ body, ip }: PacketAction, line: number): void {
    const { node } = this
    this.trace.add(node.now(), `< ${formatBody(body)}`)
    const header = {
      source: node.remote,
      destination: node.local,
      tos: ip.tos?.value ?? 0,
      ttl: ip.ttl ?? DEFAULT_TTL,
      dontFragment: false,
    }
    node.link.inject(body.kind === 'tcp' ? this.segment(body, header, line) : this.error(body, header, line))
  }

  private segment(body: TcpBody, ip: IpHeader, line: number): Uint8Array {
    const flow = this.conversations.inbound(body)
    const numbers = flow.toWire(body, this.config.scaledEcho)
    if (numbers === undefined) throw new Failure(line, 'no timestamp was sent that this one could echo')
    return encodeTcpPacket({
      ...ip,
      ...numbers,
      sourcePort: flow.remotePort,
      destinationPort: flow.localPort,
      flags: body.flags,
      window: body.window ?? 0,
      urgent: body.urgent,
      payload: body.length === 0 ? NO_PAYLOAD : new Uint8Array(body.length),
    })
  }

  private error(body: IcmpBody, ip: IpHeader, line: number): Uint8Array {
    const flow = this.conversations.outbound(undefined)
    this.drain(line)
    if (flow === undefined) throw new Failure(line, 'ICMP about no conversation')
    const { seq, length } = body.quote ?? { seq: 0, length: 0 }
    return encodeIcmpError(ip, body, {
      source: ip.destination,
      destination: ip.source,
      tos: 0,
      ttl: DEFAULT_TTL,
      dontFragment: this.dontFragment,
      sourcePort: flow.localPort,
      destinationPort: flow.remotePort,
      seq: flow.wireSeq(seq),
      length,
    })
  }

  // ── out

  /** Waits for the next packet the node sends, and judges it. @throws Failure — it is none, or another, or not in time. */
  async expect({ body, ip }: PacketAction, line: number, window: Window | undefined, advance: Advance): Promise<void> {
    const wanted = body.kind === 'tcp' ? await this.takeTcp(body, line, window, advance) : undefined
    const { at, packet } = wanted ?? (await this.takeIcmp(body, line, window, advance))
    const wrong = ipDifference(ip, packet) ?? (window === undefined ? undefined : this.mistimed(at, window))
    if (wrong !== undefined) throw new Failure(line, `${wrong}, in ${formatBody(body)}`)
  }

  private async takeIcmp(
    body: TcpBody | IcmpBody,
    line: number,
    window: Window | undefined,
    advance: Advance,
  ): Promise<Sent<TcpPacket | IcmpPacket>> {
    const wanted = body as IcmpBody
    const sent = await this.take(() => true, body, line, window, advance)
    const got = sent.packet
    if (got.kind === 'icmp' && got.type === wanted.type && got.code === wanted.code) return sent
    const text = got.kind === 'icmp' ? formatIcmp(got.type, got.code) : 'a segment of TCP'
    throw new Failure(line, `expected ${formatBody(body)}, got ${text}`)
  }

  private async takeTcp(
    body: TcpBody,
    line: number,
    window: Window | undefined,
    advance: Advance,
  ): Promise<Sent<TcpPacket>> {
    const flow = this.conversations.outbound(body.ports)
    if (flow === undefined) throw new Failure(line, 'no conversation this packet could be of')
    const parts: TcpBody[] = []
    let length = 0
    for (;;) {
      const sent = await this.takeSegment(flow, body, line, window, advance)
      this.conversations.begun(body, sent.packet)
      flow.learnTimestamp(body, sent.packet)
      const part = flow.toScript(sent.packet)
      this.trace.add(sent.at, `> ${formatBody(part)}`)
      this.mustFollow(parts, part, length + part.length >= body.length, body, line)
      parts.push(part)
      length += part.length
      if (length < body.length && !this.config.strictSegments) continue
      this.mustBe(body, merged(parts), parts, line)
      return sent
    }
  }

  /** A further segment must be like the one before it, for both to be one of the script's. */
  private mustFollow(parts: readonly TcpBody[], part: TcpBody, isLast: boolean, body: TcpBody, line: number): void {
    const before = parts.at(-1)
    if (before === undefined) return
    const fault = unmergeable(before, part, isLast)
    if (fault === undefined) return
    const got = [...parts, part].map(formatBody).join(' and ')
    throw new Failure(line, `expected ${formatBody(body)}, got ${got}: not one packet cut in pieces, ${fault}`)
  }

  private mustBe(body: TcpBody, got: TcpBody, parts: readonly TcpBody[], line: number): void {
    const wrong = difference(body, got, this.comparison)
    if (wrong === undefined) return
    const pieces = parts.length > 1 ? ` in ${parts.length} pieces` : ''
    throw new Failure(line, `${wrong} (expected ${formatBody(body)}, got ${formatBody(got)}${pieces})`)
  }

  private async takeSegment(
    flow: Flow,
    body: TcpBody,
    line: number,
    window: Window | undefined,
    advance: Advance,
  ): Promise<Sent<TcpPacket>> {
    const of = ({ packet }: Sent<TcpPacket | IcmpPacket>) => packet.kind === 'tcp' && flow.sent(packet)
    const sent = await this.take(of, body, line, window, advance)
    const packet = sent.packet as TcpPacket
    if (packet.payload.some((octet) => octet !== 0)) {
      throw new Failure(line, `payload: expected zeros, got other octets, in ${formatBody(body)}`)
    }
    return { at: sent.at, packet }
  }

  /** The next packet of a kind, waiting for it as long as makes sense; others before it are none of the script's. */
  private async take(
    of: (sent: Sent<TcpPacket | IcmpPacket>) => boolean,
    body: TcpBody | IcmpBody,
    line: number,
    window: Window | undefined,
    advance: Advance,
  ): Promise<Sent<TcpPacket | IcmpPacket>> {
    const here = () => this.drain(line).some(of)
    const until = window === undefined ? this.node.now() + PATIENCE_US : window.latest + window.tolerance
    if (!(await advance(until, here))) throw await this.missing(here, body, line, until, advance)
    for (;;) {
      const sent = this.waiting.shift() as Sent<TcpPacket | IcmpPacket>
      if (of(sent)) return sent
    }
  }

  /** What to say of a packet that did not come: perhaps it is only late. */
  private async missing(
    here: () => boolean,
    body: TcpBody | IcmpBody,
    line: number,
    until: number,
    advance: Advance,
  ): Promise<Failure> {
    const wanted = `expected ${formatBody(body)} by ${seconds(until)}`
    const late = await advance(until + LATE_US, here).catch(() => false)
    if (!late) return new Failure(line, `${wanted}, got nothing`)
    const [next] = this.waiting
    return new Failure(line, `${wanted}; the next packet was sent at ${seconds(next?.at ?? 0)}`)
  }

  /** Decodes what the link has kept. @throws Failure — a packet that should never be sent. */
  private drain(line: number): readonly Sent<TcpPacket | IcmpPacket>[] {
    for (const { at, octets } of this.node.link.sent.splice(0)) {
      const packet: DecodedPacket = decodePacket(octets)
      if (packet.kind === 'bad') throw new Failure(line, `a malformed packet was sent: ${packet.fault}`)
      if (packet.kind === 'tcp') this.dontFragment = packet.dontFragment
      this.waiting.push({ at: this.node.since(at), packet })
    }
    return this.waiting
  }

  private mistimed(at: number, { earliest, latest, tolerance }: Window): string | undefined {
    if (at >= earliest - tolerance && at <= latest + tolerance) return undefined
    const when = latest === earliest ? seconds(earliest) : `${seconds(earliest)} to ${seconds(latest)}`
    return `time: expected at ${when}, sent at ${seconds(at)} (tolerance ${seconds(tolerance)})`
  }
}

const seconds = (us: number): string => `${(us / 1e6).toFixed(6)} s`
