/** What a router is asked of that its file does not speak of. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { nodeMethods } from '../../../tools/control/node-methods.ts'
import { serveControl } from '../../../tools/control/server.ts'
import { program } from '../../../tools/program.ts'
import { Daemon } from '../../../tools/router/daemon.ts'
import { daemonLog } from '../../../tools/router/log.ts'
import { daemonStatus, routerMethods } from '../../../tools/router/methods.ts'
import { Commands } from '../running.ts'

const commands = new Commands(t)
process.env.XDG_RUNTIME_DIR = commands.folder
const file = join(commands.folder, 'few.yaml')
const LINK = "link: 'udp:127.0.0.1:0', addresses: [10.0.0.1/24]"

t.test('what there is none of is told from what there could be none of', async (t) => {
  writeFileSync(file, `name: few\nlinks: { lan: { ${LINK} } }\n`)
  await using daemon = await Daemon.start(file, daemonLog('silent', true))
  const { calls, streams } = nodeMethods(daemon.router.node, { status: () => daemonStatus(daemon) })
  const control = await serveControl('few', { calls: { ...calls, ...routerMethods(daemon) }, streams })
  const run = (...args: string[]) => program().parseAsync(['node', 'netstrata', ...args])
  await t.rejects(run('groups', '@few'), { exitCode: 1, message: `${file} says nothing of groups` })
  await t.rejects(run('leases', '@few'), { exitCode: 1, message: `${file} says nothing of a DHCP server` })
  await t.resolves(run('groups', '@few', '--json'), 'a program takes an empty list')
  await t.resolves(run('leases', '@few', '--json'))

  writeFileSync(file, `name: few\nlinks: { lan: { ${LINK}, dhcp: { pool: [10.0.0.7, 10.0.0.9] } } }\ngroups: []\n`)
  t.match(await daemon.reload(), { error: undefined })
  const [groups, leases] = await Promise.all(['groups', 'leases'].map((name) => commands.run(name, '@few')))
  t.match(groups, { code: 0, out: /^GROUP .*\n$/, err: '' })
  t.match(leases, { code: 0, out: /^ADDRESS .*\n$/, err: '' })
  await control.close()
})

t.test('who is no router sends no groups on', async (t) => {
  const control = await serveControl('host', { calls: { groups: () => [] }, streams: {} })
  await t.rejects(program().parseAsync(['node', 'netstrata', 'groups', '@host']), { message: /it is no router/ })
  await control.close()
})
