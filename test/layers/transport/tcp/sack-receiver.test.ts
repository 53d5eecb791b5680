/** What the receiver says about data out of order and data that came twice (RFC 2018, RFC 2883). */
import t from 'tap'
import { SackBlocks } from '../../../../layers/transport/tcp/sack-blocks.ts'
import { Script } from './script.ts'

function receiver(options = 'mss 1000,sackOK', tcp = {}): Script {
  const s = new Script({ tcp })
  s.passive(options)
  s.skip()
  return s
}

t.test('a SYN offers SACK in the usual place, and a SYN-ACK only what was offered (RFC 2018 §2)', async (t) => {
  for (const [timestamps, sack, offer] of [
    [true, true, '<mss 1460,sackOK,ts * *,nop,ws 8>'],
    [false, true, '<mss 1460,nop,nop,sackOK,nop,ws 8>'],
    [true, false, '<mss 1460,nop,nop,ts * *,nop,ws 8>'],
    [false, false, '<mss 1460,nop,ws 8>'],
  ] as const) {
    const s = new Script({ tcp: { timestamps, sack } })
    s.connect()
    s.out(`S 0:0 ${offer}`)
    for (const [peer, answer] of [
      ['mss 1000,sackOK', sack ? 'mss 1460,nop,nop,sackOK' : 'mss 1460'],
      ['mss 1000', 'mss 1460'],
    ] as const) {
      const p = new Script({ tcp: { timestamps, sack } })
      p.listen()
      p.in(`S 0:0 <${peer}>`)
      p.out(`S. 0:0 ack 1 <${answer}>`)
    }
  }
  t.pass('all as said')
})

t.test('each segment out of order is reported at once, the newest block first (RFC 2018 §4)', async (t) => {
  const s = receiver()
  s.in('. 1001:2001 ack 1')
  s.out('. 1:1 ack 1 <nop,nop,sack 1001:2001>')
  s.in('. 3001:4001 ack 1')
  s.out('. 1:1 ack 1 <nop,nop,sack 3001:4001 1001:2001>')
  s.in('. 5001:6001 ack 1')
  s.out('. 1:1 ack 1 <nop,nop,sack 5001:6001 3001:4001 1001:2001>')
  s.in('. 2001:3001 ack 1')
  s.out('. 1:1 ack 1 <nop,nop,sack 1001:4001 5001:6001>')
  s.in('. 1:1001 ack 1')
  s.out('. 1:1 ack 4001 <nop,nop,sack 5001:6001>')
  s.in('. 4001:5001 ack 1')
  s.out('. 1:1 ack 6001 <>')
  t.equal(s.drops('duplicateData'), 0)
})

t.test('four blocks without timestamps, three with them', async (t) => {
  const s = receiver()
  for (const at of [1001, 3001, 5001, 7001]) s.in(`. ${at}:${at + 1000} ack 1`)
  s.skip()
  s.in('. 9001:10001 ack 1')
  s.out('. 1:1 ack 1 <nop,nop,sack 9001:10001 7001:8001 5001:6001 3001:4001>')
  const p = receiver('mss 1000,sackOK,ts 1000 0')
  for (const at of [1001, 3001, 5001]) p.in(`. ${at}:${at + 1000} ack 1 <ts 1000 0>`)
  p.skip()
  p.in('. 7001:8001 ack 1 <ts 1000 0>')
  p.out('. 1:1 ack 1 <nop,nop,ts * *,nop,nop,sack 7001:8001 5001:6001 3001:4001>')
  t.equal(p.lastPacket?.length, 0)
})

t.test('what came twice is the first block, once (RFC 2883 §4.1)', async (t) => {
  const s = receiver()
  s.in('. 1:1001 ack 1', '. 3001:4001 ack 1')
  s.skip()
  s.in('. 1:1001 ack 1')
  s.out('. 1:1 ack 1001 <nop,nop,sack 1:1001 3001:4001>')
  s.in('. 3001:4001 ack 1')
  s.out('. 1:1 ack 1001 <nop,nop,sack 3001:4001 3001:4001>')
  s.in('. 501:2001 ack 1')
  s.out('. 1:1 ack 2001 <nop,nop,sack 501:1001 3001:4001>')
  s.in('. 2001:3001 ack 1')
  s.out('. 1:1 ack 4001 <>')
  const off = receiver('mss 1000,sackOK', { dsack: false })
  off.in('. 1:1001 ack 1', '. 1:1001 ack 1')
  off.run(0)
  t.equal(off.lastPacket?.options, '')
})

t.test('the block that holds what came twice is the next (RFC 2883 §4 (4))', async (t) => {
  const s = receiver()
  s.in('. 1001:2001 ack 1', '. 2001:3001 ack 1', '. 4001:5001 ack 1')
  s.skip()
  s.in('. 2001:3001 ack 1')
  s.out('. 1:1 ack 1 <nop,nop,sack 2001:3001 1001:3001 4001:5001>')
  s.in('. 4001:5001 ack 1')
  s.out('. 1:1 ack 1 <nop,nop,sack 4001:5001 4001:5001 1001:3001>')
  const off = receiver('mss 1000,sackOK', { dsack: false })
  off.in('. 1001:2001 ack 1', '. 3001:4001 ack 1')
  off.skip()
  off.in('. 1001:2001 ack 1')
  off.out('. 1:1 ack 1 <nop,nop,sack 1001:2001 3001:4001>')
  t.equal(off.drops('duplicateData'), 1)
})

t.test('of a segment that was received in part, the first such part is a duplicate (RFC 2883 §4.2.2)', async (t) => {
  const s = receiver('mss 8000,sackOK')
  for (const range of ['1001:2001', '2001:3001', '4001:5001', '7001:8001']) s.in(`. ${range} ack 1`)
  t.equal(s.skip(), 4)
  s.in('. 1:6001 ack 1')
  s.out('. 1:1 ack 6001 <nop,nop,sack 1001:3001 7001:8001>')
  s.in('. 6501:7501 ack 1')
  s.out('. 1:1 ack 6001 <nop,nop,sack 7001:7501 6501:8001>')
  s.in('. 6001:8001 ack 1')
  s.out('. 1:1 ack 8001 <nop,nop,sack 6501:8001>')
})

t.test('nothing of this without an agreement', async (t) => {
  const s = receiver('mss 1000')
  s.in('. 1001:2001 ack 1')
  s.out('. 1:1 ack 1 <>')
  s.in('. 1:1001 ack 1')
  s.out('. 1:1 ack 2001 <>')
  s.in('. 1:1001 ack 1')
  s.out('. 1:1 ack 2001 <>')
  t.equal(s.drops('duplicateData'), 1)
})

t.test('a full segment has no room for blocks: an ACK of their own carries them', async (t) => {
  const s = new Script()
  const c = s.passive('mss 1000,sackOK')
  s.write(c, 1000)
  s.in('. 1001:2001 ack 1')
  s.out('P. 1:1001 ack 1 <>', '. 1001:1001 ack 1 <nop,nop,sack 1001:2001>')
  s.write(c, 500, 1000)
  s.in('. 1001:1501 ack 1001')
  s.out('P. 1001:1501 ack 1 <nop,nop,sack 1001:1501 1001:2001>')
  t.equal(c.state, 'ESTABLISHED')
})

t.test('a FIN that came before its turn is reported until its turn has come', async (t) => {
  const s = new Script()
  const c = s.passive('mss 1000,sackOK')
  s.in('F. 11:11 ack 1')
  s.out('. 1:1 ack 1 <nop,nop,sack 11:12>')
  s.in('. 1:11 ack 1')
  s.out('. 1:1 ack 12 <>')
  t.equal(c.state, 'CLOSE-WAIT')
  s.write(c, 1500)
  s.out('. 1:1001 ack 12 <>', 'P. 1001:1501 ack 12 <>')
})

t.test('sequence numbers wrap within and between blocks', async (t) => {
  const blocks = new SackBlocks()
  blocks.add(-500 | 0, 500)
  blocks.add(0x7fff_ff00, 0x8000_0100 | 0)
  t.equal(blocks.due, 2)
  blocks.add(500, 600)
  t.equal(blocks.due, 2)
  blocks.advance(0)
  const view = new DataView(new ArrayBuffer(40))
  t.equal(blocks.write(view, 0, 36), 12)
  t.equal(view.getUint32(4), 0x7fff_ff00)
  t.equal(blocks.write(view, 0, 11), 0, 'no room')
})
