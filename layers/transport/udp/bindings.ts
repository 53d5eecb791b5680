/**
 * Which socket a datagram is for (RFC 1122 §4.1.3.5): one connected to its sender if there is, else the one bound most
 * closely to where it went. Connected sockets are found by a hash of both ends, as there may be thousands on one port;
 * the others by their port. Lists are replaced, never changed, so that handlers may bind and close while one is walked.
 */
import type { DatagramEntry } from '../../../src/api/sockets.ts'
import type { IpAddress } from '../../../src/kernel/address.ts'
import { NetError } from '../../../src/kernel/errors.ts'
import type { NetworkService } from '../../network/service.ts'
import { type Bound, overlap, standsFor } from '../wildcard.ts'
import type { UdpSocket } from './socket.ts'

/** The sockets of one port. */
interface Port {
  readonly all: Set<UdpSocket>
  /** Those that take datagrams from anybody, in the order they were bound. */
  open: readonly UdpSocket[]
}

/** For `find`: whichever link it was; 0: the node itself. */
export const ANY_LINK: -1 = -1

const NONE: readonly UdpSocket[] = []

export class Bindings {
  private readonly ports = new Map<number, Port>()
  /** Connected sockets by the hash of their ends, chained. */
  private readonly connected = new Map<number, UdpSocket>()
  private readonly salt: number
  private count = 0

  /** @param salt keeps others from choosing ends of one hash. */
  constructor(salt: number) {
    this.salt = salt | 0
  }

  get size(): number {
    return this.count
  }

  *[Symbol.iterator](): Generator<UdpSocket> {
    for (const { all } of this.ports.values()) yield* all
  }

  /** For listings. @param network whose links they are bound to. */
  *list(network: NetworkService): Generator<DatagramEntry> {
    for (const { local, remote, link, queuedOctets } of this)
      yield { local, remote, link: network.linkName(link), queuedOctets }
  }

  /** Would a socket bound there get what another one is bound to get? */
  taken(bound: Bound, port: number, link: number, reuse: boolean): boolean {
    const there = this.ports.get(port)
    if (there === undefined) return false
    for (const other of there.all) if (!(reuse && other.reuse) && overlaps(other, bound, link)) return true
    return false
  }

  add(socket: UdpSocket): void {
    const { port } = socket.bound
    let there = this.ports.get(port)
    if (there === undefined) {
      there = { all: new Set(), open: NONE }
      this.ports.set(port, there)
    }
    there.all.add(socket)
    this.count++
    this.enter(socket, there)
  }

  remove(socket: UdpSocket): void {
    const there = this.ports.get(socket.bound.port)
    if (there === undefined || !there.all.delete(socket)) return
    this.count--
    this.leave(socket, there)
    if (there.all.size === 0) this.ports.delete(socket.bound.port)
  }

  /** Changes what a socket is connected to, by `change`, and files it anew. */
  refile(socket: UdpSocket, change: () => void): void {
    const there = this.ports.get(socket.bound.port) as Port
    this.leave(socket, there)
    change()
    this.enter(socket, there)
  }

  /** The socket for a datagram to one station, or undefined. */
  find(local: IpAddress, port: number, remote: IpAddress, remotePort: number, link: number): UdpSocket | undefined {
    if (this.connected.size > 0) {
      const socket = this.findConnected(local, port, remote, remotePort, link)
      if (socket !== undefined) return socket
    }
    const there = this.ports.get(port)
    if (there === undefined) return undefined
    let best: UdpSocket | undefined
    let closeness = -1
    for (const socket of there.open) {
      const close = closenessOf(socket, local, link)
      if (close >= closeness && close >= 0) {
        best = socket
        closeness = close
      }
    }
    return best
  }

  /** The sockets that may get a datagram to many stations; ask each `takes`. */
  at(port: number): Iterable<UdpSocket> {
    const there = this.ports.get(port)
    if (there === undefined) return NONE
    return there.open.length === there.all.size ? there.open : [...there.all]
  }

  private findConnected(
    local: IpAddress,
    port: number,
    remote: IpAddress,
    remotePort: number,
    link: number,
  ): UdpSocket | undefined {
    let socket = this.connected.get(this.hash(local, port, remote, remotePort)) ?? null
    while (socket !== null && !(socket.bound.port === port && takes(socket, local, remote, remotePort, link))) {
      socket = socket.chained
    }
    return socket ?? undefined
  }

  private enter(socket: UdpSocket, there: Port): void {
    const { remote } = socket
    if (remote === undefined) {
      there.open = [...there.open, socket]
      return
    }
    const hash = this.hash(socket.local.address, socket.local.port, remote.address, remote.port)
    socket.chained = this.connected.get(hash) ?? null
    this.connected.set(hash, socket)
  }

  private leave(socket: UdpSocket, there: Port): void {
    const { remote, chained } = socket
    if (remote === undefined) {
      there.open = there.open.filter((other) => other !== socket)
      return
    }
    const hash = this.hash(socket.local.address, socket.local.port, remote.address, remote.port)
    let before = this.connected.get(hash)
    if (before === socket) {
      if (chained === null) this.connected.delete(hash)
      else this.connected.set(hash, chained)
    } else {
      while (before !== undefined && before.chained !== socket) before = before.chained ?? undefined
      if (before !== undefined) before.chained = chained
    }
    socket.chained = null
  }

  private hash(local: IpAddress, port: number, remote: IpAddress, remotePort: number): number {
    let hash = mix(this.salt, (port << 16) | remotePort)
    hash = mix(mix(hash, remote.w3), local.w3)
    if (remote.isIpv4) return hash
    hash = mix(mix(mix(hash, remote.w0), remote.w1), remote.w2)
    return mix(mix(mix(hash, local.w0), local.w1), local.w2)
  }
}

/** Does a socket take what was sent to `local` by `remote` and came in by `link`? */
export function takes(
  socket: UdpSocket,
  local: IpAddress,
  remote: IpAddress,
  remotePort: number,
  link: number,
): boolean {
  if (closenessOf(socket, local, link) < 0) return false
  const { remote: peer, scope } = socket
  if (peer === undefined) return true
  return peer.port === remotePort && peer.address.equals(remote) && (scope === 0 || scope === link || link <= 0)
}

/** How closely a socket is bound to where a datagram went: its address counts more than its link; -1: not at all. */
function closenessOf(socket: UdpSocket, local: IpAddress, link: number): number {
  if (socket.link !== 0 && socket.link !== link && link !== ANY_LINK) return -1
  const { address } = socket.local
  const byLink = socket.link === 0 ? 0 : 1
  if (address.isUnspecified) return standsFor(address, socket.ipv6Only, local) ? byLink : -1
  return address.equals(local) ? byLink + 2 : -1
}

function overlaps({ bound, ipv6Only, link }: UdpSocket, other: Bound, otherLink: number): boolean {
  if (link !== 0 && otherLink !== 0 && link !== otherLink) return false
  return overlap({ address: bound.address, ipv6Only }, other)
}

/** One round of a multiplicative hash. */
function mix(hash: number, word: number): number {
  const product = Math.imul(hash ^ word, 0x9e3779b1)
  return product ^ (product >>> 15)
}

export function cannotBind(code: string, why: string, address: IpAddress, port: number): NetError {
  return new NetError(code, why, { syscall: 'bind', address: address.toString(), port, layer: 'udp' })
}
