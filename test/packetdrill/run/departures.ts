/** Packets that a script expects the node to send: waits for them, and judges them. */
import { Failure } from '../failure.ts'
import type { IcmpBody, IpFields, TcpBody } from '../language/script.ts'
import { type Comparison, difference, ipDifference, merged, unmergeable } from '../wire/compare.ts'
import { formatIcmp } from '../wire/icmp.ts'
import type { IcmpPacket, TcpPacket } from '../wire/packet.ts'
import { formatBody } from '../wire/text.ts'
import type { Conversations } from './conversations.ts'
import type { Flow } from './flow.ts'
import { seconds } from './format.ts'
import type { Outbox, Sent } from './outbox.ts'
import type { Trace } from './trace.ts'

/** A packet of the script, and when it should be sent; undefined: at any time. */
export interface Expected<Body extends TcpBody | IcmpBody = TcpBody | IcmpBody> {
  readonly line: number
  readonly body: Body
  readonly ip: IpFields
  readonly window: Window | undefined
}

interface Window {
  readonly earliest: number
  readonly latest: number
  readonly tolerance: number
}

/** The time of the run. */
export interface Time {
  now(): number
  /** Lets time pass until then or until the condition holds. @returns whether it does. */
  advance(until: number, condition: () => boolean): Promise<boolean>
}

/** How long to wait for a packet at any time, and to look for one that is late. */
const PATIENCE_US = 600e6
const LATE_US = 10e6

export class Departures {
  private readonly time: Time
  private readonly outbox: Outbox
  private readonly conversations: Conversations
  private readonly comparison: Comparison
  private readonly strictSegments: boolean
  private readonly trace: Trace

  /** @param strictSegments a packet of the script is one segment. */
  constructor(
    time: Time,
    outbox: Outbox,
    conversations: Conversations,
    comparison: Comparison,
    strictSegments: boolean,
    trace: Trace,
  ) {
    this.time = time
    this.outbox = outbox
    this.conversations = conversations
    this.comparison = comparison
    this.strictSegments = strictSegments
    this.trace = trace
  }

  /** @throws Failure — no packet comes, or another, or not in time. */
  async expect(expected: Expected): Promise<void> {
    const { body, ip, window, line } = expected
    const sent = await (body.kind === 'tcp' ? this.tcp({ ...expected, body }) : this.icmp({ ...expected, body }))
    const wrong = ipDifference(ip, sent.packet) ?? (window === undefined ? undefined : mistimed(sent.at, window))
    if (wrong !== undefined) throw new Failure(line, `${wrong}, in ${formatBody(body)}`)
  }

  private async icmp(expected: Expected<IcmpBody>): Promise<Sent> {
    const { body, line } = expected
    const sent = await this.next(expected, () => true)
    const { packet } = sent
    if (packet.kind === 'icmp' && packet.type === body.type && packet.code === body.code) return sent
    throw new Failure(line, `expected ${formatBody(body)}, got ${kindOf(packet)}`)
  }

  /** Takes segments until they make up the script's. @returns the last. */
  private async tcp(expected: Expected<TcpBody>): Promise<Sent> {
    const { body, line } = expected
    const flow = this.conversations.outbound(body.ports)
    if (flow === undefined) throw new Failure(line, 'no conversation this packet could be of')
    const parts: TcpBody[] = []
    for (let length = 0; ; ) {
      const sent = await this.next(expected, ({ packet }) => packet.kind === 'tcp' && flow.sent(packet))
      const segment = segmentOf(sent, expected)
      this.conversations.begun(body, segment)
      flow.learnTimestamp(body, segment)
      const part = flow.toScript(segment)
      this.trace.add(sent.at, `> ${formatBody(part)}`)
      length += part.length
      mustFollow(parts.at(-1), part, length >= body.length, expected)
      parts.push(part)
      if (length < body.length && !this.strictSegments) continue
      this.mustBe(expected, parts)
      mustBeLabelled(flow, segment, expected)
      return sent
    }
  }

  private mustBe({ body, line }: Expected<TcpBody>, parts: readonly TcpBody[]): void {
    const got = merged(parts)
    const wrong = difference(body, got, this.comparison)
    if (wrong === undefined) return
    const pieces = parts.length > 1 ? ` in ${parts.length} pieces` : ''
    throw new Failure(line, `${wrong} (expected ${formatBody(body)}, got ${formatBody(got)}${pieces})`)
  }

  /** The next packet that is wanted, waiting for it as long as makes sense. */
  private async next({ body, line, window }: Expected, wanted: (sent: Sent) => boolean): Promise<Sent> {
    const here = () => this.outbox.look(line).some(wanted)
    const until = window === undefined ? this.time.now() + PATIENCE_US : window.latest + window.tolerance
    const came = await this.time.advance(until, here)
    // It may only be late.
    if (!came) await this.time.advance(until + LATE_US, here).catch(() => false)
    const sent = this.outbox.take(wanted)
    if (came && sent !== undefined) return sent
    const instead = sent === undefined ? ', got nothing' : `; the next packet was sent at ${seconds(sent.at)}`
    throw new Failure(line, `expected ${formatBody(body)} by ${seconds(until)}${instead}`)
  }
}

function kindOf(packet: TcpPacket | IcmpPacket): string {
  if (packet.kind === 'tcp') return 'a segment of TCP'
  return formatIcmp(packet.source.isIpv4 ? 4 : 6, packet.type, packet.code)
}

function segmentOf({ packet }: Sent, { body, line }: Expected): TcpPacket {
  if (packet.kind !== 'tcp') throw new Failure(line, `expected ${formatBody(body)}, got ${kindOf(packet)}`)
  if (packet.payload.every((octet) => octet === 0)) return packet
  throw new Failure(line, `payload: expected zeros, got other octets, in ${formatBody(body)}`)
}

/** A further segment must be like the one before it, for both to be one of the script's. */
function mustFollow(before: TcpBody | undefined, part: TcpBody, isLast: boolean, { body, line }: Expected): void {
  const fault = before === undefined ? undefined : unmergeable(before, part, isLast)
  if (before === undefined || fault === undefined) return
  const got = `${formatBody(before)} and ${formatBody(part)}`
  throw new Failure(line, `${fault}: expected ${formatBody(body)}, got ${got}, which are not one packet cut in pieces`)
}

function mustBeLabelled(flow: Flow, { flowLabel }: TcpPacket, { body, ip, line }: Expected): void {
  const fault = ip.flowLabel === undefined ? undefined : flow.flowLabelFault(ip.flowLabel, flowLabel)
  if (fault !== undefined) throw new Failure(line, `${fault}, in ${formatBody(body)}`)
}

function mistimed(at: number, { earliest, latest, tolerance }: Window): string | undefined {
  if (at >= earliest - tolerance && at <= latest + tolerance) return undefined
  const when = latest === earliest ? seconds(earliest) : `${seconds(earliest)} to ${seconds(latest)}`
  return `time: expected at ${when}, sent at ${seconds(at)} (tolerance ${seconds(tolerance)})`
}
