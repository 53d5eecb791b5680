/** TCP over a real network tier: ICMP errors by type and code (RFC 9293 §3.9.2.2), and IP options (§3.9.2.1). */
import t from 'tap'
import { ip } from '../../../../layers/network/ip.ts'
import { ipv4 } from '../../../../layers/network/ipv4/ipv4.ts'
import { type StreamOnlySockets, sockets } from '../../../../layers/transport/sockets.ts'
import { tcp } from '../../../../layers/transport/tcp/tcp.ts'
import type { Connection } from '../../../../src/api/sockets.ts'
import { parseAddress } from '../../../../src/kernel/address.ts'
import { packetsInUse } from '../../../../src/kernel/packet.ts'
import { stack } from '../../../../src/kernel/stack.ts'
import { Simulation } from '../../../../src/runtime/simulation.ts'
import { datagram, ICMP, icmp } from '../../network/ipv4/bare.ts'
import { TestLink } from '../../network/ipv4/link.ts'
import { referenceChecksum } from '../../network/ipv4/stand.ts'

const PEER = '192.0.2.7'
const ROUTER = '192.0.2.254'
const PORT = 80
/** Record route: TCP has no use for it. */
const RECORD_ROUTE = [7, 7, 4, 0, 0, 0, 0, 1]

/** A host behind a router whose link is the test. */
class Stand {
  readonly told: string[] = []
  readonly sim = new Simulation()
  readonly connection: Connection
  readonly wire: TestLink
  private readonly before = packetsInUse()

  constructor() {
    let link: TestLink | undefined
    const node = this.sim.boot<StreamOnlySockets>(
      'A',
      stack(
        (env) => {
          link = new TestLink(env)
          return link
        },
        ip(ipv4({ address: '10.0.0.1/24', gateway: '10.0.0.254' })),
        sockets(tcp()),
      ),
    )
    this.wire = link as unknown as TestLink
    this.connection = node.top.stream.connect(
      { address: parseAddress(PEER), port: PORT },
      {
        established: () => this.told.push('established'),
        softError: (_, { code }) => this.told.push(`soft ${code}`),
        closed: (_, error) => this.told.push(`closed ${error?.code}`),
      },
    )
  }

  /** The SYN-ACK, in a datagram with IP options. */
  answer(options: readonly number[]): void {
    const syn = (this.wire.sent[0] as Uint8Array).subarray(20)
    const payload = new Uint8Array(20)
    const view = new DataView(payload.buffer)
    payload.set([...syn.subarray(2, 4), ...syn.subarray(0, 2)])
    view.setUint32(8, new DataView(syn.buffer, syn.byteOffset).getUint32(4) + 1)
    view.setUint32(12, 0x5012_ffff)
    const pseudo = [...PEER.split('.'), ...'10.0.0.1'.split('.')].map(Number)
    view.setUint16(16, referenceChecksum(Uint8Array.of(...pseudo, 0, 6, 0, 20, ...payload)))
    this.wire.inject(datagram({ source: PEER, protocol: 6, options, payload }))
  }

  /** An ICMP message about the segment sent last. */
  complain(type: number, code: number): void {
    const quoted = (this.wire.sent.at(-1) as Uint8Array).slice(0, 28)
    this.wire.inject(datagram({ source: ROUTER, protocol: ICMP, payload: icmp(type, code, 0, quoted) }))
  }

  /** @returns what the application was told since. */
  async tells(): Promise<string[]> {
    await this.sim.run(0)
    return this.told.splice(0)
  }

  async close(): Promise<number> {
    await this.sim.close()
    return packetsInUse() - this.before
  }
}

/** Type and code, and the error they stand for. */
const SOFT = [
  [3, 0, 'ENETUNREACH'],
  [3, 1, 'EHOSTUNREACH'],
  [3, 5, 'ENOTSUP'],
  [11, 0, 'EHOSTUNREACH'],
  [11, 1, 'EHOSTUNREACH'],
  [12, 0, 'EPROTO'],
] as const
const HARD = [
  [3, 2, 'ENOPROTOOPT'],
  [3, 3, 'ECONNREFUSED'],
] as const

t.test(
  'unreachable, time exceeded, parameter problem: told, and no reason to give up (MUST-56, SHLD-25)',
  async (t) => {
    for (const [type, code, error] of SOFT) {
      const on = new Stand()
      await on.sim.run(0)
      on.complain(type, code)
      t.same(await on.tells(), [`soft ${error}`], `ICMP ${type} ${code}`)
      t.equal(on.connection.state, 'SYN-SENT')
      on.answer([])
      t.same(await on.tells(), ['established'])
      t.equal(await on.close(), 0)
    }
  },
)

t.test('no such port or protocol: an open fails at once, a connection is only told (MUST-54, SHLD-26)', async (t) => {
  for (const [type, code, error] of HARD) {
    const opening = new Stand()
    await opening.sim.run(0)
    opening.complain(type, code)
    t.same(await opening.tells(), [`closed ${error}`])
    t.equal(await opening.close(), 0)

    const open = new Stand()
    await open.sim.run(0)
    open.answer([])
    t.same(await open.tells(), ['established'])
    open.connection.write(new Uint8Array(10))
    await open.sim.run(0)
    open.complain(type, code)
    t.same(await open.tells(), [`soft ${error}`])
    t.equal(open.connection.state, 'ESTABLISHED')
    t.equal(await open.close(), 0)
  }
})

t.test('source quench is discarded silently (MUST-55)', async (t) => {
  const on = new Stand()
  await on.sim.run(0)
  on.complain(4, 0)
  t.same(await on.tells(), [])
  t.equal(on.connection.state, 'SYN-SENT')
  t.equal(on.wire.sent.length, 1)
  t.equal(await on.close(), 0)
})

t.test('IP options that mean nothing to TCP change nothing (MUST-50)', async (t) => {
  const on = new Stand()
  await on.sim.run(0)
  on.answer(RECORD_ROUTE)
  t.same(await on.tells(), ['established'])
  t.equal(await on.close(), 0)
})
