/** Framing over a medium that is a double: it keeps what is sent as one run of octets, and hands up what it is told to. */
import { type Framing, type FramingOptions, framing } from '../../../../layers/datalink/framing/framing.ts'
import { NO_OFFLOAD, type PhysicalService } from '../../../../layers/physical/service.ts'
import { Packet } from '../../../../src/kernel/packet.ts'
import { Simulation } from '../../../../src/runtime/simulation.ts'

export interface FramedLine {
  readonly framing: Framing
  /** What was sent, since it was asked for last. */
  line(): Uint8Array
  /** Sizes of the packets it came in. */
  readonly runs: number[]
  send(frame: Uint8Array): void
  /** Octets arrive, cut into chunks of these sizes by turns. */
  arrive(octets: Uint8Array, sizes?: readonly number[]): void
  /** Frames that were received, without FCS. */
  readonly frames: Uint8Array[]
  drops(): Record<string, number>
  close(): Promise<void>
}

export function framedLine(
  options: FramingOptions,
  medium: 'octets' | 'frames' = 'octets',
  { mtu = 65_000 }: { mtu?: number } = {},
): FramedLine {
  const sim = new Simulation({ seed: 3 })
  let sent: number[] = []
  const runs: number[] = []
  const frames: Uint8Array[] = []
  let below: PhysicalService<'octets' | 'frames'> | undefined
  const node = sim.boot('A', (env) => {
    const boundary = env.boundary<undefined, 'never'>('double', 'octets', { never: '' })
    below = {
      tier: 'physical',
      medium,
      mtu,
      headroom: 3,
      tailroom: 2,
      offload: NO_OFFLOAD,
      boundary,
      send(packet: Packet) {
        boundary.down(packet, undefined)
        runs.push(packet.length)
        for (const octet of packet.bytes()) sent.push(octet)
        packet.release()
        return true
      },
    }
    return framing(below, env, options)
  })
  const { top } = node
  top.boundary.attach({
    receive(packet) {
      top.removeFcs(packet)
      frames.push(packet.bytes().slice())
      packet.release()
    },
  })
  return {
    framing: top,
    runs,
    frames,
    line() {
      const octets = Uint8Array.from(sent)
      sent = []
      return octets
    },
    send(frame) {
      const packet = Packet.take(top.headroom, frame.length + top.tailroom)
      packet.append(frame)
      top.send(packet, undefined)
    },
    arrive(octets, sizes = [octets.length]) {
      for (let at = 0, turn = 0; at < octets.length; turn++) {
        const size = Math.max(1, sizes[turn % sizes.length] ?? 1)
        const chunk = octets.subarray(at, at + size)
        const packet = Packet.take(0, chunk.length)
        packet.append(chunk)
        below?.boundary.up(packet, undefined, 0)
        at += size
      }
    },
    drops: () => Object.fromEntries([...top.boundary.drops].filter(([, count]) => count > 0)),
    close: () => sim.close(),
  }
}
