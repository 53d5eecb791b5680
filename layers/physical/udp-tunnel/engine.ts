/**
 * What a UDP tunnel needs of the machine's UDP: the seam between the tunnel (peers, codec, learning) and the code that
 * does the system calls. Engines differ in speed alone.
 */
import type { Instant } from '../../../src/kernel/clock.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import type { Endpoint } from './endpoint.ts'

/** What does the system calls: `node:dgram`, or Linux's own calls for many datagrams at a time. */
export type EngineKind = 'dgram' | 'native'

/** Datagrams to and from one bound port. */
export interface Engine {
  readonly kind: EngineKind
  /** Many datagrams at a time cost little more than one, both ways: it is worth having super-segments to cut. */
  readonly batches: boolean
  /** Where it is bound; the port that was asked for, or chosen by the system, once it is open. */
  readonly local: Endpoint
  /** True from the moment it is bound until it is closed; `send` is for that time only. */
  readonly open: boolean
  /**
   * Binds. Settles when datagrams can pass.
   * @throws NetError EADDRINUSE EADDRNOTAVAIL EACCES … — nothing is left bound.
   */
  start(): Promise<void>
  /**
   * Sends the packet's data as one datagram. Takes ownership. Never calls its user before it returns, but for
   * `overflowed`.
   * @param flow 0: it leaves from the local port. Else int32: from one of the source ports, always the same for a flow.
   * @returns false when too many wait: stop until `ready`.
   */
  send(packet: Packet, to: Endpoint, flow: number): boolean
  /** Unbinds; what still waits is dropped. Settles when nothing is left behind. */
  close(): Promise<void>
}

/** Who uses an engine. */
export interface EngineUser {
  /**
   * A datagram arrived, copied into a packet with headroom. Takes ownership.
   * @param host numeric, canonical text. @param at when it, or the burst it came with, was read.
   */
  datagram(packet: Packet, host: string, port: number, at: Instant): void
  /** There was no room to wait for this packet. Takes ownership. */
  overflowed(packet: Packet): void
  /** The system refused a datagram (too large, no route, …). Its packet's life has ended. */
  refused(): void
  /** Datagrams can be sent again after `send` returned false. */
  ready(): void
}

/** How an engine binds. */
export interface EngineOptions {
  readonly local: Endpoint
  readonly family: 4 | 6
  /** Further sockets on ports of their own among which flows are spread; 0: all leave from the local port. */
  readonly sourcePorts: number
  /** Octets of the sockets' buffers, as far as the system grants them. */
  readonly bufferOctets: number
  /** Datagrams that wait for the system in one socket before `send` returns false; twice as many are kept. */
  readonly queueLength: number
}
