/** The main part of a run: frames by the million into booted nodes, while time passes and applications do their work. */

import { ms, type Simulation, seconds } from '../../src/index.ts'
import { packetsInUse } from '../../src/kernel/packet.ts'
import { below, type Random } from '../../src/kernel/random.ts'
import { slab } from '../../src/kernel/slab.ts'
import { repair, withFcs } from './frames.ts'
import { LIMITS, type Target } from './stand.ts'

export interface Harassment {
  /** Frames that were mutated. */
  mutated: number
  /** Of those: with every checksum made right. */
  repaired: number
  /** Good ones, which bring the nodes into states worth harassing. */
  good: number
  /** The most of each seen at once. */
  readonly most: {
    packets: number
    chunks: number
    timers: number
    connections: number
    timeWait: number
    neighbours: number
  }
}

const LOOK_EVERY = 64

export function newHarassment(): Harassment {
  const most = { packets: 0, chunks: 0, timers: 0, connections: 0, timeWait: 0, neighbours: 0 }
  return { mutated: 0, repaired: 0, good: 0, most }
}

/** Sends `frames` mutated frames into the target. @throws what the node throws: nothing should. */
export async function harass(
  sim: Simulation,
  target: Target,
  frames: number,
  random: Random,
  totals: Harassment,
  beat: () => void = () => {},
): Promise<void> {
  const end = totals.mutated + frames
  for (let round = 0; totals.mutated < end; round++) {
    for (let batch = 1 + below(random, 48); batch > 0 && totals.mutated < end; batch--) one(target, random, totals)
    beat()
    if (below(random, 3) === 0) target.application.poke()
    await sim.run(pause(random))
    for (const answer of target.peer.takeAnswers()) if (below(random, 8) !== 0) good(target, answer, totals)
    if (round % LOOK_EVERY === 0) look(sim, target, totals)
  }
}

function one(target: Target, random: Random, totals: Harassment): void {
  for (const frame of target.peer.next()) {
    if (below(random, 4) === 0) good(target, frame, totals)
    else bad(target, frame, random, totals)
  }
}

function good(target: Target, frame: Uint8Array, totals: Harassment): void {
  totals.good++
  repair(frame, target.framing)
  target.inject(target.fcs ? withFcs(frame) : frame)
}

function bad(target: Target, frame: Uint8Array, random: Random, totals: Harassment): void {
  totals.mutated++
  repair(frame, target.framing)
  const mutant = target.mutator.mutate(frame, target.framing)
  const whole = below(random, 8) < 5
  if (whole) {
    totals.repaired++
    repair(mutant, target.framing)
  }
  target.inject(target.fcs && (whole || below(random, 4) !== 0) ? withFcs(mutant) : mutant)
}

/** Mostly short, so that handshakes proceed; at times long enough for every timer there is. */
function pause(random: Random): number {
  const choice = below(random, 1000)
  if (choice < 700) return below(random, ms(2))
  if (choice < 985) return below(random, ms(60))
  return choice < 999 ? below(random, seconds(2)) : below(random, seconds(90))
}

function look(sim: Simulation, target: Target, { most }: Harassment): void {
  let connections = 0
  let timeWait = 0
  for (const { state } of target.node.top.stream.list()) {
    if (state === 'TIME-WAIT') timeWait++
    else if (state !== 'LISTEN') connections++
  }
  const neighbours = target.node.top.network.neighbours().length
  most.packets = Math.max(most.packets, packetsInUse())
  most.chunks = Math.max(most.chunks, slab().chunksInUse)
  most.timers = Math.max(most.timers, sim.timers.size)
  most.connections = Math.max(most.connections, connections)
  most.timeWait = Math.max(most.timeWait, timeWait)
  most.neighbours = Math.max(most.neighbours, neighbours)
}

/** What is beyond its bound, in words. */
export function excesses({ most }: Harassment): string[] {
  const bounds = {
    packets: 12_000,
    chunks: 20_000,
    timers: 2000,
    connections: LIMITS.connections,
    timeWait: LIMITS.timeWait,
    neighbours: 2 * LIMITS.neighbours,
  }
  return (Object.keys(bounds) as (keyof typeof bounds)[])
    .filter((name) => most[name] > bounds[name])
    .map((name) => `${most[name]} ${name}, bound ${bounds[name]}`)
}
