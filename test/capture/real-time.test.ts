/** In real time the clock moves on between a packet's arrival and the verdict on it. */
import t from 'tap'
import { Capture } from '../../src/capture/capture.ts'
import { CaptureReader } from '../../src/capture/reader.ts'
import { Boundary } from '../../src/kernel/boundary.ts'
import { Packet } from '../../src/kernel/packet.ts'

/** A clock that is another microsecond, or more, whenever it is asked. */
function moving(step: number): { now(): number } {
  let at = 0
  return { now: () => (at += step) }
}

t.test('a drop is told on the frame of the link, not beside it', async (t) => {
  const clock = moving(7)
  const link = new Boundary<undefined, never>('a/link', 'ethernet', {} as Record<never, string>, clock)
  const above = new Boundary<undefined, 'unwanted'>('a/above', 'transport', { unwanted: 'RFC 1' }, clock)
  const chunks: Uint8Array[] = []
  const capture = new Capture({ write: (octets) => void chunks.push(octets), epochUs: 0 })
  capture.watch([link, above])
  link.attach({
    receive(packet) {
      const answer = frame(1)
      link.down(answer, undefined)
      answer.release()
      above.drop(packet, 'unwanted')
    },
  })
  for (let i = 0; i < 20; i++) link.up(frame(0), undefined, 0)
  capture.stop()
  const records = new CaptureReader().push(Buffer.concat(chunks))
  t.equal(records.length, 40, 'none is written twice')
  for (const [i, { interface: link, direction, comments, octets }] of records.entries()) {
    t.equal(link.name, 'a/link')
    t.equal(octets[0], i % 2, 'in the order in which they passed')
    t.same([direction, comments], i % 2 === 0 ? ['in', ['dropped by a/above: unwanted (RFC 1)']] : ['out', []])
  }
})

t.test('a packet waits for its verdict a moment only', async (t) => {
  const link = new Boundary<undefined, never>('a/link', 'ethernet', {} as Record<never, string>, moving(50_000))
  let written = 0
  const capture = new Capture({ write: () => void written++, epochUs: 0 })
  capture.watch([link])
  const before = written
  for (let i = 0; i < 10; i++) {
    const packet = frame(0)
    link.down(packet, undefined)
    packet.release()
  }
  // The description of the interface comes with the first; the last are not older than a tenth of a second.
  t.equal(written - before, 1 + 10 - 3)
  capture.stop()
  t.equal(written - before, 1 + 10)
})

function frame(first: number): Packet {
  const packet = Packet.take(0, 60)
  packet.octets.fill(0, packet.put(60), packet.end)
  packet.octets[packet.start] = first
  return packet
}
