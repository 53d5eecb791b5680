import { createHash } from 'node:crypto'
import t from 'tap'
import { ms, seconds } from '../src/kernel/clock.ts'
import { Packet } from '../src/kernel/packet.ts'
import { slab } from '../src/kernel/slab.ts'
import { Timer, Timers } from '../src/kernel/timers.ts'
import { decodeFrame, leakCheck, matches, type Network, network, poisonReleased, record } from '../src/testing.ts'

poisonReleased(true)

/** Two hosts behind two routers: A ─ R ─ S ─ B. */
const chain = {
  hosts: { A: {}, B: {} },
  routers: { R: {}, S: {} },
  links: [
    { between: ['A', 'R'], delay: ms(1) },
    { between: ['R', 'S'], delay: ms(10), rate: 50_000_000, name: 'trunk' },
    { between: ['S', 'B'], delay: ms(1) },
  ],
} as const

/** Sends octets from one node to the other, and resolves with the hash of what arrived. */
function transfer(net: Network<'A' | 'B'>, octets: Buffer): Promise<string> {
  const server = net.nodes.B.net.createServer()
  return new Promise((resolve, reject) => {
    server.on('connection', (socket) => {
      const hash = createHash('sha256')
      socket.on('data', (chunk: Buffer) => hash.update(chunk))
      socket.on('error', reject)
      socket.on('end', () => {
        resolve(hash.digest('hex'))
        socket.end()
        server.close()
      })
    })
    server.listen(80, () => {
      const client = net.nodes.A.net.connect(80, 'B')
      client.on('error', reject)
      client.resume()
      client.end(octets)
    })
  })
}

const hashOf = (octets: Buffer) => createHash('sha256').update(octets).digest('hex')

t.test('a network from its description: addresses, names and a way from each to each', async (t) => {
  await using net = network(chain)
  t.equal(net.address('A'), '10.0.1.1')
  t.equal(net.address('R'), '10.0.1.2')
  t.equal(net.address('R', 'trunk'), '10.0.2.1')
  t.equal(net.address('B'), '10.0.3.2')
  t.same(
    net.nodes.A.top.network.routes
      .list()
      .filter(({ origin }) => origin === 'static')
      .map(({ prefix, via }) => [prefix, via]),
    [
      ['10.0.2.0/24', '10.0.1.2'],
      ['10.0.3.0/24', '10.0.1.2'],
    ],
  )
  for (const [from, to] of [
    ['A', 'B'],
    ['B', 'A'],
    ['R', 'B'],
    ['A', 'S'],
  ] as const) {
    const reply = net.nodes[from].icmp.ping(to)
    await net.sim.run(seconds(2))
    t.equal((await reply).outcome, 'reply', `${from} to ${to}`)
  }
})

t.test('a transfer over it, with loss, leaves nothing behind', async (t) => {
  const leaks = leakCheck()
  const octets = Buffer.alloc(200_000, 'netstrata ')
  const net = network({ ...chain, seed: 5, links: chain.links.map((link) => ({ ...link, loss: 0.02 })) })
  const arrived = transfer(net, octets)
  await net.sim.run(seconds(60))
  t.equal(await arrived, hashOf(octets))
  const drops = net.nodes.R.snapshot().filter(({ name }) => name.endsWith('/impair'))
  t.ok(
    drops.some(({ drops }) => (drops.loss ?? 0) > 0),
    'and it was lossy',
  )
  await net.close()
  leaks.assert()
})

t.test('the same seed gives the same trace, another one another', async (t) => {
  const run = async (seed: number) => {
    await using net = network({ ...chain, seed, links: chain.links.map((link) => ({ ...link, loss: 0.05 })) })
    const fingerprint = net.sim.fingerprint()
    const octets = Buffer.alloc(50_000, 'x')
    const arrived = transfer(net, octets)
    await net.sim.run(seconds(60))
    t.equal(await arrived, hashOf(octets))
    return `${fingerprint.packets} ${fingerprint.value}`
  }
  const one = await run(1)
  t.equal(await run(1), one)
  t.not(await run(2), one)
})

t.test('a link changes, goes down and comes back while it runs', async (t) => {
  await using net = network(chain)
  const ping = async () => {
    const reply = net.nodes.A.icmp.ping('B', { timeout: 900 }).then(
      ({ roundTrip }) => roundTrip,
      () => undefined,
    )
    await net.sim.run(seconds(1))
    return reply
  }
  await ping() // resolves the neighbours
  const before = await ping()
  t.ok(before !== undefined && before >= ms(24) && before < ms(26), `${before} us`)
  net.link('trunk').set({ delay: ms(50) })
  const after = await ping()
  t.ok(after !== undefined && after >= ms(104) && after < ms(106), `${after} us`)
  net.link('trunk').set({ loss: 1 })
  t.equal(await ping(), undefined)
  net.link('trunk').set({ loss: 0 })
  t.ok(await ping())
  {
    using _partition = net.partition(['R'], ['S'])
    t.equal(await ping(), undefined)
  }
  t.ok(await ping())
  net.link('trunk').unplug()
  t.equal(net.nodes.R.top.network.links().find(({ name }) => name === 'eth1')?.state, 'down')
  net.link('trunk').plug()
  t.equal(net.nodes.R.top.network.links().find(({ name }) => name === 'eth1')?.state, 'up')
  t.throws(() => net.link('nowhere'), { code: 'ERR_INVALID_ARG_VALUE', message: /one of A-R, trunk, S-B/ })
  t.throws(() => net.address('A', 'trunk'), { code: 'ERR_INVALID_ARG_VALUE' })
})

t.test('more than two nodes on a link share a hub', async (t) => {
  await using net = network({
    hosts: { A: {}, B: {}, C: {} },
    links: [{ between: ['A', 'B', 'C'], delay: 100, prefix: '192.0.2.0/28', addresses: { B: '192.0.2.1/28' } }],
  })
  t.same([net.address('A'), net.address('B'), net.address('C')], ['192.0.2.2', '192.0.2.1', '192.0.2.3'])
  using seen = record(net.sim, { boundary: /^[BC].*hub/, direction: 'up' })
  const reply = net.nodes.A.icmp.ping('C')
  await net.sim.run(seconds(1))
  t.equal((await reply).address, '192.0.2.3')
  seen.expect({ boundary: /^B/, arp: { target: '192.0.2.3' } })
})

t.test('routes take the fewest hops, and never lead through a host', async (t) => {
  await using net = network({
    hosts: { A: {}, B: {}, H: {} },
    routers: { R: {}, S: {}, T: {} },
    links: [
      { between: ['A', 'R'] },
      { between: ['A', 'H'] }, // H has a link to both, and forwards nothing
      { between: ['H', 'B'] },
      { between: ['R', 'S'] },
      { between: ['S', 'T'] },
      { between: ['R', 'T'] },
      { between: ['T', 'B'] },
    ],
  })
  const via = (destination: string) => net.nodes.A.top.network.routes.lookup(destination)?.via
  t.equal(via(net.address('B', 'T-B')), net.address('R', 'A-R'))
  t.equal(net.nodes.R.top.network.routes.lookup(net.address('B', 'T-B'))?.via, net.address('T', 'R-T'))
  t.equal(via(net.address('B', 'H-B')), undefined, 'what is behind hosts alone is out of reach')
})

t.test('a description that makes no sense is refused at once', async (t) => {
  const hosts = { A: {}, B: {}, C: {} }
  const three = (link: object) => () => network({ hosts, links: [{ between: ['A', 'B', 'C'], ...link }] })
  for (const [why, build] of [
    ['unknown node', () => network({ hosts: { A: {} }, links: [{ between: ['A', 'X'] }] })],
    ['no link', () => network({ hosts, links: [{ between: ['A', 'B'] }] })],
    ['itself', () => network({ hosts: { A: {} }, links: [{ between: ['A', 'A'] }] })],
    ['both', () => network({ hosts: { A: {}, B: {} }, routers: { A: {} }, links: [{ between: ['A', 'B'] }] })],
    [
      'same name',
      () => network({ hosts: { A: {}, B: {} }, links: [{ between: ['A', 'B'] }, { between: ['A', 'B'] }] }),
    ],
    ['outside', three({ prefix: '10.0.0.0/24', addresses: { A: '10.0.1.1/24' } })],
    ['other length', three({ prefix: '10.0.0.0/24', addresses: { A: '10.0.0.1/25' } })],
    ['twice', three({ addresses: { A: '10.0.0.1/24', B: '10.0.0.1/24' } })],
    ['not there', three({ addresses: { X: '10.0.0.1/24' } })],
    ['no room', three({ prefix: '10.0.0.0/30' })],
    ['no prefix', three({ prefix: '10.0.0.0/31' })],
    ['IPv6', three({ prefix: 'fd00::/64' })],
  ] as const) {
    t.throws(build, { code: 'ERR_INVALID_ARG_VALUE' }, why)
  }
  t.throws(three({ loss: 2 }), { code: 'ERR_OUT_OF_RANGE' })
  t.throws(three({ delay: -1 }), { code: 'ERR_OUT_OF_RANGE' })
})

t.test('what the links carried', async (t) => {
  await using net = network(chain)
  using seen = record(net.sim, { boundary: /^A\/.*impair/ })
  const arrived = transfer(net, Buffer.from('hello'))
  await net.sim.run(seconds(30))
  await arrived
  const [syn, synAck, data] = seen.expectOrder(
    { direction: 'down', tcp: { flags: 'SYN', destinationPort: 80 } },
    { direction: 'up', tcp: { flags: 'SYN ACK' } },
    { tcp: { length: 5, flags: /PSH/ }, payload: Buffer.from('hello') },
  )
  t.equal(synAck?.tcp?.ack, ((syn?.tcp?.seq ?? 0) + 1) >>> 0)
  t.equal((synAck?.at ?? 0) - (syn?.at ?? 0) >= ms(24), true)
  t.match(data?.ip, { source: net.address('A'), destination: net.address('B'), protocol: 6, dontFragment: true })
  t.equal(seen.all({ arp: { operation: 'request' }, direction: 'down' }).length > 0, true)
  t.ok(seen.frames.every(({ fault }) => fault === undefined))
  seen.expectNone({ tcp: { flags: /RST/ } })

  t.throws(() => seen.expect({ udp: { destinationPort: 53 } }), {
    name: 'AssertionError',
    message:
      /^no frame matches { udp: { destinationPort: 53 } }\. Seen:\n(.*\n)*.*10\.0\.1\.1:\d+ > 10\.0\.3\.2:80 tcp SYN seq \d+/,
  })
  t.throws(() => seen.expectNone({ tcp: { flags: 'SYN' } }), {
    message: /a frame matches { tcp: { flags: "SYN" } }: .*tcp SYN/,
  })
  t.throws(() => seen.expectOrder({ tcp: { flags: 'SYN ACK' } }, { tcp: { flags: 'SYN' } }), {
    message: /after the 1 before/,
  })
  seen.clear()
  t.throws(() => seen.expect({}), { message: /Seen:\n {2}nothing/ })
  seen.stop()
  const reply = net.nodes.A.icmp.ping('B')
  await net.sim.run(seconds(1))
  await reply
  t.equal(seen.frames.length, 0)
})

t.test('a recorder keeps the last so many, and watches one node if told', async (t) => {
  await using net = network(chain)
  using seen = record(net.nodes.A, { limit: 3 })
  const reply = net.nodes.A.icmp.ping('B', { size: 100 })
  await net.sim.run(seconds(1))
  await reply
  t.equal(seen.frames.length, 3)
  t.match(seen.expect({ icmp: { type: 0 } }), { ip: { length: 128 }, icmp: { code: 0 } })
})

t.test('patterns', async (t) => {
  const value = { a: 1, b: { c: 'text', d: undefined as string | undefined }, e: Uint8Array.of(1, 2) }
  for (const pattern of [
    {},
    { a: 1 },
    { b: { c: /^te/ } },
    { a: (a: number) => a > 0 },
    { b: { d: undefined } },
    { e: Uint8Array.of(1, 2) },
  ] as const) {
    t.equal(matches<typeof value>(value, pattern as never), true, JSON.stringify(pattern))
  }
  for (const pattern of [
    { a: 2 },
    { b: { c: /^x/ } },
    { a: () => false },
    { b: { d: 'x' } },
    { e: Uint8Array.of(1) },
    { z: { y: 1 } },
  ] as const) {
    t.equal(matches<typeof value>(value, pattern as never), false, JSON.stringify(pattern))
  }
})

t.test('frames that are too short, or lie about their lengths, are values with a fault', async (t) => {
  const frame = (type: number, rest: number[]) =>
    Uint8Array.from([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, type >> 8, type & 255, ...rest])
  const header = (protocol: number, length: number, fragment = 0) => [
    0x45,
    0,
    length >> 8,
    length & 255,
    0,
    7,
    fragment >> 8,
    fragment & 255,
    64,
    protocol,
    0,
    0,
    10,
    0,
    0,
    1,
    10,
    0,
    0,
    2,
  ]
  const faultOf = (octets: Uint8Array) => decodeFrame(octets, 'ethernet').fault
  t.equal(faultOf(new Uint8Array(13)), 'ethernet')
  t.equal(faultOf(frame(0x0806, new Array(27).fill(0))), 'arp')
  t.equal(faultOf(frame(0x0800, header(6, 20).slice(0, 19))), 'ip')
  t.equal(faultOf(frame(0x0800, header(6, 21))), 'ip')
  t.equal(faultOf(frame(0x0800, [0x65, ...header(6, 20).slice(1)])), 'ip')
  t.equal(faultOf(frame(0x0800, [...header(6, 39), ...new Array(19).fill(0)])), 'tcp')
  t.equal(faultOf(frame(0x0800, [...header(17, 28), 0, 1, 0, 2, 0, 9, 0, 0])), 'udp')
  t.equal(faultOf(frame(0x0800, [...header(1, 27), ...new Array(7).fill(0)])), 'icmp')
  const later = decodeFrame(frame(0x0800, [...header(17, 22, 0x2001), 1, 2]), 'ethernet')
  t.match(later, { ip: { fragmentOffset: 8, moreFragments: true } })
  t.equal(later.udp, undefined, 'no header is read out of the middle')
  t.same([...later.payload], [1, 2])
  const padded = decodeFrame(frame(0x0800, [...header(17, 30), 0, 1, 0, 2, 0, 10, 0, 0, 8, 9, 0, 0, 0, 0]), 'ethernet')
  t.same([...padded.payload], [8, 9], 'padding is not payload')
  t.same(decodeFrame(frame(0x88cc, [5]), 'ethernet').ethernet, {
    destination: '02:00:00:00:00:01',
    source: '02:00:00:00:00:02',
    type: 0x88cc,
  })
  t.same([...decodeFrame(Uint8Array.from([...frame(0x88cc, [5]), 1, 2, 3, 4]), 'ethernet+fcs').payload], [5])
})

t.test('leakCheck lists what is left', async (t) => {
  const timers = new Timers()
  const leaks = leakCheck({ timers })
  t.same(leaks.list(), [])
  leaks.assert()
  const packet = Packet.take(0, 10)
  const chunk = slab().takeChunk()
  const timer = new Timer({ expire() {} })
  timers.arm(timer, 5)
  t.match(leaks.list(), [
    /^1 packets not released/,
    /^1 chunks of 16384 octets/,
    /^1 timers armed \(0 before, 1 after\)/,
  ])
  t.throws(() => leaks.assert(), { name: 'AssertionError', message: /left behind: 1 packets.*; 1 chunks.*; 1 timers/ })
  packet.release()
  slab().giveChunk(chunk)
  timers.cancel(timer)
  leaks.assert()
})
