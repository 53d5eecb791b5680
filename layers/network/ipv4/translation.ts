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
import { type Assembler, Nat } from './nat.ts'
import type { Ipv4Port } from './port.ts'
import type { Ipv4Boundary } from './reasons.ts'

export class Translation implements Translator {
  /** Null while nothing is translated. */
  nat: Nat | null = null
  private settings: NatSettings | null = null
  private table: NatTable | null = null
  private drive: Drive | null = null
  /** Outside; 0 for none. */
  private address = 0
  private readonly env: Env
  private readonly random: Random
  private readonly boundary: Ipv4Boundary
  private readonly addresses: Addresses
  private readonly ports: readonly (Ipv4Port | undefined)[]
  private readonly assembler: Assembler

  /** @param ports by index, kept by the family. */
  constructor(
    env: Env,
    boundary: Ipv4Boundary,
    addresses: Addresses,
    ports: readonly (Ipv4Port | undefined)[],
    assembler: Assembler,
  ) {
    this.env = env
    this.random = env.random('nat')
    this.boundary = boundary
    this.addresses = addresses
    this.ports = ports
    this.assembler = assembler
  }

  set(settings: NatSettings | null): void {
    this.drive?.stop()
    this.settings = settings
    this.nat = null
    this.table = null
    this.drive = null
    if (settings !== null) this.begin(settings)
    this.bind()
    this.addressesChanged()
  }

  /** Links have come or gone. */
  bind(): void {
    for (const port of this.ports) {
      if (port !== undefined) port.nat = port.port.name === this.settings?.link ? this.nat : null
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
    const { table, settings } = this
    if (table === null || settings === null) return undefined
    const sessions = { tcp: 0, udp: 0, icmp: 0 }
    let ports = 0
    for (const mapping of table.entries()) {
      ports++
      sessions[nameOf(mapping.protocol)] += mapping.sessions
    }
    const { link, maxSessions } = settings
    return { link, address: this.address === 0 ? undefined : formatIpv4(this.address), ports, sessions, maxSessions }
  }

  sessions(limit: number, host: IpAddress | undefined): readonly TranslationSession[] {
    const found: TranslationSession[] = []
    if (this.table === null || limit <= 0 || host?.isIpv4 === false) return found
    const now = this.env.clock.now()
    for (const { remote, remotePort, until } of this.table.all()) {
      const { protocol, insideAddress, insidePort, outsidePort } = remote.mapping
      const address = formatIpv4(remote.address)
      if (host !== undefined && host.w3 !== insideAddress && host.w3 !== remote.address) continue
      found.push({
        protocol: nameOf(protocol),
        inside: `${formatIpv4(insideAddress)}:${insidePort}`,
        outsidePort,
        remote: protocol === PROTOCOL.icmp ? address : `${address}:${remotePort}`,
        endsIn: Math.max(0, until - now),
      })
      if (found.length >= limit) break
    }
    return found
  }

  close(): void {
    this.drive?.stop()
  }

  private begin(settings: NatSettings): void {
    const { boundary, env, addresses, assembler } = this
    this.table = new NatTable(settings, this.random)
    this.drive = new Drive(this.table, env.timers, { pump: () => {} })
    this.nat = new Nat(boundary, env.clock, addresses, settings, this.table, this.drive, assembler)
  }
}

const nameOf = (protocol: number): TranslationEntry['protocol'] =>
  protocol === PROTOCOL.tcp ? 'tcp' : protocol === PROTOCOL.udp ? 'udp' : 'icmp'
