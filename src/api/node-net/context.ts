/** What all sockets of one node share: the transport below, the node's clock and timers, names, and what keeps Node up. */
import type { Env } from '../../kernel/env.ts'
import type { PlainSockets, StreamSockets } from '../sockets.ts'
import type { Names } from './names.ts'

/** The part of a node's Env that the Node-shaped API needs. */
export type ApiHost = Pick<Env, 'clock' | 'timers' | 'touched' | 'hold' | 'defer'>

/** Streams by any transport; interception where the transport has it. */
export interface NetStreams extends Pick<PlainSockets, 'ipv6' | 'sourceOf'> {
  readonly stream: PlainSockets['stream'] & Partial<Pick<StreamSockets['stream'], 'intercept'>>
}

export class Context<Below> {
  readonly below: Below
  readonly host: ApiHost
  readonly names: Names
  /** What the node's close has to close first: servers and datagram sockets. Connections are told by the transport. */
  private readonly open: Set<() => void> = new Set()
  private closed = false
  private holds = 0
  private letGo: (() => void) | undefined

  constructor(below: Below, host: ApiHost, names: Names) {
    this.below = below
    this.host = host
    this.names = names
    host.defer(() => this.close())
  }

  /** @param close called when the node closes. @returns forgets it. */
  opened(close: () => void): () => void {
    this.open.add(close)
    return () => {
      this.open.delete(close)
    }
  }

  /** One more that keeps the process alive; one hold of the node's for all of them. */
  hold(): void {
    if (this.holds++ === 0 && !this.closed) this.letGo = this.host.hold()
  }

  release(): void {
    if (--this.holds > 0) return
    this.letGo?.()
    this.letGo = undefined
  }

  private close(): void {
    this.closed = true
    for (const close of this.open) close()
    this.letGo?.()
    this.letGo = undefined
  }
}
