/**
 * A router with two links: packets of 64 octets from cable to cable, against the same work fused by hand in one loop.
 * Both ends are links without a host: one sends frames that are ready made, the other throws them away.
 */
import { ethernet } from '../layers/datalink/index.ts'
import { ETHERTYPE } from '../layers/datalink/service.ts'
import { ip, ipv4 } from '../layers/network/index.ts'
import { cable } from '../layers/physical/index.ts'
import type { PhysicalService } from '../layers/physical/service.ts'
import { parseMac } from '../src/kernel/address.ts'
import { checksum } from '../src/kernel/checksum.ts'
import { Packet } from '../src/kernel/packet.ts'
import { slab } from '../src/kernel/slab.ts'
import { beside, stack } from '../src/kernel/stack.ts'
import { boot } from '../src/runtime/real-time.ts'
import { alternate, type Bench, figure, type Subject, sleep } from './harness.ts'

const PACKET_OCTETS = 64
const LINK_OCTETS = 14
const FRAME_OCTETS = LINK_OCTETS + PACKET_OCTETS
const ROUTER_IN = '02:00:00:00:00:01'
const ROUTER_OUT = '02:00:00:00:00:02'
const SENDER = '02:00:00:00:00:0a'
const RECEIVER = '02:00:00:00:00:0b'
const SOURCE = 0x0a00_0002
/** 10.0.1.2, behind the router. */
const DESTINATION = 0x0a00_0102
const BATCH = 64

export const forward: Bench = async (effort, tell) => {
  const rates = await alternate({ ours: await throughRouter(), peer: fused() }, effort)
  const gate = { bench: 'forward', unit: 'packets/s', peer: 'fused by hand', target: 0.4 }
  tell(figure({ ...gate, metric: 'router, 64 octets' }, rates.ours, rates.peer, effort))
}

/** Packets per second through a router of ours. */
export async function throughRouter(): Promise<Subject> {
  const stand = await routerStand()
  return {
    async measure(ms) {
      const before = stand.received
      const started = performance.now()
      stand.start()
      await sleep(ms)
      const rate = ((stand.received - before) * 1000) / (performance.now() - started)
      stand.stop()
      await sleep(10)
      return rate
    },
    close: () => stand.close(),
  }
}

/** A router between a link that sends without end, as long as it is let, and one that counts. */
export interface RouterStand {
  start(): void
  stop(): void
  readonly received: number
  close(): Promise<void>
}

export async function routerStand(): Promise<RouterStand> {
  const [senderEnd, inEnd] = cable({ medium: 'ethernet' })
  const [outEnd, receiverEnd] = cable({ medium: 'ethernet' })
  const links = beside({
    in: stack(inEnd, ethernet({ address: ROUTER_IN })),
    out: stack(outEnd, ethernet({ address: ROUTER_OUT })),
  })
  const addresses = { in: '10.0.0.1/24', out: '10.0.1.1/24' }
  const router = await boot(stack(links, ip(ipv4({ addresses, forwarding: true }))), 'router')
  const sender = await boot(senderEnd, 'sender')
  const receiver = await boot(receiverEnd, 'receiver')
  const receiving = new Receiver(receiver.top)
  receiver.top.boundary.attach(receiving)
  const generator = new Generator(sender.top, templateFrame())
  sender.top.boundary.attach(generator)
  return {
    start: () => generator.start(),
    stop: () => generator.stop(),
    get received() {
      return receiving.received
    },
    async close() {
      await sender.close()
      await router.close()
      await receiver.close()
    },
  }
}

/** Counts packets that have been forwarded, and says that it is there. */
class Receiver {
  received = 0
  private readonly link: PhysicalService

  constructor(link: PhysicalService) {
    this.link = link
  }

  receive(packet: Packet): void {
    if (packet.view.getUint16(packet.start + 12) === ETHERTYPE.arp) {
      this.link.send(answered(packet), undefined)
      return
    }
    if (isForwarded(packet)) this.received++
    packet.release()
  }
}

const isForwarded = (packet: Packet): boolean =>
  packet.length === FRAME_OCTETS && packet.view.getUint8(packet.start + LINK_OCTETS + 8) === 63

/** Sends as long as the link takes packets. */
class Generator {
  private readonly link: PhysicalService
  private readonly template: number
  private running = false

  constructor(link: PhysicalService, template: number) {
    this.link = link
    this.template = template
  }

  start(): void {
    this.running = true
    this.ready()
  }

  stop(): void {
    this.running = false
  }

  ready(): void {
    while (this.running && this.link.send(frameOf(this.template), undefined));
  }

  receive(packet: Packet): void {
    packet.release()
  }
}

/** An ARP request turned into its answer: the receiver is there (RFC 826). */
function answered(packet: Packet): Packet {
  const { view, octets, start: at } = packet
  const arp = at + LINK_OCTETS
  octets.copyWithin(at, at + 6, at + 12)
  writeMac(view, at + 6, parseMac(RECEIVER))
  view.setUint16(arp + 6, 2)
  octets.copyWithin(arp + 18, arp + 8, arp + 18)
  writeMac(view, arp + 8, parseMac(RECEIVER))
  view.setInt32(arp + 14, DESTINATION)
  return packet
}

function frameOf(template: number): Packet {
  const packet = Packet.take(0, FRAME_OCTETS)
  packet.octets.copyWithin(packet.put(FRAME_OCTETS), template, template + FRAME_OCTETS)
  return packet
}

/** A frame for the router, in the slab. @returns where. */
function templateFrame(): number {
  const at = slab().takeChunk()
  const { view, octets } = slab()
  octets.fill(0, at, at + FRAME_OCTETS)
  writeMac(view, at, parseMac(ROUTER_IN))
  writeMac(view, at + 6, parseMac(SENDER))
  view.setUint16(at + 12, 0x0800)
  const ip = at + LINK_OCTETS
  view.setInt32(ip, 0x4500_0000 | PACKET_OCTETS)
  view.setInt32(ip + 8, (64 << 24) | (17 << 16))
  view.setInt32(ip + 12, SOURCE)
  view.setInt32(ip + 16, DESTINATION)
  view.setUint16(ip + 10, checksum(ip, 20))
  return at
}

function writeMac(view: DataView, at: number, address: number): void {
  view.setUint16(at, Math.floor(address / 0x1_0000_0000))
  view.setUint32(at + 2, address >>> 0)
}

/** The same without layers: one function, one ring on each side, and nothing that could be told from outside. */
function fused(): Subject {
  const template = templateFrame()
  const router = new Fused(parseMac(ROUTER_IN), parseMac(ROUTER_OUT))
  router.learn(DESTINATION, parseMac(RECEIVER))
  return {
    async measure(ms) {
      const before = router.forwarded
      const started = performance.now()
      for (let now = started; now - started < ms; now = performance.now()) {
        for (let i = 0; i < BATCH; i++) router.arrive(frameOf(template))
        router.forwardAll()
        router.leave()
        await new Promise(setImmediate)
      }
      return ((router.forwarded - before) * 1000) / (performance.now() - started)
    },
    async close() {},
  }
}

class Fused {
  forwarded = 0
  dropped = 0
  octets = 0
  private readonly inAddress: number
  private readonly outAddress: number
  private readonly neighbours = new Map<number, number>()
  private readonly arrived: Packet[] = []
  private readonly left: Packet[] = []

  constructor(inAddress: number, outAddress: number) {
    this.inAddress = inAddress
    this.outAddress = outAddress
  }

  learn(address: number, station: number): void {
    this.neighbours.set(address, station)
  }

  arrive(packet: Packet): void {
    this.arrived.push(packet)
  }

  forwardAll(): void {
    for (const packet of this.arrived) this.forward(packet)
    this.arrived.length = 0
  }

  leave(): void {
    for (const packet of this.left) {
      if (packet.length === FRAME_OCTETS && packet.view.getUint8(packet.start + LINK_OCTETS + 8) === 63)
        this.forwarded++
      packet.release()
    }
    this.left.length = 0
  }

  private forward(packet: Packet): void {
    const { view, start: at } = packet
    const to = view.getUint16(at) * 0x1_0000_0000 + view.getUint32(at + 2)
    const ip = at + LINK_OCTETS
    const w0 = view.getInt32(ip)
    const w2 = view.getInt32(ip + 8)
    const destination = view.getInt32(ip + 16)
    const right =
      to === this.inAddress &&
      view.getUint16(at + 12) === 0x0800 &&
      w0 >>> 24 === 0x45 &&
      (w0 & 0xffff) <= packet.end - ip &&
      w2 >>> 24 > 1 &&
      sumOfHeader(view, ip) === 0xffff
    const station = right ? this.neighbours.get(destination) : undefined
    if (station === undefined) {
      this.dropped++
      packet.release()
      return
    }
    let sum = (~w2 & 0xffff) + 0xfeff
    sum = (sum & 0xffff) + (sum >>> 16)
    view.setInt32(ip + 8, ((w2 - 0x0100_0000) & 0xffff_0000) | (~sum & 0xffff))
    writeMac(view, at, station)
    writeMac(view, at + 6, this.outAddress)
    this.octets += packet.end - at
    this.left.push(packet)
  }
}

function sumOfHeader(view: DataView, at: number): number {
  let sum = 0
  for (let i = 0; i < 20; i += 4) {
    const word = view.getInt32(at + i)
    sum += (word >>> 16) + (word & 0xffff)
  }
  sum = (sum & 0xffff) + (sum >>> 16)
  return (sum & 0xffff) + (sum >>> 16)
}
