/** A low-water mark of what is not sent (Linux's TCP_NOTSENT_LOWAT). */
import t from 'tap'
import { Script } from './script.ts'

t.test(
  'no more is taken than so much ahead of what is sent, and the writer hears when half of it has left',
  async (t) => {
    const s = new Script()
    const c = s.established({ notSentLowWater: 4000 }, 1000)
    t.equal(c.writableOctets, 4000)
    t.equal(c.write(new Uint8Array(20_000)), 4000)
    s.run(0)
    t.equal(s.skip(), 4)
    s.tells('writable')
    t.equal(c.write(new Uint8Array(4000)), 4000)
    s.run(0)
    t.equal(c.write(new Uint8Array(4000)), 4000)
    s.run(0)
    t.equal(s.skip(), 6)
    t.equal(c.writableOctets, 2000)
    t.equal(c.write(new Uint8Array(4000)), 2000)
    s.run(0)
    s.in('. 1:1 ack 1001')
    t.equal(s.skip(), 2)
    s.tells('writable')
    t.equal(s.withinCall, 0, 'no handler ran within a call')
  },
)

t.test('it must be a number of octets', async (t) => {
  const s = new Script()
  const c = s.established()
  for (const mark of [-1, 0.5, 2 ** 32]) t.throws(() => c.set('notSentLowWater', mark), { code: 'ERR_OUT_OF_RANGE' })
  c.set('notSentLowWater', 0xffff_ffff)
  t.equal(c.get('notSentLowWater'), 0xffff_ffff)
})
