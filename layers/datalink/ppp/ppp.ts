/**
 * PPP (RFC 1661) in HDLC-like framing (RFC 1662): a link of two stations over any run of octets, or over frames. IPv4 and
 * IPv6 packets go once IPCP (RFC 1332) or IPv6CP (RFC 5072) has opened; what these agree on, the network tier follows.
 *
 *   octets   0       1         2          4                     4+n
 *            ├───────┼─────────┼──────────┼─────────────────────┼─────┤
 *            │  ff   │   03    │ protocol │ packet, n <= MRU    │ FCS │
 *            └───────┴─────────┴──────────┴─────────────────────┴─────┘
 *             left out by ACFC   1 octet by PFC
 */
import { IpAddress, parseAddress } from '../../../src/kernel/address.ts'
import type { Boundary, Reasons } from '../../../src/kernel/boundary.ts'
import { type Duration, type Instant, seconds } from '../../../src/kernel/clock.ts'
import { Drive, type Pump } from '../../../src/kernel/drive.ts'
import type { Env } from '../../../src/kernel/env.ts'
import { integer, invalidValue } from '../../../src/kernel/errors.ts'
import type { Layer, LinkState, User } from '../../../src/kernel/layer.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import { Timer } from '../../../src/kernel/timers.ts'
import { NO_OFFLOAD, type PhysicalService } from '../../physical/service.ts'
import { type FcsKind, type Framing, framing } from '../framing/framing.ts'
import {
  ETHERTYPE,
  type LinkAddress,
  LinkAddressing,
  type LinkOffload,
  type LinkService,
  type Negotiated,
  type NegotiatedListener,
} from '../service.ts'
import { PROTOCOL } from './control.ts'
import { type Phase, REJECT_OCTETS, Session } from './session.ts'

export interface PppOptions {
  /** Our IPv4 address; default: the one the peer gives us. */
  readonly address?: string
  /** The peer's IPv4 address, which it is given, and held to; default: the one it has. */
  readonly peerAddress?: string
  /** Negotiate IPv4, IPv6; both are true by default. */
  readonly ipv4?: boolean
  readonly ipv6?: boolean
  /** Largest packet that we receive, and send: 68 to 16000; default 1500. */
  readonly mru?: number
  /** The control characters that the peer is to escape, one bit each; default 0: none. */
  readonly accm?: number
  /** Let protocol, address and control fields be shortened; default true. */
  readonly compress?: boolean
  /** Default 'fcs16', as PPP has it unless both ends agree on something else (RFC 1570 §2.1), by configuration here. */
  readonly fcs?: Exclude<FcsKind, 'smack' | 'smackReceived'>
  /** Say who we are when the peer asks by CHAP; and ask the peer, with `demand`. */
  readonly chap?: {
    readonly name: string
    readonly secret: string
    /** The peer has to prove that it knows the secret; default false. */
    readonly demand?: boolean
    /** What the peer has to call itself. */
    readonly peerName?: string
  }
  /** Microseconds between questions whether the peer is there; default 10 s, 0 for none. */
  readonly echoInterval?: Duration
  /** After so many without an answer negotiation begins anew; default 3. */
  readonly echoFailures?: number
  /** Microseconds until an unanswered request is repeated; default 3 s. */
  readonly restart?: Duration
  /** How often a request is repeated; default for ever. */
  readonly maxConfigure?: number
}

/** Why PPP drops packets, in both directions. */
export type PppDrop =
  /** Receiving: it ends within its header. */
  | 'truncated'
  /** A control packet that is malformed, or answers nothing, or comes in a phase that is not its own. */
  | 'badControl'
  /** A packet before its protocol has been negotiated. */
  | 'notOpen'
  /** Sending: neither IPv4 nor IPv6. */
  | 'notIp'
  /** Sending: longer than the peer receives. */
  | 'tooLong'
  /** A protocol that is not ours, or that the options do not want; the peer is told. */
  | 'unknownProtocol'
  /** Nobody above wants it. */
  | 'noUser'

const REASONS: Reasons<PppDrop> = {
  truncated: 'RFC 1661 §2',
  badControl: 'RFC 1661 §5',
  notOpen: 'RFC 1661 §3.5',
  notIp: '',
  tooLong: 'RFC 1661 §6.1',
  unknownProtocol: 'RFC 1661 §5.7',
  noUser: '',
}

/** A PPP link, and how far it has come. */
export interface PppService extends LinkService {
  readonly phase: Phase
  readonly negotiated: Negotiated
}

const HEADER_OCTETS = 4
const ADDRESS_AND_CONTROL = 0xff03
const MAX_MRU = 16_000
/** What every implementation must take, whatever was agreed on (RFC 1661 §6.1). */
const LEAST_LONGEST = 1500
/** Of slack above the MRU: some peers count the header. */
const SLACK_OCTETS = 8
const CONTROL_ROOM = 64

/**
 * PPP over octets or frames.
 * @throws RangeError ERR_OUT_OF_RANGE, TypeError ERR_INVALID_ARG_VALUE — an option makes no sense; at once.
 */
export function ppp(options: PppOptions = {}): Layer<PhysicalService<'octets' | 'frames'>, PppService> {
  const local = wordOf('address', options.address)
  const peer = wordOf('peerAddress', options.peerAddress)
  integer('mru', options.mru ?? 1500, 68, MAX_MRU)
  integer('echoInterval', options.echoInterval ?? 0, 0, Number.MAX_SAFE_INTEGER)
  integer('echoFailures', options.echoFailures ?? 3, 1, 1000)
  integer('restart', options.restart ?? 1, 1, Number.MAX_SAFE_INTEGER)
  return (below, env) => new Ppp(below, env, options, local, peer)
}

function wordOf(name: string, text: string | undefined): number {
  if (text === undefined) return 0
  const address = parseAddress(text, name)
  if (!address.isIpv4 || address.w3 === 0) throw invalidValue(name, "an IPv4 address such as '10.0.0.1'", text)
  return address.w3
}

class Ppp implements PppService, User<undefined>, Pump, Negotiated {
  readonly tier = 'datalink'
  readonly address: LinkAddress = 0
  readonly broadcast = null
  readonly offload: LinkOffload = NO_OFFLOAD
  readonly boundary: Boundary<LinkAddressing, PppDrop>
  private readonly env: Env
  private readonly framing: Framing
  private readonly session: Session
  private readonly drive: Drive
  private readonly first: Timer
  private readonly from = new LinkAddressing()
  private readonly mru: number
  private readonly listeners = new Set<NegotiatedListener>()
  /** What those above have been told last. */
  private told: LinkState | null = null
  private readonly wasOpen = { ipcp: false, ipv6cp: false }

  constructor(below: PhysicalService<'octets' | 'frames'>, env: Env, options: PppOptions, local: number, peer: number) {
    const { fcs = 'fcs16', mru = 1500, accm = 0, compress = true, chap, restart, maxConfigure } = options
    this.env = env
    this.mru = mru
    this.framing = framing(below, env, {
      name: 'ppp-frames',
      encapsulation: fcs === 'none' ? 'ppp' : fcs === 'fcs16' ? 'ppp+fcs16' : 'ppp+fcs32',
      fcs,
      longest: Math.max(mru, LEAST_LONGEST) + HEADER_OCTETS + SLACK_OCTETS,
    })
    this.boundary = env.boundary('ppp', 'link', REASONS)
    const session = new Session(
      {
        lcp: { mru, accm, compress, demandChap: chap?.demand === true, offerChap: chap !== undefined },
        names: { name: chap?.name ?? '', secret: chap?.secret ?? '', peerName: chap?.peerName },
        local,
        peer,
        ipv4: options.ipv4 ?? true,
        ipv6: options.ipv6 ?? true,
        echoInterval: options.echoInterval ?? seconds(10),
        echoFailures: options.echoFailures ?? 3,
        ...(restart === undefined ? {} : { restart }),
        ...(maxConfigure === undefined ? {} : { maxConfigure }),
      },
      env.random('ppp'),
    )
    this.session = session
    this.drive = new Drive(session, env.timers, this)
    env.defer(this.framing.boundary.attach(this))
    // Negotiation begins on a later turn, when those above are attached.
    this.first = new Timer({ expire: (now) => this.lineUp(now) })
    env.timers.arm(this.first, env.clock.now())
    env.defer(() => this.close())
  }

  get mtu(): number {
    const { mru } = this.session.lcpPolicy.theirs
    return Math.min(this.mru, mru, Math.max(0, this.framing.mtu - HEADER_OCTETS))
  }

  get headroom(): number {
    return this.framing.headroom + HEADER_OCTETS
  }

  get tailroom(): number {
    return this.framing.tailroom
  }

  get phase(): Phase {
    return this.session.phase
  }

  get negotiated(): Negotiated {
    return this
  }

  follow(listener: NegotiatedListener): () => void {
    this.listeners.add(listener)
    if (this.wasOpen.ipcp) this.tellIpv4(listener)
    if (this.wasOpen.ipv6cp) this.tellIpv6(listener)
    return () => this.listeners.delete(listener)
  }

  send(packet: Packet, to: LinkAddressing): boolean {
    this.boundary.down(packet, to)
    const { session } = this
    const isIpv4 = to.protocol === ETHERTYPE.ipv4
    if (!isIpv4 && to.protocol !== ETHERTYPE.ipv6) {
      this.boundary.drop(packet, 'notIp')
    } else if (!(isIpv4 ? session.ipcp : session.ipv6cp).opened) {
      this.boundary.drop(packet, 'notOpen')
    } else if (packet.length > this.mtu) {
      this.boundary.drop(packet, 'tooLong')
    } else {
      const { pfc, acfc } = session.lcpPolicy.theirs
      pushHeader(packet, isIpv4 ? PROTOCOL.ipv4 : PROTOCOL.ipv6, pfc, acfc)
      return this.framing.send(packet, undefined)
    }
    return true
  }

  receive(packet: Packet): void {
    this.framing.removeFcs(packet)
    const protocol = pullHeader(packet)
    const reason = this.deliver(packet, protocol)
    if (reason !== undefined) this.boundary.drop(packet, reason)
  }

  ready(): void {
    this.boundary.ready()
  }

  linkChanged(state: LinkState, reason: string): void {
    const now = this.env.clock.now()
    if (state === 'down') {
      this.session.down(reason, now)
      this.drive.run(now)
    } else if (this.session.phase === 'dead' && !this.first.armed) {
      this.lineUp(now)
    }
  }

  /** Sends what the session has to say, and tells those above what has become of it. */
  pump(): void {
    for (let next = this.session.output(); next !== undefined; next = this.session.output()) {
      this.sendControl(next.protocol, next.octets)
    }
    this.tell()
  }

  private lineUp(now: Instant): void {
    this.session.up(now)
    this.drive.run(now)
  }

  /** @returns why the packet must be dropped; undefined when it has been taken. */
  private deliver(packet: Packet, protocol: number): PppDrop | undefined {
    const { session } = this
    if (protocol === PROTOCOL.ipv4 || protocol === PROTOCOL.ipv6) {
      const isIpv4 = protocol === PROTOCOL.ipv4
      if (!(isIpv4 ? session.ipcp : session.ipv6cp).opened) return 'notOpen'
      this.from.protocol = isIpv4 ? ETHERTYPE.ipv4 : ETHERTYPE.ipv6
      return this.boundary.up(packet, this.from, this.from.protocol) ? undefined : 'noUser'
    }
    if (protocol < 0) return 'truncated'
    const now = this.env.clock.now()
    if (!isOurs(protocol) || !session.supports(protocol)) {
      session.rejectProtocol(protocol, packet.bytes(), this.mtu - REJECT_OCTETS)
      this.drive.run(now)
      return 'unknownProtocol'
    }
    const taken = session.input(protocol, packet.bytes(), now)
    this.drive.run(now)
    if (!taken) return 'badControl'
    packet.release()
    return undefined
  }

  /** Control packets of LCP go in full, with all control characters escaped (RFC 1662 §7.1, RFC 1661 §6.5). */
  private sendControl(protocol: number, octets: Uint8Array): void {
    const packet = this.env.packet(Math.max(this.headroom, CONTROL_ROOM), octets.length + this.tailroom)
    packet.append(octets)
    const isLcp = protocol === PROTOCOL.lcp
    const { pfc, acfc } = this.session.lcpPolicy.theirs
    pushHeader(packet, protocol, pfc && !isLcp, acfc && !isLcp)
    if (isLcp) this.framing.sendPlain(packet)
    else this.framing.send(packet, undefined)
  }

  private tell(): void {
    const { session, wasOpen } = this
    const { ipcp, ipv6cp, lcpPolicy } = session
    if (session.phase !== 'establish' && session.phase !== 'dead') {
      this.framing.escape(lcpPolicy.theirs.accm, lcpPolicy.ours.accm)
    } else {
      this.framing.escape(-1, 0)
    }
    const opened = { ipcp: ipcp.opened && !wasOpen.ipcp, ipv6cp: ipv6cp.opened && !wasOpen.ipv6cp }
    wasOpen.ipcp = ipcp.opened
    wasOpen.ipv6cp = ipv6cp.opened
    for (const listener of this.listeners) {
      if (opened.ipcp) this.tellIpv4(listener)
      if (opened.ipv6cp) this.tellIpv6(listener)
    }
    const state = ipcp.opened || ipv6cp.opened ? 'up' : 'down'
    if (state === this.told && !opened.ipcp && !opened.ipv6cp) return
    this.told = state
    this.boundary.linkChanged(state, state === 'up' ? 'negotiated' : session.reason)
  }

  private tellIpv4(listener: NegotiatedListener): void {
    const { local, peer } = this.session.ipcpPolicy
    if (local !== 0) listener(IpAddress.ipv4(local), peer === 0 ? null : IpAddress.ipv4(peer))
  }

  private tellIpv6(listener: NegotiatedListener): void {
    const { local, peer } = this.session.ipv6cpPolicy
    listener(linkLocal(local), peer === null ? null : linkLocal(peer))
  }

  /** The last octets that go out say that we are gone, if anybody listens. */
  private close(): void {
    const now = this.env.clock.now()
    this.env.timers.cancel(this.first)
    this.session.close('closed', now)
    for (let next = this.session.output(); next !== undefined; next = this.session.output()) {
      this.sendControl(next.protocol, next.octets)
    }
    this.drive.stop()
  }
}

/** In front of a packet that has HEADER_OCTETS of headroom. */
function pushHeader(packet: Packet, protocol: number, pfc: boolean, acfc: boolean): void {
  if (pfc && protocol < 0x100) packet.octets[packet.push(1)] = protocol
  else packet.view.setUint16(packet.push(2), protocol)
  if (!acfc) packet.view.setUint16(packet.push(2), ADDRESS_AND_CONTROL)
}

/** Shortened or not: an even first octet of the protocol is never its last, and none begins with ff. @returns -1 if short. */
function pullHeader(packet: Packet): number {
  const { view } = packet
  if (packet.length >= 2 && view.getUint16(packet.start) === ADDRESS_AND_CONTROL) packet.pull(2)
  if (packet.length === 0) return -1
  const first = view.getUint8(packet.start)
  if ((first & 1) === 1) {
    packet.pull(1)
    return first
  }
  return packet.length < 2 ? -1 : view.getUint16(packet.pull(2))
}

const OURS: ReadonlySet<number> = new Set([PROTOCOL.lcp, PROTOCOL.chap, PROTOCOL.ipcp, PROTOCOL.ipv6cp])
const isOurs = (protocol: number): boolean => OURS.has(protocol)

function linkLocal(identifier: Uint8Array): IpAddress {
  const view = new DataView(identifier.buffer, identifier.byteOffset)
  return new IpAddress(0xfe80_0000 | 0, 0, view.getInt32(0), view.getInt32(4))
}
