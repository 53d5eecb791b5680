/** What all sockets of one node share: the transport below, the node's clock and timers, names, and what keeps Node up. */
import type { Env } from '../../kernel/env.ts'
import type { PlainSockets, StreamSockets } from '../sockets.ts'
import type { Names } from './names.ts'

/** The part of a node's Env that the Node-shaped API needs. */
export type ApiHost = Pick<Env, 'clock' | 'timers' | 'touched' | 'hold'>

/** Streams by any transport; interception where the transport has it. */
export interface NetStreams extends Pick<PlainSockets, 'ipv6'> {
  readonly stream: PlainSockets['stream'] & Partial<Pick<StreamSockets['stream'], 'intercept'>>
}

export class Context<Below> {
  readonly below: Below
  readonly host: ApiHost
  readonly names: Names
  private holds = 0
  private letGo: (() => void) | undefined

  constructor(below: Below, host: ApiHost, names: Names) {
    this.below = below
    this.host = host
    this.names = names
  }

  /** One more that keeps the process alive; one hold of the node's for all of them. */
  hold(): void {
    if (this.holds++ === 0) this.letGo = this.host.hold()
  }

  release(): void {
    if (--this.holds > 0) return
    this.letGo?.()
    this.letGo = undefined
  }
}
