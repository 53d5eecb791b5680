/** PPP between two commands on the two ends of a pair of pseudo terminals, as on a serial line. */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Commands } from '../tools/running.ts'
import { oracle } from './helpers.ts'
import { folder } from './payload.ts'

const commands = new Commands(t)
const skip = oracle('socat')
t.setTimeout(600_000)

/** Two terminals, each of which is the other's line. */
async function terminals(t: Test): Promise<readonly [string, string]> {
  const dir = folder(t)
  const ends = [join(dir, 'near'), join(dir, 'far')] as const
  const child = spawn(
    'socat',
    ends.map((link) => `PTY,link=${link},raw,echo=0`),
    { stdio: 'ignore' },
  )
  t.teardown(() => child.kill('SIGKILL'))
  while (!ends.every(existsSync)) await new Promise((resolve) => setTimeout(resolve, 20))
  return ends
}

const far = (device: string): string[] => {
  const link = `serial:${device},baud=115200,user=far,secret=known,demand,peer-address=10.0.0.2`
  return ['serve', '.', '--name', 'far', '--link', link, '--address', '10.0.0.1/32']
}

t.test('a ping by serial:PATH', { skip }, async (t) => {
  const [near, other] = await terminals(t)
  const server = commands.start(far(other))
  await server.said(/serving/)
  const link = `serial:${near},baud=115200,user=near,secret=known`
  const ping = await commands.run('ping', '10.0.0.1', '-c', '3', '-i', '0.1', '-s', '2000', '--link', link)
  t.match(ping, { code: 0, out: /3 sent, 3 received, 0% lost/ })
  t.equal((await server.interrupt()).code, 130)
})

t.test('a secret that is wrong: the command waits, and says what to look at', { skip }, async (t) => {
  const [near, other] = await terminals(t)
  const server = commands.start(far(other))
  await server.said(/serving/)
  const ping = await commands.run('ping', '10.0.0.1', '--link', `ppp:${near},user=near,secret=guessed`)
  t.match(ping, {
    code: 4,
    err: /the PPP peer of eth0 has agreed on no address within 10 s: see that .*secret are right/,
  })
  t.match((await commands.run('links', '@far', '--json')).out, '"state":"down"')
  t.equal((await server.interrupt()).code, 130)
})
