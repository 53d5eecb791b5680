/** Corners of datagram sockets: Node's own say what is right. */
import type { Test } from 'tap'
import { once, record } from './events.ts'
import { check as checkAll, type Subject } from './subjects.ts'

type Dgram = NonNullable<Subject['dgram']>
type Loose = (...args: readonly unknown[]) => unknown

const LIFE = ['listening', 'connect', 'error', 'close']

function check(title: string, body: (t: Test, dgram: Dgram, subject: Subject) => Promise<void>): void {
  checkAll(title, async (t, subject) => {
    if (subject.dgram === undefined) t.pass('it has no datagrams')
    else await body(t, subject.dgram, subject)
  })
}

check('closed while it is bound: it never listens', async (t, dgram, subject) => {
  for (const bind of [[0], [0, '127.0.0.1'], [{ port: 0 }]]) {
    const log: string[] = []
    const socket = dgram.createSocket('udp4')
    record(socket, 'socket', log, LIFE)
    ;(socket.bind as Loose).call(socket, ...bind, () => log.push('bound'))
    socket.close()
    await once(socket, 'close')
    await subject.sleep(10)
    t.strictSame(log, ['socket close undefined'])
  }
})

check('closed by a listener of listening', async (t, dgram) => {
  const socket = dgram.createSocket('udp4')
  socket.once('listening', () => socket.close())
  socket.bind(0)
  await once(socket, 'close')
  t.throws(() => socket.address(), { code: 'ERR_SOCKET_DGRAM_NOT_RUNNING' })
})

check('closed while something waits to be sent: it is sent', async (t, dgram, { real }) => {
  if (real) {
    t.pass('Node has closed before it knows the address')
    return
  }
  const far = dgram.createSocket('udp4')
  far.bind(0, '127.0.0.1')
  await once(far, 'listening')
  const arrived = once<Buffer>(far, 'message')
  const socket = dgram.createSocket('udp4')
  socket.send('last words', far.address().port, '127.0.0.1')
  socket.close()
  t.equal(String(await arrived), 'last words')
  far.close()
})

check('what is no function as a listener or callback', async (t, dgram) => {
  const socket = (dgram.createSocket as Loose)('udp4', 'no listener') as ReturnType<Dgram['createSocket']>
  t.equal(socket.listenerCount('message'), 0)
  t.equal((socket.close as Loose).call(socket, {}), socket)
  await once(socket, 'close')
})

check('buffer sizes: in options, and before it is bound', async (t, dgram) => {
  for (const name of ['recvBufferSize', 'sendBufferSize']) {
    const make = (size: unknown) => dgram.createSocket({ type: 'udp4', [name]: size })
    t.throws(() => make('x'), { code: 'ERR_INVALID_ARG_TYPE', message: new RegExp(`"options.${name}" property`) })
    t.throws(() => make(-1), { code: 'ERR_OUT_OF_RANGE' })
  }
  const socket = dgram.createSocket('udp4')
  for (const call of [() => socket.getRecvBufferSize(), () => socket.setSendBufferSize(9000)]) {
    t.throws(call, { code: 'ERR_SOCKET_BUFFER_SIZE', info: { code: 'EBADF' } })
  }
  for (const size of ['x', Number.POSITIVE_INFINITY, -1]) {
    t.throws(() => socket.setRecvBufferSize(size as number), { code: 'ERR_SOCKET_BAD_BUFFER_SIZE' })
  }
  socket.close()
})

check('connect: a name nobody knows is told to the callback, and only to it', async (t, dgram, subject) => {
  const socket = dgram.createSocket({
    type: 'udp4',
    // Node asks about addresses, too.
    lookup: (name, _options, callback) =>
      name === 'some.name'
        ? callback(Object.assign(new Error('no'), { code: 'ENOTFOUND' }), '')
        : callback(null, '127.0.0.1', 4),
  })
  const listening = once(socket, 'listening')
  socket.bind(0, '127.0.0.1')
  await listening
  let emitted = 0
  socket.on('error', () => emitted++)
  const told = new Promise((resolve) => socket.connect(9, 'some.name', resolve as () => void))
  t.match(await told, { code: 'ENOTFOUND' })
  await subject.sleep(5)
  t.equal(emitted, 0)
  socket.connect(9, 'some.name')
  t.match(await once(socket, 'error'), { code: 'ENOTFOUND' })
  socket.close()
})

check('addresses that are no text', async (t, dgram) => {
  const socket = dgram.createSocket('udp4')
  const { connect, bind } = socket as unknown as Record<'connect' | 'bind', Loose>
  for (const address of [1, null]) {
    t.throws(() => connect.call(socket, 9, address), { code: 'ERR_INVALID_ARG_TYPE', message: /"address" argument/ })
  }
  t.throws(() => bind.call(socket, 0, 1), { code: 'ERR_INVALID_ARG_TYPE', message: /"hostname" argument/ })
  socket.close()
})

check('memberships of a closed socket', async (t, dgram) => {
  const socket = dgram.createSocket('udp4')
  socket.close()
  for (const call of ['addMembership', 'dropMembership', 'setMulticastInterface'] as const) {
    t.throws(() => socket[call]('224.0.0.1'), { code: 'ERR_SOCKET_DGRAM_NOT_RUNNING' }, call)
  }
})

check('what Node says of messages and buffers it cannot use', async (t, dgram) => {
  const socket = dgram.createSocket('udp4')
  t.throws(() => socket.send(['a', 23] as never, 9, '127.0.0.1'), {
    code: 'ERR_INVALID_ARG_TYPE',
    message: /^The "buffer list arguments" .* Received an instance of Array$/,
  })
  t.throws(() => socket.getRecvBufferSize(), {
    name: 'SystemError',
    code: 'ERR_SOCKET_BUFFER_SIZE',
    message: 'Could not get or set buffer size: uv_recv_buffer_size returned EBADF (bad file descriptor)',
    info: { code: 'EBADF', message: 'bad file descriptor', syscall: 'uv_recv_buffer_size' },
  })
  socket.close()
})

check('a connected socket refuses a port and an address', async (t, dgram) => {
  const socket = dgram.createSocket('udp4')
  await new Promise<void>((resolve) => socket.connect(9, '127.0.0.1', resolve))
  const send = (...args: unknown[]) => (socket.send as Loose).apply(socket, args)
  const refused = { code: 'ERR_SOCKET_DGRAM_IS_CONNECTED' }
  t.throws(() => send('hello', 9, '127.0.0.1', () => {}), refused)
  t.throws(() => send('hello', 1, 1, 9), refused)
  t.doesNotThrow(() => send('hello', 9, '127.0.0.1'), 'which Node does not look at')
  socket.close()
})

check('a lookup function is asked about addresses too, with the family as a number', async (t, dgram) => {
  const asked: unknown[] = []
  const lookup = (
    host: string,
    family: unknown,
    tell: (error: null, address: string, family: number) => void,
  ): void => {
    asked.push([host, family])
    tell(null, '127.0.0.1', 4)
  }
  const socket = dgram.createSocket({ type: 'udp4', lookup })
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.9', resolve))
  t.strictSame(asked, [['127.0.0.9', 4]])
  t.equal(socket.address().address, '127.0.0.1')
  socket.close()
})
