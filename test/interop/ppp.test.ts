/**
 * PPP with two other implementations: slirp's, on a tty, and Debian's pppd over Linux's, in User-mode Linux. Each gives us an address, answers pings, and echoes a megabyte over TCP; tshark checks every FCS.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, symlinkSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import {
  type Blueprint,
  boot,
  impair,
  ip,
  ipv4,
  type Node,
  type PhysicalService,
  type PppOptions,
  ppp,
  type Sockets,
  serial,
  sockets,
  stack,
  stream,
  tcp,
  udp,
} from '../../src/index.ts'
import { packetsInUse, poisonReleased } from '../../src/kernel/packet.ts'
import { type Cleaning, oracle, run } from './helpers.ts'
import { folder } from './payload.ts'

poisonReleased(true)
t.setTimeout(300_000)

const OCTETS = 1_048_576
const ECHO_MS = 60_000
const MODULES = '/usr/lib/uml/modules'
const GUEST = fileURLToPath(new URL('guest/uml-ppp', import.meta.url))

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

function ends(t: Cleaning, child: ChildProcess): void {
  t.teardown(() => child.kill('SIGKILL'))
}

async function host(line: Blueprint<PhysicalService<'octets'>>, options: PppOptions): Promise<Node<Sockets>> {
  return boot(stack(line, ppp({ ipv6: false, ...options }), ip(ipv4()), sockets(tcp(), udp())), 'A')
}

/** Until the peer has given us an address. */
async function addressed({ top }: Node<Sockets>): Promise<string | undefined> {
  for (let i = 0; i < 600 && !top.network.links().some(({ state, addresses }) => state === 'up' && addresses[0]); i++)
    await sleep(50)
  return top.network.addresses().find((address) => !address.startsWith('127.'))
}

/**
 * Until the peer answers. It may have agreed on its address and not have its interface up yet: what comes by then is lost,
 * on a busy machine for a good while.
 */
async function answers({ icmp }: Node<Sockets>, address: string): Promise<boolean> {
  for (let i = 0; i < 40; i++) {
    const outcome = await icmp.ping(address, { timeout: 500 }).catch(() => undefined)
    if (outcome?.outcome === 'reply') return true
  }
  return false
}

/** Sends a megabyte to an echo. @returns how many of as many octets came back as they should. */
async function echoed(node: Node<Sockets>, address: string, port: number): Promise<number> {
  const sent = Uint8Array.from({ length: OCTETS }, (_, i) => (Math.imul(i, 2_654_435_761) >>> 13) & 0xff)
  const socket = await node.net.connect({ host: address, port })
  const timer = setTimeout(() => socket.destroy(new Error(`only ${received} octets came back`)), ECHO_MS)
  socket.write(sent)
  let received = 0
  let right = 0
  for await (const chunk of socket) {
    for (const octet of chunk as Buffer) if (octet === sent[received++]) right++
    if (received >= OCTETS) break
  }
  clearTimeout(timer)
  socket.destroy()
  return right
}

/** What tshark finds of the FCS of each frame, and how often. */
async function fcsOf(path: string): Promise<{ correct: number; incorrect: number }> {
  const { output } = await run('tshark', '-n', '-r', path, '-o', 'ppp.fcs_type:16-Bit', '-V')
  return {
    correct: output.match(/FCS 16: 0x[0-9a-f]+ \[correct\]/g)?.length ?? 0,
    incorrect: output.match(/FCS 16: 0x[0-9a-f]+ \[incorrect/g)?.length ?? 0,
  }
}

t.test('slirp', { skip: oracle('slirp-fullbolt', 'socat', 'tshark') }, async (t) => {
  const before = packetsInUse()
  const dir = folder(t)
  const tty = join(dir, 'tty')
  const slirp = ['EXEC:slirp-fullbolt ppp,pty,raw,echo=0,setsid,ctty', `PTY,link=${tty},raw,echo=0`]
  ends(t, spawn('socat', slirp, { stdio: 'ignore' }))
  while (!existsSync(tty)) await sleep(20)
  const node = await host(serial(tty), { peerAddress: '10.0.2.2' })
  const path = join(dir, 'slirp.pcapng')
  const capture = node.capture(path)
  t.equal(await addressed(node), '10.0.2.15')
  t.ok(await answers(node, '10.0.2.2'), 'a ping is answered')
  const server = createServer((socket) => socket.pipe(socket)).listen(0, '127.0.0.1')
  t.teardown(() => server.close())
  await new Promise((resolve) => server.once('listening', resolve))
  t.equal(await echoed(node, '10.0.2.2', (server.address() as { port: number }).port), OCTETS)
  const frames = node.boundaries.find(({ name }) => name.endsWith('/ppp-frames'))
  t.equal(frames?.drops.get('fcs'), 0)
  await node.close()
  await capture
  const { correct, incorrect } = await fcsOf(path)
  t.ok(correct > 1500, `${correct} frames with a good FCS`)
  t.equal(incorrect, 0)
  t.equal(packetsInUse(), before)
})

/** Boots the other end of a serial line, which is a pair of sockets. */
function pppd(t: Cleaning, options: string): Blueprint<PhysicalService<'octets'>> {
  const dir = folder(t)
  mkdirSync(join(dir, 'lib/modules'), { recursive: true })
  for (const version of readdirSync(MODULES)) symlinkSync(join(MODULES, version), join(dir, 'lib/modules', version))
  const uml = spawn(
    'linux.uml',
    [
      ...['mem=128M', 'rootfstype=hostfs', 'rootflags=/', 'ro', `init=${GUEST}`, `modules=${dir}`, `pppd="${options}"`],
      ...[`umid=netstrata${process.pid}`, 'con=null', 'con0=null', 'ssl=null', 'ssl0=fd:0,fd:1'],
    ],
    // A group of its own: all of its processes end with it.
    { env: { ...process.env, HOME: dir, TMPDIR: dir }, stdio: ['pipe', 'pipe', 'ignore'], detached: true },
  )
  t.teardown(() => process.kill(-(uml.pid as number), 'SIGKILL'))
  // Short runs, each of which the line may damage.
  return stream({ readable: uml.stdout, writable: uml.stdin }, { mtu: 1500 })
}

const UML = oracle('linux.uml', 'pppd', 'tshark', 'root')

t.test('pppd, on a line that is good', { skip: UML }, async (t) => {
  const line = pppd(t, 'noauth 10.7.0.1:10.7.0.2')
  const node = await host(line, {})
  const path = join(folder(t), 'pppd.pcapng')
  const capture = node.capture(path)
  t.equal(await addressed(node), '10.7.0.2')
  t.ok(await answers(node, '10.7.0.1'), 'a ping is answered')
  t.equal(await echoed(node, '10.7.0.1', 7), OCTETS)
  await node.close()
  await capture
  const { correct, incorrect } = await fcsOf(path)
  t.ok(correct > 1500, `${correct} frames with a good FCS`)
  t.equal(incorrect, 0)
})

t.test('pppd, which wants to know who we are, on a line with bit errors', { skip: UML }, async (t) => {
  const line = stack(pppd(t, 'auth require-chap name server 10.7.0.1:10.7.0.2'), impair({ corruption: 0.02 }))
  const node = await host(line, { chap: { name: 'client', secret: 'right' } })
  t.equal(await addressed(node), '10.7.0.2')
  t.ok(await answers(node, '10.7.0.1'), 'a ping is answered')
  t.equal(await echoed(node, '10.7.0.1', 7), OCTETS)
  const frames = node.boundaries.find(({ name }) => name.endsWith('/ppp-frames'))
  const damaged = ['fcs', 'aborted', 'tooLong'].reduce((sum, reason) => sum + (frames?.drops.get(reason) ?? 0), 0)
  t.comment(JSON.stringify(Object.fromEntries(frames?.drops ?? [])))
  t.ok(damaged > 0, `${damaged} frames were damaged`)
  await node.close()
})
