import t from 'tap'
import { overNoise } from '../../bench/arq.ts'
import { AX25, LAPB } from '../../layers/datalink/hdlc/abm/variant.ts'
import { ms, seconds } from '../../src/kernel/clock.ts'
import { packetsInUse } from '../../src/kernel/packet.ts'

const OPTIONS = { modulus: 128, k: 127, n2: 20, t1: ms(300), queue: 256, receiveQueue: 256 } as const
const SREJ = { ...OPTIONS, recovery: 'multi-srej' } as const

t.test('multi-SREJ reaches 85 % of what the error rate permits, whatever the seed', async (t) => {
  const before = packetsInUse()
  for (const seed of [1, 2, 3]) {
    const noise = { variant: AX25, options: SREJ, ber: 1e-5, octets: 1000, seed, time: seconds(40) }
    const { goodput, bound, exact } = overNoise(noise)
    t.ok(exact)
    t.ok(goodput >= 0.85 * bound, `${(goodput / bound).toFixed(3)} of the bound`)
  }
  t.equal(packetsInUse(), before)
})

t.test('at an error in 10,000 bits the link stays up and exact, with SREJ and with REJ alone', async (t) => {
  for (const [variant, options] of [
    [AX25, SREJ],
    [LAPB, OPTIONS],
  ] as const) {
    const { arrived, exact } = overNoise({ variant, options, ber: 1e-4, octets: 128, time: seconds(100) })
    t.ok(exact)
    t.ok(arrived > 1000, `${arrived} arrived`)
  }
})
