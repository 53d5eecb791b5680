/**
 * Octets between the slab and a pair of Node's streams: what `stream` and `serial` have in common.
 *
 *   send ──► copy ──► writable.write            a quarter of the limit: stop until 'drain'; beyond it, a drop
 *   receive ◄── read() on 'readable', at most some octets or 1 ms a turn; the rest waits in the stream, and so in the peer
 */
import type { Readable, Writable } from 'node:stream'
import type { Boundary, Reasons } from '../../../src/kernel/boundary.ts'
import { type Duration, ms } from '../../../src/kernel/clock.ts'
import type { Env } from '../../../src/kernel/env.ts'
import { integer, invalidValue } from '../../../src/kernel/errors.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import { Timer } from '../../../src/kernel/timers.ts'
import { NO_OFFLOAD, type Offload, type PhysicalService } from '../service.ts'

/** Limits of a stream or a serial line. */
export interface OctetPortOptions {
  /** Octets of the longest run that is sent or received at a time: 1 to 65535, the default. */
  readonly mtu?: number
  /**
   * Octets that may wait to be written, 1 to 1 GiB, default 1 MiB. From a quarter of it on, `send` returns false until all
   * is written; a packet that exceeds it is dropped.
   */
  readonly queueOctets?: number
}

/** Why a stream or serial line drops packets. */
export type OctetDrop = 'queueFull' | 'tooLong' | 'linkDown' | 'noUser'

const REASONS: Reasons<OctetDrop> = { queueFull: '', tooLong: '', linkDown: '', noUser: '' }

/** Both ways of a stream: a Duplex is both. */
export interface StreamPair {
  readonly readable: Readable
  readonly writable: Writable
}

const MAX_MTU = 65_535
const DEFAULT_QUEUE_OCTETS = 1_048_576
const MAX_QUEUE_OCTETS = 1_073_741_824
/** What is read in one turn at the most. */
const TURN_OCTETS = 262_144
const TURN: Duration = ms(1)
/** How long the other end has to take the last of it when the node closes. */
const FAREWELL: Duration = ms(500)

/** @throws RangeError ERR_OUT_OF_RANGE — see `OctetPortOptions`. */
export function checkOctetPort({ mtu, queueOctets }: OctetPortOptions): void {
  if (mtu !== undefined) integer('mtu', mtu, 1, MAX_MTU)
  if (queueOctets !== undefined) integer('queueOctets', queueOctets, 1, MAX_QUEUE_OCTETS)
}

/** @throws TypeError ERR_INVALID_ARG_VALUE — its chunks are not octets. */
export function checkOctets({ readable, writable }: StreamPair): void {
  if (readable.readableObjectMode || writable.writableObjectMode || readable.readableEncoding !== null) {
    throw invalidValue('stream', 'a stream of octets, without encoding and object mode', 'another')
  }
}

export class OctetPort implements PhysicalService<'octets'> {
  readonly tier = 'physical'
  readonly medium = 'octets'
  readonly mtu: number
  readonly headroom = 0
  readonly tailroom = 0
  readonly offload: Offload = NO_OFFLOAD
  readonly boundary: Boundary<undefined, OctetDrop>
  private readonly env: Env
  private readonly queueOctets: number
  private readonly continuation: Timer
  private pair: StreamPair | null = null
  /** Told when the pair has ended, unless the node closes. */
  private ended: (() => void) | undefined
  private blocked = false
  private closed = false
  /** What was read, but not delivered in the turn it was read in. */
  private rest: Buffer | null = null

  constructor(env: Env, layer: string, { mtu, queueOctets }: OctetPortOptions) {
    this.env = env
    this.mtu = mtu ?? MAX_MTU
    this.queueOctets = queueOctets ?? DEFAULT_QUEUE_OCTETS
    this.boundary = env.boundary(layer, 'octets', REASONS)
    this.continuation = new Timer({ expire: () => this.read() })
    env.defer(() => this.close())
  }

  /** Takes over a stream; the port is up until it ends. @param ended then, unless the node closes. */
  adopt(pair: StreamPair, reason: string, ended?: () => void): void {
    const { readable, writable } = pair
    if (this.closed) {
      destroy(pair)
      return
    }
    this.pair = pair
    this.ended = ended
    // What a former stream still tells of itself is no concern of the one after it.
    const down = (reason: string): void => {
      if (this.pair === pair) this.hangUp(reason)
    }
    readable.on('readable', () => this.read())
    readable.on('end', () => down('the other end has closed it'))
    writable.on('drain', () => this.drained())
    for (const stream of new Set([readable, writable])) {
      stream.on('error', (error: Error) => down(error.message))
      stream.on('close', () => down('closed'))
    }
    this.boundary.linkChanged('up', reason)
  }

  send(packet: Packet): boolean {
    this.boundary.down(packet, undefined)
    const { pair } = this
    if (pair === null) {
      this.boundary.drop(packet, 'linkDown')
    } else if (packet.length > this.mtu) {
      this.boundary.drop(packet, 'tooLong')
    } else if (pair.writable.writableLength + packet.length > this.queueOctets) {
      this.blocked = true
      this.boundary.drop(packet, 'queueFull')
    } else {
      // Node keeps what it is given until it has been written, which may be after the slot is another packet's.
      const more = pair.writable.write(Buffer.from(packet.bytes()))
      if (!more && pair.writable.writableLength * 4 >= this.queueOctets) this.blocked = true
      packet.release()
    }
    return !this.blocked
  }

  private drained(): void {
    if (!this.blocked) return
    this.blocked = false
    this.boundary.ready()
  }

  private read(): void {
    const until = this.env.clock.now() + TURN
    let left = TURN_OCTETS
    while (this.pair !== null) {
      const chunk = this.rest ?? (this.pair.readable.read() as Buffer | null)
      if (chunk === null) return
      this.rest = null
      const octets = Math.min(chunk.length, this.mtu)
      if (octets < chunk.length) this.rest = chunk.subarray(octets)
      this.deliver(octets < chunk.length ? chunk.subarray(0, octets) : chunk)
      left -= octets
      if (left <= 0 || this.env.clock.now() >= until) {
        this.env.timers.arm(this.continuation, this.env.clock.now())
        return
      }
    }
  }

  private deliver(octets: Uint8Array): void {
    const packet = this.env.packet(0, octets.length)
    packet.append(octets)
    if (!this.boundary.up(packet, undefined, 0)) this.boundary.drop(packet, 'noUser')
  }

  hangUp(reason: string): void {
    const { pair, ended } = this
    if (pair === null) return
    this.release()
    destroy(pair)
    this.boundary.linkChanged('down', reason)
    this.drained()
    ended?.()
  }

  private release(): void {
    this.pair = null
    this.rest = null
    this.env.timers.cancel(this.continuation)
  }

  /** What was sent still goes out, if the other end takes it soon. */
  private async close(): Promise<void> {
    this.closed = true
    const { pair } = this
    if (pair === null) return
    this.release()
    if (!pair.writable.writableNeedDrain) await this.end(pair.writable)
    destroy(pair)
  }

  private end(writable: Writable): Promise<void> {
    const { timers, clock } = this.env
    return new Promise((resolve) => {
      const late = new Timer({ expire: () => resolve() })
      timers.arm(late, clock.now() + FAREWELL)
      writable.end(() => {
        timers.cancel(late)
        resolve()
      })
    })
  }
}

function destroy({ readable, writable }: StreamPair): void {
  writable.destroy()
  readable.destroy()
}
