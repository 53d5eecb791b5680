import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { Frame, type FrameType, pullControl, pushControl } from '../../../../layers/datalink/hdlc/abm/control.ts'
import { encodeFrameReject, rejectCauses } from '../../../../layers/datalink/hdlc/abm/frame-reject.ts'
import { ReceiveWindow } from '../../../../layers/datalink/hdlc/abm/receiving.ts'
import { SendWindow } from '../../../../layers/datalink/hdlc/abm/sending.ts'
import { Packet, packetsInUse, poisonReleased } from '../../../../src/kernel/packet.ts'
import { Queue } from '../../../../src/kernel/queue.ts'
import { holds } from '../../../property.ts'

poisonReleased(true)

const TYPES: readonly FrameType[] = [
  ...(['I', 'RR', 'RNR', 'REJ', 'SREJ'] as const),
  ...(['SABM', 'SABME', 'DISC', 'UA', 'DM', 'FRMR', 'XID', 'TEST', 'UI'] as const),
]

t.test('control fields as the standards print them', async (t) => {
  const written = (type: FrameType, modulus: 8 | 128, ns: number, nr: number, pf: boolean): number[] => {
    const packet = Packet.take(8, 8)
    pushControl(packet, modulus, Object.assign(new Frame(), { type, ns, nr, pf }))
    const octets = [...packet.bytes()]
    packet.release()
    return octets
  }
  t.strictSame(written('I', 8, 3, 5, true), [0xb6])
  t.strictSame(written('REJ', 8, 0, 5, false), [0xa9])
  t.strictSame(written('I', 128, 3, 100, true), [6, 201])
  t.strictSame(written('SREJ', 128, 0, 1, false), [0x0d, 2])
  t.strictSame(written('SABME', 128, 0, 0, true), [0x7f])
  t.strictSame(written('UA', 8, 0, 0, true), [0x73])
})

t.test('control fields are read as they are written, and none throws', async (t) => {
  const modulus = fc.constantFrom(8 as const, 128 as const)
  holds(
    t,
    'there and back',
    fc.property(
      fc.constantFrom(...TYPES),
      modulus,
      fc.nat(127),
      fc.nat(127),
      fc.boolean(),
      (type, modulus, a, b, pf) => {
        const numbered = TYPES.indexOf(type) < 5
        const nr = numbered ? a % modulus : 0
        const ns = type === 'I' ? b % modulus : 0
        const packet = Packet.take(8, 8)
        pushControl(packet, modulus, Object.assign(new Frame(), { type, ns, nr, pf }))
        const read = new Frame()
        assert.equal(pullControl(packet, modulus, read), undefined)
        assert.equal(packet.length, 0)
        packet.release()
        assert.deepEqual([read.type, read.pf, numbered ? read.nr : 0, type === 'I' ? read.ns : 0], [type, pf, nr, ns])
      },
    ),
  )
  holds(
    t,
    'any octets',
    fc.property(modulus, fc.uint8Array({ maxLength: 3 }), (modulus, octets) => {
      const packet = Packet.take(0, 8)
      packet.append(octets)
      pullControl(packet, modulus, new Frame())
      packet.release()
    }),
  )
})

t.test('frame rejects', async (t) => {
  const short = encodeFrameReject({ control: 0xb6, response: false, vs: 3, vr: 5, cause: 'Z' }, 8)
  t.strictSame([...short], [0xb6, 0xa6, 8])
  const long = encodeFrameReject({ control: 0x06c9, response: true, vs: 3, vr: 5, cause: 'X' }, 128)
  t.strictSame([...long], [6, 0xc9, 6, 11, 3])
  t.equal(rejectCauses(long, 128), 'WX')
  t.equal(rejectCauses(Uint8Array.of(1), 8), '')
})

t.test('an old frame is none of the next round, as long as N(R) has not been told', async (t) => {
  const before = packetsInUse()
  const window = new ReceiveWindow(128, 127, true, 200)
  const frame = (): Packet => Packet.take(0, 8)
  for (let ns = 1; ns < 127; ns++) t.equal(window.receive(ns, frame()), 'early')
  t.equal(window.receive(0, frame()), 'delivered')
  t.equal(window.vr, 127)
  const again = frame()
  t.equal(window.receive(0, again), 'duplicate')
  again.release()
  window.told = 127
  t.equal(window.receive(0, frame()), 'early') // now it is 128
  window.clear()
  t.equal(packetsInUse(), before)
})

t.test('a peer that repeats its frames as they were may tell a N(R) from long before, but none to come', async (t) => {
  const pending = new Queue<Packet>(16)
  const window = new SendWindow(128, 1, pending)
  for (let ns = 0; ns < 8; ns++) {
    pending.push(Packet.take(0, 8))
    window.transmit(window.nextFresh())
    t.equal(window.acknowledge(ns + 1), 1)
  }
  t.ok(window.isOld(1), 'seven back, with a window of one')
  t.notOk(window.isOld(9), 'the next')
  t.equal(packetsInUse(), 0)
})
