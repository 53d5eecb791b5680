/**
 * Frames of the HDLC family: FCS-16 and octet stuffing together, over random octets, against the FCS alone as the package
 * `crc` computes it over the same octets; and the way back, unstuffing and checking.
 */
import crc16kermit from 'crc/calculators/crc16kermit'
import { type Framing, framing } from '../layers/datalink/framing/framing.ts'
import { ALL_CONTROLS } from '../layers/datalink/framing/octet-stuffing.ts'
import { NO_OFFLOAD, type PhysicalService } from '../layers/physical/service.ts'
import { Packet } from '../src/kernel/packet.ts'
import { Simulation } from '../src/runtime/simulation.ts'
import { alternate, type Bench, figure, type Subject } from './harness.ts'

/** An IP packet of 1500 octets behind the address, control and protocol fields of PPP. */
const OCTETS = 1504
const FRAMES = 500

/** Random, but the same in every run: a linear congruential generator's upper bits. */
let state = 1
const FRAME = Uint8Array.from({ length: OCTETS }, () => {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0
  return state >>> 24
})

export const hdlc: Bench = async (effort, tell) => {
  const rates = await alternate(
    { map0: stuffed(0), mapAll: stuffed(ALL_CONTROLS), back: unstuffed(), peer: crc() },
    effort,
  )
  const gate = { bench: 'hdlc', unit: 'MB/s', peer: 'FCS alone, crc' }
  tell(figure({ ...gate, target: 1, metric: 'FCS-16 + stuffing, map 0' }, rates.map0, rates.peer, effort))
  tell(figure({ ...gate, target: 1, metric: 'FCS-16 + stuffing, all controls' }, rates.mapAll, rates.peer, effort))
  tell(figure({ ...gate, target: 1, metric: 'unstuffing + FCS-16, map 0' }, rates.back, rates.peer, effort))
}

/** A line that keeps nothing, or, once, what it was given. */
class Line {
  readonly simulation = new Simulation()
  readonly framing: Framing
  keep: Packet | null = null
  keeps = false
  private below: PhysicalService<'octets'> | undefined

  constructor() {
    this.framing = this.simulation.boot('bench', (env) => {
      const boundary = env.boundary<undefined, 'never'>('line', 'octets', { never: '' })
      const send = (packet: Packet): boolean => {
        if (this.keeps) this.keep = packet
        else packet.release()
        return true
      }
      const room = { mtu: 65_000, headroom: 0, tailroom: 0, offload: NO_OFFLOAD }
      this.below = { tier: 'physical', medium: 'octets', ...room, boundary, send }
      return framing(this.below, env, { longest: OCTETS })
    }).top
  }

  send(): void {
    const packet = Packet.take(0, OCTETS + this.framing.tailroom)
    packet.append(FRAME)
    this.framing.send(packet, undefined)
  }

  arrive(run: Packet): void {
    this.below?.boundary.up(run.copy(0, 0), undefined, 0)
  }
}

function stuffed(map: number): Subject {
  const line = new Line()
  line.framing.escape(map, 0)
  return perSecond(
    () => line.send(),
    () => line.simulation.close(),
  )
}

function unstuffed(): Subject {
  const line = new Line()
  line.framing.escape(0, 0)
  line.keeps = true
  line.send()
  line.framing.boundary.attach({ receive: (packet) => packet.release() })
  return perSecond(
    () => line.arrive(line.keep as Packet),
    async () => {
      if (line.framing.boundary.rxPackets === 0) throw new Error('no frame arrived')
      await line.simulation.close()
    },
  )
}

function crc(): Subject {
  const octets = FRAME.slice()
  let sum = 0
  return perSecond(
    () => {
      sum ^= crc16kermit(octets, 0xffff)
    },
    async () => {
      if (Number.isNaN(sum)) throw new Error('no remainder')
    },
  )
}

function perSecond(work: () => void, close: () => Promise<unknown>): Subject {
  return {
    async measure(ms) {
      const started = performance.now()
      let frames = 0
      for (; performance.now() - started < ms; frames += FRAMES) for (let i = 0; i < FRAMES; i++) work()
      return (frames * OCTETS) / (performance.now() - started) / 1000
    },
    async close() {
      await close()
    },
  }
}
