import { EventEmitter } from 'node:events'
import t from 'tap'
import { type RawIpOptions, type RawSocket, type RawSocketModule, rawIp } from '../../../layers/physical/raw-ip.ts'
import { packetsInUse, poisonReleased } from '../../../src/kernel/packet.ts'
import { boot } from '../../../src/runtime/real-time.ts'
import { type PhysicalPair, packetFor, physicalConformance, Recorder } from '../../conformance/physical.ts'
import { dropsOf } from './ends.ts'

poisonReleased(true)

/** Stands in for `raw-socket`: hosts by their addresses, and IP with the shortest header. */
class Hosts {
  readonly sockets = new Map<string, FakeSocket>()
  failing = false

  module(address: string): () => Promise<RawSocketModule> {
    return async () => ({
      AddressFamily: { IPv4: 1, IPv6: 2 },
      createSocket: (options) => {
        const socket = new FakeSocket(this, address, options)
        this.sockets.set(address, socket)
        return socket
      },
    })
  }
}

class FakeSocket extends EventEmitter implements RawSocket {
  readonly options: object
  readonly sent: { octets: Buffer; done: (error: Error | null) => void }[] = []
  closed = false
  private readonly hosts: Hosts
  private readonly address: string

  constructor(hosts: Hosts, address: string, options: object) {
    super()
    this.hosts = hosts
    this.address = address
    this.options = options
  }

  send(octets: Buffer, offset: number, length: number, to: string, done: (error: Error | null) => void): void {
    this.sent.push({ octets, done })
    const header = to.includes('.') ? Buffer.concat([Buffer.of(0x45), Buffer.alloc(19)]) : Buffer.alloc(0)
    const whole = Buffer.concat([header, octets.subarray(offset, offset + length)])
    setImmediate(() => {
      this.sent.shift()
      done(this.hosts.failing ? new Error('EMSGSIZE') : null)
      const peer = this.hosts.sockets.get(to)
      if (this.hosts.failing || peer === undefined) return
      peer.emit('message', whole, this.address)
      whole.fill(0xee)
    })
  }

  close(): void {
    this.closed = true
  }
}

async function pair(v: 4 | 6 = 4, options: Partial<RawIpOptions> = {}): Promise<PhysicalPair & { hosts: Hosts }> {
  const [one, two] = v === 4 ? ['192.0.2.1', '192.0.2.2'] : ['2001:db8::1', '2001:db8::2']
  const hosts = new Hosts()
  const a = await boot(rawIp({ peer: two as string, ...options }, hosts.module(one as string)), 'A')
  const b = await boot(rawIp({ peer: one as string, ...options }, hosts.module(two as string)), 'B')
  let closed: Promise<unknown> | undefined
  return {
    hosts,
    near: a.top,
    far: b.top,
    settle: async () => {
      for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate)
    },
    close: async () => {
      closed ??= Promise.all([a.close(), b.close()])
      await closed
    },
  }
}

await physicalConformance(t, 'EtherIP over IPv4', { make: () => pair(4) })
await physicalConformance(t, 'EtherIP over IPv6', { make: () => pair(6) })

t.test('on the wire: version 3, and the frame', async (t) => {
  const { near, hosts, close } = await pair()
  const packet = packetFor(near, 60, 1)
  const frame = Buffer.from(packet.bytes())
  near.send(packet, undefined)
  t.strictSame(hosts.sockets.get('192.0.2.1')?.sent[0]?.octets, Buffer.concat([Buffer.of(0x30, 0), frame]))
  t.match(hosts.sockets.get('192.0.2.1')?.options, { addressFamily: 1, protocol: 97 })
  await close()
  t.equal(hosts.sockets.get('192.0.2.1')?.closed, true)
  t.equal(packetsInUse(), 0)
})

t.test('what is not EtherIP of the peer is dropped', async (t) => {
  const { far, hosts, close } = await pair()
  const recorder = new Recorder()
  far.boundary.attach(recorder)
  const socket = hosts.sockets.get('192.0.2.2') as FakeSocket
  const arrive = (payload: number[], from = '192.0.2.1', options = 0) => {
    const header = Buffer.alloc(20 + options)
    header[0] = 0x40 | (header.length / 4)
    socket.emit('message', Buffer.concat([header, Buffer.from(payload)]), from)
  }
  arrive([0x30, 0, 1, 2, 3], '192.0.2.3')
  arrive([0x40, 0, 1, 2, 3])
  arrive([0x30, 0])
  arrive([0x30])
  arrive([])
  arrive([0x30, 0, ...new Array(1459)])
  socket.emit('message', Buffer.alloc(0), '192.0.2.1')
  t.strictSame(dropsOf(far), { badVersion: 1, tooLong: 1, truncated: 4, unknownPeer: 1 })
  arrive([0x30, 0, 1, 2, 3], '192.0.2.1', 40)
  t.strictSame(
    recorder.packets.map((frame) => [...frame]),
    [[1, 2, 3]],
    'options of the outer header are passed over',
  )
  await close()
})

t.test('the peer is an address, not a text', async (t) => {
  const spellings = [
    ['2001:DB8:0:0::2', '2001:db8::2'],
    ['::ffff:192.0.2.2', '192.0.2.2'],
    ['fe80::2%lo', 'fe80::2'],
  ] as const
  for (const [peer, source] of spellings) {
    const hosts = new Hosts()
    const node = await boot(rawIp({ peer }, hosts.module('here')), 'A')
    const recorder = new Recorder()
    node.top.boundary.attach(recorder)
    const [outer, addressFamily] = source.includes('.')
      ? [Buffer.concat([Buffer.of(0x45), Buffer.alloc(19)]), 1]
      : [[], 2]
    const socket = hosts.sockets.get('here') as FakeSocket
    t.match(socket.options, { addressFamily })
    socket.emit('message', Buffer.from([...outer, 0x30, 0, 1]), source)
    t.equal(recorder.packets.length, 1, peer)
    await node.close()
  }
})

t.test('what the system does not take is counted, and the link goes on', async (t) => {
  const { near, far, hosts, settle, close } = await pair()
  const recorder = new Recorder()
  far.boundary.attach(recorder)
  hosts.failing = true
  near.send(packetFor(near, 60, 1), undefined)
  await settle()
  hosts.failing = false
  near.send(packetFor(near, 60, 2), undefined)
  await settle()
  t.strictSame(dropsOf(near), { sendFailed: 1 })
  t.equal(recorder.packets.length, 1)
  near.boundary.attach(recorder)
  hosts.sockets.get('192.0.2.1')?.emit('error', new Error('gone'))
  t.strictSame(recorder.links, ['down gone'])
  t.equal(hosts.sockets.get('192.0.2.1')?.closed, true, 'nothing waits for it any more')
  near.send(packetFor(near, 60, 3), undefined)
  t.strictSame(dropsOf(near), { linkDown: 1, sendFailed: 1 })
  await close()
  t.equal(packetsInUse(), 0)
})

t.test('sentences for what is missing', async (t) => {
  await t.rejects(boot(rawIp({ peer: '192.0.2.1' }), 'A'), { code: 'ENOTSUP', message: /npm install raw-socket/ })
  const forbidden = async (): Promise<RawSocketModule> => ({
    AddressFamily: { IPv4: 1, IPv6: 2 },
    createSocket: () => {
      throw new Error('Operation not permitted')
    },
  })
  await t.rejects(boot(rawIp({ peer: '192.0.2.1' }, forbidden), 'A'), {
    code: 'EPERM',
    message: /Operation not permitted; it takes root, or CAP_NET_RAW/,
  })
  t.throws(() => rawIp({ peer: 'there' }), { code: 'ERR_INVALID_ARG_VALUE' })
  for (const options of [{ mtu: 0 }, { mtu: 65_500 }, { queueLength: 0 }]) {
    t.throws(() => rawIp({ peer: '::1', ...options }), { code: 'ERR_OUT_OF_RANGE' })
  }
})
