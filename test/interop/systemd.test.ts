/** The unit of `examples/systemd`, as systemd itself reads it. */
import { execFileSync, spawnSync } from 'node:child_process'
import { copyFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { oracle } from './helpers.ts'
import { folder } from './payload.ts'

t.setTimeout(600_000)
const UNIT = join(dirname(fileURLToPath(import.meta.url)), '../../examples/systemd/netstrata-router@.service')

t.test('the unit of a router', { skip: oracle('systemd-analyze') }, async (t) => {
  const unit = join(folder(t), 'netstrata-router@edge.service')
  copyFileSync(UNIT, unit)
  const { status, stdout, stderr } = spawnSync('systemd-analyze', ['verify', unit], { encoding: 'utf8' })
  t.match({ status, stdout, stderr }, { status: 0, stdout: '', stderr: '' }, 'nothing in it is unknown, or wrong')
  const judged = execFileSync('systemd-analyze', ['security', '--offline=true', '--no-pager', unit], {
    encoding: 'utf8',
  })
  const [, exposure = '10'] = /exposure level for \S+: ([\d.]+)/.exec(judged) ?? []
  t.ok(Number(exposure) < 2, `it may do little that it need not: ${exposure} of 10`)
})
