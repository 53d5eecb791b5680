/**
 * MLD's host side on one link (RFC 3810): tells routers of the groups we are in, and of the sources we want; those of solicited
 * nodes are among them, or a switch that listens would keep what is for us from us.
 *
 * Nobody is told of all nodes, nor of groups that do not leave the node (§6), nor over a point-to-point link of those that do not
 * leave the link: there is no switch on it. Messages go out with hop limit 1 and the option router
 * alert, from our link-local address, or from none while there is none (§5.2.13).
 */
import { IpAddress } from '../../../src/kernel/address.ts'
import { checksum, pseudoHeaderIpv6 } from '../../../src/kernel/checksum.ts'
import { Drive } from '../../../src/kernel/drive.ts'
import type { Env } from '../../../src/kernel/env.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import { Reporter } from '../membership/reporter.ts'
import type { ReportToSend } from '../membership/reports.ts'
import type { SourceFilter } from '../membership/source-filter.ts'
import { PROTOCOL } from '../service.ts'
import { ALL_NODES, ALL_ROUTERS, groupScope, isLinkLocal, UNSPECIFIED } from './address-kinds.ts'
import * as header from './header.ts'
import { alertsRouters, decode, encode, type MldFault } from './mld-message.ts'
import { groupMac } from './output.ts'
import type { Ipv6Port } from './port.ts'

/** Why messages of MLD are dropped. */
export type MldReason = MldFault | 'mldSource' | 'mldAlert'

/** ff02::16 */
const ALL_REPORTS = new IpAddress(0xff02_0000, 0, 0, 0x16)
/** The header of hop-by-hop options with router alert for MLD (RFC 2711), and two octets of padding. */
const OPTIONS = Uint8Array.of(PROTOCOL.icmpv6, 0, 5, 2, 0, 0, 1, 0)
const HOP_BY_HOP = 0
const HOP_LIMIT = 1
const INTERFACE_LOCAL = 1
const LINK_LOCAL = 2

export class Mld {
  private readonly port: Ipv6Port
  private readonly env: Env
  private readonly reporter: Reporter
  private readonly drive: Drive
  /** Something was said from no address. */
  private unheard = false

  constructor(port: Ipv6Port, env: Env) {
    this.port = port
    this.env = env
    this.reporter = new Reporter(env.random('mld'))
    this.drive = new Drive(this.reporter, env.timers, this)
    port.groups.report((group, filter) => this.changed(group, filter))
  }

  /**
   * A message that came in by the link, at its ICMPv6 header, whose checksum holds; stays the caller's.
   * @returns why it is dropped: also when somebody beyond the link may have sent it (§6.2).
   */
  receive({ view, start, end, networkStart }: Packet, source: IpAddress, hopLimit: number): MldReason | undefined {
    if (hopLimit !== HOP_LIMIT || !isLinkLocal(source)) return 'mldSource'
    if (!alertsRouters(view, networkStart)) return 'mldAlert'
    const message = decode(view, start, end)
    if (typeof message === 'string') return message
    const now = this.env.clock.now()
    if (message.kind === 'query') this.reporter.query(message.query, now)
    else if (message.kind === 'member') this.reporter.heard(message.group)
    this.drive.run(now)
    return undefined
  }

  /** The link is up, perhaps again: whoever is there is told of all. */
  renew(): void {
    this.reporter.renew(this.env.clock.now())
    this.drive.arm()
  }

  /** Our addresses have changed: with one to speak from, routers hear what they did not take from none (RFC 3590 §4). */
  addressed(): void {
    if (!this.unheard || this.port.linkLocal() === undefined) return
    this.unheard = false
    this.renew()
  }

  pump(): void {
    const most = this.port.mtu - header.HEADER_OCTETS - OPTIONS.length
    for (let report = this.reporter.output(); report !== undefined; report = this.reporter.output()) {
      for (const message of encode(report, most)) this.send(message)
    }
  }

  /** Says nothing any more; routers find out by themselves. */
  close(): void {
    this.port.groups.report(null)
    this.drive.stop()
  }

  private changed(group: IpAddress, filter: SourceFilter): void {
    const { broadcast } = this.port.link
    if (group.equals(ALL_NODES) || groupScope(group) <= (broadcast === null ? LINK_LOCAL : INTERFACE_LOCAL)) return
    this.reporter.changed(group, filter, this.env.clock.now())
    // On a later turn: whoever joins several groups at once tells of them together.
    this.drive.arm()
  }

  private send({ octets, to, group }: ReportToSend): void {
    const { link, to: addressing } = this.port
    const destination = to === 'reports' ? ALL_REPORTS : to === 'routers' ? ALL_ROUTERS : (group ?? ALL_REPORTS)
    const source = this.port.linkLocal() ?? UNSPECIFIED
    if (source === UNSPECIFIED) this.unheard = true
    const payload = OPTIONS.length + octets.length
    const packet = this.env.packet(link.headroom, header.HEADER_OCTETS + payload + link.tailroom)
    const at = packet.put(header.HEADER_OCTETS)
    header.write(packet.view, at, 0, 0, payload, HOP_BY_HOP, HOP_LIMIT, source, destination)
    packet.append(OPTIONS)
    packet.append(octets)
    const message = at + header.HEADER_OCTETS + OPTIONS.length
    const pseudo = pseudoHeaderIpv6(source, destination, PROTOCOL.icmpv6, octets.length)
    packet.view.setUint16(message + 2, checksum(message, octets.length, pseudo))
    packet.networkStart = at
    addressing.peer = link.broadcast === null ? 0 : groupMac(destination)
    link.send(packet, addressing)
  }
}
