/** What waits to be sent, or to be read. */
import fc from 'fast-check'
import t from 'tap'
import { ReceiveQueue } from '../../../../layers/transport/tcp/receive-queue.ts'
import { SendBuffer } from '../../../../layers/transport/tcp/send-buffer.ts'
import { Packet, packetsInUse } from '../../../../src/kernel/packet.ts'
import { slab } from '../../../../src/kernel/slab.ts'
import { holds } from '../../../property.ts'

const octetAt = (i: number): number => (i * 31 + (i >> 8)) & 255
const run = (from: number, length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => octetAt(from + i))
/** Lengths around that from which octets are copied as a view. */
const lengths = fc.array(fc.oneof(fc.integer({ min: 1, max: 70 }), fc.integer({ min: 1, max: 40_000 })), {
  minLength: 1,
  maxLength: 12,
})

t.test('a send buffer', async (t) => {
  holds(
    t,
    'octets come out as they went in',
    fc.property(lengths, fc.integer({ min: 0, max: 9 }), (pieces, start) => {
      const before = slab().chunksInUse
      const buffer = SendBuffer.take()
      let put = 0
      for (const length of pieces) {
        const octets = new Uint8Array(start + length + 3)
        octets.set(run(put, length), start)
        if (buffer.write(octets, start, length) !== length) return false
        put += length
      }
      const packet = Packet.take(0, 1460)
      let same = buffer.length === put
      for (let at = 0; at < put; at += 1460) {
        const n = Math.min(1460, put - at)
        buffer.copy(at, n, packet.start)
        same &&= run(at, n).every((octet, i) => packet.octets[packet.start + i] === octet)
      }
      packet.release()
      buffer.end()
      return same && slab().chunksInUse === before
    }),
  )
})

t.test('a receive queue', async (t) => {
  holds(
    t,
    'octets come out as they went in',
    fc.property(lengths, lengths, (pieces, reads) => {
      const before = packetsInUse()
      const queue = ReceiveQueue.take()
      let put = 0
      for (const length of pieces) {
        const packet = Packet.take(0, length)
        packet.append(run(put, length))
        queue.append(packet)
        put += length
      }
      let [got, same] = [0, queue.length === put]
      for (let i = 0; got < put; i++) {
        const into = new Uint8Array((reads[i % reads.length] as number) + 2)
        const n = queue.read(into, 1, into.length - 2)
        same &&= run(got, n).every((octet, k) => into[k + 1] === octet) && into[0] === 0
        got += n
      }
      queue.end()
      return same && packetsInUse() === before
    }),
  )
})

t.test('they are used again, empty, and by one at a time', async (t) => {
  const buffer = SendBuffer.take()
  buffer.write(run(0, 100), 0, 100)
  t.equal(buffer.end(), null)
  const again = SendBuffer.take()
  t.equal(again, buffer)
  t.equal(again.length, 0)
  t.not(SendBuffer.take(), again)
  again.write(run(7, 2), 0, 2)
  const packet = Packet.take(0, 2)
  again.copy(0, 2, packet.put(2))
  t.same([...packet.bytes()], [octetAt(7), octetAt(8)])
  again.end()
  const queue = ReceiveQueue.take()
  queue.append(packet)
  t.equal(queue.end(), null)
  const next = ReceiveQueue.take()
  t.equal(next, queue)
  t.equal(next.length, 0)
  t.equal(next.read(new Uint8Array(9), 0, 9), 0)
  t.not(ReceiveQueue.take(), next)
})
