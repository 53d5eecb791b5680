/**
 * Packets to ourselves. They pass no link, but they wait in a queue like on one, for a later turn, so that `send` never
 * calls back into its caller; and they are taken out in batches, so that a chatty pair does not keep others from theirs.
 */
import type { Instant } from '../../src/kernel/clock.ts'
import type { Env } from '../../src/kernel/env.ts'
import type { Packet } from '../../src/kernel/packet.ts'
import { Queue } from '../../src/kernel/queue.ts'
import { Timer } from '../../src/kernel/timers.ts'

/** Packets of 64 KB each may wait here. */
const HIGH = 256
const LIMIT = 1024
/** Packets delivered in one turn. */
const BATCH = 64

/** Who takes what comes back. */
export interface LocalReceiver {
  /** Takes ownership. */
  receiveLocal(packet: Packet): void
  /** The queue has room again after it was full. */
  ready(): void
}

export class LocalDelivery {
  private readonly env: Env
  private readonly receiver: LocalReceiver
  private readonly queue = new Queue<Packet>(HIGH, LIMIT)
  private readonly timer: Timer

  constructor(env: Env, receiver: LocalReceiver) {
    this.env = env
    this.receiver = receiver
    this.timer = new Timer(this)
  }

  /** The sender may go on. */
  get open(): boolean {
    return this.queue.open
  }

  /** @returns false when the queue is at its limit: the packet was not taken. */
  push(packet: Packet): boolean {
    if (!this.queue.push(packet)) return false
    if (!this.timer.armed) this.env.timers.arm(this.timer, this.env.clock.now())
    return true
  }

  /** The later turn has come. Not to be called by others. */
  expire(now: Instant): void {
    try {
      for (let i = 0; i < BATCH; i++) {
        const packet = this.queue.shift()
        if (packet === undefined) break
        this.receiver.receiveLocal(packet)
      }
    } finally {
      // Also when a handler of the application throws: others have packets here too.
      if (this.queue.length > 0 && !this.timer.armed) this.env.timers.arm(this.timer, now)
      if (this.queue.drained()) this.receiver.ready()
    }
  }

  close(): void {
    this.env.timers.cancel(this.timer)
    for (let packet = this.queue.shift(); packet !== undefined; packet = this.queue.shift()) packet.release()
  }
}
