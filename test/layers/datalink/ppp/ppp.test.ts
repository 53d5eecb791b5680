import fc from 'fast-check'
import t from 'tap'
import { type PppOptions, type PppService, ppp } from '../../../../layers/datalink/ppp/ppp.ts'
import { ETHERTYPE, LinkAddressing } from '../../../../layers/datalink/service.ts'
import { cable } from '../../../../layers/physical/cable.ts'
import { impair } from '../../../../layers/physical/impair/impair.ts'
import { loopback } from '../../../../layers/physical/loopback.ts'
import { ms, seconds } from '../../../../src/kernel/clock.ts'
import { Packet, packetsInUse, poisonReleased } from '../../../../src/kernel/packet.ts'
import { stack } from '../../../../src/kernel/stack.ts'
import { Simulation } from '../../../../src/runtime/simulation.ts'
import { linkDrops, payloadFor } from '../stations.ts'

poisonReleased(true)

interface Pair {
  readonly sim: Simulation
  readonly near: PppService
  readonly far: PppService
  readonly events: string[]
  readonly link: ReturnType<typeof cable>['link']
}

/** Two stations on a line of octets. */
function pair(nearOptions: PppOptions, farOptions: PppOptions, medium: 'octets' | 'frames' = 'octets'): Pair {
  const sim = new Simulation({ seed: 11 })
  const ends = cable({ medium, delay: ms(5) })
  const near = sim.boot('A', stack(ends[0], ppp(nearOptions))).top
  const far = sim.boot('B', stack(ends[1], ppp(farOptions))).top
  const events: string[] = []
  for (const [name, link] of Object.entries({ near, far })) {
    link.boundary.attach(
      { receive: (packet) => packet.release(), linkChanged: (state, why) => events.push(`${name} ${state} ${why}`) },
      ETHERTYPE.arp,
    )
    link.negotiated.follow((local, peer) => events.push(`${name} ${local} ${peer}`))
  }
  return { sim, near, far, events, link: ends.link }
}

const ipv4Only = { ipv6: false }

function sendIp(link: PppService, octets: number): void {
  const to = new LinkAddressing()
  to.protocol = ETHERTYPE.ipv4
  link.send(payloadFor(link, new Uint8Array(octets).fill(0x45)), to)
}

for (const medium of ['octets', 'frames'] as const) {
  t.test(`both ends agree over ${medium}: one gives addresses, the other takes them`, async (t) => {
    const { sim, near, far, events } = pair(
      { address: '10.0.0.1', peerAddress: '10.0.0.2', ...ipv4Only },
      ipv4Only,
      medium,
    )
    await sim.run(seconds(1))
    t.strictSame([...events].sort(), [
      'far 10.0.0.2 10.0.0.1',
      'far down negotiating',
      'far up negotiated',
      'near 10.0.0.1 10.0.0.2',
      'near down negotiating',
      'near up negotiated',
    ])
    t.equal(near.phase, 'network')
    const got: number[] = []
    far.boundary.attach(
      {
        receive(packet, { protocol }) {
          got.push(packet.length, protocol)
          packet.release()
        },
      },
      ETHERTYPE.ipv4,
    )
    sendIp(near, 1500)
    sendIp(near, 1501)
    await sim.run(seconds(1))
    t.strictSame(got, [1500, ETHERTYPE.ipv4])
    t.strictSame(linkDrops(near), { tooLong: 1 })
    await sim.close()
    t.equal(packetsInUse(), 0)
    t.equal(sim.timers.size, 0)
  })
}

t.test('IPv6 gets an identifier at each end', async (t) => {
  const { sim, events } = pair({ ipv4: false }, {})
  await sim.run(seconds(1))
  t.equal(events.filter((event) => / fe80::/.test(event)).length, 2)
  await sim.close()
})

t.test('nothing goes before it is negotiated, nor what is not IP', async (t) => {
  const { sim, near } = pair(ipv4Only, ipv4Only)
  sendIp(near, 100)
  const to = new LinkAddressing()
  to.protocol = ETHERTYPE.arp
  near.send(payloadFor(near, new Uint8Array(9)), to)
  t.strictSame(linkDrops(near), { notOpen: 1, notIp: 1 })
  await sim.close()
})

t.test('the smaller MRU holds for what is sent', async (t) => {
  const { sim, near, far } = pair({ address: '10.0.0.1', mru: 600 }, { address: '10.0.0.2' })
  await sim.run(seconds(1))
  t.strictSame([near.mtu, far.mtu], [600, 600])
  await sim.close()
})

t.test('CHAP: who knows the secret is let in, who does not is not', async (t) => {
  for (const [secret, phase] of [
    ['right', 'network'],
    ['wrong', 'establish'],
  ] as const) {
    const { sim, near, far, events } = pair(
      { address: '10.0.0.1', chap: { name: 'server', secret: 'right', demand: true, peerName: 'client' } },
      { address: '10.0.0.2', chap: { name: 'client', secret } },
    )
    await sim.run(seconds(20))
    t.equal(near.phase, phase, secret)
    t.equal(far.phase, phase, secret)
    if (secret === 'wrong') t.notOk(events.some((event) => / up /.test(event)))
    await sim.close()
  }
})

t.test('CHAP: where the answer to a Response is lost, the same goes again', async (t) => {
  const sim = new Simulation({ seed: 11 })
  const ends = cable({ medium: 'frames', delay: ms(5) })
  const codes: (number | undefined)[] = []
  /** What comes of CHAP, and no Success until the third. */
  const deaf = (_index: number, packet: Packet): boolean => {
    const octets = Buffer.from(packet.bytes())
    const at = octets.indexOf(Buffer.of(0xc2, 0x23))
    if (at < 0 || at > 2) return false
    const code = octets[at + 2]
    codes.push(code)
    return code === 3 && codes.filter((one) => one === 3).length < 3
  }
  const near = sim.boot('A', stack(ends[0], ppp({ chap: { name: 'server', secret: 'right', demand: true } }))).top
  const line = stack(ends[1], impair({ up: { dropIf: deaf } })<'frames'>)
  const far = sim.boot('B', stack(line, ppp({ chap: { name: 'client', secret: 'right' } }))).top
  await sim.run(seconds(2))
  t.strictSame([near.phase, far.phase], ['network', 'authenticate'])
  await sim.run(seconds(5))
  t.strictSame([near.phase, far.phase], ['network', 'network'])
  await sim.run(seconds(20))
  t.strictSame(codes, [1, 3, 3, 3], 'one challenge, and no response more than it takes')
  t.strictSame([near.phase, far.phase], ['network', 'network'])
  await sim.close()
  t.equal(packetsInUse(), 0)
})

t.test('a line that leads to ourselves does not come up', async (t) => {
  const sim = new Simulation({ seed: 1 })
  const node = sim.boot('A', stack(loopback({ medium: 'octets', delay: ms(1) }), ppp({ address: '10.0.0.1' })))
  const { top } = node
  const reasons: string[] = []
  top.boundary.attach({ receive: (packet) => packet.release(), linkChanged: (_, why) => reasons.push(why) })
  const packets = (): number => node.boundaries[0]?.txPackets ?? 0
  await sim.run(seconds(30))
  t.equal(top.phase, 'establish')
  t.ok(top.boundary.drops.get('badControl') === 0 && reasons.every((why) => why === 'negotiating'))
  t.ok(packets() < 60, `${packets()} packets in half a minute`)
  await sim.close()
})

t.test('a peer that falls silent is found out, and found again', async (t) => {
  const { sim, events, link } = pair(
    { address: '10.0.0.1', echoInterval: seconds(1), ...ipv4Only },
    { address: '10.0.0.2', ...ipv4Only },
  )
  await sim.run(seconds(2))
  events.length = 0
  const cut = link.cut()
  await sim.run(seconds(10))
  t.strictSame(
    events.filter((event) => event.startsWith('near')),
    ['near down the peer does not answer echo requests'],
  )
  cut.heal()
  await sim.run(seconds(10))
  t.ok(events.includes('near up negotiated'))
  await sim.close()
})

t.test('a line that goes down and comes back is negotiated anew', async (t) => {
  const { sim, events, link } = pair({ address: '10.0.0.1', ...ipv4Only }, { address: '10.0.0.2', ...ipv4Only })
  await sim.run(seconds(1))
  events.length = 0
  link.unplug('cut')
  t.ok(events.includes('near down cut'), events.join())
  link.plug()
  await sim.run(seconds(10))
  t.equal(events.filter((event) => / up negotiated/.test(event)).length, 2)
  await sim.close()
})

t.test('a peer is told of protocols that are not ours, and of codes', async (t) => {
  const sim = new Simulation({ seed: 1 })
  const [a, b] = cable({ medium: 'frames' })
  const near = sim.boot('A', stack(a, ppp({ address: '10.0.0.1', ...ipv4Only }))).top
  const far = sim.boot('B', stack(b, ppp({ address: '10.0.0.2', ...ipv4Only }))).top
  await sim.run(seconds(1))
  t.equal(far.phase, 'network')
  t.strictSame(linkDrops(near), {})
  await sim.close()
})

t.test('a peer is told of a protocol that we do not negotiate, and asks no more', async (t) => {
  const { sim, near, far } = pair({ address: '10.0.0.1', ...ipv4Only }, { address: '10.0.0.2' })
  await sim.run(seconds(10))
  t.strictSame([near.phase, far.phase], ['network', 'network'])
  t.strictSame(linkDrops(near), { unknownProtocol: 1 })
  t.strictSame(linkDrops(far), {})
  await sim.close()
  t.equal(packetsInUse(), 0)
})

t.test('property: takes any octets from the wire, in any phase', async (t) => {
  const control = fc
    .tuple(
      fc.constantFrom(0xc021, 0x8021, 0x8057, 0xc223, 0x0021, 0x1234),
      fc.nat(12),
      fc.nat(255),
      fc.uint8Array({ maxLength: 24 }),
    )
    .map(([protocol, code, id, data]) =>
      Uint8Array.of(0xff, 3, protocol >> 8, protocol & 0xff, code, id, 0, data.length + 4, ...data),
    )
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof(control, fc.uint8Array({ maxLength: 40 })), { maxLength: 30 }),
      fc.boolean(),
      async (frames, late) => {
        const sim = new Simulation({ seed: 4 })
        const [a, b] = cable({ medium: 'frames' })
        const near = sim.boot('A', stack(a, ppp({ address: '10.0.0.1', fcs: 'none' }))).top
        near.boundary.attach({ receive: (packet) => packet.release() })
        const far = sim.boot('B', b).top
        if (late) await sim.run(seconds(1))
        for (const frame of frames) {
          const packet = Packet.take(0, frame.length)
          packet.append(frame)
          far.send(packet, undefined)
        }
        await sim.run(seconds(20))
        await sim.close()
        return packetsInUse() === 0 && sim.timers.size === 0
      },
    ),
    { numRuns: 200 },
  )
  t.pass()
})
