/**
 * `npm run node-tests -- DIR [NAME…] [--json FILE]`: the tests of Node itself, each unchanged, over a node's sockets.
 *
 * DIR          a checkout of Node's source, of the version that runs this.
 * NAME…        tests whose file names begin so; default: test-net- test-dgram-
 * --json FILE  what became of each, and what it said.
 *
 * Each runs first on Node's own sockets: one that fails there says nothing of ours and is left out.
 * Exit codes: 0 all pass but the known ones, and these do not; 1 otherwise; 2 usage.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { known } from './known.ts'
import { bundlePreload, findTests, type Run, runTest } from './suite.ts'

const USAGE = 'usage: npm run node-tests -- DIR [NAME…] [--json FILE]'

type Outcome = 'passes' | 'fails' | 'known' | 'passes though known' | 'left out'

interface Verdict {
  readonly name: string
  readonly outcome: Outcome
  readonly said: string
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({ options: { json: { type: 'string' } }, allowPositionals: true })
  const [folder, ...names] = positionals
  if (folder === undefined) throw new Error('no folder named')
  const files = findTests(folder, names.length > 0 ? names : ['test-net-', 'test-dgram-'])
  if (files.length === 0) throw new Error(`no such tests in ${folder}`)
  const scratch = mkdtempSync(join(tmpdir(), 'netstrata-node-tests-'))
  try {
    const preload = bundlePreload(scratch)
    const verdicts: Verdict[] = []
    const waiting = [...files]
    const worker = async (id: number): Promise<void> => {
      for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
        const verdict = await judge(file, { preload, scratch, id })
        verdicts.push(verdict)
        if (verdict.outcome !== 'passes') console.log(`${verdict.outcome.padEnd(20)}${verdict.name}`)
      }
    }
    await Promise.all(Array.from({ length: availableParallelism() }, (_, id) => worker(id)))
    if (values.json !== undefined) writeFileSync(values.json, JSON.stringify(verdicts, undefined, 1))
    return summary(verdicts)
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

async function judge(file: string, run: Run): Promise<Verdict> {
  const name = file.slice(file.lastIndexOf('/') + 1)
  const theirs = await runTest(file, 'host', run)
  if (!theirs.passed) return { name, outcome: 'left out', said: theirs.said }
  const ours = await runTest(file, 'ours', run)
  const expected = known(name)
  if (!ours.passed) return { name, outcome: expected === undefined ? 'fails' : 'known', said: ours.said }
  const fine = expected === undefined || expected.mayPass
  return { name, outcome: fine ? 'passes' : 'passes though known', said: ours.said }
}

function summary(verdicts: readonly Verdict[]): number {
  const count = (outcome: Outcome): number => verdicts.filter((verdict) => verdict.outcome === outcome).length
  const meant = verdicts.length - count('left out')
  console.log(
    `${count('passes')} of ${meant} tests pass, ${count('known')} do not for known reasons, ${count('fails')} fail; ` +
      `${count('left out')} that fail, or skip, on Node itself are left out`,
  )
  return count('fails') + count('passes though known') === 0 ? 0 : 1
}

try {
  process.exitCode = await main()
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  console.error(USAGE)
  process.exitCode = 2
}
