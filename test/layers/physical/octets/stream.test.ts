import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Duplex, PassThrough } from 'node:stream'
import t from 'tap'
import { stream } from '../../../../layers/physical/octets/stream.ts'
import { ms } from '../../../../src/kernel/clock.ts'
import { Packet, packetsInUse, poisonReleased } from '../../../../src/kernel/packet.ts'
import { boot } from '../../../../src/runtime/real-time.ts'
import { type PhysicalPair, physicalConformance, Recorder } from '../../../conformance/physical.ts'
import { delivered } from './delivered.ts'

poisonReleased(true)

const dir = mkdtempSync(join(tmpdir(), 'netstrata-stream-'))
t.teardown(() => rmSync(dir, { recursive: true }))
let count = 0

/** Both ends of a connection over a Unix socket: the kernel holds less for it than for one of TCP. */
async function connected(): Promise<[Duplex, Duplex]> {
  const path = join(dir, String(++count))
  const server = createServer().listen(path)
  await once(server, 'listening')
  const near = connect(path)
  const [[far]] = (await Promise.all([once(server, 'connection'), once(near, 'connect')])) as [[Socket], unknown]
  server.close()
  return [near, far]
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

async function overSockets(): Promise<PhysicalPair> {
  const [near, far] = await connected()
  const a = await boot(stream(near), 'A')
  const b = await boot(stream(far), 'B')
  let closed: Promise<unknown> | undefined
  return {
    near: a.top,
    far: b.top,
    settle: delivered(a.top, b.top),
    close: async () => {
      closed ??= Promise.all([a.close(), b.close()])
      await closed
    },
  }
}

await physicalConformance(t, 'a stream', { make: overSockets, run: true })

t.test('the streams of a child process', async (t) => {
  const child = spawn('cat', { stdio: ['pipe', 'pipe', 'inherit'] })
  const node = await boot(stream({ readable: child.stdout, writable: child.stdin }), 'A')
  const recorder = new Recorder()
  node.top.boundary.attach(recorder)
  const packet = Packet.take(0, 5)
  packet.append(Uint8Array.of(1, 2, 3, 4, 5))
  node.top.send(packet, undefined)
  while (recorder.packets.length === 0) await sleep(5)
  t.strictSame(recorder.packets, [Uint8Array.of(1, 2, 3, 4, 5)])
  child.kill()
  while (recorder.links.length === 0) await sleep(5)
  t.match(recorder.links[0], /^down /)
  const late = Packet.take(0, 5)
  late.put(5)
  node.top.send(late, undefined)
  t.equal(node.top.boundary.drops.get('linkDown'), 1)
  await node.close()
  t.equal(packetsInUse(), 0)
})

t.test('a writer that nobody reads is held, and its memory bounded', async (t) => {
  const [near, far] = await connected()
  const node = await boot(stream(near, { queueOctets: 100_000 }), 'A')
  const recorder = new Recorder()
  node.top.boundary.attach(recorder)
  const send = (): boolean => {
    const packet = Packet.take(0, 10_000)
    packet.put(10_000)
    return node.top.send(packet, undefined)
  }
  let sent = 0
  while (sent < 10_000 && node.top.boundary.drops.get('queueFull') === 0) {
    send()
    if (++sent % 20 === 0) await sleep(1)
  }
  t.equal(node.top.boundary.drops.get('queueFull'), 1, `after ${sent}`)
  t.equal(recorder.readies, 0)
  let read = 0
  far.on('data', (octets: Buffer) => {
    read += octets.length
  })
  while (read < (sent - 1) * 10_000) await sleep(5)
  t.equal(recorder.readies, 1)
  await node.close()
  far.destroy()
})

t.test('a node closes though the other end takes nothing any more', async (t) => {
  const stuck = new Duplex({ read: () => {}, write: () => {} })
  const node = await boot(stream(stuck), 'A')
  const packet = Packet.take(0, 10)
  packet.put(10)
  node.top.send(packet, undefined)
  await t.resolves(node.close())
  t.ok(stuck.destroyed, 'nothing waits for it any more')
})

t.test('a reader that is slow holds its peer', async (t) => {
  const through = new PassThrough()
  const node = await boot(stream({ readable: through, writable: new PassThrough() }, { mtu: 100 }), 'A')
  const recorder = new Recorder()
  node.top.boundary.attach(recorder)
  through.write(Buffer.alloc(1_000_000))
  await sleep(0)
  const first = recorder.packets.length
  t.ok(first > 0 && first < 10_000, `${first} packets in the first turn`)
  while (recorder.packets.length < 10_000) await sleep(1)
  t.ok(recorder.packets.every(({ length }) => length === 100))
  await node.close()
})

t.test('misuse is refused, and what cannot be opened fails the boot', async (t) => {
  t.throws(() => stream(5 as never), { code: 'ERR_INVALID_ARG_TYPE' })
  t.throws(() => stream(new PassThrough({ objectMode: true })), { code: 'ERR_INVALID_ARG_VALUE' })
  t.throws(() => stream(new PassThrough(), { mtu: 0 }), { code: 'ERR_OUT_OF_RANGE' })
  const blueprint = stream(new PassThrough())
  const node = await boot(blueprint, 'A')
  await t.rejects(boot(blueprint, 'B'), { code: 'EBUSY' })
  await node.close()
  await t.rejects(boot(stream(() => Promise.reject(new Error('no way')))), { message: /no way/ })
})

t.test('a link whose stream is made anew', { timeout: 120_000 }, async (t) => {
  const path = join(dir, 'again')
  const opened: Socket[] = []
  const source = async (): Promise<Socket> => {
    const socket = connect(path)
    await once(socket, 'connect')
    opened.push(socket)
    return socket
  }
  t.throws(() => stream(new PassThrough(), { reopen: ms(10) }), { code: 'ERR_INVALID_ARG_VALUE' })
  t.throws(() => stream(source, { reopen: 1 }), { code: 'ERR_OUT_OF_RANGE' })
  await t.rejects(boot(stream(source, { reopen: ms(10) }), 'A'), { code: 'ENOENT' })
  const node = await boot(stream(source, { reopen: ms(10), wait: false }), 'A')
  const recorder = new Recorder()
  node.top.boundary.attach(recorder)
  while (recorder.links.length < 2) await sleep(5)
  t.match(recorder.links[0], /^down .*ENOENT/, 'nobody listens: the node runs all the same, and tries again')
  const server = createServer()
  const accepted: Socket[] = []
  server.on('connection', (socket) => accepted.push(socket.resume()))
  server.listen(path)
  while (accepted.length < 1) await sleep(5)
  accepted[0]?.write('one')
  while (recorder.packets.length < 1) await sleep(5)
  t.match(recorder.links.at(-1), /^up /)
  accepted[0]?.destroy()
  while (accepted.length < 2) await sleep(5)
  t.match(recorder.links.at(-1), /^(up|down) /)
  accepted[1]?.write('two')
  while (recorder.packets.length < 2) await sleep(5)
  t.same(
    recorder.packets.map((octets) => Buffer.from(octets).toString()),
    ['one', 'two'],
  )
  t.match(recorder.links.at(-1), /^up /)
  // What a former stream says has nothing to do with the present one.
  opened[0]?.emit('error', new Error('late'))
  t.match(recorder.links.at(-1), /^up /)
  await node.close()
  server.close()
  const { length } = opened
  await sleep(50)
  t.equal(opened.length, length, 'a node that is closed opens nothing')
  t.equal(packetsInUse(), 0)
})

t.test('a stream that takes its time to come', async (t) => {
  const node = await boot(
    stream(() => new Promise<Duplex>(() => {}), { reopen: ms(10), wait: false }),
    'A',
  )
  const recorder = new Recorder()
  node.top.boundary.attach(recorder)
  while (recorder.links.length < 1) await sleep(5)
  t.match(recorder.links, [/^down .*not open yet/], 'is told to whoever has attached meanwhile')
  await node.close()
})
