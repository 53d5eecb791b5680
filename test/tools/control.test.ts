import { once } from 'node:events'
import { mkdirSync, mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { ask, chooseNode, follow } from '../../tools/control/client.ts'
import { serveControl } from '../../tools/control/server.ts'

const folder = mkdtempSync(join(tmpdir(), 'ns-'))
process.env.XDG_RUNTIME_DIR = folder
t.teardown(() => rmSync(folder, { recursive: true }))

t.test('questions, events, and who may ask', async (t) => {
  let stopped = 0
  const server = await serveControl('A', {
    calls: {
      links: () => [{ name: 'eth0' }],
      broken: () => {
        throw new TypeError('it broke')
      },
    },
    streams: {
      count: (emit) => {
        for (let i = 0; i < 3; i++) emit(i)
        return () => stopped++
      },
    },
  })
  t.equal(statSync(server.path).mode & 0o777, 0o600, 'nobody else may connect')
  t.equal(statSync(join(folder, 'netstrata')).mode & 0o777, 0o700)
  const dead = createServer().listen(join(folder, 'was-killed'))
  await once(dead, 'listening')
  renameSync(join(folder, 'was-killed'), join(folder, 'netstrata', 'K.sock'))
  dead.close()
  t.equal(await chooseNode(undefined), 'A', 'the only one needs no name')
  t.equal(await chooseNode('@B'), 'B')
  await t.rejects(ask('B', 'links'), { exitCode: 4, message: /'B' is running \(running here: @A\)/ }, 'who was killed')
  t.same(await ask('A', 'links'), [{ name: 'eth0' }])
  await t.rejects(ask('A', 'broken'), { message: 'it broke', exitCode: 1 })
  await t.rejects(ask('A', 'nothing'), {
    code: 'ERR_NO_METHOD',
    exitCode: 1,
    message: /^'A' cannot do this: it is no router, /,
  })
  const events: unknown[] = []
  for await (const event of follow('A', 'count')) if (events.push(event) === 3) break
  t.same(events, [0, 1, 2])
  while (stopped === 0) await new Promise((resolve) => setImmediate(resolve))
  t.equal(stopped, 1, 'a client that hangs up ends its stream')
  await t.rejects(serveControl('A', { calls: {}, streams: {} }), { exitCode: 1, message: /'A' is running/ })
  await server.close()
  await t.rejects(ask('A', 'links'), { exitCode: 4, message: /no node named 'A' is running/ })
  await t.rejects(chooseNode(undefined), { exitCode: 4, message: /no node is running/ })
})

t.test('a name that cannot be, and a folder that leaves no room for one', async (t) => {
  await t.rejects(ask('a/b', 'links'), { exitCode: 2, message: /^'a\/b' cannot name a node/ })
  const long = join(folder, 'x'.repeat(80))
  mkdirSync(long)
  process.env.XDG_RUNTIME_DIR = long
  t.teardown(() => {
    process.env.XDG_RUNTIME_DIR = folder
  })
  await t.rejects(ask('A', 'links'), { exitCode: 2, message: /at most 103 octets, .*x\/netstrata\/A\.sock has more/ })
})

t.test('garbage and endless lines harm nobody', async (t) => {
  const server = await serveControl('A', { calls: { links: () => [] }, streams: {} })
  const answers = await new Promise<string>((resolve) => {
    const socket = connect(server.path, () => socket.end('not json\n[]\n{"id":7,"method":"toString"}\n'))
    let text = ''
    socket.setEncoding('utf8').on('data', (chunk) => {
      text += chunk
    })
    socket.on('close', () => resolve(text))
  })
  t.equal(answers.trim().split('\n').length, 3)
  t.match(answers, /"id":7,"error"/)
  const closed = await new Promise<boolean>((resolve) => {
    const socket = connect(server.path, () => socket.write('x'.repeat(200_000)))
    socket.on('error', () => {}).on('close', () => resolve(true))
  })
  t.ok(closed, 'hung up on')
  t.same(await ask('A', 'links'), [])
  await server.close()
})

t.test('a client that hangs up in the midst of a stream harms nobody', async (t) => {
  let running = 0
  const server = await serveControl('A', {
    calls: { links: () => [] },
    streams: {
      flood: (emit) => {
        running++
        let stopped = false
        const more = (): void => {
          for (let i = 0; i < 50 && !stopped; i++) emit('x'.repeat(1000))
          if (!stopped) setImmediate(more)
        }
        more()
        return () => {
          stopped = true
          running--
        }
      },
    },
  })
  for (let i = 0; i < 50; i++) {
    await new Promise<void>((resolve) => {
      const socket = connect(server.path, () => socket.write('{"id":1,"method":"flood"}\n'))
      socket.once('data', () => socket.destroy()).on('close', () => resolve())
    })
  }
  t.same(await ask('A', 'links'), [])
  while (running > 0) await new Promise((resolve) => setImmediate(resolve))
  await server.close()
})

t.test('a socket left behind by a node that died is taken over', async (t) => {
  mkdirSync(join(folder, 'netstrata'), { recursive: true, mode: 0o700 })
  writeFileSync(join(folder, 'netstrata', 'Z.sock'), '')
  const server = await serveControl('Z', { calls: { links: () => [1] }, streams: {} })
  t.same(await ask('Z', 'links'), [1])
  await server.close()
})
