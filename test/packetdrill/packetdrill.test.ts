/**
 * Scripts against the stack: the project's own, and a folder of others' named by NETSTRATA_PACKETDRILL, which must all pass
 * but for those that `known.ts` explains. What does not say over which IP it runs does over each.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import t from 'tap'
import { leakCheck } from '../../src/testing.ts'
import { knownReason } from './known.ts'
import { IP_VERSIONS, type IpVersion } from './language/ip-version.ts'
import { runScript } from './run/runner.ts'
import { findScripts, otherwiseOf } from './suite.ts'

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
      const text = readFileSync(script, 'utf8')
      const versions: readonly IpVersion[] =
        /^--ip_version=/m.test(text) || script.endsWith('v6.pkt') ? ['ipv4'] : IP_VERSIONS
      for (const version of versions) {
        const name = `${relative(folder, script)} ${versions.length > 1 ? version : ''}`.trimEnd()
        const { ok, why, trace } = await runScript(text, { otherwise: otherwiseOf(script, version) })
        const reason = knownReason(script)
        if (reason === undefined) t.ok(ok, name, { why, trace })
        else t.notOk(ok, `${name} is known not to pass: ${reason}`)
      }
    }
  },
)
