/**
 * A router between links that send without end, as long as they are let, and links that count. The ends are links without a
 * host: some send frames that are ready made, the others throw them away.
 */
import { ethernet } from '../layers/datalink/index.ts'
import { ETHERTYPE, type LinkService } from '../layers/datalink/service.ts'
import { type Ipv4Options, ip, ipv4 } from '../layers/network/index.ts'
import { cable } from '../layers/physical/index.ts'
import type { PhysicalService } from '../layers/physical/service.ts'
import { parseMac } from '../src/kernel/address.ts'
import type { Blueprint } from '../src/kernel/layer.ts'
import type { Packet } from '../src/kernel/packet.ts'
import { beside, stack } from '../src/kernel/stack.ts'
import type { Node } from '../src/runtime/node.ts'
import { boot } from '../src/runtime/real-time.ts'
import { type Subject, sleep } from './harness.ts'
import {
  destinationOf,
  frameOf,
  isForwarded,
  LINK_OCTETS,
  RECEIVER,
  ROUTER_IN,
  ROUTER_OUT,
  type Template,
  templateFrame,
  writeMac,
} from './router-frames.ts'

/** What a router is measured with. */
export interface StandOptions {
  /** Of each IP packet. Default 64. */
  readonly octets?: number
  /** Pairs of links, each with packets from the one to the other. Default 1. */
  readonly pairs?: number
  readonly ipv4?: Omit<Ipv4Options, 'address' | 'addresses' | 'forwarding'>
}

export interface RouterStand {
  start(): void
  stop(): void
  readonly received: number
  close(): Promise<void>
}

/** Packets per second through a router of ours. */
export async function throughRouter(options: StandOptions = {}): Promise<Subject> {
  const stand = await routerStand(options)
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

type Wire = PhysicalService<'ethernet'>

export async function routerStand(options: StandOptions = {}): Promise<RouterStand> {
  const { octets = 64, pairs = 1 } = options
  const ends: Node<Wire>[] = []
  const links: Record<string, Blueprint<LinkService>> = {}
  const addresses: Record<string, string> = {}
  const receivers: Receiver[] = []
  const generators: Generator[] = []
  for (let pair = 0; pair < pairs; pair++) {
    for (const side of ['in', 'out'] as const) {
      const { end, router } = cables()
      const name = `${side}${pair}`
      links[name] = stack(router, ethernet({ address: side === 'in' ? ROUTER_IN : ROUTER_OUT }))
      addresses[name] = `10.${pair}.${side === 'in' ? 0 : 1}.1/24`
      const node = await boot(end, name)
      ends.push(node)
      if (side === 'in') {
        const generator = new Generator(node.top, templateFrame(octets, pair))
        node.top.boundary.attach(generator)
        generators.push(generator)
      } else {
        const receiver = new Receiver(node.top, octets, destinationOf(pair))
        node.top.boundary.attach(receiver)
        receivers.push(receiver)
      }
    }
  }
  const router = await boot(stack(beside(links), ip(ipv4({ ...options.ipv4, addresses, forwarding: true }))), 'router')
  return {
    start: () => {
      for (const generator of generators) generator.start()
    },
    stop: () => {
      for (const generator of generators) generator.stop()
    },
    get received() {
      return receivers.reduce((sum, { received }) => sum + received, 0)
    },
    async close() {
      await router.close()
      for (const end of ends) await end.close()
    },
  }
}

interface Ends {
  readonly end: Blueprint<Wire>
  readonly router: Blueprint<Wire>
}

function cables(): Ends {
  const [end, router] = cable({ medium: 'ethernet' })
  return { end, router }
}

/** Counts packets that have been forwarded, and says that it is there. */
export class Receiver {
  received = 0
  private readonly link: Wire
  private readonly octets: number
  private readonly address: number

  constructor(link: Wire, octets: number, address: number) {
    this.link = link
    this.octets = octets
    this.address = address
  }

  receive(packet: Packet): void {
    if (packet.view.getUint16(packet.start + 12) === ETHERTYPE.arp) {
      this.link.send(answered(packet, this.address), undefined)
      return
    }
    if (isForwarded(packet, this.octets)) this.received++
    packet.release()
  }
}

/** Sends as long as the link takes packets. */
class Generator {
  private readonly link: Wire
  private readonly template: Template
  private running = false

  constructor(link: Wire, template: Template) {
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
function answered(packet: Packet, address: number): Packet {
  const { view, octets, start: at } = packet
  const arp = at + LINK_OCTETS
  octets.copyWithin(at, at + 6, at + 12)
  writeMac(view, at + 6, parseMac(RECEIVER))
  view.setUint16(arp + 6, 2)
  octets.copyWithin(arp + 18, arp + 8, arp + 18)
  writeMac(view, arp + 8, parseMac(RECEIVER))
  view.setInt32(arp + 14, address)
  return packet
}
