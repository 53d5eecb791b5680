/** Records that share no segment (Linux's MSG_EOR). */
import t from 'tap'
import { RecordEnds } from '../../../../layers/transport/tcp/record-ends.ts'
import { Script } from './script.ts'

t.test('what follows a record goes in a segment of its own, and a record waits for nothing', async (t) => {
  const s = new Script()
  const c = s.established({}, 1000)
  s.write(c, 10_400)
  c.write(new Uint8Array(400))
  c.endRecord()
  c.write(new Uint8Array(400))
  c.endRecord()
  c.write(new Uint8Array(2000))
  t.equal(s.skip(), 10)
  s.in('. 1:1 ack 10001')
  s.out('P. 10001:10801 ack 1', 'P. 10801:11201 ack 1', '. 11201:12201 ack 1', 'P. 12201:13201 ack 1')
})

t.test('nor when it is sent again', async (t) => {
  const s = new Script()
  const c = s.passive('mss 1000,sackOK')
  for (let i = 0; i < 4; i++) {
    c.write(new Uint8Array(100))
    c.endRecord()
  }
  s.write(c, 3000)
  t.equal(s.skip(), 7)
  s.in('. 1:1 ack 101 <nop,nop,sack 401:3401>')
  s.out('P. 101:201 ack 1', 'P. 201:301 ack 1', 'P. 301:401 ack 1')
})

t.test('of very many, the newest are forgotten', async (t) => {
  const ends = new RecordEnds()
  for (let end = 1; end <= 2000; end++) ends.add(end)
  t.equal(ends.within(0, 3000), 1)
  t.equal(ends.within(1023, 1977), 1)
  t.equal(ends.within(1024, 1976), 1976)
  t.notOk(ends.acknowledged(1023))
  t.ok(ends.acknowledged(1024))
})
