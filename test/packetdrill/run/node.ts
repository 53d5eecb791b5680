/** The node under test, on virtual time, and what the interpreter does with it. */
import {
  type Duration,
  direct,
  type Instant,
  IpAddress,
  ip,
  ipv4,
  ipv6,
  type Node,
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
import type { IpVersion } from '../language/ip-version.ts'
import type { Config } from './config.ts'
import { ScriptLink } from './link.ts'

export class NodeUnderTest {
  readonly local: IpAddress
  readonly remote: IpAddress
  readonly link: ScriptLink
  readonly sockets: Sockets
  private readonly sim = new Simulation({ seed: 1 })
  private readonly node: Node<Sockets>
  private readonly tcp: TcpLayer
  /** When the script began. */
  private begin: Instant = 0

  constructor({ ipVersion, mtu, localIp, remoteIp }: Config, options: TcpOptions) {
    this.local = localIp
    this.remote = remoteIp
    this.link = new ScriptLink(mtu)
    const network = networkOf(ipVersion, this.local)
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

/** The network under a script's sockets: they are IPv6's, too, where addresses are mapped into it. */
function networkOf(ipVersion: IpVersion, local: IpAddress): ReturnType<typeof ip> {
  const { w0, w1, w2, w3 } = local
  if (ipVersion === 'ipv6') {
    const gateway = new IpAddress(w0, w1 ^ 0xff00, w2, w3).toString()
    return ip(ipv6({ address: `${local}/48`, gateway, autoconfigure: false }))
  }
  const family = ipv4({ address: `${local}/16`, gateway: IpAddress.ipv4(w3 ^ 0xff00).toString() })
  return ipVersion === 'ipv4' ? ip(family) : ip(family, ipv6({ autoconfigure: false }))
}
