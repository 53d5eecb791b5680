import t from 'tap'
import { ms, seconds } from '../../src/kernel/clock.ts'

t.test('durations are whole microseconds', async (t) => {
  t.equal(ms(200), 200_000)
  t.equal(ms(0.0015), 2)
  t.equal(seconds(1), 1_000_000)
  t.equal(seconds(0.1 + 0.2), 300_000, 'also where the fraction is not exact')
})
