/** A machine and neighbours made by hand: what they say is written, what the machine says is kept as text. */
import { Rip, type RipSettings } from '../../../../../layers/middleware/routing/rip/machine.ts'
import {
  type Codec,
  Entry,
  HEADER_OCTETS,
  REQUEST,
  RESPONSE,
} from '../../../../../layers/middleware/routing/rip/pdu.ts'
import { rip2 } from '../../../../../layers/middleware/routing/rip/rip2.ts'
import type { Interface, InterfaceSettings } from '../../../../../layers/middleware/routing/rip/route.ts'
import { parseAddress, parsePrefix } from '../../../../../src/kernel/address.ts'
import type { Duration, Instant } from '../../../../../src/kernel/clock.ts'
import { SeededRandom } from '../../../../../src/kernel/random.ts'

/** An entry: prefix, metric; '::1 255' of RIPng is a next hop. */
export type Said = readonly [prefix: string, metric: number, more?: { tag?: number; nextHop?: string }]

/** Octets of a message of routes. */
export function message(codec: Codec, command: number, entries: readonly Said[]): Uint8Array {
  const octets = new Uint8Array(HEADER_OCTETS + 20 * entries.length)
  const view = new DataView(octets.buffer)
  octets.set([command, codec.version])
  for (const [i, [text, metric, { tag = 0, nextHop } = {}]] of entries.entries()) {
    const { address, length } = parsePrefix(text)
    codec.write(view, 4 + 20 * i, address, length, tag, metric)
    if (nextHop !== undefined) view.setInt32(4 + 20 * i + 12, parseAddress(nextHop).w3)
  }
  return octets
}

/** What a message says: 'response 10.0.0.0/8=1 10.2.0.0/16=16'. */
export function describe(codec: Codec, octets: Uint8Array): string {
  const view = new DataView(octets.buffer, octets.byteOffset, octets.length)
  const entry = new Entry()
  const words = [['?', 'request', 'response'][octets[0] as number]]
  for (let at = HEADER_OCTETS; at < octets.length; at += 20) {
    const kind = codec.read(view, at, octets[0] as number, entry)
    words.push(kind === 'route' ? `${entry.address}/${entry.length}=${entry.metric}` : kind)
  }
  return words.join(' ')
}

/** A machine on `eth0` and `eth1`, whose addresses are 10.0.0.1/24 and 10.0.1.1/24, or fe80::1 on both. */
export class Stand {
  readonly codec: Codec
  readonly rip: Rip
  readonly links: readonly Interface[]
  /** 'eth0 * response …', with the asker instead of * when it was for one. */
  readonly said: string[] = []
  now: Instant = 0

  constructor(codec: Codec = rip2, settings: Partial<RipSettings> = {}, link: Partial<InterfaceSettings> = {}) {
    this.codec = codec
    this.rip = new Rip({ codec, random: new SeededRandom([1, 2, 3, 4]), ...settings })
    this.links = ['eth0', 'eth1'].map((name, i) => {
      const prefixes = [parsePrefix(codec.isIpv4 ? `10.0.${i}.1/24` : 'fe80::1/64')]
      return this.rip.attach({ name, cost: 1, passive: false, maxOctets: 512, prefixes, ...link }, 0)
    })
    this.collect()
  }

  run(duration: Duration): this {
    const until = this.now + duration
    while (this.rip.deadline <= until) {
      this.now = this.rip.deadline
      this.rip.expire(this.now)
      this.collect()
    }
    this.now = until
    return this
  }

  /** A response of a neighbour on link 0 or 1. */
  hear(link: number, from: string, ...entries: readonly Said[]): this {
    return this.hearOctets(link, from, message(this.codec, RESPONSE, entries))
  }

  ask(link: number, from: string, port: number, ...entries: readonly Said[]): this {
    return this.hearOctets(link, from, message(this.codec, REQUEST, entries), port)
  }

  hearOctets(link: number, from: string, octets: Uint8Array, port: number = this.codec.port): this {
    // Not at the beginning of its buffer, as in a slab.
    const slab = new Uint8Array(octets.length + 7)
    slab.set(octets, 7)
    this.rip.input(this.links[link] as Interface, slab, 7, octets.length, parseAddress(from), port, this.now)
    this.collect()
    return this
  }

  /** What was said since this was last asked. */
  lately(): string[] {
    this.collect()
    return this.said.splice(0)
  }

  /** '10.0.0.2 eth0 2', 'unreachable', 'unknown'. */
  way(text: string): string {
    const found = this.rip.find(parsePrefix(text))
    if (found === undefined) return 'unknown'
    return found.metric === 16 ? 'unreachable' : `${found.nextHop} ${found.interface?.settings.name} ${found.metric}`
  }

  private collect(): void {
    for (let out = this.rip.output(); out !== undefined; out = this.rip.output()) {
      const to = out.to === null ? '*' : `${out.to.address}:${out.to.port}`
      this.said.push(`${out.interface.settings.name} ${to} ${describe(this.codec, out.octets.subarray(0, out.length))}`)
    }
  }
}
