/** Where bursts of segments are merged: over a link that delivers them, and only what is for the node itself. */
import t, { type Test } from 'tap'
import type { LinkOffload } from '../../../../layers/datalink/service.ts'
import type { Ipv4Options } from '../../../../layers/network/ipv4/ipv4.ts'
import { PROTOCOL } from '../../../../layers/network/service.ts'
import { type Packet, packetsInUse } from '../../../../src/kernel/packet.ts'
import { type Bare, datagram, stand } from './bare.ts'
import { pattern, referenceChecksum } from './stand.ts'

const BURSTS: LinkOffload = { segment: 0, checksum: false, merge: true }

/** A segment from 10.0.0.2 with 100 octets of data from `seq` on, complete. */
function segment(seq: number, destination = '10.0.0.1', id = 1, flags = 0): Uint8Array {
  const tcp = Uint8Array.of(0, 7, 0, 9, 0, 0, seq >> 8, seq & 255, 0, 0, 0, 1, 0x50, 0x10, 4, 0, 0, 0, 0, 0)
  const payload = Uint8Array.of(...tcp, ...pattern(100, seq))
  const addresses = [10, 0, 0, 2, ...destination.split('.').map(Number)]
  const sum = referenceChecksum(Uint8Array.of(...addresses, 0, PROTOCOL.tcp, 0, payload.length, ...payload))
  payload[16] = sum >> 8
  payload[17] = sum & 255
  return datagram({ protocol: PROTOCOL.tcp, destination, id, flags, payload })
}

/** What a transport gets: sequence number, octets of data, segment size and checksum. */
function segments({ network }: Bare): string[] {
  const got: string[] = []
  network.boundary.attach(
    {
      receive(packet: Packet) {
        const { view, start, length, segmentOctets, checksum } = packet
        got.push(`${view.getInt32(start + 4)} ${length - 20} ${segmentOctets} ${checksum}`)
        packet.release()
      },
    },
    PROTOCOL.tcp,
  )
  return got
}

async function merging(
  name: string,
  body: (t: Test, on: Bare) => Promise<void>,
  options: Ipv4Options = {},
  offload: LinkOffload = BURSTS,
): Promise<void> {
  await t.test(name, async (t) => {
    const before = packetsInUse()
    const on = stand(options, offload)
    await body(t, on)
    await on.sim.close()
    t.equal(packetsInUse(), before, 'every packet was released')
    t.equal(on.sim.timers.size, 0, 'no timer is left')
  })
}

merging('a burst for us becomes one segment, in the same instant', async (t, on) => {
  const got = segments(on)
  for (const seq of [100, 200, 300]) on.wire.inject(segment(seq))
  t.same(got, [], 'not before the burst is over')
  await on.sim.run(0)
  t.same(got, ['100 300 100 verified'])
  on.wire.inject(segment(400))
  await on.sim.run(0)
  t.same(got.at(-1), '400 100 0 none', 'one alone is as it came')
})

merging(
  'over another link every segment comes by itself',
  async (t, on) => {
    const got = segments(on)
    for (const seq of [100, 200]) on.wire.inject(segment(seq))
    t.same(got, ['100 100 0 none', '200 100 0 none'])
  },
  {},
  { segment: 0, checksum: false },
)

merging(
  'what is forwarded goes on as it came',
  async (t, on) => {
    for (const [i, seq] of [100, 200, 300].entries()) on.wire.inject(segment(seq, '192.0.2.9', 7 * i))
    t.equal(on.wire.sent.length, 3, 'at once')
    t.same(
      on.wire.sent.map((octets) => octets.length),
      [140, 140, 140],
    )
    t.same(
      on.wire.sent.map((octets) => octets[5]),
      [0, 7, 14],
      'with its identification',
    )
  },
  { forwarding: true },
)

merging('fragments are joined first, and do not overtake', async (t, on) => {
  const got = segments(on)
  const whole = segment(200)
  const [first, rest] = [whole.subarray(20, 84), whole.subarray(84)]
  on.wire.inject(segment(100))
  on.wire.inject(datagram({ protocol: PROTOCOL.tcp, id: 9, flags: 0x2000, payload: first }))
  on.wire.inject(datagram({ protocol: PROTOCOL.tcp, id: 9, flags: 8, payload: rest }))
  await on.sim.run(0)
  t.same(got, ['100 200 100 verified'])
})

merging('what is held when the node closes is released', async (t, on) => {
  const got = segments(on)
  on.wire.inject(segment(100))
  await on.sim.close()
  t.same(got, [])
})
