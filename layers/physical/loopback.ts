/** A wire whose two ends are the same: what a node sends comes back to it, on a later turn and in order. */
import type { Boundary, Reasons } from '../../src/kernel/boundary.ts'
import type { Env } from '../../src/kernel/env.ts'
import type { Blueprint } from '../../src/kernel/layer.ts'
import type { Packet } from '../../src/kernel/packet.ts'
import { checkLine, Line, type LineOptions, type LineOwner } from './line.ts'
import { encapsulationOf, type MediumOptions, mediumOf, wholePackets, wireMtu } from './medium.ts'
import type { Medium, Offload, PhysicalService } from './service.ts'

export interface LoopbackOptions<M extends Medium = 'frames'> extends LineOptions, MediumOptions<M> {}

/** Why a loopback drops packets. */
export type LoopbackDrop = 'queueFull' | 'tooLong' | 'linkDown' | 'noUser'

const REASONS: Reasons<LoopbackDrop> = { queueFull: '', tooLong: '', linkDown: '', noUser: '' }

/**
 * A loopback; every node booted with it has its own.
 * @throws RangeError ERR_OUT_OF_RANGE — an option outside its range.
 * @throws TypeError ERR_INVALID_ARG_VALUE — no such medium, or `offload` together with what it excludes.
 */
export function loopback<M extends Medium = 'frames'>(options: LoopbackOptions<M> = {}): Blueprint<PhysicalService<M>> {
  checkLine(options)
  const medium = mediumOf(options)
  const mtu = wireMtu(medium, options.mtu)
  const offload = wholePackets(medium, options)
  return (env) => new Loopback(env, medium, mtu, offload, options)
}

class Loopback<M extends Medium> implements PhysicalService<M>, LineOwner {
  readonly tier = 'physical'
  readonly medium: M
  readonly mtu: number
  readonly headroom = 0
  readonly tailroom = 0
  readonly offload: Offload
  readonly boundary: Boundary<undefined, LoopbackDrop>
  private readonly line: Line
  private closed = false

  constructor(env: Env, medium: M, mtu: number, offload: Offload, options: LineOptions) {
    this.medium = medium
    this.mtu = mtu
    this.offload = offload
    this.boundary = env.boundary('loopback', encapsulationOf(medium), REASONS)
    this.line = new Line(env.timers, env.clock, this, options)
    env.defer(() => this.close())
  }

  send(packet: Packet): boolean {
    this.boundary.down(packet, undefined)
    if (packet.length > this.mtu && (packet.segmentOctets === 0 || packet.length > this.offload.segment)) {
      this.boundary.drop(packet, 'tooLong')
    } else if (this.closed) {
      this.boundary.drop(packet, 'linkDown')
    } else {
      if (!this.offload.checksum) packet.checksum = 'none'
      if (!this.line.push(packet)) this.boundary.drop(packet, 'queueFull')
    }
    return this.line.open
  }

  arrive(packet: Packet): void {
    if (!this.boundary.up(packet, undefined, 0)) this.boundary.drop(packet, 'noUser')
  }

  drained(): void {
    this.boundary.ready()
  }

  private close(): void {
    this.closed = true
    this.line.empty((packet) => this.boundary.drop(packet, 'linkDown'))
  }
}
