/** A booted stack: its boundaries, its snapshot, and its orderly close. Shared by real and virtual time. */
import type http from 'node:http'
import type https from 'node:https'
import type { Writable } from 'node:stream'
import {
  type DgramOf,
  type Hosts,
  httpAgent,
  httpsAgent,
  type IcmpOf,
  type NetOf,
  type NetStreams,
  NodeApi,
  type UndiciConnector,
  type UndiciConnectorOptions,
  undiciConnector,
} from '../api/node-net.ts'
import type { Duration } from '../kernel/clock.ts'
import type { Env } from '../kernel/env.ts'
import { invalidValue } from '../kernel/errors.ts'
import type { Blueprint } from '../kernel/layer.ts'
import { type CaptureHandle, type CaptureRequest, Captures } from './captures.ts'
import { Cleanups, waitInRealTime } from './cleanups.ts'
import type { AnyBoundary, Host } from './host.ts'
import { CLOSE_LIMIT, Part, type Site } from './part.ts'

export type { AnyBoundary, Host } from './host.ts'
export type { Part } from './part.ts'

/** Counters of one boundary at one instant. */
export interface BoundarySnapshot {
  readonly name: string
  readonly txPackets: number
  readonly txOctets: number
  readonly rxPackets: number
  readonly rxOctets: number
  /** Reasons that occurred, with their counts. */
  readonly drops: Readonly<Record<string, number>>
}

/** What a node may be given when it is booted. */
export interface NodeOptions {
  /** Names its `net`, `dgram` and `icmp` know besides `localhost`: { db: '10.0.0.5' }. */
  readonly hosts?: Hosts | undefined
}

export class Node<Top> implements AsyncDisposable {
  readonly name: string
  private readonly api: NodeApi
  private readonly site: Site
  private readonly cleanups: Cleanups
  private readonly main: Part<Top>
  private readonly captures = new Captures(() => this.boundaries)
  private readonly parts = new Map<string, Part<unknown>>()

  /**
   * Stacks the blueprint; a layer that throws unwinds those below it. Use `boot` or `Simulation.boot`.
   * @param cleanups what else is to be undone when the node has closed, or could not be stacked.
   * @throws TypeError ERR_INVALID_ARG_VALUE — the name is empty or has a slash in it.
   */
  constructor(
    name: string,
    blueprint: Blueprint<Top>,
    host: Host,
    options: NodeOptions = {},
    cleanups: Cleanups = new Cleanups(),
  ) {
    this.name = checkName(name)
    this.cleanups = cleanups
    const waitFor = host.waitFor?.bind(host) ?? waitInRealTime
    const time = { clock: host.clock, waitFor }
    this.site = { node: name, host, time, boundaries: [], changed: () => this.captures.changed() }
    cleanups.add(() => this.captures.close())
    this.main = new Part(this.site, '', blueprint, cleanups)
    try {
      this.api = new NodeApi(this.top, this.env, options.hosts ?? {})
    } catch (error) {
      this.main.close().catch(() => {}) // the error that stopped it is the one to tell
      throw error
    }
  }

  /** What the topmost layer offers. */
  get top(): Top {
    return this.main.top
  }

  /** Time, chance and memory of this node, for what stands on its topmost layer; `env.defer` runs first at close. */
  get env(): Env {
    return this.main.env
  }

  /** TCP in the shape of `node:net`, for stacks with a transport. */
  get net(): NetOf<Top> {
    return this.api.net as NetOf<Top>
  }

  /** UDP in the shape of `node:dgram`, for stacks with a transport. */
  get dgram(): DgramOf<Top> {
    return this.api.dgram as DgramOf<Top>
  }

  /** Echo requests, for stacks of ours. */
  get icmp(): IcmpOf<Top> {
    return this.api.icmp as IcmpOf<Top>
  }

  /** An agent for `http.request({ agent })`. */
  httpAgent(this: Node<NetStreams>, options?: http.AgentOptions): http.Agent {
    return httpAgent(this.net, options)
  }

  /** An agent for `https.request({ agent })`. */
  httpsAgent(this: Node<NetStreams>, options?: https.AgentOptions): https.Agent {
    return httpsAgent(this.net, options)
  }

  /** For undici: `fetch(url, { dispatcher: new Agent({ connect: node.undiciConnector() }) })`. */
  undiciConnector(this: Node<NetStreams>, options?: UndiciConnectorOptions): UndiciConnector {
    return undiciConnector(this.net, options)
  }

  /** Every boundary of the node: bottom-up in the order of stacking, then those of parts taken on since. */
  get boundaries(): readonly AnyBoundary[] {
    return this.site.boundaries
  }

  /**
   * Writes what passes the node's links as pcapng, with the reasons of drops and retransmissions as comments.
   * @param target a path, created or emptied; or a Writable, which is not ended.
   * @throws NetError with the system's code — the file cannot be opened.
   */
  capture(target: string | Writable, request: CaptureRequest = {}): CaptureHandle {
    return this.captures.start(target, this.site.host.epochUs, request)
  }

  /** Settles when every layer has started; on failure the node is closed and the first reason is thrown. */
  started(): Promise<void> {
    return this.main.started()
  }

  /**
   * Stacks another blueprint in this node while it runs, for example a link for `network.attach`. It is part of the
   * node: under its name in boundaries and streams of chance, and closed with it unless it was closed before.
   * @param name unique among the parts that run.
   * @throws TypeError ERR_INVALID_ARG_VALUE — the name is taken, empty, or has a slash in it.
   * @throws what a layer could not start for; all that had started is closed again.
   */
  async attach<PartTop>(name: string, blueprint: Blueprint<PartTop>): Promise<Part<PartTop>> {
    if (this.parts.has(checkName(name))) throw invalidValue('name', 'unique in the node', name)
    const part: Part<PartTop> = new Part(this.site, name, blueprint)
    this.parts.set(name, part)
    // Closed by itself, it leaves nothing behind in the node: attach and detach may go on for ever.
    const close = () => part.close()
    this.cleanups.add(close)
    part.env.defer(() => {
      this.cleanups.delete(close)
      this.parts.delete(name)
    })
    await part.started()
    return part
  }

  /** The counters of every boundary, now. */
  snapshot(): BoundarySnapshot[] {
    return this.boundaries.map((b) => ({
      name: b.name,
      txPackets: b.txPackets,
      txOctets: b.txOctets,
      rxPackets: b.rxPackets,
      rxOctets: b.rxOctets,
      drops: Object.fromEntries([...b.drops].filter(([, count]) => count > 0)),
    }))
  }

  /**
   * Takes the stack down, topmost layer first. Calling it again waits for the same end.
   * @param limit how long it may take in all; default 2 s, of the node's own time.
   * @throws NetError ETIMEDOUT — it took longer; what was left was started all the same.
   * @throws what a cleanup failed with; an AggregateError when there is more than one failure.
   */
  close(limit: Duration = CLOSE_LIMIT): Promise<void> {
    return this.main.close(limit)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

function checkName(name: string): string {
  if (typeof name !== 'string' || !/^[^/]+$/.test(name)) throw invalidValue('name', 'a name without a slash', name)
  return name
}
