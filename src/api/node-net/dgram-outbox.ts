/** Datagrams that were handed to a network that was full at the time: how many, and whom to tell when it has room. */
import type { SendCallback } from './dgram-arguments.ts'

export class Outbox {
  /** The network said so, and has not said otherwise since. */
  full = false
  count = 0
  octets = 0
  private waiting: { readonly callback: SendCallback; readonly octets: number }[] = []

  /** One datagram was handed over: tells its sender on the next tick, or when there is room again. */
  sent(callback: SendCallback | undefined, octets: number): void {
    if (!this.full) {
      if (callback !== undefined) process.nextTick(callback, null, octets)
      return
    }
    this.count++
    this.octets += octets
    if (callback !== undefined) this.waiting.push({ callback, octets })
  }

  /** There is room, or the socket is closed: tells everyone. */
  empty(): void {
    const told = this.waiting
    this.full = false
    this.count = this.octets = 0
    this.waiting = []
    for (const { callback, octets } of told) process.nextTick(callback, null, octets)
  }
}
