/** Addresses that a socket is to have nothing to do with: `net.BlockList`, which Node's own sockets take since 22.13. */
import type nodeDgram from 'node:dgram'
import net from 'node:net'
import type { Test } from 'tap'
import type { Dgram, Net } from '../../src/api/node-net.ts'
import { listen, once, record } from './events.ts'
import { check as checkAll, type Subject } from './subjects.ts'

type Failure = Error & { code: string; errors?: readonly Failure[] }

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
const nodeHasThem = major > 22 || (major === 22 && minor >= 13)

function check(title: string, body: (t: Test, subject: Subject) => Promise<void>): void {
  checkAll(title, async (t, subject) => {
    if (subject.real && !nodeHasThem) t.pass('this version of Node has none')
    else await body(t, subject)
  })
}

function listOf(...addresses: readonly string[]): net.BlockList {
  const list = new net.BlockList()
  for (const address of addresses) list.addAddress(address, net.isIPv6(address) ? 'ipv6' : 'ipv4')
  return list
}

check('a socket does not connect to what it lists', async (t, { client, address }) => {
  const log: string[] = []
  const socket = client.connect({ port: 9, host: address, blockList: listOf(address) })
  record(socket, 'socket', log, ['connectionAttempt', 'connectionAttemptFailed', 'error', 'close'])
  await once(socket, 'close')
  t.strictSame(log, ['socket connectionAttempt', 'socket error ERR_IP_BLOCKED', 'socket close true'])
  const message = `IP(${address}) is blocked by net.BlockList`
  const other = new client.Socket({ blockList: listOf(address) })
  other.connect(9, address)
  t.match(await once(other, 'error'), { code: 'ERR_IP_BLOCKED', message })
})

check('of a name, to none of the addresses it lists', async (t, subject) => {
  const server = subject.server.createServer((socket) => socket.end())
  const port = await listen(server, subject)
  const lookup = (_name: string, _options: unknown, tell: (error: null, found: unknown) => void): void =>
    process.nextTick(tell, null, [
      { address: '198.51.100.1', family: 4 },
      { address: subject.address, family: 4 },
    ])
  const options = { port, host: 'somewhere', lookup: lookup as never, autoSelectFamily: true }
  const log: string[] = []
  const open = subject.client.connect({ ...options, blockList: listOf('198.51.100.1') })
  open.on('connectionAttempt', (address: string) => log.push(`tries ${address}`))
  open.on('connectionAttemptFailed', (address: string, _port, _family, { code }: Failure) =>
    log.push(`${code} ${address}`),
  )
  await once(open, 'connect')
  t.strictSame(log, ['ERR_IP_BLOCKED 198.51.100.1', `tries ${subject.address}`])
  open.destroy()
  const shut = subject.client.connect({ ...options, blockList: listOf('198.51.100.1', subject.address) })
  const failure = await once<Failure>(shut, 'error')
  t.equal(failure.code, 'ERR_IP_BLOCKED')
  t.strictSame(
    failure.errors?.map(({ code }) => code),
    ['ERR_IP_BLOCKED', 'ERR_IP_BLOCKED'],
  )
  server.close()
})

check('a server closes connections from what it lists, without a word', async (t, subject) => {
  for (const blockList of [listOf(subject.clientAddress), listOf('198.51.100.1')]) {
    const heard: string[] = []
    const server = subject.server.createServer({ blockList })
    server.on('drop', () => heard.push('drop'))
    server.on('connection', (socket) => {
      heard.push('connection')
      socket.end()
    })
    const port = await listen(server, subject)
    const socket = subject.client.connect(port, subject.address).on('error', () => {})
    socket.resume()
    await once(socket, 'close')
    server.close()
    await once(server, 'close')
    t.strictSame(heard, blockList.check(subject.clientAddress) ? [] : ['connection'])
  }
})

check('datagrams neither go there nor are heard from there', async (t, subject) => {
  const dgram = subject.dgram as (Dgram & typeof nodeDgram) | undefined
  if (dgram === undefined) {
    t.pass('it has no datagrams')
    return
  }
  const { clientAddress } = subject
  const log: string[] = []
  const receiver = (options: object, name: string) => {
    const socket = dgram.createSocket({ type: 'udp4', ...options })
    socket.on('message', (message: Buffer) => log.push(`${name} ${message}`))
    return new Promise<typeof socket>((resolve) => socket.bind(0, clientAddress, () => resolve(socket)))
  }
  const deaf = await receiver({ receiveBlockList: listOf(clientAddress) }, 'deaf')
  const open = await receiver({ receiveBlockList: listOf('198.51.100.1') }, 'open')
  const sender = dgram.createSocket({ type: 'udp4', sendBlockList: listOf('198.51.100.1') })
  const send = (port: number, address: string) =>
    new Promise<unknown>((resolve) =>
      sender.send('x', port, address, (error) => resolve((error as Failure | null)?.code ?? 'sent')),
    )
  t.equal(await send(deaf.address().port, clientAddress), 'sent')
  t.equal(await send(open.address().port, clientAddress), 'sent')
  t.equal(await send(9, '198.51.100.1'), 'ERR_IP_BLOCKED')
  sender.send('nobody is told', 9, '198.51.100.1')
  const refused = await new Promise<Failure | undefined>((resolve) =>
    sender.connect(9, '198.51.100.1', ((error?: Failure) => resolve(error)) as () => void),
  )
  t.equal(refused?.code, 'ERR_IP_BLOCKED')
  await subject.sleep(20)
  t.strictSame(log, ['open x'])
  for (const socket of [deaf, open, sender]) socket.close()
})

check('what is no list is refused', async (t, subject) => {
  const { client, server, dgram } = subject
  const none = { blockList: ['10.0.0.1'] } as never
  const error = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' }
  t.throws(() => new (client.Socket as Net['Socket'])(none), error)
  t.throws(() => server.createServer(none), error)
  for (const name of ['receiveBlockList', 'sendBlockList']) {
    if (dgram !== undefined) t.throws(() => dgram.createSocket({ type: 'udp4', [name]: {} } as never), error)
  }
})
