import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { ethernet } from '../../../../layers/datalink/ethernet/ethernet.ts'
import { BROADCAST, isGroup } from '../../../../layers/datalink/ethernet/frame.ts'
import { ETHERTYPE, LinkAddressing, LLC_SELECTOR } from '../../../../layers/datalink/service.ts'
import { cable } from '../../../../layers/physical/cable.ts'
import { hub } from '../../../../layers/physical/hub.ts'
import { parseMac } from '../../../../src/kernel/address.ts'
import { ms } from '../../../../src/kernel/clock.ts'
import { packetsInUse, poisonReleased } from '../../../../src/kernel/packet.ts'
import { linkConformance } from '../../../conformance/link.ts'
import { holds } from '../../../property.ts'
import { linkDrops, payloadFor, stationOver, stationsOn } from '../stations.ts'

poisonReleased(true)

await linkConformance(t, 'Ethernet over a cable', { padding: 45, make: () => stationsOn(cable(), ethernet()) })
await linkConformance(t, 'Ethernet over a slow cable', {
  padding: 45,
  make: () => stationsOn(cable({ rate: 10_000_000, delay: ms(1) }), ethernet()),
})
await linkConformance(t, 'Ethernet over a hub', { padding: 45, make: () => stationsOn(hub(2), ethernet()) })
await linkConformance(t, 'Ethernet without FCS, with offload', {
  make: () => stationsOn(cable({ medium: 'ethernet', offload: true, mtu: 9000 }), ethernet()),
})

const OWN = '02:00:00:00:00:01'
const PEER = '02:00:00:00:00:02'
const octetsOf = (mac: string) => mac.split(':').map((pair) => Number.parseInt(pair, 16))

/** A frame without FCS. */
const frame = (destination: string, source: string, type: number, payload: readonly number[]) =>
  Uint8Array.from([...octetsOf(destination), ...octetsOf(source), type >> 8, type & 255, ...payload])

function station() {
  const station = stationOver('ethernet', ethernet({ address: OWN }), { mtu: 1514 })
  const got: { peer: number; protocol: number; cast: string; octets: number[] }[] = []
  return {
    ...station,
    got,
    listen: (selector?: number) =>
      station.link.boundary.attach(
        {
          receive(packet, { peer, protocol, cast }) {
            got.push({ peer, protocol, cast, octets: [...packet.bytes()] })
            packet.release()
          },
        },
        selector,
      ),
  }
}

t.test('sizes: header, padding and FCS are asked for, and taken off the MTU', async (t) => {
  const frames = stationOver('frames', ethernet(), { mtu: 1518 }).link
  t.strictSame([frames.mtu, frames.headroom, frames.tailroom], [1500, 17, 52])
  const bare = stationOver('ethernet', ethernet(), { mtu: 1514 }).link
  t.strictSame([bare.mtu, bare.headroom, bare.tailroom], [1500, 17, 2])
  t.equal(stationOver('frames', ethernet(), { mtu: 10 }).link.mtu, 0)
})

t.test('offload is passed on without the header, and only where there is no FCS', async (t) => {
  const offload = { segment: 65_549, checksum: true }
  t.strictSame(stationOver('ethernet', ethernet(), { offload }).link.offload, { segment: 65_535, checksum: true })
  t.strictSame(stationOver('frames', ethernet(), { offload }).link.offload, { segment: 0, checksum: false })
})

t.test('a frame on media with and without FCS', async (t) => {
  const to = new LinkAddressing()
  to.peer = parseMac(PEER)
  to.protocol = ETHERTYPE.ipv4
  const payload = Uint8Array.of(0x45, 1, 2, 3)
  const bare = stationOver('ethernet', ethernet({ address: OWN }))
  bare.link.send(payloadFor(bare.link, payload), to)
  t.strictSame(bare.sent, [frame(PEER, OWN, 0x0800, [0x45, 1, 2, 3])])
  const frames = stationOver('frames', ethernet({ address: OWN }))
  frames.link.send(payloadFor(frames.link, payload), to)
  t.equal(frames.sent[0]?.length, 64)
  t.strictSame(frames.sent[0]?.subarray(0, 60), frame(PEER, OWN, 0x0800, [0x45, 1, 2, 3, ...new Array(42).fill(0)]))
})

t.test('the destination decides: ours, all, a group, or somebody else', async (t) => {
  const { arrive, got, link, listen } = station()
  listen(0x0800)
  arrive(frame(OWN, PEER, 0x0800, [1]))
  arrive(frame('ff:ff:ff:ff:ff:ff', PEER, 0x0800, [2]))
  arrive(frame('01:00:5e:00:00:fb', PEER, 0x0800, [3]))
  arrive(frame('02:00:00:00:00:03', PEER, 0x0800, [4]))
  const peer = parseMac(PEER)
  t.strictSame(got, [
    { peer, protocol: 0x0800, cast: 'unicast', octets: [1] },
    { peer, protocol: 0x0800, cast: 'broadcast', octets: [2] },
    { peer, protocol: 0x0800, cast: 'multicast', octets: [3] },
  ])
  t.strictSame(linkDrops(link), { otherHost: 1 })
})

t.test('every frame of a run is read as if it had come alone, and sent as if it went alone', async (t) => {
  const macs = [OWN, PEER, '02:00:00:00:00:03', '03:00:00:00:00:02', 'ff:ff:ff:ff:ff:ff', '00:00:00:00:00:00']
  const mac = fc.constantFrom(...macs)
  const run = fc.record({ destination: mac, source: mac, count: fc.integer({ min: 1, max: 3 }) })
  holds(
    t,
    'together as alone',
    fc.property(fc.array(run, { maxLength: 12 }), (runs) => {
      const together = station()
      together.listen(0x0800)
      const told: unknown[] = []
      const sent: Uint8Array[] = []
      const to = new LinkAddressing()
      for (const { destination, source, count } of runs) {
        for (let i = 0; i < count; i++) {
          const alone = station()
          alone.listen(0x0800)
          for (const one of [alone, together]) {
            one.arrive(frame(destination, source, 0x0800, [i]))
            to.peer = parseMac(source)
            to.protocol = ETHERTYPE.arp
            one.link.send(payloadFor(one.link, Uint8Array.of(i)), to)
          }
          told.push(...alone.got)
          sent.push(...alone.sent)
        }
      }
      assert.deepEqual(together.got, told)
      assert.deepEqual(together.sent, sent)
    }),
  )
})

t.test('every reason to drop is reached', async (t) => {
  const { arrive, got, link, listen } = station()
  listen(0x0800)
  arrive(frame(OWN, PEER, 0x0800, []).subarray(0, 13))
  arrive(frame(OWN, '03:00:00:00:00:02', 0x0800, [1]))
  arrive(frame('02:00:00:00:00:03', PEER, 0x0800, [1]))
  arrive(frame(OWN, PEER, 1501, [1]))
  arrive(frame(OWN, PEER, 0x05ff, [1]))
  arrive(frame(OWN, PEER, 4, [1, 2, 3]))
  arrive(frame(OWN, PEER, 3, [1, 2, 3]))
  arrive(frame(OWN, PEER, 0x8100, [0, 5, 8, 0, 1])) // VLAN 5
  arrive(frame(OWN, PEER, 0x8100, [0, 0, 0x81, 0, 0, 0, 8, 0])) // a tag in a tag
  arrive(frame(OWN, PEER, 0x88a8, [0, 0, 8, 0, 1])) // a service tag
  arrive(frame(OWN, PEER, 0x8100, [0, 0, 8])) // half a tag
  arrive(frame(OWN, PEER, 0x86dd, [1]))
  arrive(frame('01:80:c2:00:00:01', PEER, 0x8808, [0, 1, 0, 1]))
  t.strictSame(got, [])
  t.strictSame(linkDrops(link), {
    truncated: 2,
    groupSource: 1,
    otherHost: 1,
    badType: 2,
    badLength: 1,
    llc: 1,
    vlan: 3,
    macControl: 1,
    unknownProtocol: 1,
  })
  const frames = stationOver('frames', ethernet({ address: OWN }))
  frames.arrive(new Uint8Array(64))
  frames.arrive(new Uint8Array(17))
  t.strictSame(linkDrops(frames.link), { truncated: 1, fcs: 1 })
  // Of a pause that lasts too long: pause.test.ts.
  const reached = new Set(['queueFull', ...Object.keys(linkDrops(link)), ...Object.keys(linkDrops(frames.link))])
  t.strictSame([...reached].sort(), [...link.boundary.drops.keys()].sort())
  t.equal(packetsInUse(), 0)
})

t.test('a priority tag without a VLAN is taken off', async (t) => {
  const { arrive, got, listen } = station()
  listen(0x0800)
  arrive(frame(OWN, PEER, 0x8100, [0xe0, 0, 8, 0, 7, 8]))
  t.strictSame(got, [{ peer: parseMac(PEER), protocol: 0x0800, cast: 'unicast', octets: [7, 8] }])
})

t.test('LLC goes to who attached for it, without its padding', async (t) => {
  const { arrive, got, listen } = station()
  listen(LLC_SELECTOR)
  arrive(frame('01:80:c2:00:00:00', PEER, 3, [0x42, 0x42, 3, 0, 0, 0]))
  t.strictSame(got, [{ peer: parseMac(PEER), protocol: LLC_SELECTOR, cast: 'multicast', octets: [0x42, 0x42, 3] }])
})

t.test('addresses: given, or random, local and individual', async (t) => {
  t.equal(stationOver('frames', ethernet({ address: OWN })).link.address, 0x02_00_00_00_00_01)
  const seen = new Set<number>()
  for (let seed = 0; seed < 50; seed++) {
    const { address } = stationOver('frames', ethernet(), { seed }).link
    t.ok(address < BROADCAST && !isGroup(address) && Math.floor(address / 0x200_0000_0000) % 2 === 1)
    seen.add(address)
  }
  t.equal(seen.size, 50)
  const both = stationsOn(cable(), ethernet())
  t.not(both.near.address, both.far.address)
  await both.close()
})

t.test('wrong addresses throw at once', async (t) => {
  for (const address of ['', '02:00:00:00:00', '02:00:00:00:00:0g', 'ff:ff:ff:ff:ff:ff', '01:00:5e:00:00:01']) {
    t.throws(() => ethernet({ address }), { code: 'ERR_INVALID_ARG_VALUE' }, address)
  }
  t.throws(() => ethernet({ address: '00:00:00:00:00:00' }), { code: 'ERR_INVALID_ARG_VALUE' })
  t.throws(() => ethernet({ address: 5 as unknown as string }), { code: 'ERR_INVALID_ARG_VALUE' })
})

t.test('property: payloads pass both kinds of media; what a frame carried does not depend on them', async (t) => {
  const media = [cable({ mtu: 4000 }), cable({ medium: 'ethernet', mtu: 4000 })] as const
  const pairs = [stationsOn(media[0], ethernet()), stationsOn(media[1], ethernet())]
  const got: Uint8Array[] = []
  for (const { far } of pairs) {
    far.boundary.attach({
      receive(packet) {
        got.push(packet.bytes().slice())
        packet.release()
      },
    })
  }
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ minLength: 1, maxLength: 4000 }),
      fc.integer({ min: 0x600, max: 0xffff }).filter((type) => type !== 0x8100 && type !== 0x88a8),
      async (payload, type) => {
        for (const { near, far, sim } of pairs) {
          const to = new LinkAddressing()
          to.peer = far.address
          to.protocol = type
          near.send(payloadFor(near, payload), to)
          await sim.run(1)
        }
        for (const octets of got.splice(0, 2)) assert.deepEqual(octets.subarray(0, payload.length), payload)
      },
    ),
    { numRuns: 100 },
  )
  for (const pair of pairs) await pair.close()
  t.equal(got.length, 0)
})
