/**
 * Flow control of full-duplex Ethernet (IEEE 802.3-2022 annex 31B): a station that cannot take more has its neighbour
 * stop for a while. It is stop and go, not a window, and reaches no farther than the next station.
 *
 *   01:80:c2:00:00:01 │ source │ 0x8808 │ opcode 0x0001 │ quanta of 512 bit times │ 42 octets of 0
 */
import type { Duration, Instant } from '../../../src/kernel/clock.ts'
import type { Env } from '../../../src/kernel/env.ts'
import { inRange } from '../../../src/kernel/errors.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import { Queue } from '../../../src/kernel/queue.ts'
import { Timer } from '../../../src/kernel/timers.ts'

/** The EtherType of MAC control frames, and the group that no bridge forwards. */
export const MAC_CONTROL = 0x8808
export const PAUSE_GROUP = 0x0180_c200_0001

const GIGABIT = 1e9
const OPCODE = 1
const PAUSE_OCTETS = 4
/** Of a whole one, padded to what an Ethernet carries at least. */
export const PAUSE_FRAME_OCTETS = 46
const QUANTUM_BITS = 512
const MOST_QUANTA = 0xffff
/** Frames that wait for the end of a pause before `send` returns false; twice as many before they are dropped. */
const HIGH = 64

/**
 * Whether PAUSE frames are sent and obeyed; as an object, the rate that a quantum is reckoned by, in bits per second;
 * default 1e9.
 */
export type PauseOption = boolean | { readonly rate: number }

/** Bits per second; 0 without PAUSE. @throws RangeError ERR_OUT_OF_RANGE — a rate outside 1 to 10^12. */
export function pauseRate(pause: PauseOption): number {
  return pause === false ? 0 : inRange('pause.rate', pause === true ? GIGABIT : pause.rate, 1, 1e12)
}

/** What sends for us. */
export interface PauseOwner {
  /** A frame that had to wait. Takes ownership. @returns false when the medium is full. */
  transmit(packet: Packet): boolean
  /** Sends a PAUSE frame. */
  sendPause(quanta: number): void
  /** Frames are taken again. */
  resumed(): void
}

/** How long we may not send, and how long the neighbour may not. */
export class Pause {
  private readonly env: Env
  private readonly owner: PauseOwner
  private readonly bitsPerSecond: number
  private readonly waiting = new Queue<Packet>(HIGH)
  private readonly sending: Timer
  private readonly receiving: Timer
  private until: Instant = 0
  /** Somebody above waits to be told. */
  private shut = false
  private holders = 0

  /** @param bitsPerSecond the rate a quantum is reckoned by. */
  constructor(env: Env, owner: PauseOwner, bitsPerSecond: number) {
    this.env = env
    this.owner = owner
    this.bitsPerSecond = bitsPerSecond
    this.sending = new Timer({ expire: () => this.resume() })
    this.receiving = new Timer({ expire: () => this.repeat() })
    env.defer(() => this.close())
  }

  /** We may not send. */
  get paused(): boolean {
    return this.until > this.env.clock.now() || this.waiting.length > 0
  }

  /** What has to wait. @returns whether it was taken; `open` then says whether more is. */
  push(packet: Packet): boolean {
    const taken = this.waiting.push(packet)
    if (!this.waiting.open) this.shut = true
    return taken
  }

  get open(): boolean {
    return this.waiting.open
  }

  /** The line below takes frames again, or a pause is over. @returns whether those above may send. */
  lineReady(): boolean {
    this.shut = this.until > this.env.clock.now() || !this.flush()
    return !this.shut
  }

  /** A MAC control frame, from behind its type. @returns whether it was a PAUSE. */
  input(packet: Packet): boolean {
    const quanta = quantaOf(packet)
    if (quanta < 0) return false
    const { clock, timers } = this.env
    this.until = clock.now() + this.durationOf(quanta)
    timers.arm(this.sending, this.until)
    return true
  }

  /** Has the neighbour stop, again and again, until all who asked for it have let go. @returns what lets go. */
  hold(): () => void {
    if (this.holders++ === 0) this.repeat()
    let holds = true
    return () => {
      if (holds && --this.holders === 0) this.release()
      holds = false
    }
  }

  private release(): void {
    if (!this.receiving.armed) return // Closed.
    this.env.timers.cancel(this.receiving)
    this.owner.sendPause(0)
  }

  private repeat(): void {
    this.owner.sendPause(MOST_QUANTA)
    const { clock, timers } = this.env
    timers.arm(this.receiving, clock.now() + Math.max(1, this.durationOf(MOST_QUANTA >> 1)))
  }

  private resume(): void {
    if (!this.shut) this.flush()
    else if (this.lineReady()) this.owner.resumed()
  }

  /** Sends what had to wait, as far as the line takes it. @returns whether it takes more. */
  private flush(): boolean {
    for (let packet = this.waiting.shift(); packet !== undefined; packet = this.waiting.shift()) {
      if (!this.owner.transmit(packet)) return false
    }
    return true
  }

  private durationOf(quanta: number): Duration {
    return Math.ceil((quanta * QUANTUM_BITS * 1e6) / this.bitsPerSecond)
  }

  private close(): void {
    this.env.timers.cancel(this.sending)
    this.env.timers.cancel(this.receiving)
    for (let packet = this.waiting.shift(); packet !== undefined; packet = this.waiting.shift()) packet.release()
  }
}

/**
 * How long a MAC control frame, from behind its type, has its receiver stop; 0: not at all any more; -1: it is no
 * PAUSE.
 */
export function quantaOf({ length, view, start }: Packet): number {
  return length < PAUSE_OCTETS || view.getUint16(start) !== OPCODE ? -1 : view.getUint16(start + 2)
}

/** Puts the body of a PAUSE frame into an empty packet, padded to the least payload. */
export function putPause(packet: Packet, quanta: number): void {
  const at = packet.put(PAUSE_FRAME_OCTETS)
  packet.octets.fill(0, at, packet.end)
  packet.view.setUint16(at, OPCODE)
  packet.view.setUint16(at + 2, quanta)
}
