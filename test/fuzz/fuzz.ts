/** One run: nodes, decoders and corners, and what must hold of it. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Simulation, seconds } from '../../src/index.ts'
import { packetsInUse, poisonReleased } from '../../src/kernel/packet.ts'
import { slab } from '../../src/kernel/slab.ts'
import { corners, interceptFlood } from './corners.ts'
import { fuzzDecoders, type Outcome } from './decoders.ts'
import { excesses, type Harassment, harass, newHarassment } from './harass.ts'
import { linkCorners } from './link-corners.ts'
import { noisyLinks } from './noisy-links.ts'
import { chance, hostTarget, routerTarget, type Target, type Transfer, tapTarget, tunTarget } from './stand.ts'
import { type Line, Tally } from './tally.ts'

export interface FuzzOptions {
  readonly seed: number
  /** Mutated frames into the host; a tenth of them into each of the other nodes. */
  readonly frames: number
  /** Inputs into each decoder. */
  readonly inputs: number
  /** Called now and then, so that somebody may watch for an endless loop. */
  readonly beat?: () => void
}

export interface Check {
  readonly name: string
  readonly passed: boolean
  readonly detail: string
  /** It says that a reason was reached, which takes many frames. */
  readonly reach: boolean
}

export interface Report {
  readonly harassment: Harassment
  readonly decoders: readonly Outcome[]
  readonly lines: readonly Line[]
  readonly checks: readonly Check[]
}

/**
 * The vnet port is a double of the test's own; the device's own port is among the corners. LAPB's user, which is IP, is never
 * slow. And nobody lets 400 MB wait here.
 */
const UNREACHABLE: ReadonlySet<string> = new Set(['vnet', 'lapb busy', 'tcp memoryFull'])

/** Octets by which the heap may have grown between the first tenth and the end. */
const HEAP_GROWTH = 24 * 1_048_576

export async function fuzz(options: FuzzOptions): Promise<Report> {
  // Whoever reads a packet after its life has ended shall find out.
  poisonReleased(true)
  try {
    return await run(options)
  } finally {
    poisonReleased(false)
  }
}

async function run(options: FuzzOptions): Promise<Report> {
  const checks: Check[] = []
  const check = (name: string, passed: boolean, detail = ''): void => {
    checks.push({ name, passed, detail, reach: false })
  }
  const tally = new Tally()
  const harassment = newHarassment()
  let decoders: Outcome[] = []
  const stages: [string, () => Promise<void>][] = [
    ['nodes', () => nodes(options, tally, harassment, check)],
    ['corners', () => corners(tally, options.seed)],
    ['links', () => links(options, tally)],
    [
      'decoders',
      async () => {
        decoders = fuzzDecoders(options.seed, options.inputs, options.beat)
      },
    ],
  ]
  for (const [name, stage] of stages) {
    const packets = packetsInUse()
    const chunks = slab().chunksInUse
    const error = await failureOf(stage)
    check(`${name}: nothing is thrown`, error === undefined, error)
    check(`${name}: every packet came back`, packetsInUse() === packets, `${packetsInUse() - packets} are missing`)
    check(`${name}: every chunk came back`, slab().chunksInUse === chunks, `${slab().chunksInUse - chunks} are missing`)
  }
  const repaired = harassment.repaired / harassment.mutated
  check('half of the mutated frames have good checksums', repaired >= 0.5, `${(100 * repaired).toFixed(0)} %`)
  const lines = tally.lines()
  for (const { layer, reason, count } of lines) {
    if (!UNREACHABLE.has(layer) && !UNREACHABLE.has(`${layer} ${reason}`))
      checks.push({ name: `${layer} ${reason}`, passed: count > 0, detail: '', reach: true })
  }
  return { harassment, decoders, lines, checks: checks.map(withoutDetailOfSuccess) }
}

/** Each takes far longer than an input into a decoder: it is a frame among others, on the way through two nodes. */
const INPUTS_A_FRAME = 10

async function links({ seed, inputs, beat }: FuzzOptions, tally: Tally): Promise<void> {
  await linkCorners(tally)
  await noisyLinks(tally, seed, inputs / INPUTS_A_FRAME, beat)
}

const withoutDetailOfSuccess = (check: Check): Check => (check.passed ? { ...check, detail: '' } : check)

async function failureOf(stage: () => Promise<void>): Promise<string | undefined> {
  try {
    await stage()
    return undefined
  } catch (error) {
    return error instanceof Error ? (error.stack ?? error.message) : String(error)
  }
}

async function nodes(
  { seed, frames, beat }: FuzzOptions,
  tally: Tally,
  harassment: Harassment,
  check: (name: string, passed: boolean, detail?: string) => void,
): Promise<void> {
  const sim = new Simulation({ seed })
  const { target: host, transfer } = hostTarget(sim, seed)
  const others = [routerTarget(sim, seed), tunTarget(sim, seed), tapTarget(sim, seed)]
  for (const node of sim.nodes.values()) tally.add(node.boundaries)
  // Whoever guesses the ports of a SYN that is under way can answer it: only after the handshake is a guess hopeless.
  await sim.runUntil(() => transfer.received > 0, seconds(10))
  const tenth = Math.ceil(frames / 10)
  const part = (target: Target, name: string, count: number) =>
    harass(sim, target, count, chance(seed, `${target.name} ${name}`), harassment, beat)
  await part(host, 'first', tenth)
  for (const target of others) await part(target, 'first', Math.ceil(tenth / 2))
  const before = heapUsed()
  await part(host, 'second', frames - tenth)
  for (const target of others) await part(target, 'second', Math.floor(tenth / 2))
  await interceptFlood(sim, host)
  const grown = heapUsed() - before
  check('memory stays bounded', grown < HEAP_GROWTH, `the heap has grown by ${grown} octets`)
  const beyond = excesses(harassment)
  check('everything keeps to its bound', beyond.length === 0, beyond.join('; '))
  await finish(sim, [host, ...others], transfer, check)
}

async function finish(
  sim: Simulation,
  targets: readonly Target[],
  transfer: Transfer,
  check: (name: string, passed: boolean, detail?: string) => void,
): Promise<void> {
  transfer.close()
  await sim.runUntil(() => transfer.over, seconds(3600))
  check('the transfer beside it ended well', transfer.over && transfer.failure === null, String(transfer.failure))
  check('the transfer beside it is intact', transfer.intact(), `${transfer.received} of ${transfer.sent} octets`)
  for (const { application } of targets) {
    application.finish()
    application.stopIntercepting()
  }
  await sim.run(seconds(1200))
  const left = targets.flatMap(({ name, node }) =>
    [...node.top.stream.list()]
      .filter(({ state }) => state !== 'LISTEN')
      .map(({ state, local, remote }) => `${name} ${state} ${local.port} with ${remote?.address}:${remote?.port}`),
  )
  check('no connection outlives its application', left.length === 0, left.join(', '))
  await sim.close()
  check('no timer is left behind', sim.timers.size === 0, `${sim.timers.size} timers`)
}

let collect: (() => void) | undefined

/** Octets of the heap that are reachable. */
function heapUsed(): number {
  setFlagsFromString('--expose-gc')
  collect ??= runInNewContext('gc') as () => void
  collect()
  return process.memoryUsage().heapUsed
}
