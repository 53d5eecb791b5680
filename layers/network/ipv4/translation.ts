/** IPv4's translation, which comes, goes and changes while packets flow: at most one, on one link. */
import type { TranslationEntry, TranslationSession, TranslationStatus } from '../../../src/api/routes.ts'
import { formatIpv4, type IpAddress } from '../../../src/kernel/address.ts'
import { Drive } from '../../../src/kernel/drive.ts'
import type { Env } from '../../../src/kernel/env.ts'
import type { Random } from '../../../src/kernel/random.ts'
import type { Translator } from '../family.ts'
import type { NatSettings } from '../nat/options.ts'
import { NatTable } from '../nat/table.ts'
import { PROTOCOL } from '../service.ts'
import type { Addresses } from './addresses.ts'
import type { Complaints } from './icmp-message.ts'
import { type Assembler, Nat } from './nat.ts'
import type { Ipv4Port } from './port.ts'
import type { Ipv4Boundary } from './reasons.ts'

interface Running {
  readonly settings: NatSettings
  readonly table: NatTable
  readonly drive: Drive
  readonly nat: Nat
}

export class Translation implements Translator {
  /** Null while nothing is translated. */
  nat: Nat | null = null
  private running: Running | null = null
  /** Outside; 0 for none. */
  private address = 0
  private readonly env: Env
  private readonly random: Random
  private readonly boundary: Ipv4Boundary
  private readonly complaints: Complaints
  private readonly addresses: Addresses
  private readonly ports: readonly (Ipv4Port | undefined)[]
  private readonly assembler: Assembler

  /** @param ports by index, kept by the family. */
  constructor(
    env: Env,
    boundary: Ipv4Boundary,
    complaints: Complaints,
    addresses: Addresses,
    ports: readonly (Ipv4Port | undefined)[],
    assembler: Assembler,
  ) {
    this.env = env
    this.random = env.random('nat')
    this.boundary = boundary
    this.complaints = complaints
    this.addresses = addresses
    this.ports = ports
    this.assembler = assembler
  }

  /** Sessions go on as far as other settings of the same link allow them. */
  set(settings: NatSettings | null): void {
    const { running } = this
    if (running !== null && running.settings.link === settings?.link) {
      this.change(running, settings)
      return
    }
    running?.drive.stop()
    this.running = settings === null ? null : this.begin(settings)
    this.nat = this.running?.nat ?? null
    this.bind()
    this.addressesChanged()
  }

  /** Links have come or gone. */
  bind(): void {
    for (const port of this.ports) {
      if (port !== undefined) port.nat = port.port.name === this.running?.settings.link ? this.nat : null
    }
  }

  /** Sessions end when the address outside becomes another one. */
  addressesChanged(): void {
    if (this.nat === null) return
    const outside = this.ports.find((port) => port?.nat === this.nat)
    this.address = outside?.sourceFor(0) ?? 0
    this.nat.outsideAddress = this.address
  }

  entries(): readonly TranslationEntry[] {
    return this.nat?.entries() ?? []
  }

  status(): TranslationStatus | undefined {
    if (this.running === null) return undefined
    const { table, settings } = this.running
    const sessions = { tcp: 0, udp: 0, icmp: 0 }
    let ports = 0
    for (const mapping of table.entries()) {
      ports++
      sessions[nameOf(mapping.protocol)] += mapping.sessions
    }
    const { link, maxSessions } = settings
    const address = this.address === 0 ? undefined : formatIpv4(this.address)
    return { link, address, ports, sessions, maxSessions, endedEarly: table.endedEarly }
  }

  sessions(limit: number, host: IpAddress | undefined): readonly TranslationSession[] {
    const found: TranslationSession[] = []
    if (this.running === null || limit <= 0 || host?.isIpv4 === false) return found
    const now = this.env.clock.now()
    for (const { remote, remotePort, list, used } of this.running.table.all()) {
      const { protocol, insideAddress, insidePort, outsidePort } = remote.mapping
      const address = formatIpv4(remote.address)
      if (host !== undefined && host.w3 !== insideAddress && host.w3 !== remote.address) continue
      found.push({
        protocol: nameOf(protocol),
        inside: `${formatIpv4(insideAddress)}:${insidePort}`,
        outsidePort,
        remote: protocol === PROTOCOL.icmp ? address : `${address}:${remotePort}`,
        endsIn: Math.max(0, used + (list?.time ?? 0) - now),
      })
      if (found.length >= limit) break
    }
    return found
  }

  close(): void {
    this.running?.drive.stop()
  }

  private change({ table, drive, nat }: Running, settings: NatSettings): void {
    nat.hide(settings.inside)
    table.become(settings, (address) => nat.hides(address) || this.addresses.isAssigned(address))
    drive.arm()
    this.running = { settings, table, drive, nat }
  }

  private begin(settings: NatSettings): Running {
    const { boundary, complaints, env, addresses, assembler } = this
    const table = new NatTable(settings, this.random)
    const drive = new Drive(table, env.timers, { pump: () => {} })
    const nat = new Nat(boundary, complaints, env.clock, addresses, settings, table, drive, assembler)
    return { settings, table, drive, nat }
  }
}

const nameOf = (protocol: number): TranslationEntry['protocol'] =>
  protocol === PROTOCOL.tcp ? 'tcp' : protocol === PROTOCOL.udp ? 'udp' : 'icmp'
