/** Listeners run in the async context in which their socket was made, whoever woke the stack: as Node's do. */
import { AsyncLocalStorage } from 'node:async_hooks'
import type { Socket } from '../../src/api/node-net.ts'
import { once } from './events.ts'
import { check } from './subjects.ts'

const context = new AsyncLocalStorage<string>()

check('listeners of sockets', async (t, subject) => {
  const seen: Record<string, string | undefined> = {}
  const note = (event: string) => () => {
    seen[event] = context.getStore()
  }
  const server = subject.server.createServer()
  server.on('connection', note('connection'))
  const listening = once(server, 'listening')
  context.run('listen', () => server.listen(0, subject.address))
  await listening
  const accepted = once<Socket>(server, 'connection')
  const { port } = server.address() as { port: number }
  const near = context.run('connect', () => subject.client.connect(port, subject.address))
  near.on('connect', note('connect')).on('data', note('data')).on('end', note('end'))
  const far = await accepted
  far.on('data', (octets) => context.run('answer', () => far.end(octets)))
  context.run('write', () => near.write('ping'))
  await once(near, 'end')
  t.strictSame(seen, { connection: 'listen', connect: 'connect', data: 'connect', end: 'connect' })
  server.close()
})

check('a timeout is of the call that asked for it', async (t, subject) => {
  const server = subject.server.createServer((far) => far.on('error', () => {}).resume())
  await new Promise<void>((resolve) => server.listen(0, subject.address, resolve))
  const { port } = server.address() as { port: number }
  const socket = context.run('connect', () => subject.client.connect(port, subject.address))
  await once(socket, 'connect')
  const told = new Promise((resolve) => socket.once('timeout', () => resolve(context.getStore())))
  context.run('setTimeout', () => socket.setTimeout(20))
  t.equal(await told, 'setTimeout')
  socket.destroy()
  server.close()
})

check('datagrams', async (t, subject) => {
  if (subject.dgram === undefined) {
    t.pass('it has no datagrams')
    return
  }
  const { dgram } = subject
  const far = context.run('createSocket', () => dgram.createSocket('udp4'))
  far.bind(0, '127.0.0.1')
  await once(far, 'listening')
  const told = new Promise((resolve) => far.once('message', () => resolve(context.getStore())))
  const near = dgram.createSocket('udp4')
  context.run('send', () => near.send('ping', far.address().port, '127.0.0.1'))
  t.equal(await told, 'createSocket')
  for (const socket of [near, far]) socket.close()
})
