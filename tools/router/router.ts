/**
 * A router that runs: a node whose links come and go with its configuration. It is booted with none, and its first
 * configuration is a reload like any other.
 */
import {
  type BabelControl,
  type Blueprint,
  boot,
  type DhcpServer,
  type ImpairLayer,
  impair,
  ip,
  ipv4,
  ipv6,
  type LeaseEntry,
  type LinkService,
  type NetworkService,
  type Node,
  type RipControl,
  type Sockets,
  sockets,
  tcp,
  udp,
} from '../../src/index.ts'
import type { Part } from '../../src/runtime/part.ts'
import { linkBlueprint } from '../stack/boot.ts'
import { Bridges } from '../stack/bridges.ts'
import { applyPlan, ReloadError } from './apply.ts'
import {
  NOTHING,
  type RouterConfig,
  type RouterFixture,
  type RouterLink,
  type RouterRoute,
  type RouterState,
} from './config.ts'
import { LeaseBook } from './lease-book.ts'
import { takeRulesStep } from './packet-rules.ts'
import { planned, type Step } from './plan.ts'
import { takeRoutingStep } from './routing-step.ts'
import { type RouterService, type RunningService, serviceBlueprint, serviceName } from './services.ts'

/** A link that runs. */
interface Running {
  readonly part: Part<LinkService>
  /** What makes it worse; only on links that may be. */
  readonly faults: ImpairLayer | undefined
}

/** Told that a part, a link or a service, has ended with a failure. */
export type Complain = (part: string, error: unknown) => void

/** A lease with the link it is of. */
export interface LinkLease extends Omit<LeaseEntry, 'until'> {
  readonly link: string
  /** Until its state ends; below zero since it has. */
  readonly secondsLeft: number
}

export class Router implements AsyncDisposable {
  readonly node: Node<Sockets>
  readonly fixture: RouterFixture
  readonly bridges: Bridges = new Bridges()
  private readonly network: NetworkService
  /** What IPv6 asks about a link, whether to advertise there or to heed routers, when the link is attached. */
  private readonly described: Map<string, RouterLink>
  private readonly running = new Map<string, Running>()
  private readonly services = new Map<string, Part<RunningService>>()
  private readonly leases: LeaseBook
  private readonly complain: Complain
  private current: RouterState = NOTHING
  /** One reload at a time. */
  private work: Promise<unknown> = Promise.resolve()

  private constructor(
    node: Node<Sockets>,
    network: NetworkService,
    fixture: RouterFixture,
    described: Map<string, RouterLink>,
    leases: LeaseBook,
    complain: Complain,
  ) {
    this.complain = complain
    this.described = described
    this.leases = leases
    this.node = node
    this.network = network
    this.fixture = fixture
  }

  /**
   * @param leases what servers of DHCP give away is written there; by default it ends with the router.
   * @param complain told of each part that has ended with a failure.
   * @throws ReloadError — a part of the configuration could not be had; nothing is left behind.
   */
  static async start(
    { fixture, state }: RouterConfig,
    leases: LeaseBook = new LeaseBook(),
    complain: Complain = () => {},
  ): Promise<Router> {
    const { name, clampMss, hosts } = fixture
    const reversePath = fixture.reversePath === 'off' ? false : fixture.reversePath
    const options = { forwarding: true, clampMss, reversePath } as const
    let network: NetworkService | undefined
    const described = new Map<string, RouterLink>()
    const discovery = {
      advertise: (link: string) => described.get(link)?.advertise,
      autoconfigure: (link: string) => described.get(link)?.autoconfigure,
    }
    const blueprint: Blueprint<Sockets> = (env) => {
      network = ip(ipv4(options), ...(fixture.ipv6 ? [ipv6({ ...options, ...discovery })] : []))({}, env)
      return sockets(tcp(), udp())(network, env)
    }
    const node = await boot(blueprint, name, { hosts })
    const router = new Router(node, network as NetworkService, fixture, described, leases, complain)
    try {
      await router.reload(state)
    } catch (error) {
      await node.close()
      throw error
    }
    return router
  }

  /** What is so now. */
  get state(): RouterState {
    return this.current
  }

  /**
   * Becomes what is wanted, or stays as it is.
   * @param wanted or what makes it of what is so when the reloads before this one are over.
   * @returns the steps that were taken.
   * @throws ReloadError, or what `wanted` throws.
   */
  reload(wanted: RouterState | ((now: RouterState) => RouterState)): Promise<readonly Step[]> {
    const turn = this.work.then(() => this.become(typeof wanted === 'function' ? wanted(this.current) : wanted))
    this.work = turn.catch(() => {})
    return turn
  }

  /** Its servers of DHCP, by link. */
  get dhcpServers(): ReadonlyMap<string, DhcpServer> {
    const servers = new Map<string, DhcpServer>()
    for (const service of this.current.services) {
      const dhcp = this.services.get(serviceName(service))?.top.dhcp
      if (service.kind === 'DHCP server' && dhcp !== undefined) servers.set(service.link, dhcp)
    }
    return servers
  }

  /** What its servers of DHCP have given away. */
  givenAway(): LinkLease[] {
    return this.current.services.flatMap((service) => {
      const { dhcp, now } = this.services.get(serviceName(service))?.top ?? {}
      if (service.kind !== 'DHCP server' || dhcp === undefined || now === undefined) return []
      return dhcp.leases().map(({ until, ...lease }) => ({
        ...lease,
        ...{ link: service.link, secondsLeft: Math.round((until - now()) / 1e6) },
      }))
    })
  }

  /** Its Babel; undefined where it does not speak it. */
  get babel(): BabelControl | undefined {
    return [...this.services.values()].find(({ top }) => top.babel !== undefined)?.top.babel
  }

  /** Its RIP; undefined where it does not speak it. */
  get rip(): RipControl | undefined {
    return [...this.services.values()].find(({ top }) => top.rip !== undefined)?.top.rip
  }

  /** What makes a link worse, of one that may be. */
  faults(link: string): ImpairLayer | undefined {
    return this.running.get(link)?.faults
  }

  /** Takes everything down, after a reload that is under way. */
  async close(): Promise<void> {
    await this.work
    // While all links are there, also those that came later: neighbours are told that nothing leads here.
    await Promise.all([...this.services].map(([name, part]) => this.end(name, part)))
    try {
      await this.node.close()
    } finally {
      await this.leases.settled()
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  private async become(wanted: RouterState): Promise<readonly Step[]> {
    const steps = planned(this.current, wanted)
    try {
      this.current = await applyPlan(this.current, steps, (step) => this.perform(step))
    } catch (error) {
      if (error instanceof ReloadError) this.current = error.state
      throw error
    }
    // In the order of the file, which is the order of plans to come.
    this.current = wanted
    return steps
  }

  private perform(step: Step): void | Promise<void> {
    if (step.what === 'routing') return takeRoutingStep(this, step)
    if (step.verb === 'change') return takeRulesStep(this.network.control, step)
    const { control } = this.network
    const adds = step.verb === 'add'
    if (step.what === 'link') return adds ? this.addLink(step.link) : this.removeLink(step.link.name)
    if (step.what === 'service') return adds ? this.addService(step.service) : this.removeService(step.service)
    if (step.what === 'route') {
      if (adds) control.routes.add(entryOf(step.route))
      else control.routes.remove(entryOf(step.route))
    } else if (adds) control.addAddress(step.link, step.address)
    else control.removeAddress(step.link, step.address)
  }

  private async addLink(link: RouterLink): Promise<void> {
    const faults = link.faults ? impair(link.spec.impairment) : undefined
    const part = await this.node.attach(link.name, linkBlueprint(link, { faults, bridges: this.bridges }))
    this.described.set(link.name, link)
    try {
      this.network.attach(link.name, part.top)
    } catch (error) {
      this.described.delete(link.name)
      await this.end(link.name, part)
      throw error
    }
    this.running.set(link.name, { part, faults })
  }

  private async removeLink(name: string): Promise<void> {
    this.network.detach(name)
    this.described.delete(name)
    const running = this.running.get(name)
    this.running.delete(name)
    if (running !== undefined) await this.end(name, running.part)
  }

  private async addService(service: RouterService): Promise<void> {
    const name = serviceName(service)
    if (service.kind === 'DHCP server') await this.leases.ready()
    const part = await this.node.attach(name, serviceBlueprint(service, this.node.top, this.leases))
    this.services.set(name, part)
  }

  private async removeService(service: RouterService): Promise<void> {
    const name = serviceName(service)
    const part = this.services.get(name)
    this.services.delete(name)
    if (part !== undefined) await this.end(name, part)
  }

  /** Whatever fails while a part ends, it has ended: there is nothing to go back to. */
  private async end(name: string, part: Part<unknown>): Promise<void> {
    try {
      await part.close()
    } catch (error) {
      this.complain(name, error)
    }
  }
}

const entryOf = ({ prefix, via, link, metric, action }: RouterRoute) => ({
  prefix,
  metric,
  action,
  origin: 'static',
  ...(via === undefined ? {} : { via }),
  ...(link === undefined ? {} : { link }),
})
