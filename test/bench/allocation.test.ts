/**
 * Nothing is allocated per packet: what the heap grows by over 200,000 packets is bounded. The bounds leave room for what
 * a batch takes (turns of the event loop, queues that grow) and for numbers past 31 bits, which V8 boxes at 16 octets
 * each; a closure, a promise or a view per packet (at least 32, 64 and 96 octets) goes beyond them. How many fields hold
 * boxed numbers differs by one or two from process to process, with what the compiler has seen first; what the code
 * itself allocates is the same in each. So a figure beyond the bound must show in every one of a few processes.
 */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { LOADER } from '../tools/running.ts'

const run = promisify(execFile)
const HALF_SPACE_MB = 128
const TRIES = 4

/** @returns octets of the heap per packet. */
async function measured(what: string): Promise<number> {
  const space = [`--min-semi-space-size=${HALF_SPACE_MB}`, `--max-semi-space-size=${HALF_SPACE_MB}`]
  const file = fileURLToPath(new URL('allocation.ts', import.meta.url))
  const { stdout } = await run(process.execPath, ['--expose-gc', ...space, LOADER, file, what])
  return Number(stdout)
}

const BOUNDS = { forward: 32, udp: 56, tcp: 92 }

for (const [what, bound] of Object.entries(BOUNDS)) {
  t.test(`${what} allocates nothing per packet`, async (t) => {
    let octets = Number.POSITIVE_INFINITY
    for (let i = 0; i < TRIES && octets >= bound; i++) octets = Math.min(octets, await measured(what))
    t.comment(`${octets.toFixed(1)} octets a packet`)
    t.ok(octets < bound, `${octets.toFixed(1)} octets a packet are less than ${bound}`)
  })
}
