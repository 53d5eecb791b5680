/** The node under test, on virtual time, and what the interpreter does with it. */
import {
  type Duration,
  direct,
  type Instant,
  IpAddress,
  ip,
  ipv4,
  type Node,
  parseAddress,
  Simulation,
  type Sockets,
  seconds,
  sockets,
  stack,
  type TcpLayer,
  type TcpOptions,
  tcp,
  udp,
} from '../../../src/index.ts'
import { ScriptLink } from './link.ts'

/** A private network on our side, documentation addresses on the other (RFC 5737). */
const LOCAL = '192.168.0.1'
const REMOTE = '192.0.2.1'

export class NodeUnderTest {
  readonly local: number
  readonly remote: number
  readonly remoteAddress: IpAddress
  readonly link: ScriptLink
  readonly sockets: Sockets
  private readonly sim = new Simulation({ seed: 1 })
  private readonly node: Node<Sockets>
  private readonly tcp: TcpLayer
  /** When the script began. */
  private begin: Instant = 0

  /** @param where addresses other than these, and the MTU. */
  constructor(where: { mtu: number; localIp: string; remoteIp: string }, options: TcpOptions) {
    const local = parseAddress(where.localIp === '' ? LOCAL : where.localIp)
    this.remoteAddress = parseAddress(where.remoteIp === '' ? REMOTE : where.remoteIp)
    this.local = local.w3 >>> 0
    this.remote = this.remoteAddress.w3 >>> 0
    this.link = new ScriptLink(where.mtu)
    const gateway = IpAddress.ipv4(local.w3 ^ 0xff00).toString()
    const network = ip(ipv4({ address: `${local}/16`, gateway }))
    this.tcp = tcp(options)
    this.node = this.sim.boot('A', stack(this.link.blueprint, direct(), network, sockets(this.tcp, udp())))
    this.sockets = this.node.top
  }

  /** Waits for what has to start, and a little longer, so that no clock of the node stands at 0. */
  async start(): Promise<void> {
    await this.sim.run(seconds(1))
    this.begin = this.sim.now()
  }

  /** What is so from now on. */
  set(changes: TcpOptions): void {
    this.tcp.set(changes)
  }

  /** Microseconds since the script began. */
  now(): number {
    return this.sim.now() - this.begin
  }

  /** The same for an instant of the node. */
  since(instant: Instant): number {
    return instant - this.begin
  }

  /**
   * Lets time pass until `until`, or until `condition` holds; it is asked after each event.
   * @returns whether it came to hold.
   */
  async advance(until: number, condition: () => boolean): Promise<boolean> {
    return await this.sim.runUntil(condition, Math.max(until - this.now(), 0))
  }

  /** Does something after a time, as an event of its own. */
  after(duration: Duration, action: () => void): void {
    this.sim.after(duration, action)
  }

  close(): Promise<void> {
    return this.sim.close()
  }
}
