/** A router logs that another station uses an address of its own, once. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pino } from 'pino'
import t from 'tap'
import { Daemon } from '../../../tools/router/daemon.ts'
import { Commands, freePorts } from '../running.ts'

t.test('an address that two routers have', { timeout: 60_000 }, async (t) => {
  const { folder } = new Commands(t)
  const [a, b] = (await freePorts(2)) as [number, number]
  const start = (name: string, own: number, other: number, log: Record<string, unknown>[]) => {
    const file = join(folder, `${name}.yaml`)
    const link = `link: 'udp:127.0.0.1:${own},peer=127.0.0.1:${other}', addresses: [10.0.0.1/24]`
    writeFileSync(file, `name: ${name}\nlinks: { lan: { ${link} } }\n`)
    return Daemon.start(file, pino({}, { write: (line: string) => void log.push(JSON.parse(line)) }))
  }
  const log: Record<string, unknown>[] = []
  await using first = await start('first', a, b, log)
  await using _second = await start('second', b, a, [])
  const times = () => first.router.node.top.network.links()[0]?.conflicts[0]?.times ?? 0
  // The second one announces its address twice.
  while (times() < 2) await new Promise((resolve) => setTimeout(resolve, 20))
  const warnings = log.filter(({ level }) => level === 40)
  t.match(warnings, [
    {
      link: 'lan',
      address: '10.0.0.1',
      station: /^\w\w:/,
      lost: false,
      msg: 'another station uses an address of this router',
    },
  ])
  t.equal(warnings.length, 1)
})
