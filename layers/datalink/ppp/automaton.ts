/**
 * The option negotiation automaton (RFC 1661 §4), which LCP and every network control protocol run: a machine.
 *
 *   0 Initial  1 Starting  2 Closed  3 Stopped  4 Closing  5 Stopping  6 Req-Sent  7 Ack-Rcvd  8 Ack-Sent  9 Opened
 *
 * The table below is that of §4.1. What is negotiated is the business of a `Policy`.
 */
import { type Duration, type Instant, seconds } from '../../../src/kernel/clock.ts'
import {
  CODE,
  type ControlPacket,
  decodeControl,
  decodeOptions,
  encodeControl,
  encodeOptions,
  type Option,
  sameOctets,
} from './control.ts'

export type State =
  | 'Initial'
  | 'Starting'
  | 'Closed'
  | 'Stopped'
  | 'Closing'
  | 'Stopping'
  | 'Req-Sent'
  | 'Ack-Rcvd'
  | 'Ack-Sent'
  | 'Opened'

const STATES: readonly State[] = [
  'Initial',
  'Starting',
  'Closed',
  'Stopped',
  'Closing',
  'Stopping',
  'Req-Sent',
  'Ack-Rcvd',
  'Ack-Sent',
  'Opened',
]

type Action = 'tlu' | 'tld' | 'tls' | 'tlf' | 'irc' | 'zrc' | 'scr' | 'sca' | 'scn' | 'str' | 'sta' | 'scj' | 'ser'

/** Events in the rows, the state they come in in the columns; '-' cannot happen. */
const TABLE = {
  //         0      1          2          3              4      5      6          7          8          9
  Up: ['2', 'irc scr 6', '-', '-', '-', '-', '-', '-', '-', '-'],
  Down: ['-', '-', '0', 'tls 1', '0', '1', '1', '1', '1', 'tld 1'],
  Open: ['tls 1', '1', 'irc scr 6', '3', '5', '5', '6', '7', '8', '9'],
  Close: ['0', 'tlf 0', '2', '2', '4', '4', 'irc str 4', 'irc str 4', 'irc str 4', 'tld irc str 4'],
  'TO+': ['-', '-', '-', '-', 'str 4', 'str 5', 'scr 6', 'scr 6', 'scr 8', '-'],
  'TO-': ['-', '-', '-', '-', 'tlf 2', 'tlf 3', 'tlf 3', 'tlf 3', 'tlf 3', '-'],
  'RCR+': ['-', '-', 'sta 2', 'irc scr sca 8', '4', '5', 'sca 8', 'sca tlu 9', 'sca 8', 'tld scr sca 8'],
  'RCR-': ['-', '-', 'sta 2', 'irc scr scn 6', '4', '5', 'scn 6', 'scn 7', 'scn 6', 'tld scr scn 6'],
  RCA: ['-', '-', 'sta 2', 'sta 3', '4', '5', 'irc 7', 'scr 6', 'irc tlu 9', 'tld scr 6'],
  RCN: ['-', '-', 'sta 2', 'sta 3', '4', '5', 'irc scr 6', 'scr 6', 'irc scr 8', 'tld scr 6'],
  RTR: ['-', '-', 'sta 2', 'sta 3', 'sta 4', 'sta 5', 'sta 6', 'sta 6', 'sta 6', 'tld zrc sta 5'],
  RTA: ['-', '-', '2', '3', 'tlf 2', 'tlf 3', '6', '6', '8', 'tld scr 6'],
  RUC: ['-', '-', 'scj 2', 'scj 3', 'scj 4', 'scj 5', 'scj 6', 'scj 7', 'scj 8', 'scj 9'],
  'RXJ+': ['-', '-', '2', '3', '4', '5', '6', '6', '8', '9'],
  'RXJ-': ['-', '-', 'tlf 2', 'tlf 3', 'tlf 2', 'tlf 3', 'tlf 3', 'tlf 3', 'tlf 3', 'tld irc str 5'],
} as const

export type AutomatonEvent = keyof typeof TABLE

/** What a policy says of the peer's request. */
export interface Verdict {
  readonly code: typeof CODE.configureAck | typeof CODE.configureNak | typeof CODE.configureReject
  /** Of a Nak or a Reject: the options it names. */
  readonly options: readonly Option[]
}

/** What is negotiated: the options of one control protocol. */
export interface Policy {
  /** Negotiation begins: back to what we would like. */
  reset(): void
  /** The options we ask for now. */
  request(): readonly Option[]
  /** The peer asks for these. */
  judge(options: readonly Option[]): Verdict
  /** The peer would take these values of ours instead; a Nak may also name options we did not ask for. */
  nakked(options: readonly Option[]): void
  /** The peer does not know, or not want, these. */
  rejected(options: readonly Option[]): void
}

export interface AutomatonOptions {
  /** How long an answer is waited for; default 3 s (RFC 1661 §4.6). */
  readonly restart?: Duration
  /** How often a Configure-Request is sent without an answer; default for ever: the peer may come late. */
  readonly maxConfigure?: number
}

const MAX_TERMINATE = 2
/** After so many Naks without agreement, a Reject (§4.6). */
const MAX_FAILURE = 5
const EMPTY = new Uint8Array(0)
/** What a peer can make us say before it is fetched. */
const MOST_WAITING = 8

export class Automaton {
  state: State = 'Initial'
  /** When `expire` must be called; Infinity when no answer is waited for. */
  deadline: Instant = Number.POSITIVE_INFINITY
  private readonly policy: Policy
  private readonly restart: Duration
  private readonly maxConfigure: number
  private counter = 0
  private requestId = 0
  private requested: Uint8Array = EMPTY
  private naks = 0
  private lastId = 0
  private readonly waiting: Uint8Array[] = []
  /** Of the packet that is being answered. */
  private answered: ControlPacket = { code: 0, id: 0, data: EMPTY }
  private verdict: Verdict = { code: CODE.configureAck, options: [] }

  constructor(
    policy: Policy,
    { restart = seconds(3), maxConfigure = Number.POSITIVE_INFINITY }: AutomatonOptions = {},
  ) {
    this.policy = policy
    this.restart = restart
    this.maxConfigure = maxConfigure
  }

  get opened(): boolean {
    return this.state === 'Opened'
  }

  /** Identifier for another packet of ours. */
  nextId(): number {
    this.lastId = (this.lastId + 1) & 0xff
    return this.lastId
  }

  /** The layer below came up or went down, or an administrator's wish. */
  event(event: 'Up' | 'Down' | 'Open' | 'Close' | 'RXJ+' | 'RXJ-', now: Instant): void {
    this.handle(event, now)
  }

  /** @returns false when the packet was malformed, or answers nothing we asked; it was ignored then. */
  input(octets: Uint8Array, now: Instant): boolean {
    const packet = decodeControl(octets)
    if (packet === undefined) return false
    this.answered = packet
    switch (packet.code) {
      case CODE.configureRequest:
        return this.requestedBy(packet, now)
      case CODE.configureAck:
        if (packet.id !== this.requestId || !sameOctets(packet.data, this.requested)) return false
        return this.handle('RCA', now)
      case CODE.configureNak:
      case CODE.configureReject:
        return this.refused(packet, now)
      case CODE.terminateRequest:
        return this.handle('RTR', now)
      case CODE.terminateAck:
        return this.handle('RTA', now)
      case CODE.codeReject:
        // Of a code we cannot do without it is the end (§5.6).
        return this.handle((packet.data[0] ?? 0) <= CODE.codeReject ? 'RXJ-' : 'RXJ+', now)
      default:
        return this.handle('RUC', now)
    }
  }

  expire(now: Instant): void {
    this.deadline = Number.POSITIVE_INFINITY
    this.handle(this.counter > 0 ? 'TO+' : 'TO-', now)
  }

  /** The next packet to send, or undefined. */
  output(): Uint8Array | undefined {
    return this.waiting.shift()
  }

  private requestedBy({ data }: ControlPacket, now: Instant): boolean {
    const options = decodeOptions(data)
    if (options === undefined) return false
    this.renew()
    const verdict = this.policy.judge(options)
    const tired = verdict.code === CODE.configureNak && ++this.naks > MAX_FAILURE
    this.verdict = tired ? { code: CODE.configureReject, options: verdict.options } : verdict
    if (verdict.code === CODE.configureAck) this.naks = 0
    return this.handle(verdict.code === CODE.configureAck ? 'RCR+' : 'RCR-', now)
  }

  private refused({ code, id, data }: ControlPacket, now: Instant): boolean {
    const options = decodeOptions(data)
    if (options === undefined || id !== this.requestId) return false
    this.renew()
    if (code === CODE.configureNak) this.policy.nakked(options)
    else this.policy.rejected(options)
    return this.handle('RCN', now)
  }

  private handle(event: AutomatonEvent, now: Instant): boolean {
    const cell = TABLE[event][STATES.indexOf(this.state)] as string
    if (cell === '-') return false
    const actions = cell.split(' ')
    const next = STATES[Number(actions.pop())] as State
    for (const action of actions) this.act(action as Action, now)
    this.state = next
    const waits = next === 'Closing' || next === 'Stopping' || /^(Req|Ack)-/.test(next)
    if (!waits) this.deadline = Number.POSITIVE_INFINITY
    return true
  }

  private act(action: Action, now: Instant): void {
    switch (action) {
      case 'irc':
        this.counter = this.maxConfigure
        break
      case 'zrc':
        this.counter = 0
        this.deadline = now + this.restart
        break
      case 'scr':
        this.sendRequest(now)
        break
      case 'sca':
        this.send(CODE.configureAck, this.answered.id, this.answered.data)
        break
      case 'scn':
        this.send(this.verdict.code, this.answered.id, encodeOptions(this.verdict.options))
        break
      case 'str':
        this.counter = Math.min(this.counter, MAX_TERMINATE) - 1
        this.deadline = now + this.restart
        this.send(CODE.terminateRequest, this.nextId(), EMPTY)
        break
      case 'sta':
        this.send(
          CODE.terminateAck,
          this.answered.code === CODE.terminateRequest ? this.answered.id : this.nextId(),
          EMPTY,
        )
        break
      case 'scj':
        this.send(
          CODE.codeReject,
          this.nextId(),
          encodeControl(this.answered.code, this.answered.id, this.answered.data),
        )
        break
      default: // tlu, tld, tls, tlf: whoever runs us sees it by our state
    }
  }

  /** What comes in these states begins the negotiation anew. */
  private renew(): void {
    if (this.state === 'Stopped' || this.state === 'Opened') this.policy.reset()
  }

  private sendRequest(now: Instant): void {
    if (this.state === 'Starting' || this.state === 'Closed') {
      this.policy.reset()
      this.naks = 0
    }
    this.requestId = this.nextId()
    this.requested = encodeOptions(this.policy.request())
    this.counter--
    this.deadline = now + this.restart
    this.send(CODE.configureRequest, this.requestId, this.requested)
  }

  private send(code: number, id: number, data: Uint8Array): void {
    if (this.waiting.length < MOST_WAITING) this.waiting.push(encodeControl(code, id, data))
  }
}
