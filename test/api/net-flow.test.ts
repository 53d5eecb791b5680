/** Octets: backpressure, counting, timeouts, and the ways to read. */
import type { Socket } from '../../src/api/node-net.ts'
import { once, pair, pattern, readAll, record } from './events.ts'
import { check } from './subjects.ts'

check('a big transfer arrives whole, whatever the sizes of its writes', async (t, subject) => {
  const { server, near, far } = await pair(subject)
  const octets = pattern(3_000_000)
  const arriving = readAll(far)
  for (let at = 0, size = 1; at < octets.length; at += size, size = (size * 3) % 200_003) {
    if (!near.write(octets.subarray(at, at + size))) await once(near, 'drain')
  }
  near.end()
  near.resume()
  const arrived = await arriving
  t.ok(arrived.equals(octets))
  t.equal(near.bytesWritten, octets.length)
  t.equal(far.bytesRead, octets.length)
  server.close()
})

check('a reader that pauses holds the writer back, and misses nothing', async (t, subject) => {
  const { server, near, far } = await pair(subject)
  const octets = pattern(20_000_000)
  far.pause()
  let accepted = 0
  near.write(octets, () => {
    accepted = octets.length
  })
  near.end()
  near.resume()
  await subject.sleep(100)
  t.equal(accepted, 0, 'not all of it fits into the queues')
  t.ok(far.readableLength < 1_000_000, `${far.readableLength} octets wait in the stream`)
  const arrived = await readAll(far.resume() as Socket)
  t.ok(arrived.equals(octets))
  server.close()
})

check('what arrived before both ends closed is still there for a reader that comes late', async (t, subject) => {
  const { server, near, far } = await pair(subject, { allowHalfOpen: true })
  const octets = pattern(200_000)
  far.pause()
  far.end()
  near.end(octets)
  near.resume()
  await once(near, 'close')
  await subject.sleep(20)
  t.ok((await readAll(far.resume() as Socket)).equals(octets))
  server.close()
})

check('corked writes, and callbacks in order', async (t, subject) => {
  const { server, near, far } = await pair(subject)
  const order: number[] = []
  near.cork()
  for (let i = 0; i < 5; i++) near.write(`${i}`, () => order.push(i))
  near.uncork()
  near.end()
  near.resume()
  t.equal(String(await readAll(far)), '01234')
  t.strictSame(order, [0, 1, 2, 3, 4])
  server.close()
})

check('text in several encodings', async (t, subject) => {
  const { server, near, far } = await pair(subject)
  far.setEncoding('utf8')
  let text = ''
  far.on('data', (data: string) => {
    text += data
  })
  near.write('grüße ', 'utf8')
  near.write('636d', 'hex')
  near.end(Buffer.from('日本'))
  near.resume()
  await once(far, 'end')
  t.equal(text, 'grüße cm日本')
  server.close()
})

check('bytesWritten counts what still waits', async (t, subject) => {
  const { server, near, far } = await pair(subject)
  far.pause()
  for (let i = 0; i < 100; i++) near.write(Buffer.alloc(100_000))
  t.equal(near.bytesWritten, 10_000_000)
  far.resume()
  await new Promise<void>((resolve) => near.end(resolve))
  t.equal(near.bytesWritten, 10_000_000)
  server.close()
})

check('an idle socket times out, and stays open', async (t, subject) => {
  const { server, near, far } = await pair(subject)
  let wrote = subject.now()
  const idle: number[] = []
  near.setTimeout(60, () => idle.push(subject.now() - wrote))
  t.equal(near.timeout, 60)
  for (let i = 0; i < 3; i++) {
    await subject.sleep(40)
    wrote = subject.now()
    near.write('x')
  }
  while (idle.length === 0) await subject.sleep(5)
  // Each timeout on a busy machine is late; Node's timers round to a millisecond.
  t.ok(Math.min(...idle) > 58, `a write starts the period again: after ${idle} ms`)
  t.equal(near.destroyed, false)
  near.setTimeout(30)
  near.setTimeout(0)
  let again = 0
  near.on('timeout', () => again++)
  await subject.sleep(60)
  t.equal(again, 0)
  far.destroy()
  near.destroy()
  server.close()
})

check('setTimeout takes its callback back', async (t, subject) => {
  const { server, near, far } = await pair(subject)
  const callback = (): void => {}
  near.setTimeout(1000, callback)
  t.equal(near.listenerCount('timeout'), 1)
  near.setTimeout(0, callback)
  t.equal(near.listenerCount('timeout'), 0)
  far.destroy()
  near.destroy()
  server.close()
})

check('the timeout option of connect', async (t, subject) => {
  const { server, near, far } = await pair(subject, {}, { timeout: 30 })
  t.equal(near.timeout, 30)
  await once(near, 'timeout')
  far.destroy()
  near.destroy()
  server.close()
})

check('onread reads into one buffer, and pauses', async (t, subject) => {
  const seen: string[] = []
  const buffer = Buffer.alloc(4)
  const callback = (n: number, into: Uint8Array): boolean => {
    seen.push(Buffer.from(into.subarray(0, n)).toString())
    return seen.length !== 1
  }
  const { server, near, far } = await pair(subject, {}, { onread: { buffer, callback } })
  far.end('abcdefgh')
  await subject.sleep(20)
  t.strictSame(seen, ['abcd'])
  near.resume()
  await once(near, 'end')
  t.equal(seen.join(''), 'abcdefgh')
  t.equal(near.bytesRead, 8)
  server.close()
})

check('pauseOnConnect: nothing is read until resume', async (t, subject) => {
  const { server, near, far } = await pair(subject, { pauseOnConnect: true })
  near.write('wait')
  await subject.sleep(20)
  t.equal(far.isPaused(), true)
  t.equal(far.bytesRead, 0)
  near.end()
  t.equal(String(await readAll(far.resume() as Socket)), 'wait')
  server.close()
})

check('who does not read sees no end either, until he does', async (t, subject) => {
  for (const answer of [false, true]) {
    const { server, near, far } = await pair(subject, { pauseOnConnect: true, allowHalfOpen: answer })
    const log: string[] = []
    record(far, 'far', log, ['end', 'finish', 'close'])
    if (answer) far.end('answer')
    near.resume().end()
    await subject.sleep(50)
    t.strictSame(log, answer ? ['far finish'] : [])
    t.equal(far.readyState, answer ? 'readOnly' : 'open')
    t.equal(far.localAddress, subject.address)
    far.resume()
    await once(far, 'close')
    t.ok(log.includes('far end'))
    server.close()
  }
})

check('options are accepted at any time, and chained', async (t, subject) => {
  const before = new subject.client.Socket()
  t.equal(before.setNoDelay().setKeepAlive(true, 1000).setTimeout(0).ref().unref(), before)
  const { server, near, far } = await pair(subject, { noDelay: true, keepAlive: true, keepAliveInitialDelay: 2000 })
  t.equal(near.setNoDelay(true).setKeepAlive(true, 5000).setNoDelay(false).setKeepAlive(false), near)
  if (!subject.real) {
    near.setNoDelay(true).setKeepAlive(true, 5000)
    t.equal(near.connection?.get('noDelay'), true)
    t.equal(near.connection?.get('keepAlive'), true)
    t.equal(near.connection?.get('keepAliveIdle'), 5_000_000)
    t.equal(far.connection?.get('noDelay'), true)
    t.equal(far.connection?.get('keepAliveIdle'), 2_000_000)
  }
  near.destroy()
  far.destroy()
  server.close()
})
