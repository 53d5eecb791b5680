/** The demo: its story, its end, and that nothing is left of it however it ends. */
import { existsSync, readdirSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { Commands, type Running } from './running.ts'

const commands = new Commands(t)
t.setTimeout(600_000)

/** Processes that it said it had started, and that are still there. */
function alive({ out }: Running): number[] {
  const pids = [...out.matchAll(/ process (\d+)$/gm)].map(([, pid]) => Number(pid))
  return pids.filter((pid) => {
    try {
      return process.kill(pid, 0)
    } catch {
      return false
    }
  })
}

/** Folders that it made for what it serves. */
const folders = ({ child }: Running): string[] =>
  readdirSync(tmpdir()).filter((name) => name.startsWith(`netstrata-demo-${child.pid}-`))

t.test('tells its story and leaves with 0', async (t) => {
  const demo = commands.start(['demo'])
  t.match(await demo.ended(), { code: 0, err: '' })
  t.match(demo.out, /✗ octets \d+ to \d+: loss\n[\s\S]*↻ octets \d+ to \d+: rack \(RFC 8985 §6\.2\)/)
  t.match(demo.out, /200000 octets arrived exactly, after \d+ drops/)
  t.match(demo.out, /200 OK, \d+ octets in [\d.]+ ms: "This page crossed netstrata"\n\n {3}All processes ended\.\n$/)
  t.equal(demo.out.match(/ process \d+$/gm)?.length, 3)
  t.same(alive(demo), [])
  t.same(commands.sockets(), [])
  t.ok(existsSync(join(commands.folder, 'demo.pcapng')))
  t.same(
    demo.out.split('\n').filter((line) => [...line].length > 80),
    [],
    'fits a terminal',
  )
})

t.test('--stay keeps it up until Ctrl-C, which is no failure', async (t) => {
  const demo = commands.start(['demo', '--stay', '--port', '0'])
  await demo.said(/Ctrl-C ends it/)
  t.equal(alive(demo).length, 3)
  t.equal(folders(demo).length, 1)
  const url = /curl (http:\S+)/.exec(demo.out)?.[1] ?? ''
  t.match(await (await fetch(url)).text(), /This page crossed netstrata/)
  t.match(await demo.interrupt(), { code: 0, err: '' })
  t.same(alive(demo), [])
  t.same(commands.sockets(), [])
  t.same(folders(demo), [], 'what it served is removed')
})

for (const signal of ['SIGKILL', 'SIGINT'] as const) {
  t.test(`ended at once by ${signal}, it takes its processes with it`, async (t) => {
    const demo = commands.start(['demo', '--stay', '--port', '0'])
    await demo.said(/Ctrl-C ends it/)
    t.equal(alive(demo).length, 3)
    // The first one is an orderly end, which the second does not wait for.
    if (signal === 'SIGINT') demo.child.kill(signal)
    await new Promise((resolve) => setTimeout(resolve, 5))
    await demo.interrupt(signal)
    // They notice when it has gone.
    const left = (): unknown[] => [...alive(demo), ...folders(demo), ...commands.sockets()]
    for (const end = Date.now() + 120_000; left().length > 0 && Date.now() < end; )
      await new Promise((resolve) => setTimeout(resolve, 20))
    t.same(left(), [], 'no process, no folder, no socket')
  })
}

t.test('a port that is taken, and an interruption while it starts, leave nothing', async (t) => {
  const taken = createServer()
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
  t.teardown(() => taken.close())
  const { port } = taken.address() as { port: number }
  const refused = commands.start(['demo', '--port', String(port)])
  t.match(await refused.ended(), { code: 1, err: `alice did not start: port ${port} of 127.0.0.1 is in use by` })
  t.same(commands.sockets(), [])
  const nowhere = await commands.run('demo', '--capture', 'absent/demo.pcapng')
  t.match(nowhere, { code: 1, err: 'absent/demo.pcapng cannot be written here: name another file with --capture FILE' })
  const hasty = commands.start(['demo'])
  await hasty.said(/2\. For real/)
  t.equal((await hasty.interrupt()).code, 130)
  t.same(commands.sockets(), [])
  t.same([...folders(refused), ...folders(hasty)], [])
})
