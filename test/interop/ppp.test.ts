/**
 * PPP with two other implementations: slirp's, on a tty, and Debian's pppd over Linux's, in User-mode Linux. Each gives us
 * an address, answers pings, and echoes a megabyte over TCP; tshark checks every FCS.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { impair, type Node, type Sockets, serial, stack } from '../../src/index.ts'
import { packetsInUse, poisonReleased } from '../../src/kernel/packet.ts'
import { type Cleaning, oracle } from './helpers.ts'
import { folder } from './payload.ts'
import { addressed, answers, fcsOf, host, PPPD, pppd, sleep } from './ppp-stand.ts'

poisonReleased(true)
t.setTimeout(600_000)

const OCTETS = 1_048_576
const ECHO_MS = 120_000
/** Frames that take it there and back: as large as they may be, and whatever acknowledgements there are besides. */
const LEAST_FRAMES = (2 * OCTETS) / 1500

function ends(t: Cleaning, child: ChildProcess): void {
  t.teardown(() => child.kill('SIGKILL'))
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

for (const corruption of [0, 0.01]) {
  const skip = oracle('slirp-fullbolt', 'socat', 'tshark')
  t.test(`slirp, on a line ${corruption === 0 ? 'that is good' : 'with bit errors'}`, { skip }, async (t) => {
    const before = packetsInUse()
    const dir = folder(t)
    const tty = join(dir, 'tty')
    const slirp = ['EXEC:slirp-fullbolt ppp,pty,raw,echo=0,setsid,ctty', `PTY,link=${tty},raw,echo=0`]
    ends(t, spawn('socat', slirp, { stdio: 'ignore' }))
    while (!existsSync(tty)) await sleep(20)
    const noise = impair({ corruption })
    const node = await host(stack(serial(tty), noise), { peerAddress: '10.0.2.2' })
    const path = join(dir, 'slirp.pcapng')
    const capture = node.capture(path)
    t.equal(await addressed(node), '10.0.2.15')
    t.ok(await answers(node, '10.0.2.2'), 'a ping is answered')
    const server = createServer((socket) => socket.pipe(socket)).listen(0, '127.0.0.1')
    t.teardown(() => server.close())
    await new Promise((resolve) => server.once('listening', resolve))
    t.equal(await echoed(node, '10.0.2.2', (server.address() as { port: number }).port), OCTETS)
    const frames = node.boundaries.find(({ name }) => name.endsWith('/ppp-frames'))
    if (corruption === 0) t.equal(frames?.drops.get('fcs'), 0)
    else t.ok(noise.link.down.corrupted + noise.link.up.corrupted > 0, 'bits were wrong')
    await node.close()
    await capture
    const { correct, incorrect } = await fcsOf(path)
    t.ok(correct > LEAST_FRAMES, `${correct} frames with a good FCS`)
    t.equal(incorrect, 0)
    t.equal(packetsInUse(), before)
  })
}

t.test('pppd, on a line that is good', { skip: PPPD }, async (t) => {
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
  t.ok(correct > LEAST_FRAMES, `${correct} frames with a good FCS`)
  t.equal(incorrect, 0)
})

t.test('pppd, which wants to know who we are, on a line with bit errors', { skip: PPPD }, async (t) => {
  const noise = impair({ corruption: 0.02 })
  const line = stack(pppd(t, 'auth require-chap name server 10.7.0.1:10.7.0.2'), noise)
  const node = await host(line, { chap: { name: 'client', secret: 'right' } })
  t.equal(await addressed(node), '10.7.0.2')
  t.ok(await answers(node, '10.7.0.1'), 'a ping is answered')
  t.equal(await echoed(node, '10.7.0.1', 7), OCTETS)
  const frames = node.boundaries.find(({ name }) => name.endsWith('/ppp-frames'))
  const damaged = [...(frames?.drops.values() ?? [])].reduce((sum, count) => sum + count, 0)
  t.comment(JSON.stringify(Object.fromEntries(frames?.drops ?? [])))
  const { down, up } = noise.link
  t.ok(down.corrupted + up.corrupted > 0, 'bits were wrong')
  t.equal(damaged > 0, up.corrupted > 0, `${damaged} frames were damaged`)
  await node.close()
})
