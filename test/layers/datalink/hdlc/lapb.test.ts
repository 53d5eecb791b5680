import t from 'tap'
import { lapb } from '../../../../layers/datalink/hdlc/lapb.ts'
import { ETHERTYPE, LinkAddressing } from '../../../../layers/datalink/service.ts'
import { cable } from '../../../../layers/physical/cable.ts'
import { ms, seconds } from '../../../../src/kernel/clock.ts'
import { poisonReleased } from '../../../../src/kernel/packet.ts'
import { linkConformance } from '../../../conformance/link.ts'
import { linkDrops, payloadFor, stationOver, stationsOn } from '../stations.ts'

poisonReleased(true)

const near = lapb({ role: 'dte' })
const far = lapb({ role: 'dce' })

await linkConformance(t, 'LAPB over a cable', { connected: true, make: () => stationsOn(cable(), near, far) })
await linkConformance(t, 'LAPB over a slow line', {
  connected: true,
  make: () => stationsOn(cable({ rate: 10_000_000, delay: ms(1) }), near, far),
})
await linkConformance(t, 'LAPB, modulo 8', {
  connected: true,
  make: () => stationsOn(cable(), lapb({ role: 'dte', modulus: 8 }), lapb({ role: 'dce', modulus: 8 })),
})

t.test('a link that is set up, used and cut: up, down and up again, with reasons', async (t) => {
  const media = cable({ delay: ms(1) })
  const pair = stationsOn(media, lapb({ role: 'dte', t1: ms(100), n2: 3, t3: seconds(1) }), far)
  const states: string[] = []
  pair.near.boundary.attach({
    receive: (packet) => packet.release(),
    linkChanged: (state, reason) => states.push(`${state} ${reason}`),
  })
  await pair.sim.run(seconds(1))
  t.strictSame(states, ['up connected'])
  const cut = media.link.cut()
  await pair.sim.run(seconds(5))
  t.strictSame(states, ['up connected', 'down noAnswer'])
  cut.heal()
  await pair.sim.run(seconds(10))
  t.strictSame(states, ['up connected', 'down noAnswer', 'up connected'])
  await pair.close()
})

t.test('the frames of a set-up, and of a packet', async (t) => {
  const { sim, link, sent, arrive } = stationOver('frames', lapb({ role: 'dte', fcs: 'none' }))
  await sim.run(ms(1))
  t.strictSame([...(sent[0] ?? [])], [0x01, 0x7f]) // SABME with P, for B
  arrive(Uint8Array.of(0x01, 0x73)) // UA with F, from B
  const to = new LinkAddressing()
  to.protocol = ETHERTYPE.ipv4
  link.send(payloadFor(link, Uint8Array.of(0x45)), to)
  t.strictSame([...(sent[1] ?? [])], [0x01, 0, 0, 0x00, 0x21, 0x45])
  await sim.close()
})

/** What stands between the flags. */
function unescaped(octets: Uint8Array): number[] {
  const out: number[] = []
  for (let at = 1; at < octets.length - 1; at++)
    out.push(octets[at] === 0x7d ? (octets[++at] as number) ^ 0x20 : (octets[at] as number))
  return out
}

t.test('I frames of every length up to N1 and beyond', async (t) => {
  const n1 = 60
  for (const medium of ['frames', 'octets'] as const) {
    const { sim, link, sent, arrive } = stationOver(medium, lapb({ role: 'dte', fcs: 'none', n1, protocols: false }))
    const frame = (...octets: number[]): void =>
      arrive(medium === 'frames' ? Uint8Array.from(octets) : Uint8Array.of(0x7e, ...octets, 0x7e))
    const got: number[] = []
    link.boundary.attach({
      receive(packet) {
        got.push(packet.length)
        packet.release()
      },
    })
    await sim.run(ms(1))
    frame(0x01, 0x73)
    for (let octets = 0; octets <= n1; octets++) frame(0x03, (octets & 127) << 1, 0, ...new Array(octets).fill(1))
    t.strictSame(got, [...Array(n1 + 1).keys()])
    for (let octets = n1 + 1; octets <= 2 * n1; octets++) {
      frame(0x03, 0x7f)
      sent.length = 0
      frame(0x03, 0, 0, ...new Array(octets).fill(1))
      const [reply = new Uint8Array(0)] = sent
      const [address, control, , , , , cause] = medium === 'frames' ? reply : unescaped(reply)
      t.strictSame([address, control, cause], [0x03, 0x87, 4], `${octets}: FRMR Y`)
    }
    frame(0x03, 0, 0, ...new Array(2 * n1 + 1).fill(1))
    t.equal(linkDrops(link).tooLong, n1, 'what is longer still is the framing’s to drop')
    await sim.close()
  }
})

t.test('every reason to drop that is the layer’s own', async (t) => {
  const { sim, link, arrive } = stationOver('frames', lapb({ role: 'dte', fcs: 'none' }))
  await sim.run(ms(1))
  arrive(Uint8Array.of(0x01, 0x73))
  arrive(Uint8Array.of(0x55, 0x01))
  arrive(Uint8Array.of(0x03, 0x00, 0x00, 0xc0, 0x21, 1)) // LCP
  arrive(Uint8Array.of(0x03, 0x02, 0x00, 0x00, 0x57, 0x60)) // IPv6, which nobody takes
  const to = new LinkAddressing()
  to.protocol = ETHERTYPE.arp
  link.send(payloadFor(link, Uint8Array.of(1)), to)
  to.protocol = ETHERTYPE.ipv4
  link.send(payloadFor(link, new Uint8Array(link.mtu + 1)), to)
  t.strictSame(linkDrops(link), { badAddress: 1, badProtocol: 2, tooLongToSend: 1, unknownProtocol: 1 })
  await sim.close()
})

t.test('two ends of the same role are told what to do, once', async (t) => {
  const pair = stationsOn(cable(), near, near)
  const states: string[] = []
  pair.near.boundary.attach({
    receive: (packet) => packet.release(),
    linkChanged: (state, reason) => states.push(`${state} ${reason}`),
  })
  await pair.sim.run(seconds(30))
  t.strictSame(states, ['down both ends are the dte, or the line leads back here: make one the dce'])
  t.ok((linkDrops(pair.near).sameRole ?? 0) > 1)
  await pair.close()
})
