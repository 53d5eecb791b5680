/**
 * Fifty hosts at ten routers, and a hundred transfers while the network is cut in two: as a program of its own, so that
 * two processes can be compared. `tsx test/simulation/backbone.ts SEED` prints one line of JSON.
 *
 *   R0 ── R1 ── R2 ── R3 ── R4        a ring of ten with five chords; five hosts at each
 *   │ ╳ chords Ri ── Ri+5 ╳ │        the cut keeps R0…R4 from R5…R9
 *   R9 ── R8 ── R7 ── R6 ── R5
 */
import { pathToFileURL } from 'node:url'
import { ms, seconds } from '../../src/index.ts'
import { leakCheck, network, type TestLink } from '../../src/testing.ts'
import { hashServer, octetsOf, type Transfer, transfer } from './world.ts'

const ROUTERS = 10
const HOSTS = 50
const TRANSFERS = 100
const OCTETS = 262_144
const PORT = 7000
const CUT_AT = ms(120)
const CUT_FOR = seconds(20)
/** What was beyond the cut already has arrived after this. */
const UNDER_WAY = ms(50)
const LIMIT = seconds(1200)

export interface BackboneRun {
  readonly seed: number
  /** Of the trace: every packet at every boundary. */
  readonly fingerprint: string
  readonly packets: number
  readonly transfers: number
  readonly complete: number
  readonly intact: number
  readonly errors: readonly string[]
  /** Transfers between the two halves that the cut interrupted, and how many of them ended during it. */
  readonly cut: number
  readonly endedWhileCut: number
  readonly lost: number
  readonly octets: number
  readonly virtualUs: number
  readonly realMs: number
  readonly leaks: readonly string[]
}

const router = (i: number): string => `R${i % ROUTERS}`
const host = (i: number): string => `H${i}`
/** Which half a host is in. */
const half = (i: number): number => (i % ROUTERS < ROUTERS / 2 ? 0 : 1)

function links(): TestLink[] {
  const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i)
  const trunk = { rate: 1_000_000_000, delay: ms(2), loss: 0.01, queue: 2048 }
  return [
    ...range(ROUTERS).map((i) => ({ between: [router(i), router(i + 1)], ...trunk })),
    ...range(ROUTERS / 2).map((i) => ({ between: [router(i), router(i + ROUTERS / 2)], name: `chord ${i}`, ...trunk })),
    ...range(HOSTS).map((i) => ({ between: [host(i), router(i)], rate: 100_000_000, delay: ms(1), loss: 0.01 })),
  ]
}

export async function backbone(seed: number): Promise<BackboneRun> {
  const started = performance.now()
  const names = (n: number, name: (i: number) => string) =>
    Object.fromEntries(Array.from({ length: n }, (_, i) => [name(i), {}]))
  const net = network({ seed, hosts: names(HOSTS, host), routers: names(ROUTERS, router), links: links() })
  const { sim, nodes } = net
  const leaks = leakCheck(sim)
  const fingerprint = sim.fingerprint()
  for (let i = 0; i < HOSTS; i++) hashServer(nodes[host(i)] as (typeof nodes)[string], PORT)
  const crossing: Transfer[] = []
  const all = Array.from({ length: TRANSFERS }, (_, i) => {
    const from = i % HOSTS
    // The first fifty stay on their side or not, as it comes; the others all go to the other one.
    const to = i < HOSTS ? (from * 7 + 3) % HOSTS : (from + ROUTERS / 2) % HOSTS
    const node = nodes[host(from)] as (typeof nodes)[string]
    const started = transfer(sim, node, net.address(host(to)), PORT, octetsOf(seed * 1000 + i, OCTETS))
    if (half(from) !== half(to)) crossing.push(started)
    return started
  })
  await sim.run(CUT_AT)
  const sides = [0, ROUTERS / 2].map((first) => Array.from({ length: ROUTERS / 2 }, (_, i) => router(first + i)))
  const partition = sim.partition(sides[0] as string[], sides[1] as string[])
  await sim.run(UNDER_WAY)
  const underWay = crossing.filter(({ doneAt }) => doneAt === undefined)
  await sim.run(CUT_FOR - UNDER_WAY)
  const endedWhileCut = underWay.filter(({ doneAt }) => doneAt !== undefined).length
  partition.heal()
  await sim.runUntil(() => all.every(({ doneAt, error }) => doneAt !== undefined || error !== undefined), LIMIT)
  const virtualUs = sim.now()
  let lost = 0
  for (const node of sim.nodes.values()) for (const { drops } of node.snapshot()) lost += drops.loss ?? 0
  await net.close()
  return {
    seed,
    fingerprint: fingerprint.value,
    packets: fingerprint.packets,
    transfers: all.length,
    complete: all.filter(({ doneAt }) => doneAt !== undefined).length,
    intact: all.filter(({ intact }) => intact).length,
    errors: all.flatMap(({ error }) => (error === undefined ? [] : [error.code ?? error.message])),
    cut: underWay.length,
    endedWhileCut,
    lost,
    octets: TRANSFERS * OCTETS,
    virtualUs,
    realMs: Math.round(performance.now() - started),
    leaks: leaks.list(),
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  console.log(JSON.stringify(await backbone(Number(process.argv[2] ?? 1))))
}
