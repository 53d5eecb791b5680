/** What a router is told while it starts. */
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { Commands } from '../running.ts'

const commands = new Commands(t)

t.test('SIGHUP while it starts has it read the file again when it has', { timeout: 60_000 }, async (t) => {
  const file = join(commands.folder, 'slow.yaml')
  // It reads its leases from a pipe, and waits until the other end is closed.
  const leases = join(commands.folder, 'slow.leases')
  execFileSync('mkfifo', [leases])
  const lan = "lan: { link: 'udp:127.0.0.1:0', addresses: [10.0.0.1/24], dhcp: { pool: [10.0.0.7, 10.0.0.9] } }"
  const text = `name: slow\nleases: ${leases}\nlinks:\n  ${lan}\n`
  writeFileSync(file, text)
  const router = commands.start(['router', '--config', file])
  const pipe = await open(leases, 'w')
  writeFileSync(file, `${text}  late: { link: 'udp:127.0.0.1:0' }\n`)
  router.child.kill('SIGHUP')
  await sleep(100)
  await pipe.writeFile('{"format":"netstrata leases","version":1}\n')
  await pipe.close()
  await router.said(/"step":"\+ link late: [^\n]*\n/)
  await router.said(/"the configuration was reloaded"/)
  t.match(await router.interrupt('SIGTERM'), { code: 0 })
})
