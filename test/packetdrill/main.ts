/**
 * `npm run packetdrill -- DIR|FILE… [--json] [--ignore-psh]`: runs scripts against the stack, each on a node of its own.
 *
 * --json         a JSON object per script: {"script", "ok", "why"}.
 * --ignore-psh   do not compare PSH, whose place RFC 9293 leaves open.
 *
 * Exit codes: 0 all pass, 1 some do not, 2 usage.
 */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { runScript } from './run/runner.ts'
import { findScripts } from './suite.ts'

const USAGE = 'usage: npm run packetdrill -- DIR|FILE… [--json] [--ignore-psh]'

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    options: { json: { type: 'boolean' }, 'ignore-psh': { type: 'boolean' } },
    allowPositionals: true,
  })
  if (positionals.length === 0) throw new Error('no folder or file named')
  const scripts = positionals.flatMap(findScripts)
  if (scripts.length === 0) throw new Error(`no .pkt files in ${positionals.join(', ')}`)
  let passed = 0
  for (const script of scripts) {
    const { ok, why, trace } = await runScript(readFileSync(script, 'utf8'), { ignorePsh: values['ignore-psh'] })
    if (ok) passed++
    if (values.json) console.log(JSON.stringify({ script, ok, why }))
    else console.log(ok ? `ok      ${script}` : `not ok  ${script}\n        ${why}${indented(trace)}`)
  }
  const total = `${passed} of ${scripts.length} scripts pass${values['ignore-psh'] ? ', PSH ignored' : ''}`
  if (values.json) console.error(total)
  else console.log(total)
  return passed === scripts.length ? 0 : 1
}

const indented = (trace: string): string => (trace === '' ? '' : `\n${trace.replace(/^/gm, '          ')}`)

try {
  process.exitCode = await main()
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  console.error(USAGE)
  process.exitCode = 2
}
