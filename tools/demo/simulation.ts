/** The first half of the demo: a transfer over two bad cables and a router, on virtual time. */
import { createHash } from 'node:crypto'
import http from 'node:http'
import {
  type Blueprint,
  beside,
  cable,
  type Encapsulation,
  ethernet,
  impair,
  ip,
  ipv4,
  ms,
  type Node,
  Simulation,
  type Sockets,
  seconds,
  sockets,
  stack,
  tcp,
  udp,
} from '../../src/index.ts'

/** One thing that went wrong, or was mended, and who says so. */
export interface Incident {
  /** Virtual time, microseconds. */
  readonly at: number
  readonly kind: 'drop' | 'retransmission'
  /** 'node/link/layer' */
  readonly where: string
  /** What was lost or sent again. */
  readonly concerns: string
  readonly reason: string
  readonly rfc: string
}

export interface SimulatedTransfer {
  readonly octets: number
  /** The hash at the receiver is that at the sender. */
  readonly intact: boolean
  /** Microseconds. */
  readonly virtualUs: number
  readonly realUs: number
  readonly incidents: readonly Incident[]
  /** Packets of the wire that the router forwarded. */
  readonly forwarded: number
}

export interface SimulatedTransferOptions {
  readonly seed: number
  readonly octets: number
  /** Share of packets lost on each cable, each way. */
  readonly loss: number
  /** Where to write the capture. */
  readonly capture: string
  /** Told of each incident as it happens. */
  readonly incident: (incident: Incident) => void
}

const DELAY = ms(5)
const LIMIT = seconds(600)

/** alice ── r1 ── bob: bob serves, alice fetches. Deterministic: one seed, one story. */
export async function simulatedTransfer(options: SimulatedTransferOptions): Promise<SimulatedTransfer> {
  const started = process.hrtime.bigint()
  const [aliceEnd, left] = cable({ delay: DELAY })
  const [right, bobEnd] = cable({ delay: DELAY })
  const lossy = impair({ loss: options.loss })
  const host = (end: typeof aliceEnd, address: string, gateway: string): Blueprint<Sockets> =>
    stack(end, lossy, ethernet(), ip(ipv4({ address, gateway })), sockets(tcp(), udp()))
  const router = stack(
    beside({ eth0: stack(left, ethernet()), eth1: stack(right, ethernet()) }),
    ip(ipv4({ addresses: { eth0: '10.0.1.1/24', eth1: '10.0.2.1/24' }, forwarding: true })),
    sockets(tcp(), udp()),
  )

  await using sim = new Simulation({ seed: options.seed })
  const capture = sim.capture(options.capture)
  const alice = sim.boot('alice', host(aliceEnd, '10.0.1.2/24', '10.0.1.1'))
  const r1 = sim.boot('r1', router)
  const bob = sim.boot('bob', host(bobEnd, '10.0.2.2/24', '10.0.2.1'))
  const incidents: Incident[] = []
  const story = new Story()
  story.listen(bob)
  const stops = [alice, r1, bob].flatMap((node) =>
    watch(node, story, (incident) => {
      incidents.push(incident)
      options.incident(incident)
    }),
  )

  const body = Buffer.alloc(options.octets, 'All of this arrives, in order, exactly once. ')
  bob.net.attach(http.createServer((_request, response) => response.end(body))).listen(80)
  const fetched = fetchOver(alice, 'http://10.0.2.2/')
  let received: string | undefined
  fetched.then(
    (hash) => {
      received = hash
    },
    () => {},
  )
  await sim.runUntil(() => received !== undefined, LIMIT)
  for (const stop of stops) stop()
  // The capture ends where the story does: what closing the nodes cuts off is no part of it.
  await capture.stop()
  const virtualUs = sim.now()
  return {
    octets: body.length,
    intact: received === sha256(body),
    virtualUs,
    realUs: Number((process.hrtime.bigint() - started) / 1000n),
    incidents,
    forwarded: r1.snapshot().find(({ name }) => name === 'r1/eth0/cable')?.txPackets ?? 0,
  }
}

function watch(node: Node<unknown>, story: Story, tell: (incident: Incident) => void): (() => void)[] {
  return node.boundaries.map((boundary) => {
    const where = boundary.name
    return boundary.watch({
      drop(packet, reason, rfc, at) {
        // Broadcasts that concern somebody else are no loss.
        if (reason === 'notForUs') return
        tell({ at, kind: 'drop', where, reason, concerns: story.describe(packet.bytes(), boundary.encapsulation), rfc })
      },
      note(packet, event, reason, rfc, at) {
        if (event !== 'retransmit' || packet === null) return
        tell({ at, kind: 'retransmission', where, reason, concerns: story.describe(packet.bytes(), 'transport'), rfc })
      },
    })
  })
}

const ETHERNET_OCTETS = 14
const ETHERTYPE_IPV4 = 0x0800
const PROTOCOL_TCP = 6
const FIN = 0x01
const SYN = 0x02

/** Puts packets into words: the octets of the transfer are counted from its beginning. */
class Story {
  private firstOctet = 0

  /** Learns the initial sequence number of the sender from its SYN. */
  listen(sender: Node<unknown>): void {
    const tcp = sender.boundaries.find(({ name }) => name === `${sender.name}/tcp`)
    const stop = tcp?.watch({
      packet: (packet, _address, direction) => {
        const at = packet.start
        if (direction !== 'down' || (packet.view.getUint8(at + 13) & SYN) === 0) return
        this.firstOctet = packet.view.getUint32(at + 4) + 1
        stop?.()
      },
    })
  }

  describe(octets: Uint8Array, encapsulation: Encapsulation): string {
    const view = new DataView(octets.buffer, octets.byteOffset, octets.byteLength)
    if (encapsulation === 'transport') return this.segment(view, 0, octets.length)
    const at = ETHERNET_OCTETS
    if (view.getUint16(at - 2) !== ETHERTYPE_IPV4 || view.getUint8(at + 9) !== PROTOCOL_TCP) return 'ARP'
    return this.segment(view, at + (view.getUint8(at) & 15) * 4, at + view.getUint16(at + 2))
  }

  private segment(view: DataView, start: number, end: number): string {
    const payload = end - start - (view.getUint8(start + 12) >> 4) * 4
    const flags = view.getUint8(start + 13)
    if (flags & SYN) return 'SYN'
    if (flags & FIN) return 'FIN'
    if (payload === 0) return `ACK of ${(view.getUint32(start + 8) - this.firstOctet) >>> 0}`
    const from = (view.getUint32(start + 4) - this.firstOctet) >>> 0
    return `octets ${from} to ${from + payload - 1}`
  }
}

function fetchOver(node: Node<Sockets>, url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const hash = createHash('sha256')
    http
      .get(url, { agent: node.httpAgent() }, (response) => {
        response.on('data', (chunk: Buffer) => hash.update(chunk))
        response.on('end', () => resolve(hash.digest('hex')))
      })
      .on('error', reject)
  })
}

const sha256 = (octets: Uint8Array): string => createHash('sha256').update(octets).digest('hex')
