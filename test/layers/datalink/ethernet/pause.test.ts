import t from 'tap'
import { ethernet } from '../../../../layers/datalink/ethernet/ethernet.ts'
import { ETHERTYPE, LinkAddressing } from '../../../../layers/datalink/service.ts'
import { cable } from '../../../../layers/physical/cable.ts'
import { ms, seconds } from '../../../../src/kernel/clock.ts'
import { packetsInUse, poisonReleased } from '../../../../src/kernel/packet.ts'
import { stack } from '../../../../src/kernel/stack.ts'
import { Simulation } from '../../../../src/runtime/simulation.ts'
import { linkDrops, payloadFor, stationOver } from '../stations.ts'

poisonReleased(true)

const OWN = [2, 0, 0, 0, 0, 1]
const pauseFrame = (quanta: number): Uint8Array =>
  Uint8Array.of(
    1,
    0x80,
    0xc2,
    0,
    0,
    1,
    2,
    0,
    0,
    0,
    0,
    2,
    0x88,
    8,
    0,
    1,
    quanta >> 8,
    quanta & 255,
    ...new Array(42).fill(0),
  )

function to(): LinkAddressing {
  const address = new LinkAddressing()
  address.peer = 0x0200_0000_0002
  address.protocol = ETHERTYPE.ipv4
  return address
}

t.test('a station told to pause keeps what is sent, for as long as it was told', async (t) => {
  const before = packetsInUse()
  // A quantum of 512 bit times is 512 us.
  const options = { address: '02:00:00:00:00:01', pause: { rate: 1e6 } }
  const { sim, link, sent, arrive } = stationOver('ethernet', ethernet(options))
  let readies = 0
  link.boundary.attach({ receive: (packet) => packet.release(), ready: () => readies++ })
  arrive(pauseFrame(100))
  let open = true
  for (let i = 0; i < 64; i++) open = link.send(payloadFor(link, Uint8Array.of(i)), to())
  t.equal(open, false)
  for (let i = 64; i < 130; i++) link.send(payloadFor(link, Uint8Array.of(i)), to())
  t.strictSame(linkDrops(link), { queueFull: 2 })
  await sim.run(ms(51))
  t.equal(sent.length, 0)
  await sim.run(ms(1))
  t.strictSame(
    sent.map((frame) => frame[14]),
    Array.from({ length: 128 }, (_, i) => i),
  )
  t.equal(readies, 1)
  arrive(pauseFrame(0xffff))
  link.send(payloadFor(link, Uint8Array.of(1)), to())
  arrive(pauseFrame(0)) // go on at once
  await sim.run(ms(1))
  t.equal(sent.length, 129)
  await sim.close()
  t.equal(packetsInUse(), before)
})

t.test('a frame of ours, again and again while we hold, and one that ends it', async (t) => {
  const options = { address: '02:00:00:00:00:01', pause: true }
  const { sim, link, sent } = stationOver('ethernet', ethernet(options))
  const letGo = [link.hold?.(), link.hold?.()]
  t.strictSame([...(sent[0] ?? [])].slice(0, 18), [1, 0x80, 0xc2, 0, 0, 1, ...OWN, 0x88, 8, 0, 1, 0xff, 0xff])
  t.equal(sent[0]?.length, 60)
  await sim.run(ms(40)) // 65,535 quanta are 33.6 ms
  t.equal(sent.length, 3)
  letGo[0]?.()
  letGo[0]?.()
  t.equal(sent.length, 3, 'there is another who holds')
  letGo[1]?.()
  t.strictSame([...(sent[3] ?? [])].slice(14, 18), [0, 1, 0, 0])
  await sim.run(seconds(1))
  t.equal(sent.length, 4)
  await sim.close()
})

t.test('between two stations nothing is lost that a hold could save', async (t) => {
  const sim = new Simulation({ seed: 1 })
  const [a, b] = cable()
  const near = sim.boot('A', stack(a, ethernet({ pause: true }))).top
  const far = sim.boot('B', stack(b, ethernet({ pause: true }))).top
  let got = 0
  far.boundary.attach({
    receive(packet) {
      got++
      packet.release()
    },
  })
  const letGo = far.hold()
  await sim.run(ms(1))
  const address = to()
  address.peer = far.address
  for (let i = 0; i < 10; i++) near.send(payloadFor(near, Uint8Array.of(i)), address)
  await sim.run(ms(200))
  t.equal(got, 0)
  letGo()
  await sim.run(ms(1))
  t.equal(got, 10)
  await sim.close()
})

t.test('without the option, and other MAC control frames, are dropped', async (t) => {
  const { sim, link, arrive } = stationOver('ethernet', ethernet({ address: '02:00:00:00:00:01' }))
  arrive(pauseFrame(1))
  t.strictSame(linkDrops(link), { macControl: 1 })
  t.throws(() => ethernet({ pause: { rate: 0 } }), { code: 'ERR_OUT_OF_RANGE' })
  await sim.close()
})
