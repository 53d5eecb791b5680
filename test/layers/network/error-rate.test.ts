import t from 'tap'
import { errorBucket } from '../../../layers/network/error-rate.ts'
import { ms, seconds } from '../../../src/kernel/clock.ts'

t.test('ICMP errors by themselves: 50 at once, 1000 a second', async (t) => {
  const bucket = errorBucket({})
  const taken = (now: number): number => {
    let count = 0
    while (bucket.take(now)) count++
    return count
  }
  t.equal(taken(seconds(1)), 50)
  t.equal(taken(seconds(1) + ms(7)), 7)
  t.equal(taken(seconds(9)), 50, 'what is not used is not saved up')
})

t.test('none at all where either is 0', async (t) => {
  t.notOk(errorBucket({ perSecond: 0 }).take(seconds(100)))
  t.notOk(errorBucket({ burst: 0 }).take(seconds(100)))
})
