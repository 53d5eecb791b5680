/** The commands as they are run: what they print, where, and how they end. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { ms, seconds } from '../../src/index.ts'
import { network } from '../../src/testing.ts'

const cli = join(dirname(fileURLToPath(import.meta.url)), '../../tools/cli.ts')
const folder = mkdtempSync(join(tmpdir(), 'ns-cli-'))
const running = new Set<ChildProcess>()
t.setTimeout(110_000)
t.teardown(() => {
  for (const child of running) child.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
})

interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

/** A command under way. */
class Running {
  readonly child: ChildProcess
  out = ''
  err = ''

  constructor(args: readonly string[], input?: string) {
    this.child = spawn(process.execPath, ['--import=tsx', cli, ...args], {
      env: { ...process.env, XDG_RUNTIME_DIR: folder, NO_COLOR: '1' },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    running.add(this.child)
    this.child.stdout?.on('data', (chunk) => {
      this.out += chunk
    })
    this.child.stderr?.on('data', (chunk) => {
      this.err += chunk
    })
    this.child.stdin?.on('error', () => {})
    if (input === undefined) this.child.stdin?.end()
    else this.child.stdin?.write(input)
  }

  async said(what: RegExp): Promise<void> {
    while (!what.test(this.out + this.err)) {
      if (this.child.exitCode !== null) throw new Error(`left with ${this.child.exitCode}: ${this.out}${this.err}`)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }

  async ended(): Promise<Ended> {
    if (this.child.exitCode === null) await once(this.child, 'close')
    running.delete(this.child)
    return { code: this.child.exitCode, out: this.out, err: this.err }
  }
}

const run = (...args: string[]): Promise<Ended> => new Running(args).ended()
/** Control sockets there are. */
const sockets = (): string[] => (existsSync(join(folder, 'netstrata')) ? readdirSync(join(folder, 'netstrata')) : [])
/** Two ends of a tunnel of their own. */
const link = (own: number, peer: number): string => `udp:127.0.0.1:${own},peer=127.0.0.1:${peer}`

t.test('help fits a terminal of 80 columns, and leaves with 0', async (t) => {
  const commands = ['', 'demo', 'serve', 'nc', 'ping', 'trace', 'forward', 'dump', 'links', 'sockets']
  const helps = await Promise.all(commands.map((command) => run(...(command === '' ? [] : [command]), '--help')))
  for (const [i, { code, out }] of helps.entries()) {
    const command = commands[i] ?? ''
    t.equal(code, 0)
    t.match(out, command === '' ? /demo[\s\S]*serve/ : /[Ee]xample|@NAME/)
    t.same(
      out.split('\n').filter((line) => line.length > 80),
      [],
      command,
    )
  }
})

t.test('wrong usage leaves with 2 and says what would be right', async (t) => {
  const wrong: [string[], RegExp][] = [
    [['frobnicate'], /unknown command[\s\S]*usage: netstrata/],
    [['ping', '10.0.0.1'], /no link is given[\s\S]*--link/],
    [['ping', '10.0.0.1', '--link', 'serial:x'], /of type 'udp', 'tap' or 'tun'/],
    [['ping', '10.0.0.1', '--address', '10.0.0.1/24'], /--link/],
    [['ping', '10.0.0.1', '--count', 'many'], /number from 1/],
    [['serve', join(folder, 'absent'), '--link', 'udp:17301'], /not a folder/],
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
})

t.test('what is in the way is said in a sentence', async (t) => {
  const { code, err } = await run('links', '@nobody')
  t.equal(code, 4)
  t.match(err, /no node named 'nobody' is running/)
  const first = new Running([
    'nc',
    '-l',
    '9',
    '--name',
    'first',
    '--link',
    link(17_310, 17_311),
    '--address',
    '10.0.0.1/24',
  ])
  await first.said(/listening/)
  const taken = await run('ping', '10.0.0.2', '--link', link(17_310, 17_312), '--address', '10.0.0.1/24')
  t.equal(taken.code, 1)
  t.match(taken.err, /17310/)
  const same = await run('nc', '-l', '9', '--name', 'first', '--link', link(17_313, 17_312), '--address', '10.0.0.1/24')
  t.equal(same.code, 1)
  t.match(same.err, /a node named 'first' is running/)
  first.child.kill('SIGINT')
  t.equal((await first.ended()).code, 130)
  t.same(sockets(), [], 'no socket is left')
})

t.test('serve, ping, trace, links, sockets and forward, over one tunnel after the other', async (t) => {
  const site = join(folder, 'site')
  const capture = join(folder, 'serve.pcapng')
  mkdirSync(site)
  writeFileSync(join(site, 'hello.txt'), 'hello\n')
  const serve = new Running([
    ...['serve', site, '--name', 'web', '--capture', capture],
    ...['--link', link(17_320, 17_321), '--address', '10.0.0.1/24'],
  ])
  await serve.said(/serving/)
  const here = ['--link', link(17_321, 17_320), '--address', '10.0.0.2/24']

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

  const forward = new Running(['forward', '0', '10.0.0.1:80', '--name', 'way', ...here])
  await forward.said(/leads to/)
  const port = /:(\d+) leads/.exec(forward.out)?.[1]
  const response = await fetch(`http://127.0.0.1:${port}/hello.txt`)
  t.equal(await response.text(), 'hello\n')
  t.equal((await fetch(`http://127.0.0.1:${port}/../../etc/passwd`)).status, 404)
  t.match(await (await fetch(`http://127.0.0.1:${port}/`)).text(), /hello\.txt/)
  forward.child.kill('SIGINT')
  t.equal((await forward.ended()).code, 130)
  serve.child.kill('SIGTERM')
  t.equal((await serve.ended()).code, 130)

  const dump = await run('dump', capture)
  t.equal(dump.code, 0)
  t.match(dump.out, /ICMP echo request[\s\S]*TCP \d+ > 80 \[S\]/)
  t.ok(!/\[[^\]]*(bad|truncated)/.test(dump.out), 'nothing is wrong with any packet')
})

t.test('nc carries stdin to the other end, and its end too', async (t) => {
  const listen = new Running([
    'nc',
    '-l',
    '7',
    '--name',
    'ear',
    '--link',
    link(17_330, 17_331),
    '--address',
    '10.0.0.1/24',
  ])
  await listen.said(/listening/)
  const talk = new Running(
    ['nc', '10.0.0.1', '7', '--name', 'mouth', '--link', link(17_331, 17_330), '--address', '10.0.0.2/24'],
    'over the wire\n',
  )
  await listen.said(/over the wire/)
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
