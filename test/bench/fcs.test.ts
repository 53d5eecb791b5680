import t from 'tap'
import { undetected } from '../../bench/fcs.ts'
import { packetsInUse } from '../../src/kernel/packet.ts'

/** `npm run bench -- fcs` has ten million; here as many as take a second. */
const FRAMES = 400_000

t.test('of damaged frames FCS-32 takes none for whole', async (t) => {
  const before = packetsInUse()
  for (const medium of ['frames', 'octets'] as const) {
    const { short, long } = await undetected('fcs32', medium, FRAMES / 8)
    t.strictSame([short, long], [0, 0], medium)
  }
  t.equal(packetsInUse(), before)
})

t.test('FCS-16 takes about one of 65,536 for whole, and none with damage no longer than itself', async (t) => {
  const { short, long, longDamaged } = await undetected('fcs16', 'frames', FRAMES)
  t.equal(short, 0)
  // 4.6 are to be expected; less than one, or more than twelve, would be by chance in one of a hundred runs, or fewer.
  t.ok(long >= 1 && long <= 12, `${long} of ${longDamaged}`)
})
