import { execFile, execFileSync } from 'node:child_process'
import { constants, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { ERRNO, errnoName, libc } from '../../../layers/physical/libc.ts'
import { readable, throughPoll } from '../../../layers/physical/readable.ts'
import { NetError } from '../../../src/kernel/errors.ts'
import { Packet } from '../../../src/kernel/packet.ts'
import { WITHOUT_KOFFI } from './without-koffi.ts'

t.test('without koffi, one sentence says what to do, and the rest works', async (t) => {
  const root = new URL('../../../', import.meta.url)
  const script = `
    const { tapDevice } = await import(${JSON.stringify(new URL('layers/physical/tap-device.ts', root))})
    const { udpTunnel } = await import(${JSON.stringify(new URL('layers/physical/udp-tunnel/udp-tunnel.ts', root))})
    const { boot } = await import(${JSON.stringify(new URL('src/runtime/real-time.ts', root))})
    const error = await boot(tapDevice('tap0')).catch((error) => error)
    console.log(error.message)
    const local = { host: '127.0.0.1', port: 0 }
    const native = await boot(udpTunnel({ engine: 'native', local })).catch((error) => error)
    console.log(native.message)
    const node = await boot(udpTunnel({ local }))
    console.log(node.top.engine)
    await node.close()`
  const output = await new Promise<string>((resolve, reject) => {
    const args = ['--import', WITHOUT_KOFFI, '--import', 'tsx', '--input-type=module', '-e', script]
    execFile(process.execPath, args, (error, stdout) => (error === null ? resolve(stdout) : reject(error)))
  })
  t.same(output.split('\n'), [
    'ENOTSUP: TAP and TUN need the optional package koffi: npm install koffi',
    'ENOTSUP: Native UDP tunnels need the optional package koffi: npm install koffi',
    'dgram',
    '',
  ])
})

function hasKoffi(): boolean {
  try {
    return libc() !== undefined
  } catch (error) {
    if (NetError.is(error)) return false
    throw error
  }
}
const skip = hasKoffi() ? false : 'needs Linux and koffi: npm install koffi'

t.test('errors have names', async (t) => {
  t.equal(errnoName(ERRNO.EBUSY), 'EBUSY')
  t.equal(errnoName(12_345), 'errno 12345')
})

function fifo(t: { teardown(cleanup: () => void): unknown }): number {
  const folder = mkdtempSync(join(tmpdir(), 'netstrata-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  execFileSync('mkfifo', [join(folder, 'fifo')])
  return openSync(join(folder, 'fifo'), constants.O_RDWR | constants.O_NONBLOCK)
}

t.test('reads and writes go to and from the slab, and failures have a reason', { skip }, async (t) => {
  const c = libc()
  const fd = fifo(t)
  const [out, into] = [Packet.take(0, 16), Packet.take(0, 16)]
  out.append(Buffer.from('across'))
  // Telling of a result may set the error number anew.
  t.strictSame([c.read(fd, c.slabAddress() + into.start, 16), c.errno()], [-1, ERRNO.EAGAIN])
  t.equal(c.write(fd, c.slabAddress() + out.start, out.length), 6)
  t.equal(c.read(fd, c.slabAddress() + into.start, 16), 6)
  into.put(6)
  t.equal(Buffer.from(into.bytes()).toString(), 'across')
  t.strictSame([c.read(0x7fff_0000, c.slabAddress() + into.start, 16), c.errno()], [-1, ERRNO.EBADF])
  out.release()
  into.release()
  const closing = readable(c, fd, { woken: () => {} }, true)
  await closing.close()
})

for (const way of ['libuv', 'poll'] as const) {
  t.test(`woken through ${way} for what arrives, and not after closing`, { skip }, async (t) => {
    const c = libc()
    const fd = fifo(t)
    const got: string[] = []
    const reader = {
      woken: () => {
        const octets = Buffer.alloc(16)
        got.push(octets.toString('latin1', 0, readSync(fd, octets)))
      },
    }
    const watch = way === 'libuv' ? readable(c, fd, reader, true) : throughPoll(c, fd, reader, true)
    for (const text of ['one', 'two']) {
      writeSync(fd, text)
      for (let i = 0; i < 12_000 && got.at(-1) !== text; i++) await new Promise((resolve) => setTimeout(resolve, 5))
    }
    t.same(got, ['one', 'two'])
    await watch.close()
    t.throws(() => writeSync(fd, 'three'), { code: 'EBADF' }, 'the descriptor is closed')
  })
}
