/**
 * Ethernet in IP, without UDP: EtherIP (RFC 3378), protocol 97, one frame in each packet to one peer.
 *
 *     ├ IPv4 or IPv6 ┼ 0011 0000 0000 0000 ┼ frame without FCS ──┤
 *
 * The system's raw sockets send and receive it, by way of the npm package `raw-socket`: compiled, so not installed with this
 * package, and loaded when a node boots. They are root's, or of who has CAP_NET_RAW. The host still answers for its own
 * protocols; of EtherIP it knows nothing.
 */
import { isIP } from 'node:net'
import { formatScoped, type IpAddress, parseAddress, splitZone } from '../../src/kernel/address.ts'
import type { Boundary, Reasons } from '../../src/kernel/boundary.ts'
import type { Env } from '../../src/kernel/env.ts'
import { integer, invalidValue, NetError } from '../../src/kernel/errors.ts'
import type { Blueprint } from '../../src/kernel/layer.ts'
import type { Packet } from '../../src/kernel/packet.ts'
import { wireMtu } from './medium.ts'
import { NO_OFFLOAD, type Offload, type PhysicalService } from './service.ts'

export interface RawIpOptions {
  /** The other end: an IPv4 or IPv6 address; a link-local one with its interface, 'fe80::1%eth0'. What others send is dropped. */
  readonly peer: string
  /** Largest network packet in octets, 1 to 65499; default 1444: over IPv6 the outer packet then fits 1500. */
  readonly mtu?: number
  /** Frames that may wait for the system, 1 to 65536; default 256. From half of them on, `send` returns false. */
  readonly queueLength?: number
}

/** Why EtherIP drops packets. */
export type RawIpDrop =
  | 'tooLong'
  | 'queueFull'
  | 'sendFailed'
  | 'linkDown'
  | 'unknownPeer'
  | 'truncated'
  | 'badVersion'
  | 'noUser'

const REASONS: Reasons<RawIpDrop> = {
  tooLong: '',
  queueFull: '',
  sendFailed: '',
  linkDown: '',
  unknownPeer: '',
  truncated: 'RFC 3378 §3',
  badVersion: 'RFC 3378 §3',
  noUser: '',
}

/** IANA's number of EtherIP. */
export const ETHERIP_PROTOCOL = 97

const HEADER_OCTETS = 2
/** Version 3, and twelve reserved bits. */
const HEADER = 0x3000
const VERSION = 3
const IPV4_HEADER_OCTETS = 20
const DEFAULT_MTU = 1444
const LONGEST_PACKET_OCTETS = 65_535
const MAX_MTU = LONGEST_PACKET_OCTETS - IPV4_HEADER_OCTETS - HEADER_OCTETS - 14
const DEFAULT_QUEUE_LENGTH = 256
/** Of the package `raw-socket`, for messages. */
const COMPILED = 'it is compiled: python3, make and g++ must be there'

/** What of `raw-socket` is used: a socket of the system for one protocol. */
export interface RawSocket {
  on(event: 'message', listener: (octets: Buffer, source: string) => void): unknown
  on(event: 'error' | 'close', listener: (error: Error) => void): unknown
  /** `done` comes once, and until then the octets are the socket's. */
  send(octets: Buffer, offset: number, length: number, address: string, done: (error: Error | null) => void): unknown
  close(): unknown
}

export interface RawSocketModule {
  createSocket(options: { addressFamily: number; protocol: number; bufferSize: number }): RawSocket
  readonly AddressFamily: { readonly IPv4: number; readonly IPv6: number }
}

/**
 * EtherIP: `stack(rawIp({ peer: '192.0.2.1' }), ethernet(), …)`. Boots on real time; booting fails with `NetError` ENOTSUP
 * without the package `raw-socket`, with EPERM without the right to raw sockets.
 * @param load finds the package; for programs that have it elsewhere.
 * @throws TypeError ERR_INVALID_ARG_VALUE — `peer` is no address. RangeError ERR_OUT_OF_RANGE — a number outside its range.
 */
export function rawIp(
  options: RawIpOptions,
  load: () => Promise<RawSocketModule> = installed,
): Blueprint<PhysicalService<'ethernet'>> {
  if (isIP(options.peer) === 0) throw invalidValue('peer', 'an IPv4 or IPv6 address', options.peer)
  const [host, zone] = splitZone(options.peer)
  const peer = parseAddress(host, 'peer')
  const mtu = wireMtu('ethernet', integer('mtu', options.mtu ?? DEFAULT_MTU, 1, MAX_MTU))
  const queueLength = integer('queueLength', options.queueLength ?? DEFAULT_QUEUE_LENGTH, 1, 65_536)
  return (env) => {
    const link = new RawIp(env, peer, zone, mtu, queueLength)
    env.starting(load().then((module) => link.open(module)))
    return link
  }
}

async function installed(): Promise<RawSocketModule> {
  try {
    // @ts-expect-error An optional peer: it is not installed here, and has no types.
    const module: { default: RawSocketModule } = await import('raw-socket')
    return module.default
  } catch (error) {
    const absent = error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND'
    const what = absent
      ? `EtherIP needs the package raw-socket: npm install raw-socket (${COMPILED})`
      : `the package raw-socket does not load, so was not compiled for this Node: npm rebuild raw-socket (${COMPILED})`
    throw new NetError('ENOTSUP', what, { layer: 'rawIp', reason: 'noRawSocket', cause: error })
  }
}

class RawIp implements PhysicalService<'ethernet'> {
  readonly tier = 'physical'
  readonly medium = 'ethernet'
  readonly mtu: number
  readonly headroom = HEADER_OCTETS
  readonly tailroom = 0
  readonly offload: Offload = NO_OFFLOAD
  readonly boundary: Boundary<undefined, RawIpDrop>
  private readonly env: Env
  private readonly isIpv4: boolean
  /** The peer, as the system writes the source of a packet, and as it takes a destination. */
  private readonly source: string
  private readonly destination: string
  private readonly queueLength: number
  private socket: RawSocket | null = null
  private closed = false
  /** Packets the socket has. */
  private waiting = 0
  private blocked = false

  constructor(env: Env, peer: IpAddress, zone: string, mtu: number, queueLength: number) {
    this.env = env
    this.isIpv4 = peer.isIpv4
    this.source = peer.toString()
    this.destination = formatScoped(peer, zone)
    this.mtu = mtu
    this.queueLength = queueLength
    this.boundary = env.boundary('etherip', 'ethernet', REASONS)
    env.defer(() => this.close())
  }

  open({ createSocket, AddressFamily }: RawSocketModule): void {
    if (this.closed) return
    const addressFamily = this.isIpv4 ? AddressFamily.IPv4 : AddressFamily.IPv6
    let socket: RawSocket
    try {
      socket = createSocket({ addressFamily, protocol: ETHERIP_PROTOCOL, bufferSize: LONGEST_PACKET_OCTETS })
    } catch (error) {
      const what = `no raw socket for EtherIP: ${error instanceof Error ? error.message : error}; it takes root, or CAP_NET_RAW`
      throw new NetError('EPERM', what, { layer: 'rawIp', reason: 'noPermission' })
    }
    this.socket = socket
    socket.on('message', (octets, source) => this.arrive(octets, source))
    socket.on('error', (error) => this.down(error.message))
    this.boundary.linkChanged('up', 'the raw socket is open')
  }

  send(packet: Packet): boolean {
    this.boundary.down(packet, undefined)
    if (packet.length > this.mtu) this.boundary.drop(packet, 'tooLong')
    else if (this.socket === null) this.boundary.drop(packet, 'linkDown')
    else if (this.waiting >= this.queueLength) this.boundary.drop(packet, 'queueFull')
    else this.transmit(packet, this.socket)
    if (this.waiting * 2 >= this.queueLength) this.blocked = true
    return !this.blocked
  }

  private transmit(packet: Packet, socket: RawSocket): void {
    packet.view.setUint16(packet.push(HEADER_OCTETS), HEADER)
    // The socket keeps what it is given until the system has it, which may be after the slot is another packet's.
    const octets = Buffer.from(packet.bytes())
    packet.release()
    this.waiting++
    socket.send(octets, 0, octets.length, this.destination, (error) => this.sent(error))
  }

  private sent(error: Error | null): void {
    this.waiting--
    if (error !== null) this.boundary.count('sendFailed')
    if (!this.blocked || this.waiting * 4 > this.queueLength || this.closed) return
    this.blocked = false
    this.boundary.ready()
  }

  /** @param octets the socket's, during the call; with the header of IPv4, without that of IPv6. */
  private arrive(octets: Buffer, source: string): void {
    if (source !== this.source) {
      this.boundary.count('unknownPeer')
      return
    }
    const at = this.isIpv4 ? ((octets[0] ?? 0) & 15) * 4 : 0
    const length = octets.length - at - HEADER_OCTETS
    if (length <= 0) this.boundary.count('truncated')
    else if ((octets[at] as number) >> 4 !== VERSION) this.boundary.count('badVersion')
    else if (length > this.mtu) this.boundary.count('tooLong')
    else this.deliver(octets.subarray(at + HEADER_OCTETS))
  }

  private deliver(frame: Uint8Array): void {
    const packet = this.env.packet(0, frame.length)
    packet.append(frame)
    if (!this.boundary.up(packet, undefined, 0)) this.boundary.drop(packet, 'noUser')
  }

  private down(reason: string): void {
    const { socket } = this
    if (socket === null) return
    this.socket = null
    socket.close()
    this.boundary.linkChanged('down', reason)
  }

  private close(): void {
    this.closed = true
    const { socket } = this
    this.socket = null
    socket?.close()
  }
}
