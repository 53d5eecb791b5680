/**
 * A hub in memory: what one port sends, all others get, on a later turn. Each sender has a line of its own with queue,
 * rate and delay; the shared medium of old coaxial cable, with its collisions, is not modelled.
 *
 *      A ──line──┐       ┌──► B  the original goes to the last receiver,
 *                ├─ hub ─┼──► C  a copy to each other one
 *      D ──line──┘       └──► D …
 */
import type { Boundary, Reasons } from '../../src/kernel/boundary.ts'
import type { Env } from '../../src/kernel/env.ts'
import { integer, NetError } from '../../src/kernel/errors.ts'
import type { Blueprint } from '../../src/kernel/layer.ts'
import type { Packet } from '../../src/kernel/packet.ts'
import type { Timers } from '../../src/kernel/timers.ts'
import type { Wire } from '../../src/kernel/wire.ts'
import { type Cut, cutOf } from './cut.ts'
import { checkLine, Line, type LineOptions, type LineOwner, lineOptions } from './line.ts'
import { encapsulationOf, type MediumOptions, mediumOf, wireMtu } from './medium.ts'
import { type Medium, NO_OFFLOAD, type Offload, type PhysicalService } from './service.ts'

/** What the hub carries and how. It offers no offload: its receivers may each want something else. */
export interface HubOptions<M extends Medium = 'frames'> extends LineOptions, Omit<MediumOptions<M>, 'offload'> {}

/** One port of a hub. Boots one node; again only after that node has closed. */
export type HubPort<M extends Medium = 'frames'> = Blueprint<PhysicalService<M>>

/** Changes a hub while it runs. Ports count from 0. */
export interface HubControl {
  /** Changes what is given and leaves the rest: of what `port` sends, or all. @throws RangeError ERR_OUT_OF_RANGE */
  set(options: LineOptions, port?: number): void
  /** Changes the MTU of all ports, in octets of the network packet, and tells them. @throws RangeError ERR_OUT_OF_RANGE */
  setMtu(mtu: number): void
  /** Loses silently what `from` sends to `to`; the other way, and the others, still work. Cuts overlap freely. */
  cut(from: number, to: number): Cut
  /** Takes the link of one port down: its node is told, the others are not; what it has under way is lost. */
  unplug(port: number, reason?: string): void
  /** Takes it up again. */
  plug(port: number): void
}

/** An array of N. */
type ArrayOf<N extends number, T, Sofar extends readonly T[] = readonly []> = number extends N
  ? readonly T[]
  : Sofar['length'] extends N
    ? Sofar
    : ArrayOf<N, T, readonly [...Sofar, T]>

/** The ports, and the handle to change what is between them. */
export type Hub<N extends number = number, M extends Medium = 'frames'> = ArrayOf<N, HubPort<M>> & {
  readonly link: HubControl
}

/** Why a hub drops packets; `noReceiver`: nobody else is plugged in. */
export type HubDrop = 'queueFull' | 'cut' | 'linkDown' | 'noReceiver' | 'tooLong' | 'noUser'

const REASONS: Reasons<HubDrop> = { queueFull: '', cut: '', linkDown: '', noReceiver: '', tooLong: '', noUser: '' }

const MOST_PORTS = 256

/**
 * A hub: `const [a, b, c] = hub(3, { delay: ms(1) })`.
 *
 * A port throws `NetError` EBUSY when it is booted a second time, and EINVAL when another port's node has another clock.
 * @param ports 2 to 256.
 * @throws RangeError ERR_OUT_OF_RANGE — an option outside its range.
 * @throws TypeError ERR_INVALID_ARG_VALUE — no such medium.
 */
export function hub<N extends number, M extends Medium = 'frames'>(ports: N, options: HubOptions<M> = {}): Hub<N, M> {
  const core = new Core<M>(integer('ports', ports, 2, MOST_PORTS), options)
  const blueprints = Array.from({ length: ports }, (_, index) => core.port(index))
  // The array has as many elements as its type says, which the checker cannot count.
  return Object.assign(blueprints, { link: core }) as unknown as Hub<N, M>
}

/** What all ports share. */
class Core<M extends Medium> implements HubControl, Wire {
  readonly medium: M
  mtu: number
  readonly ports: (Port<M> | null)[]
  readonly plugged: boolean[]
  /** How many cuts stand from one port to another, at from * n + to. */
  private readonly cuts: Int32Array
  /** The pairs of nodes a partition keeps apart, as 'from\0to'; and the same by ports, as in `cuts`. */
  private readonly severed = new Set<string>()
  private readonly apart: Uint8Array
  private readonly lines: LineOptions[]

  constructor(n: number, options: HubOptions<M>) {
    checkLine(options)
    this.medium = mediumOf(options)
    this.mtu = wireMtu(this.medium, options.mtu)
    this.ports = new Array<Port<M> | null>(n).fill(null)
    this.plugged = new Array<boolean>(n).fill(true)
    this.lines = new Array<LineOptions>(n).fill(lineOptions(options))
    this.cuts = new Int32Array(n * n)
    this.apart = new Uint8Array(n * n)
  }

  port(index: number): HubPort<M> {
    return (env) => {
      const there = this.ports[index]
      if (there) {
        throw new NetError('EBUSY', `this port of the hub is in node ${there.node}: a port boots one node at a time`)
      }
      return new Port(this, index, env)
    }
  }

  optionsOf(index: number): LineOptions {
    return this.lines[index] as LineOptions
  }

  /** Does what port `from` sends reach port `to`? */
  joined(from: number, to: number): boolean {
    const at = from * this.ports.length + to
    return this.cuts[at] === 0 && this.apart[at] === 0
  }

  get nodes(): string[] {
    return this.ports.filter((port) => port !== null).map((port) => port.node)
  }

  sever(from: string, to: string, cut: boolean): void {
    if (cut) this.severed.add(`${from}\0${to}`)
    else this.severed.delete(`${from}\0${to}`)
    this.look()
  }

  /** Works out which ports a partition keeps apart. */
  look(): void {
    const n = this.ports.length
    for (let at = 0; at < n * n; at++) {
      const from = this.ports[Math.floor(at / n)]
      const to = this.ports[at % n]
      this.apart[at] = from && to && this.severed.has(`${from.node}\0${to.node}`) ? 1 : 0
    }
  }

  set(options: LineOptions, port?: number): void {
    checkLine(options)
    const first = port === undefined ? 0 : this.index('port', port)
    const last = port === undefined ? this.ports.length - 1 : first
    for (let index = first; index <= last; index++) {
      this.lines[index] = { ...this.lines[index], ...lineOptions(options) }
      this.ports[index]?.line.set(options)
    }
  }

  setMtu(mtu: number): void {
    this.mtu = wireMtu(this.medium, mtu)
    for (const [index, port] of this.ports.entries()) {
      if (this.plugged[index]) port?.boundary.linkChanged('up', 'mtu')
    }
  }

  cut(from: number, to: number): Cut {
    const at = this.index('from', from) * this.ports.length + this.index('to', to)
    return cutOf(this.cuts, [at])
  }

  unplug(port: number, reason = 'unplugged'): void {
    const index = this.index('port', port)
    if (!this.plugged[index]) return
    this.plugged[index] = false
    this.ports[index]?.boundary.linkChanged('down', reason)
    this.ports[index]?.flush()
  }

  plug(port: number): void {
    const index = this.index('port', port)
    if (this.plugged[index]) return
    this.plugged[index] = true
    this.ports[index]?.boundary.linkChanged('up', 'plugged')
  }

  private index(name: string, port: number): number {
    return integer(name, port, 0, this.ports.length - 1)
  }
}

class Port<M extends Medium> implements PhysicalService<M>, LineOwner {
  readonly tier = 'physical'
  readonly medium: M
  readonly offload: Offload = NO_OFFLOAD
  readonly headroom = 0
  readonly tailroom = 0
  readonly boundary: Boundary<undefined, HubDrop>
  readonly node: string
  readonly line: Line
  private readonly core: Core<M>
  private readonly index: number
  private readonly timers: Timers

  constructor(core: Core<M>, index: number, env: Env) {
    this.core = core
    this.index = index
    this.medium = core.medium
    this.node = env.node
    this.timers = env.timers
    const stranger = core.ports.find((port) => port && port.timers !== env.timers)
    if (stranger) throw new NetError('EINVAL', `the hub is in node ${stranger.node}, which has another clock`)
    this.boundary = env.boundary('hub', encapsulationOf(core.medium), REASONS)
    this.line = new Line(env.timers, env.clock, this, core.optionsOf(index))
    core.ports[index] = this
    core.look()
    env.defer(() => this.close())
    env.wire(core)
  }

  get mtu(): number {
    return this.core.mtu
  }

  /** Nobody's node is on this port any more, or its plug is pulled. */
  private get off(): boolean {
    return this.core.ports[this.index] !== this || this.core.plugged[this.index] !== true
  }

  send(packet: Packet): boolean {
    this.boundary.down(packet, undefined)
    if (packet.length > this.core.mtu) this.boundary.drop(packet, 'tooLong')
    else if (this.off) this.boundary.drop(packet, 'linkDown')
    else {
      // Nobody may trust the word of an earlier medium once this one has carried the packet.
      packet.checksum = 'none'
      if (!this.line.push(packet)) this.boundary.drop(packet, 'queueFull')
    }
    return this.line.open
  }

  /** A packet of ours has reached the hub: everybody else gets one. */
  arrive(packet: Packet): void {
    const { ports } = this.core
    let last: Port<M> | null = null
    let cut = false
    for (let index = 0; index < ports.length; index++) {
      const port = ports[index]
      if (!port || port === this || port.off) continue
      if (!this.core.joined(this.index, index)) {
        cut = true
        continue
      }
      last?.deliver(packet.copy(packet.start - packet.base, packet.limit - packet.end))
      last = port
    }
    if (last === null) {
      this.boundary.drop(packet, cut ? 'cut' : 'noReceiver')
    } else {
      if (cut) this.boundary.count('cut')
      last.deliver(packet)
    }
  }

  drained(): void {
    this.boundary.ready()
  }

  /** Loses what is under way. */
  flush(): void {
    this.line.empty((packet) => this.boundary.drop(packet, 'linkDown'))
  }

  private deliver(packet: Packet): void {
    // Somebody served before us may have closed our node.
    if (this.off) this.boundary.drop(packet, 'linkDown')
    else if (!this.boundary.up(packet, undefined, 0)) this.boundary.drop(packet, 'noUser')
  }

  private close(): void {
    this.core.ports[this.index] = null
    this.core.look()
    this.flush()
  }
}
