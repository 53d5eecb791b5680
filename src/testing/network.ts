/**
 * Networks for tests, from a short description: hosts, routers, and what is between them, on virtual time.
 *
 *   await using net = network({
 *     seed: 7,
 *     hosts: { A: {}, B: {} },
 *     routers: { R: {} },
 *     links: [{ between: ['A', 'R'], delay: ms(10) }, { between: ['R', 'B'], loss: 0.02 }],
 *   })
 *   net.nodes.B.net.createServer(…).listen(80)
 *   net.nodes.A.net.connect(80, 'B')
 *   await net.sim.run(seconds(30))
 */
import { ethernet, type LinkService } from '../../layers/datalink/index.ts'
import { type Ipv4Options, ip, ipv4 } from '../../layers/network/index.ts'
import {
  cable,
  hub,
  type Impairment,
  impair,
  type LineOptions,
  type PhysicalService,
} from '../../layers/physical/index.ts'
import { type Sockets, sockets, type TcpOptions, tcp, type UdpOptions, udp } from '../../layers/transport/index.ts'
import { formatIpv4 } from '../kernel/address.ts'
import { invalidValue } from '../kernel/errors.ts'
import type { Blueprint } from '../kernel/layer.ts'
import { beside, stack } from '../kernel/stack.ts'
import type { Node } from '../runtime/node.ts'
import { type Partition, Simulation, type SimulationOptions } from '../runtime/simulation.ts'
import { type Attachment, addressText, type LinkPlan, type NodePlan, plan } from './topology.ts'

/** A host or router; what is not said is as the layers have it. */
export interface TestNode {
  readonly tcp?: TcpOptions | undefined
  readonly udp?: UdpOptions | undefined
  /** What is not derived from the links. */
  readonly ipv4?: Omit<Ipv4Options, 'address' | 'addresses' | 'forwarding'> | undefined
}

/** What chance does to packets; delay and rate are the line's. */
export type Luck = Omit<Impairment, keyof LineOptions>

/** What is between nodes, and what it does to packets, alike in all directions. */
export interface TestLink extends LinkPlan, LineOptions, Luck {
  /** By which it is found again; default: the nodes, joined by hyphens. */
  readonly name?: string | undefined
  /** Octets of the largest network packet; default 1500. */
  readonly mtu?: number | undefined
}

/** The description of a network. */
export interface NetworkOptions extends SimulationOptions {
  readonly hosts: Readonly<Record<string, TestNode>>
  /** Nodes that forward. */
  readonly routers?: Readonly<Record<string, TestNode>> | undefined
  /** Two nodes are joined by a cable, more by a hub. Every node has one link at least. */
  readonly links: readonly TestLink[]
}

/** A link of a network that runs. */
export interface NetworkLink {
  readonly name: string
  readonly between: readonly string[]
  /** Changes what is given and leaves the rest. @throws RangeError ERR_OUT_OF_RANGE */
  set(options: LineOptions & Luck): void
  /** Takes the link down, and its nodes are told; what is under way is lost. */
  unplug(reason?: string): void
  plug(): void
}

/** A network that runs. Closing it closes all nodes. */
export interface Network<Name extends string> extends AsyncDisposable {
  readonly sim: Simulation
  /** By name. Names of nodes are also names for `net.connect`, `dgram.send` and `icmp.ping` on every node. */
  readonly nodes: Readonly<Record<Name, Node<Sockets>>>
  /** @throws TypeError ERR_INVALID_ARG_VALUE — there is none of that name. */
  link(name: string): NetworkLink
  /** The address of a node: '10.0.1.1', on its first link, or on the one named. @throws TypeError ERR_INVALID_ARG_VALUE */
  address(node: Name, link?: string): string
  /** Separates two groups of nodes where a link joins them. */
  partition(a: readonly Name[], b: readonly Name[]): Partition
  close(): Promise<void>
}

/** The names of the nodes of a description. */
export type NamesOf<Options extends NetworkOptions> =
  | (keyof Options['hosts'] & string)
  | (Options['routers'] extends object ? keyof Options['routers'] & string : never)

/**
 * Boots a network in a simulation of its own. Every node has a static route to every link that
 * routers lead to, by the fewest hops.
 * @throws TypeError ERR_INVALID_ARG_VALUE, RangeError ERR_OUT_OF_RANGE — the description makes no sense.
 */
export function network<const Options extends NetworkOptions>(options: Options): Network<NamesOf<Options>> {
  const { hosts, routers = {}, links, ...simulation } = options
  const both = Object.keys(hosts).find((name) => name in routers)
  if (both !== undefined) throw invalidValue('routers', 'of other names than the hosts', both)
  const forwards = new Map([
    ...Object.keys(hosts).map((name) => [name, false] as const),
    ...Object.keys(routers).map((name) => [name, true] as const),
  ])
  const plans = plan(forwards, links)
  const media = links.map((link) => new Medium(link))
  const names = new Set(media.map(({ name }) => name))
  if (names.size < media.length)
    throw invalidValue('links', 'of different names', [...media.map(({ name }) => name)].join(', '))
  return new RunningNetwork(new Simulation(simulation), plans, media, { ...hosts, ...routers }) as Network<
    NamesOf<Options>
  >
}

/** A link's control, whatever it is made of. */
type Line = Pick<NetworkLink, 'unplug' | 'plug'> & { set(options: LineOptions): void }

/** A link, and what its ends are made of. */
class Medium implements NetworkLink {
  readonly name: string
  readonly between: readonly string[]
  /** In the order of `between`. */
  readonly ends: readonly Blueprint<PhysicalService<'frames'>>[]
  private readonly line: Line
  private readonly luck: ReturnType<typeof impair>

  constructor(options: TestLink) {
    const { between, mtu, name = between.join('-') } = options
    const { line, impairment } = separate(options)
    this.name = name
    this.between = between
    // Each node impairs what it sends, so that every direction is impaired once.
    this.luck = impair({ down: impairment })
    const wire = mtu === undefined ? line : { ...line, mtu }
    const { ends, control } = between.length === 2 ? twoEnds(wire) : manyEnds(between.length, wire)
    this.line = control
    this.ends = ends.map((end) => stack(end, this.luck))
  }

  set(options: LineOptions & Luck): void {
    const { line, impairment } = separate(options)
    this.luck.link.set({ down: impairment })
    this.line.set(line)
  }

  unplug(reason?: string): void {
    this.line.unplug(reason)
  }

  plug(): void {
    this.line.plug()
  }
}

interface Ends {
  readonly ends: readonly Blueprint<PhysicalService<'frames'>>[]
  readonly control: Line
}

function twoEnds(options: LineOptions & { readonly mtu?: number }): Ends {
  const made = cable(options)
  return { ends: made, control: made.link }
}

function manyEnds(count: number, options: LineOptions & { readonly mtu?: number }): Ends {
  const made = hub(count, options)
  const { link } = made
  const all = (action: (port: number) => void) => {
    for (let port = 0; port < count; port++) action(port)
  }
  const control: Line = {
    set: (options) => link.set(options),
    unplug: (reason) => all((port) => link.unplug(port, reason)),
    plug: () => all((port) => link.plug(port)),
  }
  return { ends: made, control }
}

/** What a line does itself, and what is left to luck. */
function separate(options: LineOptions & Luck & Partial<TestLink>): { line: LineOptions; impairment: Luck } {
  const {
    delay,
    rate,
    queue,
    batch,
    between: _b,
    prefix: _p,
    addresses: _a,
    name: _n,
    mtu: _m,
    ...impairment
  } = options
  const line = Object.fromEntries(
    Object.entries({ delay, rate, queue, batch }).filter(([, value]) => value !== undefined),
  )
  return { line, impairment }
}

class RunningNetwork implements Network<string> {
  readonly sim: Simulation
  readonly nodes: Readonly<Record<string, Node<Sockets>>>
  private readonly plans: ReadonlyMap<string, NodePlan>
  private readonly media: readonly Medium[]

  constructor(sim: Simulation, plans: readonly NodePlan[], media: readonly Medium[], options: NetworkOptions['hosts']) {
    this.sim = sim
    this.media = media
    this.plans = new Map(plans.map((plan) => [plan.name, plan]))
    const hosts = Object.fromEntries(
      plans.map(({ name, attachments }) => [name, attachments.map(({ address }) => formatIpv4(address))]),
    )
    const booted = plans.map((plan): [string, Node<Sockets>] => {
      return [plan.name, sim.boot(plan.name, blueprintOf(plan, media, options[plan.name] ?? {}), { hosts })]
    })
    this.nodes = Object.fromEntries(booted)
  }

  link(name: string): NetworkLink {
    return this.medium(name)
  }

  address(node: string, link?: string): string {
    const attachments = this.plans.get(node)?.attachments ?? []
    const index = link === undefined ? attachments[0]?.link : this.media.indexOf(this.medium(link))
    const found = attachments.find((attachment) => attachment.link === index)
    if (found === undefined) throw invalidValue('node', 'at an end of the link', node)
    return formatIpv4(found.address)
  }

  partition(a: readonly string[], b: readonly string[]): Partition {
    return this.sim.partition(a, b)
  }

  close(): Promise<void> {
    return this.sim.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  private medium(name: string): Medium {
    const found = this.media.find((medium) => medium.name === name)
    if (found === undefined) {
      throw invalidValue('link', `one of ${this.media.map((medium) => medium.name).join(', ')}`, name)
    }
    return found
  }
}

function blueprintOf(plan: NodePlan, media: readonly Medium[], options: TestNode): Blueprint<Sockets> {
  const { attachments, forwarding, name } = plan
  const linkOf = ({ link }: Attachment): Blueprint<LinkService> => {
    const medium = media[link] as Medium
    return stack(medium.ends[medium.between.indexOf(name)] as Medium['ends'][number], ethernet())
  }
  const links = Object.fromEntries(attachments.map((attachment) => [attachment.name, linkOf(attachment)]))
  const addresses = Object.fromEntries(attachments.map((attachment) => [attachment.name, addressText(attachment)]))
  const routes = [...plan.routes, ...(options.ipv4?.routes ?? [])]
  const network = ip(ipv4({ ...options.ipv4, addresses, forwarding, routes }))
  return stack(beside(links), network, sockets(tcp(options.tcp), udp(options.udp)))
}
