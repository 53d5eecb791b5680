/** A booted stack: its boundaries, its snapshot, and its orderly close. Shared by real and virtual time. */
import type http from 'node:http'
import type https from 'node:https'
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
import { Boundary, type Encapsulation, type Reasons } from '../kernel/boundary.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Env } from '../kernel/env.ts'
import { NetError } from '../kernel/errors.ts'
import type { Blueprint } from '../kernel/layer.ts'
import { Packet } from '../kernel/packet.ts'
import type { Random } from '../kernel/random.ts'
import type { Timers } from '../kernel/timers.ts'
import type { Wire } from '../kernel/wire.ts'

/** What a runtime gives each of its nodes. */
export interface Host {
  readonly clock: Clock
  readonly timers: Timers
  /** @param name node, scope and layer, joined by slashes. */
  random(name: string): Random
  touched(): void
  hold(): () => void
  /** A node's end of a wire was booted. @returns told when that node closes. */
  wire(wire: Wire): () => void
  /** A boundary was made. */
  opened(boundary: AnyBoundary): void
}

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

// biome-ignore lint/suspicious/noExplicitAny: a node holds boundaries of every address type, and only reads their counters
export type AnyBoundary = Boundary<any>

/** What a node may be given when it is booted. */
export interface NodeOptions {
  /** Names its `net`, `dgram` and `icmp` know besides `localhost`: { db: '10.0.0.5' }. */
  readonly hosts?: Hosts | undefined
}

export class Node<Top> implements AsyncDisposable {
  readonly name: string
  /** What the topmost layer offers. */
  readonly top: Top
  private readonly api: NodeApi
  private readonly all: AnyBoundary[] = []
  private readonly cleanups: (() => void | Promise<void>)[] = []
  private readonly pending: Promise<unknown>[] = []
  private closing: Promise<void> | undefined

  /** Stacks the blueprint; a layer that throws unwinds those below it. Use `boot` or `Simulation.boot`. */
  constructor(name: string, blueprint: Blueprint<Top>, host: Host, options: NodeOptions = {}) {
    this.name = name
    try {
      const env = this.env(host)
      this.top = blueprint(env)
      this.api = new NodeApi(this.top, env, options.hosts ?? {})
    } catch (error) {
      void this.close()
      throw error
    }
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

  /** Every boundary of the node, bottom-up in the order of stacking. */
  get boundaries(): readonly AnyBoundary[] {
    return this.all
  }

  /** Settles when every layer has started; on failure the node is closed and the first reason is thrown. */
  async started(): Promise<void> {
    try {
      while (this.pending.length > 0) await Promise.all(this.pending.splice(0))
    } catch (error) {
      await this.close()
      throw error
    }
  }

  /** The counters of every boundary, now. */
  snapshot(): BoundarySnapshot[] {
    return this.all.map((b) => ({
      name: b.name,
      txPackets: b.txPackets,
      txOctets: b.txOctets,
      rxPackets: b.rxPackets,
      rxOctets: b.rxOctets,
      drops: Object.fromEntries([...b.drops].filter(([, count]) => count > 0)),
    }))
  }

  /**
   * Takes the stack down, topmost layer first.
   * @param deadlineMs how long a cleanup may take before the next one goes ahead regardless; default 2000.
   * @throws NetError ETIMEDOUT — a cleanup did not finish in time; the others ran all the same.
   * @throws AggregateError — several cleanups failed.
   */
  close(deadlineMs = 2000): Promise<void> {
    this.closing ??= this.unwind(deadlineMs)
    return this.closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  private async unwind(deadlineMs: number): Promise<void> {
    const failures: unknown[] = []
    for (let cleanup = this.cleanups.pop(); cleanup !== undefined; cleanup = this.cleanups.pop()) {
      try {
        const finished = cleanup()
        if (finished !== undefined) await within(finished, deadlineMs, this.name)
      } catch (error) {
        failures.push(error)
      }
    }
    if (failures.length === 1) throw failures[0]
    if (failures.length > 1) throw new AggregateError(failures, `closing ${this.name} failed`)
  }

  private env(host: Host): Env {
    const names = new Map<string, number>()
    const unique = (name: string): string => {
      const count = (names.get(name) ?? 0) + 1
      names.set(name, count)
      return count === 1 ? name : `${name}#${count}`
    }
    return {
      node: this.name,
      scope: '',
      clock: host.clock,
      timers: host.timers,
      random: (layer) => host.random(`${this.name}/${unique(`random ${layer}`)}`),
      packet: Packet.take,
      boundary: <Address, Reason extends string>(
        layer: string,
        encapsulation: Encapsulation,
        reasons: Reasons<Reason>,
      ): Boundary<Address, Reason> => {
        const name = `${this.name}/${unique(layer)}`
        const boundary = new Boundary<Address, Reason>(name, encapsulation, reasons, host.clock)
        this.all.push(boundary)
        host.opened(boundary)
        return boundary
      },
      starting: (promise) => {
        promise.catch(() => {}) // observed by started(); meanwhile it must not count as unhandled
        this.pending.push(promise)
      },
      defer: (cleanup) => {
        this.cleanups.push(cleanup)
      },
      touched: () => host.touched(),
      hold: () => host.hold(),
      wire: (wire) => {
        this.cleanups.push(host.wire(wire))
      },
    }
  }
}

async function within(promise: Promise<void>, deadlineMs: number, node: string): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new NetError('ETIMEDOUT', `closing ${node} took longer than ${deadlineMs} ms`)),
      deadlineMs,
    )
  })
  try {
    await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
