/** The commands as they are run: what they print, where, and how they end. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ms, seconds } from '../../src/index.ts'
import { network } from '../../src/testing.ts'
import { Commands, type Ended, freePorts, tunnel } from './running.ts'

const commands = new Commands(t)
const { folder } = commands
const run = (...args: string[]): Promise<Ended> => commands.run(...args)
t.setTimeout(600_000)

t.test('wrong usage leaves with 2 and says what would be right', async (t) => {
  const wrong: [string[], RegExp][] = [
    [['frobnicate'], /unknown command[\s\S]*usage: netstrata/],
    [['policy', 'test'], /--from and --to\nusage: netstrata policy test [\s\S]*'netstrata policy test --help'/],
    [['ping', '10.0.0.1'], /no link is given[\s\S]*--link/],
    [['ping', '10.0.0.1', '--link', 'foo:x'], /of type 'udp', 'tap', .* not 'foo'/],
    [['ping', '10.0.0.1', '--address', '10.0.0.1/24'], /--link/],
    [['ping', '10.0.0.1', '--count', 'many'], /number from 1/],
    [['serve', join(folder, 'absent'), '--link', 'udp:17301'], /not a folder/],
    [['forward', '0', '10.0.0.1:0', '--link', 'udp:17301', '--address', '10.0.0.2/24'], /Nobody listens on port 0/],
  ]
  const ends = await Promise.all(wrong.map(([args]) => run(...args)))
  for (const [i, [args, message]] of wrong.entries()) {
    const { code, out, err } = ends[i] as Ended
    t.equal(code, 2, args.join(' '))
    t.equal(out, '', 'nothing on stdout')
    t.match(err, message)
  }
  const { code, err } = await run('ping', '10.0.0.1', '--json')
  t.equal(code, 2)
  t.match(JSON.parse(err.trim().split('\n')[0] ?? ''), { error: { code: 'ERR_USAGE' } })
})

t.test('a wrong configuration leaves with 3, with line and column', async (t) => {
  const path = join(folder, 'wrong.yaml')
  writeFileSync(path, 'links:\n  a: { link: "tap:" }\n')
  const { code, err } = await run('ping', '10.0.0.1', '--config', path)
  t.equal(code, 3)
  t.match(err, /wrong\.yaml:2:14: /)
  const absent = await run('ping', '10.0.0.1', '--config', folder)
  t.match(absent, { code: 3, err: `'${folder}' cannot be read: it is a folder` })
})

t.test('what is in the way is said in a sentence', async (t) => {
  const { code, err } = await run('links', '@nobody')
  t.equal(code, 4)
  t.match(err, /no node named 'nobody' is running/)
  const [a, b, c] = await freePorts(3)
  const at = (port: number | undefined): string[] => ['--link', `udp:127.0.0.1:${port}`, '--address', '10.0.0.1/24']
  const unknown = await run('ping', 'nobody', ...at(a))
  t.match(unknown, { code: 4, err: "'nobody' is no known name: give an IP address, or 'hosts' in a --config file" })
  const first = commands.start(['nc', '-l', '9', '--name', 'first', ...at(a)])
  await first.said(/listening/)
  const taken = await run('ping', '10.0.0.2', ...at(a))
  t.equal(taken.code, 1)
  t.match(taken.err, new RegExp(`UDP port 127.0.0.1:${a} is in use, by another program or link: free it, or choose`))
  const same = await run('nc', '-l', '9', '--name', 'first', ...at(b))
  t.equal(same.code, 1)
  t.match(same.err, /a node named 'first' is running/)
  const unnamed = commands.start(['nc', '-l', '9', ...at(b)])
  await unnamed.said(/listening/)
  const another = commands.start(['nc', '-l', '9', ...at(c)])
  await another.said(/listening/)
  t.same(commands.sockets(), ['first.sock', 'nc-2.sock', 'nc.sock'], 'who has no name gets a free one')
  const asked = await run('links')
  t.equal(asked.code, 2)
  t.match(asked.err, /several nodes are running: say which, @first or @nc or @nc-2/)
  for (const running of [first, unnamed, another]) t.equal((await running.interrupt()).code, 130)
  t.same(commands.sockets(), [], 'no socket is left')
})

t.test('serve, ping, trace, links, sockets and forward, over one tunnel after the other', async (t) => {
  const site = join(folder, 'site')
  const capture = join(folder, 'serve.pcapng')
  mkdirSync(site)
  writeFileSync(join(site, 'hello.txt'), 'hello\n')
  const { first, second: here } = await tunnel()
  const serve = commands.start(['serve', site, '--name', 'web', '--capture', capture, ...first])
  await serve.said(/serving/)

  const ping = await run('ping', '10.0.0.1', '-c', '2', '-i', '0.1', ...here)
  t.equal(ping.code, 0, ping.err)
  t.match(ping.out, /64 octets from 10\.0\.0\.1: seq=1 ttl=64 time=[\d.]+ ms\n[\s\S]*2 sent, 2 received, 0% lost/)
  const silent = await run('ping', '10.0.0.9', '-c', '1', '-W', '0.2', '--json', ...here)
  t.equal(silent.code, 4)
  t.match(JSON.parse(silent.out.trim().split('\n').at(-1) ?? ''), { sent: 1, received: 0 })
  const trace = await run('trace', '10.0.0.1', '-q', '1', ...here)
  t.equal(trace.code, 0)
  t.match(trace.out, /^ ?1 {2}10\.0\.0\.1 {2}[\d.]+ ms$/m)

  const links = await run('links', '@web', '--json')
  t.match(JSON.parse(links.out), { name: 'eth0', state: 'up', mtu: 1450, addresses: ['10.0.0.1/24'] })
  const listed = await run('sockets', '@web')
  t.match(listed.out, /tcp +LISTEN +0 +0 +0\.0\.0\.0:80 +\*/)

  const forward = commands.start(['forward', '0', '10.0.0.1:80', '--name', 'way', ...here])
  await forward.said(/leads to/)
  const port = /:(\d+) leads/.exec(forward.out)?.[1]
  const response = await fetch(`http://127.0.0.1:${port}/hello.txt`)
  t.equal(await response.text(), 'hello\n')
  t.equal((await fetch(`http://127.0.0.1:${port}/../../etc/passwd`)).status, 404)
  t.match(await (await fetch(`http://127.0.0.1:${port}/`)).text(), /hello\.txt/)
  t.equal((await forward.interrupt()).code, 130)
  t.equal((await serve.interrupt('SIGTERM')).code, 130)

  const dump = await run('dump', capture)
  t.equal(dump.code, 0)
  t.match(dump.out, /ICMP echo request[\s\S]*TCP \d+ > 80 \[S\]/)
  t.ok(!/\[[^\]]*(bad|truncated)/.test(dump.out), 'nothing is wrong with any packet')
})

t.test('nc carries stdin to the other end, and its end too', async (t) => {
  const { first, second } = await tunnel()
  const listen = commands.start(['nc', '-l', '7', '--name', 'ear', ...first])
  await listen.said(/listening/)
  const talk = commands.start(['nc', '10.0.0.1', '7', '--name', 'mouth', ...second], 'over the wire\n')
  await listen.said(/over the wire/)
  const figures = await run('sockets', '@ear', '-i')
  t.match(
    figures.out,
    /FIN-WAIT-2.*\n +cubic \(open\), cwnd 1[34][.\d]* kB, ssthresh none yet\n +mss 1398, path mtu 1450\n/,
  )
  t.match(
    figures.out,
    /\n +rtt [\d.]+ ± [\d.]+, least [\d.]+, rto [\d.]+ ms\n.*\n.*\n +delivers [\d.]+ k?B\/s, (not paced|paced at [\d.]+ .B\/s)\n +0 B in \d out, 14 B in \d in\n/,
  )
  t.match(figures.out, /\n +with timestamps, sack, wscale\n/)
  talk.child.stdin?.end()
  t.equal((await talk.ended()).code, 0)
  const { code, out } = await listen.ended()
  t.equal(code, 0)
  t.equal(out, 'over the wire\n', 'data on stdout, and nothing else')
})

t.test('dump in all its forms', async (t) => {
  const path = join(folder, 'sim.pcapng')
  const net = network({ seed: 3, hosts: { A: {}, B: {} }, links: [{ between: ['A', 'B'], delay: ms(5) }] })
  net.sim.capture(path)
  net.nodes.B.net.createServer((socket) => socket.end('x')).listen(80)
  net.nodes.A.net.connect(80, 'B').resume()
  await net.sim.run(seconds(1))
  await net.close()
  const plain = await run('dump', path)
  const lines = plain.out.trim().split('\n')
  t.match(
    lines.find((line) => line.includes('[S]')),
    /^00:00:00\.\d{9} A\/\S+ > .*TCP \d+ > 80 \[S\] .*<mss 1460/,
  )
  t.match((await run('dump', '-V', '-c', '1', path)).out, /Ethernet, 14 octets at 0\n {4}destination: /)
  t.match((await run('dump', '-x', '-c', '1', path)).out, /^ {2}0000 {2}(?:[0-9a-f]{2} ){8}/m)
  const objects = (await run('dump', '--json', path)).out.trim().split('\n')
  t.equal(objects.length, lines.length)
  t.match(JSON.parse(objects[0] ?? ''), { layers: [{ protocol: 'Ethernet' }, {}] })
  const only = lines.filter((line) => / B\//.test(line)).length
  const name = / (B\/\S+) /.exec(plain.out)?.[1] ?? ''
  const copy = join(folder, 'copy.pcapng')
  t.equal((await run('dump', '-i', name, '-w', copy, path)).code, 0)
  t.equal((await run('dump', copy)).out.trim().split('\n').length, only)
  writeFileSync(join(folder, 'not.pcapng'), 'this is no capture at all')
  const bad = await run('dump', join(folder, 'not.pcapng'))
  t.equal(bad.code, 1)
  t.match(bad.err, /neither a pcapng nor a pcap file/)
})
