/** Commands over IPv6, as they are run: addresses, brackets, zones. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { Commands, freePorts } from './running.ts'

const commands = new Commands(t)
t.setTimeout(600_000)
const directory = mkdtempSync(join(tmpdir(), 'netstrata-ipv6-'))
t.teardown(() => rmSync(directory, { recursive: true }))

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

t.test('trace through a router, by echo and by datagrams, over both families', async (t) => {
  const ports = await freePorts(4)
  const udp = (own: number, peer: number) => `udp:127.0.0.1:${ports[own]},peer=127.0.0.1:${ports[peer]}`
  const file = join(directory, 'router.yaml')
  writeFileSync(
    file,
    `name: middle
forwarding: true
links:
  near: { link: '${udp(0, 1)}', addresses: [10.0.1.1/24, 'fd00:1::1/64'] }
  far: { link: '${udp(2, 3)}', addresses: [10.0.2.1/24, 'fd00:2::1/64'] }
`,
  )
  const middle = commands.start(['serve', '.', '--config', file])
  const addresses = ['--address', '10.0.2.2/24', '--address', 'fd00:2::2/64']
  const gateways = ['--gateway', '10.0.2.1', '--gateway', 'fd00:2::1']
  const end = commands.start(['serve', '.', '--name', 'end', '--link', udp(3, 2), ...addresses, ...gateways])
  await Promise.all([middle.said(/serving/), end.said(/serving/)])
  const own = ['--link', udp(1, 0), '--address', '10.0.1.2/24', '--address', 'fd00:1::2/64']
  const near = [...own, '--gateway', 'fd00:1::1', '--gateway', '10.0.1.1']
  for (const by of [[], ['--udp']]) {
    for (const [router, host] of [
      ['10.0.1.1', '10.0.2.2'],
      ['fd00:1::1', 'fd00:2::2'],
    ] as const) {
      const { code, out, err } = await commands.run('trace', host, '--json', '-q', '1', ...by, ...near)
      t.equal(code, 0, err)
      const hops = out
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line))
      t.match(
        hops,
        [
          { hop: 1, probes: [{ address: router, outcome: 'timeExceeded' }] },
          { hop: 2, probes: [{ address: host, outcome: 'reply' }] },
        ],
        `${host} ${by}`,
      )
    }
  }
  const remote = await commands.run('trace', '@middle', '10.0.2.2', '--udp')
  t.equal(remote.code, 2)
  t.match(remote.err, /leave out --udp/)
  for (const one of [middle, end]) t.equal((await one.interrupt()).code, 130)
})
