/** Two machines of the HDLC family on a wire in virtual time that loses, repeats and spoils; and users who read as they like. */
import {
  type Frame,
  Frame as FrameScratch,
  pullControl,
  pushControl,
} from '../../../../layers/datalink/hdlc/abm/control.ts'
import type { AbmEvent } from '../../../../layers/datalink/hdlc/abm/event.ts'
import type { AbmDrop } from '../../../../layers/datalink/hdlc/abm/journal.ts'
import { Abm } from '../../../../layers/datalink/hdlc/abm/machine.ts'
import type { AbmOptions, Variant } from '../../../../layers/datalink/hdlc/abm/variant.ts'
import { Packet } from '../../../../src/kernel/packet.ts'
import { fraction, SeededRandom } from '../../../../src/kernel/random.ts'

/** A machine, what it told, and what its user got. */
export class Station {
  readonly abm: Abm
  readonly events: AbmEvent[] = []
  readonly drops: Map<AbmDrop, number> = new Map()
  readonly notes: string[] = []
  readonly got: number[] = []
  offered = 0

  constructor(variant: Variant, options: AbmOptions) {
    this.abm = new Abm(variant, options, true, {
      drop: (packet, reason) => {
        this.count(reason)
        packet.release()
      },
      count: (reason) => this.count(reason),
      note: (_packet, event, reason) => this.notes.push(`${event} ${reason}`),
    })
  }

  /** Offers numbers, as packets of `octets`, until `limit` or until it is full. */
  offer(limit: number, octets = 4): void {
    for (; this.offered < limit && this.abm.open; this.offered++) {
      const packet = Packet.take(8, octets)
      packet.view.setUint32(packet.put(octets), this.offered)
      this.abm.offer(packet)
    }
  }

  /** Reads up to `count` packets. */
  read(count: number): void {
    for (let i = 0; i < count; i++) {
      const packet = this.abm.take()
      if (packet === undefined) break
      this.got.push(packet.view.getUint32(packet.start))
      packet.release()
    }
    for (let event = this.abm.event(); event !== undefined; event = this.abm.event()) this.events.push(event)
  }

  private count(reason: AbmDrop): void {
    this.drops.set(reason, (this.drops.get(reason) ?? 0) + 1)
  }
}

/** A frame as it is on the wire: command or response, and its octets from the control field on. */
export interface WireFrame {
  readonly command: boolean
  readonly octets: Uint8Array
}

/** The next frame a machine sends. */
export function outputOf(abm: Abm, now: number): WireFrame | undefined {
  const frame: Frame = new FrameScratch()
  if (!abm.output(now, frame)) return undefined
  const { sdu, info } = abm
  const packet = Packet.take(8, 2100)
  if (sdu !== null) packet.append(sdu.bytes())
  else if (info !== null) packet.append(info)
  pushControl(packet, abm.modulus, frame)
  const octets = packet.bytes().slice()
  packet.release()
  return { command: frame.command, octets }
}

/** A frame arrives. */
export function inputTo(abm: Abm, { command, octets }: WireFrame, now: number): void {
  const frame = new FrameScratch()
  const packet = Packet.take(8, octets.length)
  packet.append(octets)
  frame.command = command
  const fault = pullControl(packet, abm.modulus, frame)
  if (fault === undefined) {
    abm.input(frame, packet, now)
    return
  }
  packet.release()
  if (fault === 'badControl') abm.inputUnknown(frame, now)
}

export interface LineOptions {
  readonly seed: number
  /** Of frames: lost, or spoilt so that the FCS finds it; arriving twice. 0 to 1. */
  readonly loss?: number
  readonly duplication?: number
  /** Probability that a user reads at a step, and how many packets at most. */
  readonly reading?: number
  readonly batch?: number
  /** Microseconds a frame is under way, and what is added at random without reordering. */
  readonly delay?: number
  readonly jitter?: number
  /** Frames a machine may send at a step; the line takes no more. */
  readonly rate?: number
  /** Called at each step. */
  readonly meddle?: (step: number, now: number, stations: readonly [Station, Station], random: () => number) => void
}

/** Runs both until each has got `count` numbers, or `done` says so. @returns the time it took, or -1: a stall. */
export function converse(
  stations: readonly [Station, Station],
  count: number,
  options: LineOptions,
  done?: () => boolean,
): number {
  const {
    loss = 0,
    duplication = 0,
    reading = 1,
    batch = 1000,
    delay = 1000,
    jitter = 3000,
    rate = 1000,
    meddle,
  } = options
  const generator = new SeededRandom([options.seed | 0, 1, 2, 3])
  const random = (): number => fraction(generator)
  const wire: { at: number; to: 0 | 1; frame: WireFrame }[] = []
  const last = [0, 0]
  let now = 0
  for (let step = 0; step < 400_000; step++) {
    meddle?.(step, now, stations, random)
    for (const i of [0, 1] as const) {
      const station = stations[i]
      station.offer(count)
      if (random() < reading) station.read(batch)
      for (let n = 0; n < rate; n++) {
        const frame = outputOf(station.abm, now)
        if (frame === undefined) break
        last[i] = Math.max(last[i] as number, now + delay + Math.floor(random() * jitter))
        const copies = random() < loss ? 0 : random() < duplication ? 2 : 1
        for (let copy = 0; copy < copies; copy++) wire.push({ at: last[i] as number, to: i === 0 ? 1 : 0, frame })
      }
    }
    if (done === undefined ? stations.every(({ got }) => got.length >= count) : done()) return now
    wire.sort((a, b) => a.at - b.at)
    const next = Math.min(
      wire[0]?.at ?? Number.POSITIVE_INFINITY,
      ...stations.map(({ abm }) => abm.deadline),
      now + 1000,
    )
    now = Math.max(now, next)
    for (const { abm } of stations) if (abm.deadline <= now) abm.expire(now)
    while (wire.length > 0 && (wire[0]?.at ?? 0) <= now) {
      const arrival = wire.shift()
      if (arrival !== undefined) inputTo(stations[arrival.to].abm, arrival.frame, now)
    }
  }
  return -1
}

/** Releases what is left in both. */
export function closeAll(stations: readonly Station[]): void {
  for (const { abm } of stations) abm.clear()
}
