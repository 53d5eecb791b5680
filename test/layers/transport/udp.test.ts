import fc from 'fast-check'
import t from 'tap'
import type { DatagramSocket } from '../../../src/api/sockets.ts'
import { ms, seconds } from '../../../src/kernel/clock.ts'
import { packetsInUse, poisonReleased } from '../../../src/kernel/packet.ts'
import { A, at, B, codeOf, drops, Ears, pair, say, text } from './udp-pair.ts'

poisonReleased(true)

t.test('datagrams go there and back, with the ends as they are', async (t) => {
  const { sim, a, b } = pair()
  const ears = new Ears()
  const client = a.top.datagram.bind({}, ears)
  const server = b.top.datagram.bind(
    { port: 53 },
    {
      message(socket, octets, start, length, from, to) {
        t.same(
          [from.address.toString(), from.port, to.address.toString(), to.port],
          ['10.0.0.1', client.local.port, '10.0.0.2', 53],
        )
        // Straight from the slab, at once.
        socket.send(octets, start, length, from.address, from.port)
      },
    },
  )
  t.ok(client.local.port >= 49_152)
  t.equal(server.local.port, 53)
  t.equal(say(client, 'hello', B, 53), true)
  t.equal(say(client, '', B, 53), true)
  t.equal(say(client, 'odd', B, 53), true)
  await sim.run(seconds(1))
  t.same(ears.heard, ['10.0.0.2:53 to 10.0.0.1: hello', '10.0.0.2:53 to 10.0.0.1: ', '10.0.0.2:53 to 10.0.0.1: odd'])
  await sim.close()
  t.equal(packetsInUse(), 0)
})

t.test(
  'property: every payload arrives as it was sent, from any buffer, fragments and own addresses included',
  async (t) => {
    const { sim, a, b } = pair()
    let got: Buffer[] = []
    const message = (_: DatagramSocket, octets: Uint8Array, start: number, length: number) =>
      void got.push(Buffer.from(octets.subarray(start, start + length)))
    b.top.datagram.bind({ port: 7 }, { message })
    a.top.datagram.bind({ port: 7 }, { message })
    const client = a.top.datagram.bind({}, {})
    const sizes = fc.oneof(fc.nat(200), fc.constantFrom(1471, 1472, 1473, 9000, 65_506, 65_507), fc.nat(65_507))
    await fc.assert(
      fc.asyncProperty(sizes, fc.nat(255), fc.constantFrom(A, B, at('127.0.0.1')), async (length, seed, to) => {
        got = []
        const octets = new Uint8Array(length + 7).map((_, i) => (i * 31 + seed) & 255)
        client.send(octets, 3, length, to, 7)
        await sim.run(seconds(1))
        return got.length === 1 && got[0]?.equals(octets.subarray(3, 3 + length)) === true
      }),
      { numRuns: 60 },
    )
    t.same(drops(b, 'udp'), {})
    await sim.close()
    t.equal(packetsInUse(), 0)
  },
)

t.test('what does not fit is refused at once', async (t) => {
  const { sim, a } = pair()
  const client = a.top.datagram.bind({}, {})
  const big = new Uint8Array(70_000)
  t.equal(
    codeOf(() => client.send(big, 0, 65_508, B, 7)),
    'EMSGSIZE',
  )
  t.equal(
    codeOf(() => client.send(big, 69_999, 2, B, 7)),
    'ERR_OUT_OF_RANGE',
  )
  t.equal(
    codeOf(() => client.send(big, -1, 2, B, 7)),
    'ERR_OUT_OF_RANGE',
  )
  t.equal(
    codeOf(() => client.send(big, 0, 1)),
    'EDESTADDRREQ',
  )
  t.equal(
    codeOf(() => client.send(big, 0, 1, B)),
    'ERR_OUT_OF_RANGE',
  )
  t.equal(
    codeOf(() => client.send(big, 0, 1, B, 65_536)),
    'ERR_OUT_OF_RANGE',
  )
  t.equal(
    codeOf(() => client.send(big, 0, 1, at('192.0.2.1'), 7)),
    'ENETUNREACH',
  )
  client.set('pathMtuDiscovery', true)
  t.equal(
    codeOf(() => client.send(big, 0, 1473, B, 7)),
    'EMSGSIZE',
  )
  t.equal(client.send(big, 0, 1472, B, 7), true)
  client.close()
  t.equal(
    codeOf(() => client.send(big, 0, 1, B, 7)),
    'EBADF',
  )
  client.close()
  await sim.close()
})

t.test('binding: what is taken, shared, or not ours', async (t) => {
  const { sim, a } = pair()
  const { bind } = a.top.datagram
  bind({ port: 9, address: A }, {})
  t.equal(
    codeOf(() => bind({ port: 9, address: A }, {})),
    'EADDRINUSE',
  )
  t.equal(
    codeOf(() => bind({ port: 9 }, {})),
    'EADDRINUSE',
    'every address includes that one',
  )
  bind({ port: 9, address: at('127.0.0.1') }, {})
  t.equal(
    codeOf(() => bind({ port: 9, address: B }, {})),
    'EADDRNOTAVAIL',
  )
  t.equal(
    codeOf(() => bind({ port: 9, link: 'nowhere' }, {})),
    'ENODEV',
  )
  t.equal(
    codeOf(() => bind({ port: -1 }, {})),
    'ERR_OUT_OF_RANGE',
  )
  t.equal(
    codeOf(() => bind({ options: { ttl: 0 } }, {})),
    'ERR_OUT_OF_RANGE',
  )
  t.equal(
    codeOf(() => bind({ options: { broadcast: 1 as never } }, {})),
    'ERR_INVALID_ARG_TYPE',
  )
  t.equal(
    codeOf(() => bind({ options: { nonsense: 1 } as never }, {})),
    'ERR_INVALID_ARG_VALUE',
  )
  bind({ port: 10, reuse: true }, {})
  t.equal(
    codeOf(() => bind({ port: 10 }, {})),
    'EADDRINUSE',
    'both must say so',
  )
  const shared = bind({ port: 10, reuse: true }, {})
  t.equal([...a.top.datagram.list()].length, 4)
  shared.close()
  t.equal([...a.top.datagram.list()].length, 3)
  await sim.close()
})

t.test('the socket bound most closely gets the datagram', async (t) => {
  const { sim, a, b } = pair()
  const sender = a.top.datagram.bind({ port: 1000 }, {})
  const other = a.top.datagram.bind({ port: 1001 }, {})
  const ears = { any: new Ears(), bound: new Ears(), linked: new Ears(), connected: new Ears() }
  b.top.datagram.bind({ port: 5, reuse: true }, ears.any)
  const reach = async () => {
    for (const { heard } of Object.values(ears)) heard.length = 0
    say(sender, 'x', B, 5)
    await sim.run(ms(100))
    return Object.entries(ears)
      .filter(([, { heard }]) => heard.length > 0)
      .map(([name]) => name)
  }
  t.same(await reach(), ['any'])
  b.top.datagram.bind({ port: 5, reuse: true, link: 'eth0' }, ears.linked)
  t.same(await reach(), ['linked'])
  b.top.datagram.bind({ port: 5, reuse: true, address: B }, ears.bound)
  t.same(await reach(), ['bound'])
  const connected = b.top.datagram.bind({ port: 5, reuse: true }, ears.connected)
  connected.connect(A, 1000)
  t.match(connected, { local: { port: 5 }, remote: { port: 1000 } })
  t.equal(connected.local.address.toString(), '10.0.0.2', 'connecting chooses the address')
  t.same(await reach(), ['connected'])
  say(other, 'y', B, 5)
  await sim.run(ms(100))
  t.same(ears.bound.heard, ['10.0.0.1:1001 to 10.0.0.2: y'], 'which hears only its peer')
  connected.disconnect()
  t.equal(connected.local.address.isUnspecified, true)
  t.same(await reach(), ['bound'])
  connected.connect(A, 1000)
  connected.close()
  t.same(await reach(), ['bound'])
  await sim.close()
})

t.test('a connected socket sends to its peer, and hears that nobody is there', async (t) => {
  const { sim, a } = pair()
  const ears = new Ears()
  const client = a.top.datagram.bind({}, ears)
  client.connect(B, 99)
  say(client, 'anybody?')
  await sim.run(seconds(1))
  t.same(ears.heard, ['ECONNREFUSED portUnreachable about 10.0.0.2:99'])
  t.equal(
    codeOf(() => client.connect(at('192.0.2.1'), 1)),
    'ENETUNREACH',
  )
  say(client, 'still')
  await sim.run(seconds(1))
  t.equal(ears.heard.length, 2, 'a failed connect leaves the old one')
  await sim.close()
})

t.test('a neighbour that is not there is told to the socket, not thrown', async (t) => {
  const { sim, a } = pair()
  const ears = new Ears()
  const client = a.top.datagram.bind({}, ears)
  say(client, 'x', at('10.0.0.77'), 5)
  await sim.run(seconds(5))
  t.same(ears.heard, ['soft EHOSTUNREACH hostUnreachable about 10.0.0.77:5'])
  await sim.close()
})

t.test('an error about one of several sockets of a port reaches that one', async (t) => {
  const { sim, a } = pair()
  const [first, second] = [new Ears(), new Ears()]
  a.top.datagram.bind({ port: 4000, reuse: true }, first).connect(B, 1)
  const socket = a.top.datagram.bind({ port: 4000, reuse: true, link: 'eth0' }, second)
  socket.connect(B, 2)
  say(socket, 'x')
  await sim.run(seconds(1))
  t.same(first.heard, [])
  t.same(second.heard, ['ECONNREFUSED portUnreachable about 10.0.0.2:2'])
  await sim.close()
})

t.test('broadcast needs leave, reaches every socket of the port, and answers nobody', async (t) => {
  const { sim, a, b } = pair()
  const ears = new Ears()
  const client = a.top.datagram.bind({}, ears)
  const everyone = at('10.0.0.255')
  t.equal(
    codeOf(() => say(client, 'x', everyone, 6)),
    'EACCES',
  )
  t.equal(
    codeOf(() => say(client, 'x', at('255.255.255.255'), 6)),
    'EACCES',
  )
  client.set('broadcast', true)
  const [one, two, paused] = [new Ears(), new Ears(), new Ears()]
  b.top.datagram.bind({ port: 6, reuse: true }, one)
  b.top.datagram.bind({ port: 6, reuse: true, address: everyone }, two)
  b.top.datagram.bind({ port: 6, reuse: true, address: B }, new Ears())
  const held = b.top.datagram.bind({ port: 6, reuse: true }, paused)
  held.pause()
  say(client, 'all', everyone, 6)
  say(client, 'none', everyone, 7)
  await sim.run(seconds(1))
  const line = `10.0.0.1:${client.local.port} to 10.0.0.255: all`
  t.same([one.heard, two.heard, paused.heard], [[line], [line], []])
  held.resume()
  await sim.run(0)
  t.same(paused.heard, [line])
  t.same(ears.heard, [], 'no port unreachable for a broadcast')
  t.same(drops(b, 'udp'), { noListener: 1 })
  await sim.close()
  t.equal(packetsInUse(), 0)
})

t.test('a paused socket holds datagrams in a bounded queue, in order', async (t) => {
  const { sim, a, b } = pair()
  const client = a.top.datagram.bind({}, {})
  const ears = new Ears()
  const server = b.top.datagram.bind({ port: 5, options: { receiveBuffer: 2048 } }, ears)
  server.pause()
  for (let i = 0; i < 6; i++) say(client, `${i}`, B, 5)
  await sim.run(seconds(1))
  t.same(ears.heard, [])
  t.equal(server.queuedOctets, 4)
  t.same(drops(b, 'udp'), { receiveBufferFull: 2 })
  server.resume()
  t.same(ears.heard, [], 'never within the call')
  say(client, 'late', B, 5)
  await sim.run(seconds(1))
  t.same(
    ears.heard.map((line) => line.split(': ')[1]),
    ['0', '1', '2', '3', 'late'],
  )
  t.equal(server.queuedOctets, 0)
  server.pause()
  client.send(new Uint8Array(5000), 0, 5000, B, 5)
  await sim.run(seconds(1))
  t.equal(server.queuedOctets, 5000, 'one fits always')
  server.close()
  await sim.close()
  t.equal(packetsInUse(), 0)
})

t.test('a handler may pause, close, bind and send from within', async (t) => {
  const { sim, a, b } = pair()
  const heard: string[] = []
  const client = a.top.datagram.bind({}, {})
  const server = b.top.datagram.bind(
    { port: 5 },
    {
      message(socket, octets, start) {
        heard.push(String.fromCharCode(octets[start] as number))
        if (heard.length === 2) socket.pause()
        if (heard.length === 4) {
          socket.close()
          b.top.datagram.bind({ port: 5 }, { message: () => void heard.push('new') })
        }
      },
    },
  )
  for (const letter of 'abcdef') say(client, letter, B, 5)
  await sim.run(seconds(1))
  t.same(heard, ['a', 'b'])
  server.resume()
  await sim.run(seconds(1))
  t.same(heard, ['a', 'b', 'c', 'd'])
  t.same(drops(b, 'udp'), { closed: 2 })
  say(client, 'g', B, 5)
  await sim.run(seconds(1))
  t.same(heard, ['a', 'b', 'c', 'd', 'new'])
  await sim.close()
  t.equal(packetsInUse(), 0)
})

t.test('a handler that throws keeps nothing, and what waits behind its datagram still comes', async (t) => {
  const { sim, a, b } = pair()
  const heard: string[] = []
  const message = (_: DatagramSocket, octets: Uint8Array, start: number): void => {
    const letter = String.fromCharCode(octets[start] as number)
    heard.push(letter)
    if (letter < 'd') throw new Error(`cannot stand ${letter}`)
  }
  const client = a.top.datagram.bind({}, {})
  client.set('broadcast', true)
  const server = b.top.datagram.bind({ port: 5 }, { message })
  say(client, 'a', B, 5)
  await t.rejects(sim.run(seconds(1)), { message: 'cannot stand a' })
  say(client, 'b', at('10.0.0.255'), 5)
  await t.rejects(sim.run(seconds(1)), { message: 'cannot stand b' })
  server.pause()
  for (const letter of 'cde') say(client, letter, B, 5)
  await sim.run(seconds(1))
  server.resume()
  await t.rejects(sim.run(seconds(1)), { message: 'cannot stand c' })
  await sim.run(seconds(1))
  t.same(heard, ['a', 'b', 'c', 'd', 'e'])
  await sim.close()
  t.equal(packetsInUse(), 0)
})

t.test('a full network says so, and then says when it has room', async (t) => {
  const { sim, a } = pair({ cable: { rate: 1_000_000, queue: 8 } })
  const ears = new Ears()
  const client = a.top.datagram.bind({}, ears)
  say(client, 'warm up', B, 5)
  await sim.run(seconds(1))
  ears.heard.length = 0
  let sent = 0
  while (client.send(new Uint8Array(1000), 0, 1000, B, 5)) if (++sent > 100) break
  t.ok(sent < 100)
  client.send(new Uint8Array(1000), 0, 1000, B, 5)
  t.same(ears.heard, [])
  await sim.run(seconds(1))
  t.equal(ears.heard.filter((line) => line === 'writable').length, 1, 'once')
  await sim.close()
})

t.test('malformed datagrams are dropped with a reason', async (t) => {
  const { sim, a, b } = pair()
  const ears = new Ears()
  b.top.datagram.bind({ port: 5 }, ears)
  const client = a.top.datagram.bind({}, {})
  // Spoils what leaves A, as a tap must never do, but a test may.
  let spoil: (view: DataView, at: number, packet: { trim(n: number): void }) => void = () => {}
  const udpOf = a.boundaries.find(({ name }) => name === 'A/udp')
  udpOf?.watch({ packet: (packet, _, direction) => direction === 'down' && spoil(packet.view, packet.start, packet) })
  const send = async (how: typeof spoil) => {
    spoil = how
    say(client, 'abcd', B, 5)
    await sim.run(seconds(1))
    return drops(b, 'udp')
  }
  t.same(await send((view, at) => view.setUint16(at + 6, view.getUint16(at + 6) ^ 1)), { badChecksum: 1 })
  t.same(await send((view, at) => view.setUint8(at + 9, 0)), { badChecksum: 2 })
  t.same(await send((view, at) => view.setUint16(at + 4, 7)), { badChecksum: 2, badLength: 1 })
  t.same(await send((view, at) => view.setUint16(at + 4, 13)), { badChecksum: 2, badLength: 2 })
  t.same(await send((_view, _at, packet) => packet.trim(7)), { badChecksum: 2, badLength: 2, truncated: 1 })
  t.same(ears.heard, [])
  await send((view, at) => view.setUint16(at + 6, 0))
  t.equal(ears.heard.length, 1, 'no checksum is allowed over IPv4')
  await sim.close()
  t.equal(packetsInUse(), 0)
})

t.test('over a cable that vouches for data no checksum is computed', async (t) => {
  const { sim, a, b } = pair({ cable: { medium: 'ethernet', offload: true } as never })
  const ears = new Ears()
  b.top.datagram.bind({ port: 5 }, ears)
  const states: string[] = []
  a.boundaries.find(({ name }) => name === 'A/udp')?.watch({ packet: (packet) => void states.push(packet.checksum) })
  const client = a.top.datagram.bind({}, {})
  say(client, 'hi', B, 5)
  client.send(new Uint8Array(3000).fill(7), 0, 3000, B, 5)
  await sim.run(seconds(1))
  t.same(states, ['partial', 'partial'])
  t.equal(ears.heard.length, 2, 'and fragments are whole again')
  await sim.close()
})

t.test('sockets are limited in number', async (t) => {
  const { sim, a } = pair({ udp: { maxSockets: 3 } })
  for (let i = 0; i < 3; i++) a.top.datagram.bind({}, {})
  t.equal(
    codeOf(() => a.top.datagram.bind({}, {})),
    'ENOBUFS',
  )
  await sim.close()
  t.same([...a.top.datagram.list()], [])
})

t.test('thousands of connected sockets on one port are told apart', async (t) => {
  const { sim, a, b } = pair()
  const heard: number[] = []
  for (let i = 1; i <= 2000; i++) {
    const socket = b.top.datagram.bind({ port: 5, reuse: true }, { message: () => void heard.push(i) })
    socket.connect(A, i)
  }
  const octets = text('x')
  for (const port of [1, 777, 2000]) a.top.datagram.bind({ port }, {}).send(octets, 0, 1, B, 5)
  await sim.run(seconds(1))
  t.same(heard, [1, 777, 2000])
  await sim.close()
})
