/**
 * Which conversation the script speaks of. Packets name no ports, as a rule: they belong to the socket under test, which
 * is the last that connected, was accepted, or to which a listener's first packet came. A packet with ports has a
 * conversation of its own.
 */
import type { TcpBody } from '../language/script.ts'
import type { TcpPacket } from '../wire/packet.ts'
import { FLAG } from '../wire/tcp-flags.ts'
import { Flow } from './flow.ts'

/** Ports of the peer for connections to us; the next is one higher. */
const FIRST_REMOTE_PORT = 40_000

interface Tracked {
  readonly flow: Flow
  readonly active: boolean
  /** Its first SYN from us, and the peer's, have been seen. */
  weBegan: boolean
  peerBegan: boolean
}

export class Conversations {
  private current: Tracked | undefined
  private readonly byRemotePort = new Map<number, Tracked>()
  private listening = false
  private localPort: number
  private nextPort = FIRST_REMOTE_PORT

  constructor(localPort: number) {
    this.localPort = localPort
  }

  /** The script opened a listener: the next packet to arrive begins a conversation. */
  listen(port: number): void {
    this.localPort = port
    this.listening = true
  }

  /** The script connects. */
  connect(localPort: number, remotePort: number): void {
    this.listening = false
    this.current = this.add(new Flow(localPort, remotePort), true)
  }

  /** The script accepted the connection with this port of the peer. */
  accept(remotePort: number): void {
    this.current = this.byRemotePort.get(remotePort) ?? this.current
  }

  /** The conversation a segment to arrive belongs to. */
  inbound(body: TcpBody): Flow {
    const tracked = this.inboundTracked(body)
    if ((body.flags & FLAG.syn) !== 0 && tracked.active && !tracked.peerBegan) {
      tracked.peerBegan = true
      tracked.flow.peerBegins(body.seq)
    }
    return tracked.flow
  }

  private inboundTracked(body: TcpBody): Tracked {
    const { ports } = body
    if (ports !== undefined && ports.source !== 0) return this.named(ports.source, ports.destination, body)
    if (this.current !== undefined && !this.listening) return this.current
    this.current = this.add(new Flow(this.localPort, this.nextPort++), false)
    // Where nobody listens nothing begins: the numbers of what comes, and of the reset that answers it, are absolute.
    if (this.listening) this.current.flow.peerBegins(body.seq)
    this.listening = false
    return this.current
  }

  /** By the peer's port; a SYN begins a new one, whatever else arrives there counts like the current one. */
  private named(remotePort: number, localPort: number, body: TcpBody): Tracked {
    const known = this.byRemotePort.get(remotePort)
    if (known !== undefined) return known
    const begins = (body.flags & FLAG.syn) !== 0
    const flow = new Flow(
      localPort === 0 ? this.localPort : localPort,
      remotePort,
      begins ? undefined : this.current?.flow,
    )
    if (begins) flow.peerBegins(body.seq)
    const tracked = this.add(flow, false)
    this.current ??= tracked
    if (begins) this.listening = false
    return tracked
  }

  /** The conversation a segment we are to send belongs to; undefined when there is none. */
  outbound(ports: TcpBody['ports']): Flow | undefined {
    return this.outboundTracked(ports)?.flow
  }

  private outboundTracked(ports: TcpBody['ports']): Tracked | undefined {
    return ports === undefined ? this.current : this.byRemotePort.get(ports.destination)
  }

  /** A segment was sent where the script expects `body`: if it is the conversation's first SYN from us, numbers begin. */
  begun(body: TcpBody, packet: TcpPacket): void {
    const tracked = this.outboundTracked(body.ports)
    if (tracked === undefined || tracked.weBegan) return
    if ((body.flags & FLAG.syn) === 0 || (packet.flags & FLAG.syn) === 0) return
    tracked.weBegan = true
    tracked.flow.weBegin(body.seq, packet.seq)
  }

  private add(flow: Flow, active: boolean): Tracked {
    const tracked = { flow, active, weBegan: false, peerBegan: !active }
    this.byRemotePort.set(flow.remotePort, tracked)
    return tracked
  }
}
