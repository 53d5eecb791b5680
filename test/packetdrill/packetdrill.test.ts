/**
 * Scripts against the stack: the project's own, and a folder of others' named by NETSTRATA_PACKETDRILL, which must all pass
 * but for those that `known.ts` explains.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import t from 'tap'
import { leakCheck } from '../../src/testing.ts'
import { knownReason } from './known.ts'
import { runScript } from './run/runner.ts'
import { findScripts } from './suite.ts'

const OWN = join(import.meta.dirname, 'scripts')
const OTHERS = process.env.NETSTRATA_PACKETDRILL

t.test('own scripts', async (t) => {
  for (const script of findScripts(OWN)) {
    const leaks = leakCheck()
    // Where PSH stands is left open (RFC 9293 §3.9.1).
    const { why, trace } = await runScript(readFileSync(script, 'utf8'), { ignorePsh: true })
    t.equal(why, '', relative(OWN, script), { trace })
    t.strictSame(leaks.list(), [], `${relative(OWN, script)} leaves nothing behind`)
  }
})

t.test(
  "others' scripts",
  { skip: OTHERS === undefined && 'NETSTRATA_PACKETDRILL names no folder of scripts' },
  async (t) => {
    const folder = OTHERS as string
    t.ok(existsSync(folder), `NETSTRATA_PACKETDRILL=${folder} exists`)
    const scripts = findScripts(folder)
    t.not(scripts.length, 0, 'it holds scripts')
    for (const script of scripts) {
      const name = relative(folder, script)
      const { ok, why, trace } = await runScript(readFileSync(script, 'utf8'))
      const reason = knownReason(script)
      if (reason === undefined) t.ok(ok, name, { why, trace })
      else t.notOk(ok, `${name} is known not to pass: ${reason}`)
    }
  },
)
