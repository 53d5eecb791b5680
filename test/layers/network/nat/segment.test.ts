/** What a translation reads of a TCP segment. */
import t from 'tap'
import { ACK, FIN, Segment, SYN } from '../../../../layers/network/nat/segment.ts'

t.test('of a segment', async (t) => {
  const read = (octets: readonly number[], data: number) => {
    const view = new DataView(new ArrayBuffer(80))
    for (const [i, octet] of octets.entries()) view.setUint8(i + 3, octet)
    const read = new Segment()
    read.read(view, 3, 3 + octets.length + data)
    return read
  }
  const head = (offset: number, flags: number) =>
    [0, 80, 19, 136, 255, 255, 255, 255, 0, 0, 0, 9, offset << 4, flags, 1, 244, 0, 0, 0, 0] as const
  t.match(read(head(5, ACK), 10), { flags: ACK, seq: -1, last: 8, ack: 9, window: 500, scale: 0 })
  t.equal(read(head(5, FIN | ACK), 10).last, 9)
  t.match(read([...head(6, SYN), 1, 3, 3, 7], 0), { last: -1, scale: 7 })
  t.equal(read([...head(6, SYN), 1, 3, 3, 200], 0).scale, 14)
  t.equal(read([...head(6, ACK), 1, 3, 3, 7], 0).scale, 0, 'only a SYN says so')
  for (const options of [
    [3, 3],
    [2, 0, 3, 3],
    [0, 3, 3, 7],
    [8, 40, 3, 3],
    [3, 2, 3, 3],
  ]) {
    t.equal(read([...head(15, SYN), ...options], 0).scale, 0, `${options}`)
  }
})
