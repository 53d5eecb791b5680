/** The whole network of `backbone.ts`, in three processes: two of one seed, one of another. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { LOADER } from '../tools/running.ts'
import type { BackboneRun } from './backbone.ts'

const PROGRAM = fileURLToPath(new URL('backbone.ts', import.meta.url))

async function inProcess(seed: number): Promise<BackboneRun> {
  const { stdout } = await promisify(execFile)(process.execPath, [LOADER, PROGRAM, String(seed)])
  return JSON.parse(stdout) as BackboneRun
}

t.test('a hundred transfers through a partition: all complete, byte-exact, one seed one trace', async (t) => {
  const [first, again, other] = await Promise.all([inProcess(1), inProcess(1), inProcess(2)])
  for (const run of [first, other]) {
    t.same(run.errors, [])
    t.equal(run.transfers, 100)
    t.equal(run.complete, 100)
    t.equal(run.intact, 100, 'by hash, over every octet of every transfer')
    t.ok(run.cut >= 20, `${run.cut} transfers were cut`)
    t.equal(run.endedWhileCut, 0, 'and none of them ended before the partition did')
    t.ok(run.lost > 500, `${run.lost} packets were lost`)
    t.same(run.leaks, [])
  }
  t.equal(again.fingerprint, first.fingerprint)
  t.equal(again.packets, first.packets)
  t.equal(again.virtualUs, first.virtualUs)
  t.not(other.fingerprint, first.fingerprint)
})
