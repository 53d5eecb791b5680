/** Commands over IPv6, as they are run: addresses, brackets, zones. */
import t from 'tap'
import { Commands, freePorts } from './running.ts'

const commands = new Commands(t)
t.setTimeout(110_000)

t.test('serve, ping, trace, sockets and forward over IPv6', async (t) => {
  const [a, b] = await freePorts(2)
  const first = ['--link', `udp:127.0.0.1:${a},peer=127.0.0.1:${b}`, '--address', 'fd00::1/64']
  const here = ['--link', `udp:127.0.0.1:${b},peer=127.0.0.1:${a}`, '--address', 'fd00::2/64']
  const server = commands.start(['serve', '.', '--name', 'web', ...first])
  await server.said(/serving/)
  const ping = await commands.run('ping', 'fd00::1', '-c', '2', '-i', '0.1', ...here, '--gateway', 'fe80::1%eth0')
  t.equal(ping.code, 0, ping.err)
  t.match(ping.out, /64 octets from fd00::1: seq=1 ttl=64 time=[\d.]+ ms\n[\s\S]*2 sent, 2 received, 0% lost/)
  const trace = await commands.run('trace', 'fd00::1', ...here)
  t.equal(trace.code, 0, trace.err)
  t.match(trace.out, / 1 {2}fd00::1 {2}[\d.]+ ms/)
  t.match((await commands.run('sockets', '@web')).out, /tcp +LISTEN +0 +0 +\[::\]:80 +\*/)
  const forward = commands.start(['forward', '0', '[fd00::1]:80', ...here])
  await forward.said(/leads to \[fd00::1\]:80/)
  const [, port] = /127\.0\.0\.1:(\d+) leads/.exec(forward.out + forward.err) ?? []
  const response = await fetch(`http://127.0.0.1:${port}/`)
  await response.text()
  t.equal(response.status, 200)
  t.equal((await forward.interrupt()).code, 130)
  t.equal((await server.interrupt()).code, 130)
})

t.test('a gateway has its link where it needs one, and only there', async (t) => {
  for (const gateway of ['fe80::1%', 'fd00::1%eth0', '10.0.0.1%eth0']) {
    const args = ['--link', 'udp:127.0.0.1:0', '--address', 'fd00::2/64', '--gateway', gateway]
    const { code, err } = await commands.run('ping', 'fd00::1', ...args)
    t.equal(code, 2, gateway)
    t.match(err, /is not an IP address such as/)
  }
})
