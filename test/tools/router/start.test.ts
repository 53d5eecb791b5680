/** What a router is told while it starts. */
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { Commands, PROGRAM } from '../running.ts'

/** Has whoever looks for a file of leases wait until the pipe beside it has been written and closed. */
const GATE = `
import fs from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
const { stat } = fs
fs.stat = async (path, ...options) => {
  if (String(path).endsWith('.leases')) await fs.readFile(path + '.gate')
  return stat(path, ...options)
}
syncBuiltinESMExports()
`
const [node = process.execPath, ...program] = PROGRAM
const commands = new Commands(t, [node, `--import=data:text/javascript,${encodeURIComponent(GATE)}`, ...program])

t.test('SIGHUP while it starts has it read the file again when it has', { timeout: 120_000 }, async (t) => {
  const file = join(commands.folder, 'slow.yaml')
  const leases = join(commands.folder, 'slow.leases')
  execFileSync('mkfifo', [`${leases}.gate`])
  const lan = "lan: { link: 'udp:127.0.0.1:0', addresses: [10.0.0.1/24], dhcp: { pool: [10.0.0.7, 10.0.0.9] } }"
  const text = `name: slow\nleases: ${leases}\nlinks:\n  ${lan}\n`
  writeFileSync(file, text)
  const router = commands.start(['router', '--config', file])
  const pipe = await open(`${leases}.gate`, 'w')
  writeFileSync(file, `${text}  late: { link: 'udp:127.0.0.1:0' }\n`)
  router.child.kill('SIGHUP')
  await sleep(100)
  await pipe.close()
  await router.said(/"step":"\+ link late: [^\n]*\n/)
  await router.said(/"the configuration was reloaded"/)
  t.match(await router.interrupt('SIGTERM'), { code: 0 })
})
