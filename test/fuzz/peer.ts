/**
 * The other end of a link, which knows the protocols: it hears what the node sends, remembers the connections and packets
 * it sees, and makes good frames that fit them. What is wrong with a frame is put in later, by the mutator.
 */
import { below, type Random } from '../../src/kernel/random.ts'
import {
  ACK,
  arpPacket,
  ETHERNET,
  ethernetFrame,
  FIN,
  type Framing,
  ICMP,
  type Ipv4Fields,
  icmpMessage,
  ipv4Packet,
  PSH,
  RST,
  SYN,
  TCP,
  type TcpFields,
  TYPE_ARP,
  TYPE_IPV4,
  tcpSegment,
  UDP,
  URG,
  udpDatagram,
  viewOf,
} from './frames.ts'

/** Who is where; addresses are int32. */
export interface Place {
  readonly framing: Framing
  /** The node under test. */
  readonly node: number
  /** Stations that the peer plays: it answers for all of them. */
  readonly stations: readonly number[]
  /** Destinations beyond the node: routed, unroutable, intercepted, not its own. */
  readonly beyond: readonly number[]
  /** Intercepted destinations. */
  readonly intercepted: readonly number[]
  readonly listeners: readonly number[]
  readonly datagramPorts: readonly number[]
  /** The two ends, (address, port) each, of a connection of the node that the peer cannot see. */
  readonly victim: readonly [local: number, localPort: number, remote: number, remotePort: number]
}

/** A connection as the peer sees it. */
interface Flow {
  readonly peer: number
  readonly peerPort: number
  readonly node: number
  readonly nodePort: number
  /** The peer's next sequence number, and what it has received. */
  nxt: number
  ack: number
  /** The node's timestamp; -1 when there are none. */
  tsval: number
  offered: boolean
  /** The node has sent its FIN. */
  closing?: boolean
  /** The peer has sent its FIN in answer. */
  closed?: boolean
}

export const PEER_MAC = 0x0200_0000_0002
const BROADCAST_MAC = 0xffff_ffff_ffff
const FLOWS = 256
const QUOTES = 64
const BROADCAST = -1
const EMPTY = new Uint8Array(0)

export class Peer {
  private readonly place: Place
  private readonly random: Random
  private readonly flows = new Map<string, Flow>()
  /** Datagrams the node sent, to be quoted by errors. */
  private readonly heard: Uint8Array[] = []
  /** Good answers that are due: to ARP requests. */
  private answers: Uint8Array[] = []
  private nodeMac = BROADCAST_MAC
  private ticks = 1000
  private id = 0
  private port = 20_000

  constructor(random: Random, place: Place) {
    this.random = random
    this.place = place
  }

  /** Takes in a frame the node sent, without FCS. */
  hear(frame: Uint8Array): void {
    if (this.place.framing === 'ip') {
      this.hearIp(frame)
      return
    }
    const view = viewOf(frame)
    if (frame.length < ETHERNET + 20) return
    const type = view.getUint16(12)
    this.nodeMac = view.getUint16(6) * 0x1_0000_0000 + view.getUint32(8)
    if (type === TYPE_ARP) this.hearArp(view)
    else if (type === TYPE_IPV4) this.hearIp(frame.subarray(ETHERNET))
  }

  /** Answers that are due now; the node waits for them. */
  takeAnswers(): Uint8Array[] {
    const { answers } = this
    this.answers = []
    return answers
  }

  /** One frame, or the fragments of one datagram. Checksums are left to `repair`. */
  next(): Uint8Array[] {
    this.ticks++
    const choice = below(this.random, 100)
    if (choice < 40) return [this.onFlow()]
    if (choice < 50) return [this.syn()]
    if (choice < 60) return [this.datagram()]
    if (choice < 66) return [this.echo()]
    if (choice < 74) return [this.error()]
    if (choice < 77) return [this.otherIcmp()]
    if (choice < 82) return [this.arp()]
    if (choice === 82) return this.silence()
    if (choice < 88) return this.fragments()
    if (choice < 91) return [this.withOptions()]
    if (choice < 93) return [this.blind()]
    if (choice < 95) return [this.foreign()]
    return [this.through()]
  }

  // ── what is heard

  private hearArp(view: DataView): void {
    const target = view.getInt32(ETHERNET + 24)
    if (view.getUint16(ETHERNET + 6) !== 1 || !this.place.stations.includes(target)) return
    const reply = arpPacket(2, PEER_MAC, target, this.nodeMac, view.getInt32(ETHERNET + 14))
    if (this.answers.length < 16) this.answers.push(ethernetFrame(this.nodeMac, PEER_MAC, TYPE_ARP, reply))
  }

  private hearIp(packet: Uint8Array): void {
    if (packet.length < 28) return
    if (this.heard.length < QUOTES) this.heard.push(packet.slice(0, 60))
    else this.heard[below(this.random, QUOTES)] = packet.slice(0, 60)
    const view = viewOf(packet)
    const at = (view.getUint8(0) & 15) * 4
    if (view.getUint8(9) === TCP && packet.length >= at + 20) this.hearSegment(view, at)
  }

  private hearSegment(view: DataView, at: number): void {
    const node = view.getInt32(12)
    const peer = view.getInt32(16)
    const nodePort = view.getUint16(at)
    const peerPort = view.getUint16(at + 2)
    const flags = view.getUint8(at + 13)
    const key = `${node}:${nodePort}:${peer}:${peerPort}`
    if ((flags & RST) !== 0) {
      this.flows.delete(key)
      return
    }
    const header = (view.getUint8(at + 12) >> 4) * 4
    const length = view.getUint16(2) - at - header + ((flags & SYN) !== 0 ? 1 : 0) + (flags & FIN)
    const end = (view.getInt32(at + 4) + length) | 0
    let flow = this.flows.get(key)
    if (flow === undefined) {
      if ((flags & SYN) === 0) return
      flow = { peer, peerPort, node, nodePort, nxt: this.random.uint32() | 0, ack: end, tsval: -1, offered: true }
      this.remember(key, flow)
    }
    if ((flags & SYN) !== 0 || ((end - flow.ack) | 0) > 0) flow.ack = end
    if ((flags & FIN) !== 0) flow.closing = true
    if ((flags & ACK) !== 0) flow.nxt = view.getInt32(at + 8)
    if (header >= 32 && at + header <= view.byteLength) flow.tsval = view.getUint32(at + header - 8)
  }

  private remember(key: string, flow: Flow): void {
    if (this.flows.size >= FLOWS) {
      for (const oldest of this.flows.keys()) {
        this.flows.delete(oldest)
        break
      }
    }
    this.flows.set(key, flow)
  }

  // ── TCP

  private syn(): Uint8Array {
    const { random, place } = this
    const intercepted = place.intercepted.length > 0 && below(random, 4) === 0
    const node = intercepted ? this.pick(place.intercepted) : place.node
    const nodePort = intercepted ? Math.max(1, below(random, 12) - 4) : this.pick(place.listeners)
    const peer = this.pick(place.stations)
    // A port that comes again meets what is left of the connection before.
    this.port = below(random, 3) === 0 ? 20_000 + below(random, 4000) : this.port >= 60_000 ? 20_000 : this.port + 1
    const flow: Flow = {
      peer,
      peerPort: this.port,
      node,
      nodePort,
      nxt: random.uint32() | 0,
      ack: 0,
      tsval: -1,
      offered: below(random, 3) !== 0,
    }
    const fields = { flags: SYN, options: this.synOptions(flow.offered) }
    const data = below(random, 8) === 0 ? random.octets(1 + below(random, 40)) : EMPTY
    const frame = this.segment(flow, fields, data)
    flow.nxt = (flow.nxt + 1) | 0
    this.remember(`${node}:${nodePort}:${peer}:${flow.peerPort}`, flow)
    return frame
  }

  private synOptions(timestamps: boolean): Uint8Array {
    const mss = this.pick([0, 1, 48, 536, 1460, 65_535])
    const octets = [2, 4, mss >> 8, mss & 255, 1, 3, 3, below(this.random, 16)]
    if (below(this.random, 2) === 0) octets.push(1, 1, 4, 2)
    if (timestamps) octets.push(1, 1, ...this.timestamps(0))
    if (below(this.random, 4) === 0) octets.push(28, 4, below(this.random, 256), below(this.random, 256))
    if (octets.length < 30 && below(this.random, 4) === 0) octets.push(34, 10, ...this.random.octets(8))
    while (octets.length % 4 !== 0) octets.push(1)
    return Uint8Array.from(octets)
  }

  private timestamps(echo: number): number[] {
    const mine = this.ticks
    const word = (value: number) => [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255]
    return [8, 10, ...word(mine), ...word(echo)]
  }

  private onFlow(): Uint8Array {
    const count = this.flows.size
    if (count === 0) return this.syn()
    const { random } = this
    // What began lately is most of it, so that handshakes and closings go on to their ends.
    const recent = Math.min(count, 6)
    let index = below(random, 2) === 0 ? count - 1 - below(random, recent) : below(random, count)
    let flow: Flow | undefined
    for (const candidate of this.flows.values()) if (index-- === 0) flow = candidate
    return this.onThisFlow(flow as Flow)
  }

  private onThisFlow(flow: Flow): Uint8Array {
    const { random } = this
    const payload = () => random.octets(1 + below(random, below(random, 4) === 0 ? 1400 : 40))
    let kind = below(random, 16)
    // A closing that is seen to its end leaves the node in TIME-WAIT, and that is worth a few segments.
    if (flow.closed === true) kind = below(random, 2) === 0 ? 1 : kind
    else if (flow.closing === true && below(random, 3) === 0) kind = 0
    switch (kind) {
      case 0:
        if (flow.closing === true) flow.closed = true
        return this.segment(flow, { flags: ACK | FIN })
      case 1:
        return this.segment(flow, { flags: RST })
      case 2:
        return this.segment(flow, { flags: RST, seq: (flow.nxt + 1 + below(random, 5000)) | 0 })
      case 3:
        return this.segment(flow, { flags: ACK | PSH, seq: (flow.nxt + below(random, 6000)) | 0 }, payload())
      case 4:
        return this.segment(flow, { flags: ACK | PSH, seq: (flow.nxt - below(random, 3000)) | 0 }, payload())
      case 5:
        return this.segment(flow, { flags: ACK | URG | PSH, urgent: below(random, 65_536) }, payload())
      case 6:
        return this.segment(flow, { flags: ACK, wnd: this.pick([0, 1, 10, 1000]) })
      case 7:
        return this.segment(flow, { flags: SYN | (below(random, 2) * ACK) })
      case 8:
        return this.segment(flow, { flags: ACK, ack: (flow.ack - below(random, 3000)) | 0 })
      case 9:
        return this.segment(flow, { flags: ACK | FIN, seq: (flow.nxt + below(random, 2000)) | 0 }, payload())
      case 10:
        return this.segment(flow, { flags: SYN | ACK, options: this.synOptions(flow.offered) })
      case 11:
        return this.segment(flow, { flags: PSH }, payload())
      default:
        return this.segment(flow, { flags: ACK | PSH }, below(random, 2) === 0 ? EMPTY : payload())
    }
  }

  private segment(flow: Flow, fields: Partial<TcpFields>, payload: Uint8Array = EMPTY): Uint8Array {
    const options = flow.offered && flow.tsval >= 0 ? Uint8Array.from([1, 1, ...this.timestamps(flow.tsval)]) : EMPTY
    const tcp: TcpFields = {
      sourcePort: flow.peerPort,
      destinationPort: flow.nodePort,
      seq: flow.nxt,
      ack: flow.ack,
      flags: ACK,
      options,
      ...fields,
    }
    return this.ip({ source: flow.peer, destination: flow.node, protocol: TCP }, tcpSegment(tcp, payload))
  }

  /** At a connection whose sequence numbers it can only guess. */
  private blind(): Uint8Array {
    const [local, localPort, remote, remotePort] = this.place.victim
    const { random } = this
    const flow: Flow = {
      peer: remote,
      peerPort: remotePort,
      node: local,
      nodePort: localPort,
      nxt: random.uint32() | 0,
      ack: random.uint32() | 0,
      tsval: random.uint32(),
      offered: below(random, 2) === 0,
    }
    return this.segment(
      flow,
      { flags: this.pick([ACK, ACK | PSH, RST, SYN, SYN | ACK, ACK | FIN]) },
      random.octets(below(random, 20)),
    )
  }

  // ── UDP, ICMP, ARP

  private datagram(): Uint8Array {
    const { random, place } = this
    const payload = random.octets(below(random, below(random, 5) === 0 ? 1400 : 60))
    const source = this.pick(place.stations)
    const choice = below(random, 8)
    if (choice === 0) return this.toAll({ source, destination: BROADCAST, protocol: UDP }, udpDatagram(68, 67, payload))
    if (choice === 1 && place.intercepted.length > 0) {
      const destination = this.pick(place.intercepted)
      const ports = udpDatagram(20_000 + below(random, 4000), 1 + below(random, 12), payload)
      return this.ip({ source, destination, protocol: UDP }, ports)
    }
    const port = this.pick(place.datagramPorts)
    return this.ip({ source, destination: place.node, protocol: UDP }, udpDatagram(5000, port, payload))
  }

  private echo(): Uint8Array {
    const { random, place } = this
    const message = icmpMessage((below(random, 4) * 8) & 8, 0, random.uint32() | 0, random.octets(below(random, 200)))
    const destination = below(random, 6) === 0 ? this.pick(place.beyond) : place.node
    return this.ip({ source: this.pick(place.stations), destination, protocol: ICMP }, message)
  }

  /** From a station that then does not say where it is: the answers wait for it. */
  private silence(): Uint8Array[] {
    const { random, place } = this
    const source = (place.node & ~0xff) | (64 + below(random, 64))
    const message = icmpMessage(8, 0, random.uint32() | 0, random.octets(8))
    const count = 1 + below(random, 12)
    return Array.from({ length: count }, () => this.ip({ source, destination: place.node, protocol: ICMP }, message))
  }

  /** About something the node did send, or did not. */
  private error(): Uint8Array {
    const { random, place } = this
    const type = this.pick([3, 3, 3, 11, 12, 4, 5])
    const code = type === 3 ? below(random, 16) : below(random, 3)
    const mtu = this.pick([0, 68, 296, 552, 576, 1000, 1499, 1500, 65_535])
    const quote = this.heard.length > 0 && below(random, 8) !== 0 ? this.pick(this.heard) : random.octets(28)
    const message = icmpMessage(type, code, type === 3 ? mtu : random.uint32() | 0, quote)
    return this.ip({ source: this.pick(place.stations), destination: place.node, protocol: ICMP }, message)
  }

  private otherIcmp(): Uint8Array {
    const { random, place } = this
    const type = this.pick([1, 2, 6, 7, 9, 10, 13, 14, 15, 16, 17, 18, 19, 30, 40, 253])
    const message = icmpMessage(type, 0, random.uint32() | 0, random.octets(below(random, 40)))
    return this.ip({ source: this.pick(place.stations), destination: place.node, protocol: ICMP }, message)
  }

  private arp(): Uint8Array {
    const { random, place } = this
    const who = this.pick(place.stations)
    const request = below(random, 2) + 1
    const target = this.pick([place.node, who, this.pick(place.beyond)])
    const mac = below(random, 30) === 0 ? this.nodeMac : PEER_MAC + below(random, 3)
    const packet = arpPacket(request, mac, below(random, 8) === 0 ? place.node : who, 0, target)
    const to = below(random, 2) === 0 ? BROADCAST_MAC : this.nodeMac
    return this.framed(to, TYPE_ARP, packet)
  }

  // ── IPv4

  /** A datagram in pieces: in any order, some missing, some twice, some that contradict others. */
  private fragments(): Uint8Array[] {
    const { random, place } = this
    const source = this.pick(place.stations)
    const whole = udpDatagram(5000, this.pick(place.datagramPorts), random.octets(100 + below(random, 3000)))
    const id = this.nextId()
    const size = 8 * (1 + below(random, 90))
    const pieces: Uint8Array[] = []
    for (let at = 0; at < whole.length; at += size) {
      const more = at + size < whole.length ? 0x2000 : 0
      const shift = below(random, 40) === 0 ? 1 : 0
      const fields = { source, destination: place.node, protocol: UDP, id, fragment: more | (at / 8 + shift) }
      pieces.push(this.ip(fields, whole.subarray(at, at + size)))
    }
    if (below(random, 8) === 0) pieces.push(this.pick(pieces).slice())
    const sent = pieces.filter(() => below(random, 20) !== 0)
    if (below(random, 2) === 0) sent.reverse()
    return sent.length > 0 ? sent : pieces
  }

  private withOptions(): Uint8Array {
    const { random, place } = this
    const kind = this.pick([0, 1, 7, 68, 130, 131, 137, 148, 200])
    const options = Uint8Array.from([1, kind, below(random, 8), 4, ...random.octets(4 * below(random, 8))])
    const fields = { source: this.pick(place.stations), destination: place.node, protocol: UDP, options }
    return this.ip(fields, udpDatagram(5000, this.pick(place.datagramPorts), random.octets(20)))
  }

  /** For somebody else, or of a protocol nobody knows. */
  private through(): Uint8Array {
    const { random, place } = this
    const known = below(random, 4) !== 0
    const fields: Ipv4Fields = {
      source: this.pick(place.stations),
      destination: known ? this.pick(place.beyond) : place.node,
      protocol: known ? UDP : this.pick([2, 41, 47, 50, 89, 132]),
      ttl: this.pick([1, 2, 64]),
      fragment: below(random, 2) * 0x4000,
    }
    return this.ip(fields, udpDatagram(1, 2, random.octets(below(random, 1400))))
  }

  /** No IPv4 at all. */
  private foreign(): Uint8Array {
    const { random } = this
    const type = this.pick([0x86dd, 0x88cc, 0x0026, 0x05dc, 0x05ff, 0x8100, 0x88a8])
    const payload = random.octets(60)
    if (type === 0x86dd) payload[0] = 0x60
    return this.framed(this.nodeMac, type, payload)
  }

  private ip(fields: Ipv4Fields, payload: Uint8Array): Uint8Array {
    return this.framed(this.nodeMac, TYPE_IPV4, ipv4Packet({ id: this.nextId(), ...fields }, payload))
  }

  private toAll(fields: Ipv4Fields, payload: Uint8Array): Uint8Array {
    return this.framed(BROADCAST_MAC, TYPE_IPV4, ipv4Packet({ id: this.nextId(), ...fields }, payload))
  }

  private framed(to: number, type: number, payload: Uint8Array): Uint8Array {
    return this.place.framing === 'ip' ? payload : ethernetFrame(to, PEER_MAC, type, payload)
  }

  private nextId(): number {
    this.id = (this.id + 1) & 0xffff
    return this.id
  }

  private pick<T>(from: readonly T[]): T {
    return from[below(this.random, from.length)] as T
  }
}
