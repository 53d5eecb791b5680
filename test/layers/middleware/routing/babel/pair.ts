/** A machine and a neighbour made by hand: what the neighbour says is written, what the machine says is kept as text. */
import type { Authenticator } from '../../../../../layers/middleware/routing/babel/authenticator.ts'
import type { Interface, InterfaceSettings } from '../../../../../layers/middleware/routing/babel/interface.ts'
import { Babel, type BabelSettings } from '../../../../../layers/middleware/routing/babel/machine.ts'
import type { WirePrefix } from '../../../../../layers/middleware/routing/babel/pdu.ts'
import { Reader } from '../../../../../layers/middleware/routing/babel/reader.ts'
import { Writer } from '../../../../../layers/middleware/routing/babel/writer.ts'
import { type IpAddress, parseAddress, parsePrefix } from '../../../../../src/kernel/address.ts'
import { type Duration, type Instant, ms, seconds } from '../../../../../src/kernel/clock.ts'
import { SeededRandom } from '../../../../../src/kernel/random.ts'

export const OURS: IpAddress = parseAddress('fe80::1')

export function prefix(text: string): WirePrefix {
  const { address, length } = parsePrefix(text)
  return { address, length, isIpv4: address.isIpv4 }
}

/** A machine on two links, `eth0` and `eth1`, at an instant. */
export class Stand {
  readonly babel: Babel
  readonly links: readonly Interface[]
  /** What it has said: 'eth0 * hello …', with the neighbour instead of * when it was for one. */
  readonly said: string[] = []
  /** The octets of each packet, and where to. */
  readonly packets: { link: string; to: IpAddress | null; octets: Uint8Array }[] = []
  now: Instant = 0

  constructor(
    settings: Partial<BabelSettings> = {},
    link: Partial<InterfaceSettings> = {},
    auth?: () => Authenticator,
  ) {
    this.babel = new Babel({ routerHigh: 0, routerLow: 1, random: new SeededRandom([1, 2, 3, 4]), ...settings })
    this.links = ['eth0', 'eth1'].map((name) =>
      this.babel.attach(
        {
          name,
          type: 'wired',
          helloInterval: seconds(4),
          updateInterval: seconds(16),
          rxcost: 96,
          splitHorizon: true,
          maxOctets: 1400,
          address: OURS,
          nextHop4: parseAddress('10.0.0.1').w3,
          authenticator: auth?.() ?? null,
          ...link,
        },
        0,
      ),
    )
  }

  /** Lets time go by. */
  run(duration: Duration): this {
    const until = this.now + duration
    while (this.babel.deadline <= until) {
      this.now = this.babel.deadline
      this.babel.expire(this.now)
      this.collect()
    }
    this.now = until
    return this
  }

  /** A packet of a neighbour. */
  hear(from: Peer, fill: (writer: Writer) => void): this {
    const writer = new Writer(new Uint8Array(1400), 1400)
    fill(writer)
    writer.finish()
    return this.hearOctets(from, writer.octets.subarray(0, writer.length))
  }

  hearOctets(from: Peer, octets: Uint8Array, to: IpAddress | null = null): this {
    const link = this.links[from.link] as Interface
    this.babel.input(link, octets, 0, octets.length, from.address, to, this.now)
    this.collect()
    return this
  }

  /** What was said since this was last asked. */
  lately(): string[] {
    return this.said.splice(0)
  }

  /** 'fe80::2 96' of a destination: its next hop and metric; 'unreachable', 'unknown'. */
  way(text: string): string {
    const destination = this.babel.table.destinations.find(prefix(text))
    const selected = destination?.selected ?? null
    if (selected !== null) return `${selected.nextHop} ${selected.metric}`
    return destination == null || destination.routes === null ? 'unknown' : 'unreachable'
  }

  collect(): void {
    for (let packet = this.babel.output(); packet !== undefined; packet = this.babel.output()) {
      const octets = packet.octets.slice(0, packet.length)
      const { name } = packet.interface.settings
      this.packets.push({ link: name, to: packet.to, octets })
      for (const line of lines(octets)) this.said.push(`${name} ${packet.to ?? '*'} ${line}`)
    }
  }
}

function lines(packet: Uint8Array): string[] {
  const said: string[] = []
  new Reader((fault) => said.push(`FAULT ${fault}`)).read(packet, 0, packet.length, {
    hello: ({ seqno }) => said.push(`hello ${seqno}`),
    ihu: ({ address, rxcost }) => said.push(`ihu ${address} ${rxcost}`),
    update: ({ prefix: { address, length }, metric, wildcard }) =>
      said.push(wildcard ? 'retract all' : `update ${address}/${length} ${metric}`),
    routeRequest: ({ prefix }) => said.push(`route? ${prefix === null ? 'all' : `${prefix.address}/${prefix.length}`}`),
    seqnoRequest: ({ prefix, seqno, hopCount }) =>
      said.push(`seqno? ${prefix.address}/${prefix.length} ${seqno} ${hopCount}`),
    ackRequest: (opaque) => said.push(`ack? ${opaque}`),
    ack: (opaque) => said.push(`ack ${opaque}`),
  })
  return said
}

/** A neighbour on link 0 or 1, with its own count of hellos. */
export class Peer {
  readonly address: IpAddress
  readonly link: number
  readonly router: number
  private seqno = 0

  constructor(link: number, number: number) {
    this.link = link
    this.router = number
    this.address = parseAddress(`fe80::${number.toString(16)}`)
  }

  /** Two hellos and an IHU: from now on the link has a cost. */
  meet(stand: Stand, rxcost = 96): this {
    this.hello(stand)
    stand.run(ms(500))
    this.hello(stand)
    stand.hear(this, (writer) => writer.ihu(OURS, rxcost, 60_000))
    return this
  }

  hello(stand: Stand, interval = 60_000): void {
    stand.hear(this, (writer) => writer.hello(this.seqno++, interval))
  }

  /** An update of a destination of router `router`, good for an hour. */
  update(stand: Stand, text: string, metric: number, seqno = 1, router: number = this.router): void {
    stand.hear(this, (writer) => {
      const announcement = { routerHigh: 0, routerLow: router, seqno, metric }
      writer.update(prefix(text), announcement, 60_000, parseAddress(`10.0.0.${this.router}`).w3)
    })
  }
}
