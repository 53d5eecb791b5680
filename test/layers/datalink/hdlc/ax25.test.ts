import t from 'tap'
import { ethernet } from '../../../../layers/datalink/ethernet/ethernet.ts'
import { ax25, bpq } from '../../../../layers/datalink/hdlc/ax25.ts'
import { AX25_ARP, formatCall, parseCall, QST } from '../../../../layers/datalink/hdlc/ax25-address.ts'
import type { RecordConnection, RecordHandler } from '../../../../layers/datalink/hdlc/records.ts'
import { ETHERTYPE, LinkAddressing, type LinkService } from '../../../../layers/datalink/service.ts'
import * as arpPacket from '../../../../layers/network/ipv4/arp-packet.ts'
import { cable } from '../../../../layers/physical/cable.ts'
import { impair } from '../../../../layers/physical/impair/impair.ts'
import { ms, seconds } from '../../../../src/kernel/clock.ts'
import { Packet, packetsInUse, poisonReleased } from '../../../../src/kernel/packet.ts'
import { stack } from '../../../../src/kernel/stack.ts'
import { Simulation } from '../../../../src/runtime/simulation.ts'
import { linkDrops, payloadFor, stationOver } from '../stations.ts'

poisonReleased(true)

t.test('call signs are numbers, and back', async (t) => {
  for (const call of ['N0CALL', 'N0CALL-7', 'A', 'Z9-15', 'QST']) t.equal(formatCall(parseCall(call)), call)
  t.equal(formatCall(parseCall('n0call-0')), 'N0CALL')
  t.equal(parseCall('QST'), QST)
  t.ok(Number.isSafeInteger(parseCall('999999-15')))
  for (const bad of ['', 'TOOLONGX', 'N0CALL-16', 'N0 CAL', 'Ä'])
    t.throws(() => parseCall(bad), { code: 'ERR_INVALID_ARG_VALUE' })
})

t.test('calls in ARP, as Linux has them', async (t) => {
  const packet = Packet.take(0, 64)
  const asked = { op: arpPacket.OP_REQUEST, sha: parseCall('NODEA-1'), spa: 0x0a2c0002, tha: 0, tpa: 0x0a2c0001 }
  arpPacket.write(packet, asked, AX25_ARP)
  t.equal(Buffer.from(packet.bytes()).toString('hex'), '000300cc070400019c9e888a8240620a2c0002000000000000000a2c0001')
  t.equal(arpPacket.fault(packet, AX25_ARP), undefined)
  t.equal(arpPacket.fault(packet), 'hardwareType')
  t.equal(formatCall(arpPacket.sha(packet, AX25_ARP)), 'NODEA-1')
  t.equal(arpPacket.tha(packet, AX25_ARP), -1)
  t.strictSame([arpPacket.spa(packet, AX25_ARP), arpPacket.tpa(packet, AX25_ARP)], [0x0a2c0002, 0x0a2c0001])
  packet.trim(packet.length - 1)
  t.equal(arpPacket.fault(packet, AX25_ARP), 'short')
  packet.release()
})

/** Sends numbered records as they are taken, and keeps what comes. */
function talker(count: number): RecordHandler & { readonly got: number[]; readonly said: string[] } {
  const got: number[] = []
  const said: string[] = []
  let next = 0
  const send = (connection: RecordConnection): void => {
    for (let open = true; open && next < count; next++) {
      const packet = Packet.take(connection.headroom, 200 + connection.tailroom)
      packet.view.setUint32(packet.put(200), next)
      open = connection.send(packet)
    }
  }
  return {
    got,
    said,
    up(connection) {
      said.push('up')
      send(connection)
    },
    down: (_connection, reason) => said.push(`down ${reason}`),
    ready: send,
    receive(_connection, packet) {
      got.push(packet.view.getUint32(packet.start))
      packet.release()
    },
  }
}

const numbers = (n: number): number[] => Array.from({ length: n }, (_, i) => i)

for (const [name, near, far] of [
  ['modulo 8', {}, {}],
  ['modulo 128 with multi-SREJ', { modulus: 128, recovery: 'multi-srej' }, { modulus: 128, recovery: 'multi-srej' }],
  ['modulo 128 asked of a peer that has only 8', { modulus: 128 }, {}],
] as const) {
  t.test(`records over SMACK on a line that loses frames, ${name}`, async (t) => {
    const before = packetsInUse()
    const sim = new Simulation({ seed: 7 })
    const [a, b] = cable({ medium: 'octets', delay: ms(1), rate: 100_000 })
    const options = { t1: ms(500), n2: 50 }
    const damage = impair({ loss: 0.1 })
    const one = talker(300)
    const other = talker(100)
    const nearLink = sim.boot('A', stack(a, damage, ax25({ call: 'NODEA', ...options, ...near }))).top
    const farLink = sim.boot('B', stack(b, damage, ax25({ call: 'NODEB-1', ...options, ...far }))).top
    farLink.accept(() => other)
    nearLink.open(parseCall('NODEB-1'), one)
    await sim.run(seconds(300))
    t.strictSame([one.said, other.said], [['up'], ['up']])
    t.strictSame(other.got, numbers(300))
    t.strictSame(one.got, numbers(100))
    await sim.close()
    t.equal(packetsInUse(), before)
  })
}

t.test('the window that the other end tells by XID holds', async (t) => {
  for (const [xid, count] of [
    [true, 5],
    [false, 32],
  ] as const) {
    const sim = new Simulation({ seed: 7 })
    const [a, b] = cable({ delay: ms(300) })
    const options = { modulus: 128, t1: seconds(3) } as const
    const near = sim.boot('A', stack(a, ethernet(), bpq({ call: 'NODEA', ...options, xid }))).top
    const far = sim.boot('B', stack(b, ethernet(), bpq({ call: 'NODEB', ...options, k: 5 }))).top
    const [one, other] = [talker(0), talker(0)]
    far.accept(() => other)
    const connection = near.open(parseCall('NODEB'), one)
    // Set up, and agreed on: the numbers begin after that.
    await sim.run(ms(1300))
    talker(100).up?.(connection)
    await sim.run(ms(400))
    t.equal(other.got.length, count)
    await sim.run(seconds(60))
    t.equal(other.got.length, 100)
    await sim.close()
  }
})

t.test('packets to one station and to all, over Ethernet', async (t) => {
  const sim = new Simulation({ seed: 7 })
  const [a, b] = cable()
  const near: LinkService = sim.boot('A', stack(a, ethernet(), bpq({ call: 'NODEA' }))).top
  const far: LinkService = sim.boot('B', stack(b, ethernet(), bpq({ call: 'NODEB' }))).top
  const got: string[] = []
  far.boundary.attach({
    receive(packet, { peer, protocol, cast }) {
      got.push(`${formatCall(peer)} ${protocol.toString(16)} ${cast} ${packet.bytes().join()}`)
      packet.release()
    },
  })
  const to = new LinkAddressing()
  to.peer = QST
  to.protocol = ETHERTYPE.arp
  near.send(payloadFor(near, Uint8Array.of(1, 2)), to)
  to.peer = far.address
  to.protocol = ETHERTYPE.ipv4
  near.send(payloadFor(near, Uint8Array.of(0x45)), to)
  await sim.run(seconds(5))
  t.strictSame(got, ['NODEA 806 broadcast 1,2', 'NODEA 800 unicast 69'])
  await sim.close()
})

t.test('a frame of a set-up, and what is dropped', async (t) => {
  const { sim, link, sent, arrive } = stationOver('octets', ax25({ call: 'NODEA', smack: false }))
  const call = (text: string, flags: number): number[] => [
    ...[...text.padEnd(6)].map((c) => c.charCodeAt(0) << 1),
    0x60 | flags,
  ]
  const frame = (to: string, control: number, ...info: number[]): Uint8Array =>
    Uint8Array.of(0xc0, 0, ...call(to, 0x80), ...call('NODEB', 1), control, ...info, 0xc0)
  arrive(frame('NODEA', 0x3f)) // SABM with P
  t.strictSame([...(sent[0] ?? [])], [0xc0, 0, ...call('NODEB', 0), ...call('NODEA', 0x81), 0x73, 0xc0])
  arrive(frame('NODEC', 0x3f))
  sent.length = 0
  arrive(frame('NODEA', 0xbf, 0x82, 0x80, 0, 3, 8, 1, 2)) // XID with P: a window of 2
  t.strictSame([...(sent[0] ?? [])].slice(16, 22), [0xbf, 0x82, 0x80, 0, 23, 2], 'answered by what holds then')
  arrive(frame('NODEA', 0xaf, 0x82, 0x80, 0, 9)) // longer than it is
  arrive(frame('NODEA', 0x00, 0x55, 1)) // a protocol nobody knows
  arrive(frame('NODEA', 0x02, 0xf0, 1)) // text, for which nobody listens
  arrive(Uint8Array.of(0xc0, 0, ...call('NODEA', 0x80), ...call('NODEB', 0), ...call('RELAY', 1), 0x3f, 0xc0))
  t.strictSame(linkDrops(link), { otherHost: 1, badProtocol: 1, badXid: 1, noListener: 1, toBeRepeated: 1 })
  await sim.close()
})
