import fc from 'fast-check'
import t from 'tap'
import { endpoint, formatEndpoint, parseEndpoint } from '../../../layers/physical/udp-tunnel/endpoint.ts'
import { flowHash } from '../../../layers/physical/udp-tunnel/flow-hash.ts'
import { Peers } from '../../../layers/physical/udp-tunnel/peers.ts'
import { MacTable } from '../../../src/kernel/mac-table.ts'
import { Packet } from '../../../src/kernel/packet.ts'
import { holds } from '../../property.ts'

t.test('the MAC table is a map with a lifetime', async (t) => {
  holds(
    t,
    'as the model says',
    fc.property(
      fc.array(fc.record({ low: fc.integer({ min: 0, max: 5 }), peer: fc.nat(3), wait: fc.nat(60) }), {
        maxLength: 60,
      }),
      fc.integer(),
      (events, key) => {
        const table = new MacTable(64, 100, key)
        const model = new Map<number, { peer: number; at: number }>()
        let now = 0
        for (const { low, peer, wait } of events) {
          now += wait
          table.learn(0x0200, low, peer, now)
          model.set(low, { peer, at: now })
          for (let known = 0; known <= 5; known++) {
            const entry = model.get(known)
            const expected = entry !== undefined && now - entry.at < 100 ? entry.peer : -1
            if (table.lookUp(0x0200, known, now) !== expected) return false
          }
        }
        return table.size(now) === [...model.values()].filter(({ at }) => now - at < 100).length
      },
    ),
  )
})

t.test('the MAC table stays its size, and keeps whom it heard last', async (t) => {
  const table = new MacTable(100, 1000, 7)
  t.equal(table.capacity, 128)
  for (let i = 0; i < 10_000; i++) table.learn(i >> 8, i, 1, i / 100)
  t.equal(table.size(100), 128)
  t.equal(table.counts.learned, 10_000)
  t.equal(table.counts.evicted, 10_000 - 128)
  t.equal(table.lookUp(9999 >> 8, 9999, 100), 1)
  table.learn(9999 >> 8, 9999, 2, 100)
  t.equal(table.counts.moved, 1)
  table.learn(9999 >> 8, 9999, 1, 2000)
  t.match(table.counts, { learned: 10_001, moved: 1 }, 'after its time it is a new one')
  table.learn(9999 >> 8, 9999, 2, 100)
  table.forget(1)
  t.equal(table.size(100), 1)
})

t.test('peers: bounded; a learned one gives way when it has long been silent', async (t) => {
  const peers = new Peers(2, 100, true)
  const configured = peers.add({ host: '10.0.0.1', port: 1 }, true, 0)
  t.equal(peers.add({ host: '10.0.0.1', port: 1 }, false, 0), configured, 'known already')
  const learned = peers.add({ host: '10.0.0.1', port: 2 }, false, 0)
  t.not(learned, configured, 'another port is another peer')
  t.equal(peers.add({ host: '10.0.0.2', port: 1 }, false, 99), null)
  const later = peers.add({ host: '10.0.0.2', port: 1 }, false, 100)
  t.equal(later?.index, learned?.index, 'its number is used again')
  t.equal(peers.find('10.0.0.1', 2), null)
  t.equal(peers.find('10.0.0.2', 1), later)
  t.equal(peers.find('10.0.0.2', 1), later, 'also the second time')
  t.equal(peers.removeAt({ host: '10.0.0.2', port: 1 }), later)
  t.equal(peers.find('10.0.0.2', 1), null, 'not from memory')
  t.equal(peers.add({ host: '10.0.0.2', port: 1 }, true, 500)?.permanent, true)
  t.equal(peers.add({ host: '10.0.0.3', port: 1 }, false, 9999), null, 'configured ones never give way')
  const third = new Peers(3, 100, true)
  third.add({ host: '10.0.0.1', port: 1 }, true, 0)
  const heard = third.add({ host: '10.0.0.2', port: 1 }, false, 0)
  third.removeAt({ host: '10.0.0.1', port: 1 })
  const kept = third.add({ host: '10.0.0.2', port: 1 }, true, 0)
  t.match(kept, { permanent: true, index: heard?.index }, 'stations behind one that becomes permanent stay behind it')
  t.equal(third.slots[heard?.index ?? -1], kept)
  t.strictSame(third.all, [kept])
  const anyPort = new Peers(2, 100, false)
  const first = anyPort.add({ host: '10.0.0.1', port: 4789 }, true, 0)
  t.equal(anyPort.find('10.0.0.1', 50_000), first)
  t.equal(anyPort.find('10.0.0.1', 50_001), first)
})

t.test('a flow is its addresses, protocol and ports; fragments stay together', async (t) => {
  const key = [1, 2, 3, 4] as const
  const hash = (change: (octets: Buffer) => void) => {
    const octets = Buffer.alloc(80)
    octets.write('020000000001020000000002', 'hex')
    octets.writeUInt16BE(0x0800, 12)
    octets[14] = 0x45
    octets[23] = 17
    change(octets)
    const packet = Packet.take(0, octets.length)
    packet.append(octets)
    const result = flowHash(key, packet)
    packet.release()
    return result
  }
  const base = hash(() => {})
  t.equal(
    hash((octets) => octets.fill(0xff, 42)),
    base,
    'not the payload',
  )
  t.equal(
    hash((octets) => octets.writeUInt16BE(9, 18)),
    base,
    'not the identification',
  )
  t.not(
    hash((octets) => octets.writeUInt16BE(9, 34)),
    base,
    'source port',
  )
  t.not(
    hash((octets) => octets.writeUInt16BE(9, 36)),
    base,
    'destination port',
  )
  t.not(
    hash((octets) => octets.writeUInt16BE(9, 26)),
    base,
    'source address',
  )
  t.not(
    hash((octets) => octets.writeUInt16BE(9, 4)),
    base,
    'station',
  )
  const more = (ports: number) =>
    hash((octets) => {
      octets.writeUInt16BE(0x2000, 20)
      octets.writeUInt16BE(ports, 34)
    })
  t.equal(more(1), more(2), 'a first fragment goes the way of the others')
  const six = (at: number) =>
    hash((octets) => {
      octets.writeUInt16BE(0x86dd, 12)
      octets[20] = 6
      if (at > 0) octets[at] = 0x55
    })
  t.not(six(14 + 40), six(0), 'IPv6 ports')
  t.not(six(14 + 39), six(0), 'IPv6 addresses')
  t.equal(six(14 + 3), six(0), 'not the flow label')
})

t.test('endpoints as text', async (t) => {
  t.same(parseEndpoint('192.0.2.1:4789'), { host: '192.0.2.1', port: 4789 })
  t.same(parseEndpoint('[2001:db8::1]:4789'), { host: '2001:db8::1', port: 4789 })
  t.same(parseEndpoint('2001:db8::1'), { host: '2001:db8::1' })
  t.same(parseEndpoint('192.0.2.1'), { host: '192.0.2.1' })
  t.same(parseEndpoint('4789'), { port: 4789 })
  t.same(parseEndpoint(':4789'), { port: 4789 })
  for (const text of ['', ':', 'a:b', '1.2.3.4:', '1.2.3.4:123456', '[::1'])
    t.throws(() => parseEndpoint(text), TypeError, text)
  t.same(endpoint('peer', { host: '2001:DB8:0::1' }, 7, 0), { host: '2001:db8::1', port: 7 })
  t.same(endpoint('peer', { host: 'fe80::1%eth0', port: 1 }, 7, 0), { host: 'fe80::1%eth0', port: 1 })
  t.same(endpoint('peer', { host: 'localhost', port: 1 }, 7, 0), { host: '127.0.0.1', port: 1 })
  t.throws(() => endpoint('peer', { host: '10.0.0.1%eth0' }, 7, 0), TypeError)
  t.equal(formatEndpoint({ host: '::1', port: 5 }), '[::1]:5')
})
