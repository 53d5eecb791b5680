/** LAPB between two processes, over a line that is two TCP connections. */
import t from 'tap'
import { line } from './line.ts'
import { Commands } from './running.ts'

const commands = new Commands(t)
t.setTimeout(600_000)

for (const { options, mtu } of [
  { options: '', mtu: 1498 },
  { options: ',modulo=128,k=64,fcs32,mtu=400', mtu: 400 },
]) {
  t.test(`ping over LAPB${options}`, async (t) => {
    const at = await line(t)
    const far = ['--link', `lapb:${at},role=dce${options}`, '--address', '10.0.0.1/30']
    const near = ['--link', `lapb:${at},role=dte${options}`, '--address', '10.0.0.2/30']
    const server = commands.start(['serve', '.', '--name', 'far', ...far])
    await server.said(/serving/)
    // In fragments, where the MTU is the lesser one.
    const ping = await commands.run('ping', '10.0.0.1', '-c', '3', '-i', '0.1', '-s', '1000', ...near)
    t.equal(ping.code, 0, ping.err)
    t.match(ping.out, /3 sent, 3 received, 0% lost/)
    t.match((await commands.run('links', '@far', '--json')).out, `"mtu":${mtu},`)
    t.equal((await server.interrupt()).code, 130)
  })
}

t.test('two ends with one role never come to hear each other', async (t) => {
  const at = await line(t)
  const end = (address: string): string[] => ['--link', `lapb:${at},role=dte`, '--address', address]
  const server = commands.start(['serve', '.', '--name', 'same', ...end('10.0.0.1/30')])
  await server.said(/serving/)
  const ping = await commands.run('ping', '10.0.0.1', '-c', '1', '-W', '0.5', ...end('10.0.0.2/30'))
  t.equal(ping.code, 4, ping.out)
  t.equal((await server.interrupt()).code, 130)
})
