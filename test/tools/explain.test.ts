/** What `explain route` asks a node. */
import t from 'tap'
import { serveControl } from '../../tools/control/server.ts'
import { program } from '../../tools/program.ts'
import { Commands } from './running.ts'

t.test('a protocol by its name or its number', async (t) => {
  process.env.XDG_RUNTIME_DIR = new Commands(t).folder
  const asked: unknown[] = []
  const explain = (params: unknown): never => {
    asked.push((params as { readonly protocol?: number }).protocol)
    throw new Error('it was asked')
  }
  const control = await serveControl('r', { calls: { explain }, streams: {} })
  const run = (...args: string[]) =>
    program().parseAsync(['node', 'netstrata', 'explain', 'route', '10.0.0.1', '@r', ...args])
  for (const given of ['tcp', 'udp', 'icmp', 'icmpv6', '47', '0'])
    await t.rejects(run('--protocol', given), { message: 'it was asked' }, given)
  await t.rejects(run(), { message: 'it was asked' })
  t.strictSame(asked, [6, 17, 1, 58, 47, 0, undefined])
  for (const wrong of ['gre', '256', '', 'TCP '])
    await t.rejects(run('--protocol', wrong), { message: /It is tcp, udp, icmp, icmpv6, or a number from 0 to 255/ })
  await control.close()
})
