/** Links of the command line that stand on streams and bridges: nodes that meet over them, leave, and come again. */
import { spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { bootNode, type RunningNode } from '../../tools/stack/boot.ts'
import type { BridgeStatus } from '../../tools/stack/bridges.ts'
import { Doorway } from '../../tools/stack/doorway.ts'
import { parseLinkSpec } from '../../tools/stack/link-spec.ts'
import { connected } from '../../tools/stack/media.ts'
import { Commands, freePorts } from './running.ts'

const folder = mkdtempSync(join(tmpdir(), 'netstrata-media-'))
t.teardown(() => rmSync(folder, { recursive: true }))
t.setTimeout(600_000)

const commands = new Commands(t)
process.env.XDG_RUNTIME_DIR = commands.folder

/** A node of one link with one address. */
function node(name: string, link: string, address: string): Promise<RunningNode> {
  const links = [{ name: 'eth0', spec: parseLinkSpec(link), addresses: [address] }]
  const rest = { gateways: [], routes: [], forwarding: false, clampMss: false, hosts: {}, capture: undefined }
  return bootNode({ name, links, ...rest }, { command: name, control: true })
}

async function reaches({ node }: RunningNode, host: string): Promise<void> {
  for (;;) {
    try {
      const { outcome } = await node.icmp.ping(host, { signal: AbortSignal.timeout(300) })
      if (outcome === 'reply') return
    } catch {
      // Nobody has answered.
    }
    await sleep(50)
  }
}

t.test('a stream: one waits, others come, one after the other', async (t) => {
  const path = join(folder, 'card')
  const nobody = { code: 'ENOENT', message: `nobody listens at ${path}: start that end of the link first` }
  await t.rejects(node('B', `stream:${path}`, '10.0.0.2/24'), nobody)
  await using a = await node('A', `stream:${path},listen`, '10.0.0.1/24')
  t.equal(statSync(path).mode & 0o777, 0o600)
  await t.rejects(node('C', `stream:${path},listen`, '10.0.0.1/24'), { code: 'EADDRINUSE' })
  const linkOf = () => a.node.top.network.links()[0]
  while (linkOf()?.state !== 'down') await sleep(20)
  {
    await using b = await node('B', `stream:${path}`, '10.0.0.2/24')
    await reaches(b, '10.0.0.1')
    await reaches(a, '10.0.0.2')
  }
  while (linkOf()?.state !== 'down') await sleep(20)
  await using b = await node('B', `stream:${path}`, '10.0.0.3/24')
  await reaches(b, '10.0.0.1')
  t.equal(linkOf()?.state, 'up')
  await a.close()
  t.notOk(existsSync(path))
  while (b.node.top.network.links()[0]?.state !== 'down') await sleep(20)
  await using again = await node('A', `stream:${path},listen`, '10.0.0.1/24')
  await reaches(again, '10.0.0.3')
})

t.test('PPP over a connection that is cut is agreed on anew over the next', async (t) => {
  const sockets: Socket[] = []
  // Joins each who connects with the one before.
  const server = createServer((socket) => {
    socket.on('error', () => {})
    const other = sockets.length % 2 === 1 ? sockets.at(-1) : undefined
    sockets.push(socket)
    other?.pipe(socket).pipe(other)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const link = `ppp:127.0.0.1:${(server.address() as AddressInfo).port}`
  await using a = await node('A', link, '10.0.0.1/32')
  await using _b = await node('B', link, '10.0.0.2/32')
  await reaches(a, '10.0.0.2')
  for (const socket of sockets) socket.destroy()
  while (a.node.top.network.links()[0]?.state !== 'down') await sleep(20)
  await reaches(a, '10.0.0.2')
  t.equal(sockets.length, 4)
  for (const socket of sockets) socket.destroy()
  server.close()
})

const NEEDS_PROC = { skip: existsSync('/proc/net/tcp') ? false : 'it reads /proc/net/tcp' }

t.test('both ends of a connection see whether the other is there', NEEDS_PROC, async (t) => {
  const [port] = (await freePorts(1)) as [number]
  const at = { host: '127.0.0.1', port }
  const doorway = new Doorway(at)
  await doorway.open()
  const [near, far] = await Promise.all([connected(at), doorway.next()])
  const hex = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`
  const established = readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .filter((line) => line.includes(hex) && / 01 /.test(line))
  // The timer of keepalive, and when it fires, in hundredths of a second.
  const fires = established.map((line) => Number.parseInt(/ 02:([0-9A-F]{8}) /.exec(line)?.[1] ?? 'FFFFFFFF', 16))
  t.equal(fires.length, 2)
  t.ok(
    fires.every((hundredths) => hundredths <= 1000),
    `after ${fires}`,
  )
  near.destroy()
  far.destroy()
  doorway.close()
})

t.test('a place where nobody answers is not waited for without end', async (t) => {
  // It never accepts; when those who connect have filled its queue, the system answers no more of them.
  const deaf = `const at = { port: 0, host: '127.0.0.1', backlog: 1 }
    require('net').createServer().listen(at, function () {
      require('fs').writeSync(1, String(this.address().port))
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
    })`
  const child = spawn(process.execPath, ['-e', deaf], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [port] = await once(child.stdout, 'data')
  const at = { host: '127.0.0.1', port: Number(port) }
  const others = Array.from({ length: 4 }, () => connect(at).on('error', () => {}))
  await Promise.race(others.map((other) => once(other, 'connect')))
  await t.rejects(connected(at, 300), {
    code: 'ETIMEDOUT',
    message: /nobody answers at 127\.0\.0\.1:\d+ within 0\.3 s/,
  })
  const closing = new AbortController()
  const dial = connected(at, 60_000, closing.signal)
  closing.abort()
  await t.rejects(dial, { name: 'AbortError' }, 'nor by a node that closes')
  for (const other of others) other.destroy()
  child.kill('SIGKILL')
  await once(child, 'exit')
})

t.test('what is at the place of a socket', async (t) => {
  const path = join(folder, 'left')
  const left = createServer().listen(path)
  await once(left, 'listening')
  const doorway = new Doorway(path)
  await t.rejects(doorway.open(), { code: 'EADDRINUSE' }, 'another program has it')
  const moved = join(folder, 'moved')
  renameSync(path, moved)
  left.close()
  const stale = new Doorway(moved)
  await stale.open()
  t.ok(existsSync(moved), 'one that nobody answers is removed, and made anew')
  stale.close()
  const file = join(folder, 'file')
  writeFileSync(file, 'precious')
  await t.rejects(new Doorway(file).open(), { code: 'EADDRINUSE' })
  t.equal(readFileSync(file, 'utf8'), 'precious')
})

t.test('places that are not there are said to be that', async (t) => {
  const far = join(folder, 'nowhere', 'card')
  await t.rejects(new Doorway(far).open(), { code: 'ENOENT', message: `there is no folder for ${far}: make it first` })
  for (const place of [far, folder]) {
    const vde = node('V', `vde:${place}`, '10.0.0.1/24')
    await t.rejects(vde, { code: 'ENOENT', message: `there is no switch at ${place}: start it first, as 'vde_switch ` })
  }
  const [port] = (await freePorts(1)) as [number]
  const refused = { code: 'ECONNREFUSED', message: `nobody listens at 127.0.0.1:${port}: start that end` }
  await t.rejects(connected({ host: '127.0.0.1', port }), refused)
})

t.test('a doorway that is closed before it was open stays closed', async (t) => {
  const path = join(folder, 'early')
  const doorway = new Doorway(path)
  const opening = doorway.open()
  doorway.close()
  await opening
  t.notOk(existsSync(path))
})

t.test('a bridge of a stream and two tunnels, whose node is a station of it', async (t) => {
  const [a, b, c, d] = await freePorts(4)
  const path = join(folder, 'bridged')
  const ports = [
    `(stream:${path},listen)`,
    `(near=udp:127.0.0.1:${a},peer=127.0.0.1:${b},codec=raw,mtu=1400)`,
    `(far=udp:127.0.0.1:${c},peer=127.0.0.1:${d},vni=7,delay=40ms)`,
  ]
  await using self = await node('S', `bridge:${ports.join('')},ageing=1000s,mac=02:00:00:00:00:05`, '10.0.0.1/24')
  await using streamed = await node('A', `stream:${path}`, '10.0.0.2/24')
  await using near = await node('B', `udp:127.0.0.1:${b},peer=127.0.0.1:${a},codec=raw,mtu=1400`, '10.0.0.3/24')
  await using far = await node('C', `udp:127.0.0.1:${d},peer=127.0.0.1:${c},vni=7`, '10.0.0.4/24')
  t.equal(self.node.top.network.links()[0]?.mtu, 1400, 'that of the narrowest port')
  await Promise.all([reaches(streamed, '10.0.0.3'), reaches(near, '10.0.0.4'), reaches(self, '10.0.0.2')])
  await reaches(far, '10.0.0.1')
  const reply = await streamed.node.icmp.ping('10.0.0.4')
  t.ok(reply.outcome === 'reply' && reply.roundTrip >= 80_000, 'a port is as bad as it is told to be')
  const [neighbour] = far.node.top.network.neighbours()
  t.match(neighbour, { address: '10.0.0.1', linkAddress: '02:00:00:00:00:05' })

  const [shown, told, limited, none] = await Promise.all([
    commands.run('bridge', '@S'),
    commands.run('bridge', '@S', '--json'),
    commands.run('bridge', '@S', '-n', '1'),
    commands.run('bridge', '@A'),
  ])
  t.match(shown, {
    code: 0,
    out: /^BRIDGE +PORT +STATE +FLOODED +STORM\neth0 +port0 +up +[1-9]\d* +0\neth0 +near .*\neth0 +far .*\neth0 +\(this node\) +up /,
  })
  t.match(shown.out, /\n\nBRIDGE +STATION +PORT +HEARD\n(eth0 +[0-9a-f:]{17} +\S+( node\))? +[\d.]+ s ago\n){4}$/)
  t.match(shown.out, /\neth0 +02:00:00:00:00:05 +\(this node\) /)
  const [status] = told.out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as BridgeStatus)
  t.match(status, { link: 'eth0', known: 4, ports: [{ name: 'port0', state: 'up', stormDrops: 0 }, {}, {}, {}] })
  const stationOf = ({ node }: RunningNode) => node.top.network.links()[0]?.linkAddress
  for (const [other, port] of [
    [streamed, 'port0'],
    [near, 'near'],
    [far, 'far'],
  ] as const)
    t.equal(status?.stations.find(({ address }) => address === stationOf(other))?.port, port)
  t.match(limited, { code: 0, err: 'eth0 knows 4 stations: --limit shows more\n' })
  t.match(none, { code: 1, err: /no link of 'A' is a bridge/ })
})

t.test('a bridge obeys PAUSE where it is told to', async (t) => {
  const [a, b] = await freePorts(2)
  const quiet = await node('Q', `bridge:(udp:127.0.0.1:${a},peer=127.0.0.1:${b},codec=raw)`, '10.0.0.1/24')
  await using _quiet = quiet
  const [c, d] = await freePorts(2)
  await using self = await node('S', `bridge:(udp:127.0.0.1:${c},peer=127.0.0.1:${d},codec=raw),pause`, '10.0.0.1/24')
  for (const [{ node }, port, reason] of [
    [quiet, a, 'reserved'],
    [self, c, undefined],
  ] as const) {
    const peer = createSocket('udp4').bind(port === a ? b : d, '127.0.0.1')
    await once(peer, 'listening')
    const pause = Buffer.from(`0180c2000001020000000009880800010001${'00'.repeat(42)}`, 'hex')
    const wire = () => node.snapshot().find(({ name }) => name.endsWith('/bridge'))
    peer.send(pause, port as number, '127.0.0.1')
    const before = node.snapshot()[0]?.rxPackets ?? 0
    while ((node.snapshot()[0]?.rxPackets ?? 0) === before) await sleep(5)
    t.strictSame(wire()?.drops, reason === undefined ? {} : { [reason]: 1 })
    peer.close()
  }
})
