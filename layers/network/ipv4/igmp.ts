/**
 * IGMP's host side on one link (RFC 3376): tells routers of the groups we are in, and of the sources we want.
 *
 * Nobody is told of 224.0.0.1, which has everybody in it. Messages go out with TTL 1 and the option router alert, from our
 * address on the link, or from none while there is none (§4.2.13).
 */
import type { IpAddress } from '../../../src/kernel/address.ts'
import { checksum } from '../../../src/kernel/checksum.ts'
import type { Instant } from '../../../src/kernel/clock.ts'
import { Drive } from '../../../src/kernel/drive.ts'
import type { Env } from '../../../src/kernel/env.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import { Reporter } from '../membership/reporter.ts'
import type { ReportToSend } from '../membership/reports.ts'
import type { SourceFilter } from '../membership/source-filter.ts'
import { ALL_HOSTS, isMulticast } from './addresses.ts'
import * as header from './header.ts'
import { alertsRouters, decode, encode, type IgmpFault, ROUTER_ALERT } from './igmp-message.ts'
import { multicastMac } from './multicast-mac.ts'
import type { Ipv4Port } from './port.ts'

export const IGMP_PROTOCOL = 2

/** Why messages of IGMP are dropped. */
export type IgmpReason = IgmpFault | 'igmpChecksum' | 'igmpTtl' | 'igmpAlert' | 'igmpDestination'

const HEADER_OCTETS = 24
const TTL = 1
/** Version 4, a header of six words; precedence Internetwork Control (RFC 3376 §4). */
const VERSION_IHL = 0x46
const TRAFFIC_CLASS = 0xc0
const ALL_ROUTERS = 0xe000_0002 | 0
const ALL_REPORTS = 0xe000_0016 | 0

export class Igmp {
  private readonly port: Ipv4Port
  private readonly env: Env
  private readonly reporter: Reporter
  private readonly drive: Drive

  constructor(port: Ipv4Port, env: Env) {
    this.port = port
    this.env = env
    this.reporter = new Reporter(env.random('igmp'))
    this.drive = new Drive(this.reporter, env.timers, this)
    port.groups.report((group, filter) => this.changed(group, filter))
  }

  /** A message that came in by the link; stays the caller's. @returns why it is dropped. */
  receive({ view, start, end, networkStart }: Packet, ttl: number): IgmpReason | undefined {
    if (ttl !== TTL) return 'igmpTtl'
    if (checksum(start, end - start) !== 0) return 'igmpChecksum'
    const message = decode(view, start, end)
    if (typeof message === 'string') return message
    if (message.kind === 'query') {
      // Both are the marks of one from beyond the link (§9.1). Version 1 is older than the option.
      if (message.query.generation > 1 && !alertsRouters(view, networkStart)) return 'igmpAlert'
      const to = header.destination(view, networkStart)
      if (message.query.group === undefined && isMulticast(to) && to !== ALL_HOSTS) return 'igmpDestination'
    }
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

  pump(): void {
    for (let report = this.reporter.output(); report !== undefined; report = this.reporter.output()) {
      for (const message of encode(report, this.port.mtu - HEADER_OCTETS)) this.send(message)
    }
  }

  /** Says nothing any more; routers find out by themselves. */
  close(): void {
    this.port.groups.report(null)
    this.drive.stop()
  }

  private changed(group: IpAddress, filter: SourceFilter): void {
    if (group.w3 === ALL_HOSTS) return
    const now: Instant = this.env.clock.now()
    this.reporter.changed(group, filter, now)
    // On a later turn: whoever joins several groups at once tells of them together.
    this.drive.arm()
  }

  private send({ octets, to, group }: ReportToSend): void {
    const { link, to: addressing } = this.port
    const destination = to === 'reports' ? ALL_REPORTS : to === 'routers' ? ALL_ROUTERS : (group?.w3 ?? ALL_REPORTS)
    const packet = this.env.packet(link.headroom, HEADER_OCTETS + octets.length + link.tailroom)
    const at = packet.put(HEADER_OCTETS)
    const { view } = packet
    view.setUint8(at, VERSION_IHL)
    view.setUint8(at + 1, TRAFFIC_CLASS)
    view.setUint16(at + 2, HEADER_OCTETS + octets.length)
    view.setUint16(at + 4, 0)
    view.setUint16(at + 6, header.DF)
    view.setUint8(at + 8, TTL)
    view.setUint8(at + 9, IGMP_PROTOCOL)
    view.setUint16(at + 10, 0)
    view.setInt32(at + 12, this.port.sourceFor(destination))
    view.setInt32(at + 16, destination)
    view.setInt32(at + 20, ROUTER_ALERT)
    view.setUint16(at + 10, checksum(at, HEADER_OCTETS))
    packet.append(octets)
    view.setUint16(at + HEADER_OCTETS + 2, checksum(at + HEADER_OCTETS, octets.length))
    packet.networkStart = at
    addressing.peer = multicastMac(destination)
    link.send(packet, addressing)
  }
}
