/**
 * Network address and port translation of one link, on packets.
 *
 *   inside ──► forward ──► leave: the source becomes our port outside ──► link
 *   inside ◄── forward ◄── arrive: the port's mapping says whose it is ◄── link
 *               └──► and straight back in, when a host inside uses the outside address (hairpin, RFC 4787 §6)
 *
 * What the node itself sends by the link has a mapping too, so that no host gets a port that it uses. Errors are translated
 * inside out: the header they quote, and its ports, belong to a session or they are dropped (RFC 5508 REQ-4, REQ-5).
 * Whoever sends what cannot be translated is told (RFC 5508 REQ-8).
 * Datagrams in fragments are put together first, whatever their order (RFC 4787 REQ-14).
 */

import type { TranslationEntry } from '../../../src/api/routes.ts'
import { formatIpv4, maskIpv4, type Prefix } from '../../../src/kernel/address.ts'
import { checksum } from '../../../src/kernel/checksum.ts'
import type { Clock } from '../../../src/kernel/clock.ts'
import type { Drive } from '../../../src/kernel/drive.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import type { NatSettings } from '../nat/options.ts'
import { Segment } from '../nat/segment.ts'
import type { Mapping } from '../nat/session.ts'
import { HOST_FULL, isRefusal, type NatTable } from '../nat/table.ts'
import { PROTOCOL } from '../service.ts'
import type { Addresses } from './addresses.ts'
import * as header from './header.ts'
import { CODE, type Complaints, ICMP_OCTETS, TYPE } from './icmp-message.ts'
import type { Ipv4Port } from './port.ts'
import type { Ipv4Boundary, Ipv4Reason } from './reasons.ts'
import { DESTINATION, portAt, rewriteAddress, rewritePort, SOURCE } from './rewrite.ts'

/** Octets of a transport header that have to be there. */
const UDP_OCTETS = 8
const TCP_OCTETS = 20

/** What became of a packet that came in: none of ours, dropped, or on its way to somebody else now. */
export type Arrival = 'notOurs' | 'dropped' | 'translated'

/** Puts fragments together. */
export interface Assembler {
  /** Takes ownership. @returns the datagram once it is whole. */
  assemble(packet: Packet): Packet | undefined
}

export class Nat {
  private readonly boundary: Ipv4Boundary
  private readonly complaints: Complaints
  private readonly clock: Clock
  private readonly addresses: Addresses
  private readonly table: NatTable
  private readonly drive: Drive
  private readonly assembler: Assembler
  private inside: readonly { readonly network: number; readonly mask: number }[] = []
  private readonly segment = new Segment()
  /** What arrived last answers what was sent from inside, or by the node. */
  answered = false
  /** The link's address; 0 while it has none. */
  private address = 0

  constructor(
    boundary: Ipv4Boundary,
    complaints: Complaints,
    clock: Clock,
    addresses: Addresses,
    settings: NatSettings,
    table: NatTable,
    drive: Drive,
    assembler: Assembler,
  ) {
    this.boundary = boundary
    this.complaints = complaints
    this.clock = clock
    this.addresses = addresses
    this.table = table
    this.drive = drive
    this.assembler = assembler
    this.hide(settings.inside)
  }

  /** Whose sources are translated from now on. */
  hide(inside: readonly Prefix[]): void {
    this.inside = inside.map(({ address, length }) => {
      const mask = maskIpv4(length)
      return { network: address.w3 & mask, mask }
    })
  }

  /** The address outside, or 0. Sessions end when it becomes another one. */
  set outsideAddress(address: number) {
    if (address === this.address) return
    this.address = address
    this.table.clear()
  }

  /** Is an address one of those that nobody outside reaches unasked? */
  hides(address: number): boolean {
    for (const { network, mask } of this.inside) if (((address ^ network) & mask) === 0) return true
    return false
  }

  /**
   * A packet that is to leave by the link gets a source of ours. Takes ownership.
   * @param packet with its header at `start`. @returns it, or the datagram it completes; null when it waits or was dropped.
   */
  leave(packet: Packet): Packet | null {
    const source = header.source(packet.view, packet.start)
    const own = this.addresses.isAssigned(source)
    if (!own && !this.hides(source)) return packet
    // It may have one soon: code 13 would end for good what only has to wait.
    if (this.address === 0) return this.reject(packet, 'natNoAddress', CODE.host)
    const fragment = (header.flagsAndOffset(packet.view, packet.start) & (header.MF | header.OFFSET_MASK)) !== 0
    if (!fragment) return this.depart(packet, source, own)
    // Fragments of our own are cut behind this place.
    const whole = this.assembler.assemble(packet)
    return whole === undefined ? null : this.depart(whole, source, own)
  }

  private depart(packet: Packet, source: number, own: boolean): Packet | null {
    const { view, start, end } = packet
    const protocol = header.protocol(view, start)
    const transport = start + header.headerOctets(view, start)
    if (protocol === PROTOCOL.icmp && isError(packet, transport)) return this.departError(packet, transport, own)
    if (!isTranslated(packet, protocol, transport, TYPE.echo)) {
      // A node's own protocols, and its answers to echo requests, need no port.
      return own && source === this.address ? packet : this.reject(packet, 'natProtocol', CODE.prohibited)
    }
    const port = view.getUint16(portAt(protocol, transport, SOURCE))
    const remotePort = protocol === PROTOCOL.icmp ? 0 : view.getUint16(portAt(protocol, transport, DESTINATION))
    if (protocol === PROTOCOL.tcp) this.segment.read(view, transport, end)
    // A reset of ours, as to a scan of ports, is no beginning of anything.
    const resets = own && protocol === PROTOCOL.tcp && this.segment.isReset
    if (resets && this.table.mappingInside(protocol, source, port) === null) return packet
    const outside = this.outsidePort(packet, protocol, source, port, remotePort)
    if (isRefusal(outside)) {
      return own && source === this.address ? packet : this.reject(packet, reasonOf(outside), CODE.prohibited)
    }
    rewriteAddress(packet, start, end, SOURCE, this.address)
    rewritePort(packet, start, end, SOURCE, outside)
    return packet
  }

  private outsidePort(
    { view, start }: Packet,
    protocol: number,
    source: number,
    port: number,
    remotePort: number,
  ): number {
    const { table, segment, clock } = this
    const remote = header.destination(view, start)
    const outside = table.outbound(protocol, source, port, remote, remotePort, segment, clock.now())
    this.drive.arm()
    return outside
  }

  /** An error from inside about a packet that came from outside: what it quotes went to the outside address. */
  private departError(packet: Packet, transport: number, own: boolean): Packet | null {
    const { view, start, end } = packet
    const at = transport + ICMP_OCTETS
    const source = header.source(view, start)
    if (!isQuote(packet, at) || !isSound(packet, transport)) return this.refuse(packet, 'natQuote')
    const protocol = header.protocol(view, at)
    const quoted = at + header.headerOctets(view, at)
    const address = header.destination(view, at)
    const port = view.getUint16(portAt(protocol, quoted, DESTINATION))
    const mapping = this.table.mappingInside(protocol, address, port)
    if (mapping === null) {
      // About what came to the node itself.
      return own && source === this.address ? packet : this.refuse(packet, 'natNoSession')
    }
    rewriteAddress(packet, at, end, DESTINATION, this.address)
    rewritePort(packet, at, end, DESTINATION, mapping.outsidePort)
    sumAnew(packet, transport)
    rewriteAddress(packet, start, end, SOURCE, this.address)
    return packet
  }

  /**
   * A datagram to an address of ours, whole, may be for a host inside. Takes ownership unless it is 'notOurs'.
   * @param port the link it came by; null for what we sent ourselves.
   */
  arrive(packet: Packet, port: Ipv4Port | null): Arrival {
    const { view, start } = packet
    this.answered = false
    if (header.destination(view, start) !== this.address || this.address === 0) return 'notOurs'
    const protocol = header.protocol(view, start)
    const transport = start + header.headerOctets(view, start)
    if (protocol === PROTOCOL.icmp && isError(packet, transport)) return this.arriveError(packet, transport)
    if (port === null || !isTranslated(packet, protocol, transport, TYPE.echoReply)) return 'notOurs'
    const mapping = this.table.mappingOutside(protocol, view.getUint16(portAt(protocol, transport, DESTINATION)))
    if (mapping === null) return 'notOurs'
    const remotePort = protocol === PROTOCOL.icmp ? 0 : view.getUint16(portAt(protocol, transport, SOURCE))
    this.answered = this.table.hasSession(mapping, header.source(view, start), remotePort)
    const admitted = port.nat !== this || this.admits(packet, mapping, protocol, transport, remotePort)
    if (this.addresses.isAssigned(mapping.insideAddress)) {
      // For the node itself, which filters by itself; its port outside may be another than the one it used.
      deliverTo(packet, mapping)
      return 'notOurs'
    }
    if (port.nat === this) {
      if (!admitted) return this.drop(packet, 'natFiltered')
    } else {
      const outside = this.turnAround(packet, protocol, transport)
      if (isRefusal(outside)) {
        this.reject(packet, reasonOf(outside), CODE.prohibited)
        return 'dropped'
      }
    }
    deliverTo(packet, mapping)
    return 'translated'
  }

  private admits(packet: Packet, mapping: Mapping, protocol: number, transport: number, remotePort: number): boolean {
    const { view, start, end } = packet
    if (protocol === PROTOCOL.tcp) this.segment.read(view, transport, end)
    const { table, segment, clock } = this
    const admitted = table.admits(mapping, header.source(view, start), remotePort, segment, clock.now())
    this.drive.arm()
    return admitted
  }

  /**
   * A packet from inside to the outside address: its source is translated as if it had been outside (RFC 4787 REQ-9a).
   * @returns the port it has outside, 0 where it keeps its own, or a refusal.
   */
  private turnAround(packet: Packet, protocol: number, transport: number): number {
    const { view, start, end } = packet
    const source = header.source(view, start)
    if (!this.hides(source) || protocol === PROTOCOL.icmp) return 0
    const port = view.getUint16(portAt(protocol, transport, SOURCE))
    const remotePort = view.getUint16(portAt(protocol, transport, DESTINATION))
    if (protocol === PROTOCOL.tcp) this.segment.read(view, transport, end)
    const outside = this.outsidePort(packet, protocol, source, port, remotePort)
    if (isRefusal(outside)) return outside
    rewriteAddress(packet, start, end, SOURCE, this.address)
    rewritePort(packet, start, end, SOURCE, outside)
    return outside
  }

  /** An error from outside about a packet that left: it quotes the packet as it was outside. */
  private arriveError(packet: Packet, transport: number): Arrival {
    const { view, end } = packet
    const at = transport + ICMP_OCTETS
    if (!isQuote(packet, at) || header.source(view, at) !== this.address) return 'notOurs'
    const protocol = header.protocol(view, at)
    const quoted = at + header.headerOctets(view, at)
    const mapping = this.table.mappingOutside(protocol, view.getUint16(portAt(protocol, quoted, SOURCE)))
    if (mapping === null) return 'notOurs'
    const own = this.addresses.isAssigned(mapping.insideAddress)
    const remotePort = protocol === PROTOCOL.icmp ? 0 : view.getUint16(portAt(protocol, quoted, DESTINATION))
    if (!isSound(packet, transport)) return 'notOurs'
    this.answered = this.table.hasSession(mapping, header.destination(view, at), remotePort)
    // What is configured may have had no room for a session.
    if (!this.answered && !mapping.permanent) return own ? 'notOurs' : this.drop(packet, 'natNoSession')
    rewriteAddress(packet, at, end, SOURCE, mapping.insideAddress)
    rewritePort(packet, at, end, SOURCE, mapping.insidePort)
    sumAnew(packet, transport)
    if (own) return 'notOurs'
    rewriteAddress(packet, packet.start, end, DESTINATION, mapping.insideAddress)
    return 'translated'
  }

  /** The ports outside, for those who look at it. */
  entries(): TranslationEntry[] {
    return [...this.table.entries()].map((mapping) => ({
      protocol: mapping.protocol === PROTOCOL.tcp ? 'tcp' : mapping.protocol === PROTOCOL.udp ? 'udp' : 'icmp',
      inside: `${formatIpv4(mapping.insideAddress)}:${mapping.insidePort}`,
      outsidePort: mapping.outsidePort,
      sessions: mapping.sessions,
      forward: mapping.permanent,
    }))
  }

  private drop(packet: Packet, reason: Ipv4Reason): Arrival {
    this.boundary.drop(packet, reason)
    return 'dropped'
  }

  private refuse(packet: Packet, reason: Ipv4Reason): null {
    this.boundary.drop(packet, reason)
    return null
  }

  /** Its sender is told, as often as errors may be sent. @param code of `TYPE.unreachable`. */
  private reject(packet: Packet, reason: Ipv4Reason, code: number): null {
    packet.networkStart = packet.start
    this.complaints.complain(packet, TYPE.unreachable, code, 0)
    return this.refuse(packet, reason)
  }
}

const reasonOf = (refusal: number): Ipv4Reason => (refusal === HOST_FULL ? 'natHostFull' : 'natFull')

function deliverTo(packet: Packet, { insideAddress, insidePort }: Mapping): void {
  const { start, end } = packet
  rewriteAddress(packet, start, end, DESTINATION, insideAddress)
  rewritePort(packet, start, end, DESTINATION, insidePort)
}

/** Has a packet ports, or is it the echo message that has an identifier? @param echo the type that is meant. */
function isTranslated({ view, end }: Packet, protocol: number, transport: number, echo: number): boolean {
  if (protocol === PROTOCOL.tcp) return transport + TCP_OCTETS <= end
  if (protocol === PROTOCOL.udp) return transport + UDP_OCTETS <= end
  return protocol === PROTOCOL.icmp && transport + ICMP_OCTETS <= end && view.getUint8(transport) === echo
}

/** Does an ICMP message say what became of a packet? */
function isError({ view, end }: Packet, transport: number): boolean {
  if (transport + ICMP_OCTETS > end) return false
  const type = view.getUint8(transport)
  return type === TYPE.unreachable || type === TYPE.timeExceeded || type === TYPE.parameterProblem
}

/** Is there a header at `at`, and enough behind it to know whose packet it was? Only of what is translated. */
function isQuote(packet: Packet, at: number): boolean {
  const { view, end } = packet
  if (at + header.HEADER_OCTETS + UDP_OCTETS > end || view.getUint8(at) >>> 4 !== 4) return false
  const octets = header.headerOctets(view, at)
  const protocol = header.protocol(view, at)
  if (octets < header.HEADER_OCTETS || at + octets + UDP_OCTETS > end || header.fragmentOffset(view, at) !== 0)
    return false
  if (protocol === PROTOCOL.icmp) {
    const type = view.getUint8(at + octets)
    return type === TYPE.echo || type === TYPE.echoReply
  }
  return protocol === PROTOCOL.tcp || protocol === PROTOCOL.udp
}

/** Is the checksum of an ICMP message right? It is made anew, and must not make good what was damaged. */
function isSound(packet: Packet, transport: number): boolean {
  return packet.checksum === 'verified' || checksum(transport, packet.end - transport) === 0
}

function sumAnew({ view, end }: Packet, transport: number): void {
  view.setUint16(transport + 2, 0)
  view.setUint16(transport + 2, checksum(transport, end - transport))
}
