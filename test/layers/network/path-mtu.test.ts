/** What routers say of the MTU of paths: which reports are believed, for how long, and how many. */
import t from 'tap'
import { PATH_MTU_LIFE, PathMtu } from '../../../layers/network/path-mtu.ts'
import { seconds } from '../../../src/kernel/clock.ts'

const [A, B, C, D] = [1, 2, 3, 4]

t.test('a report is believed that says less than what was sent, and than what was known', async (t) => {
  const paths = new PathMtu(1280)
  t.equal(paths.report(A, 1400, 1500, 1500, 0), 1400)
  t.match(paths.get(A), { mtu: 1400, mayFragment: false })
  t.equal(paths.report(B, 1400, 1400, 1500, 0), 0, 'a packet of 1400 octets was not too big for 1400 (RFC 5927 §7.2)')
  t.equal(paths.report(A, 1450, 1500, 1400, 0), 0, 'no path becomes wider by a report')
  t.equal(paths.report(A, 1300, 1290, 1400, 0), 0, 'it fitted')
  t.equal(paths.get(A)?.mtu, 1400)
  t.equal(paths.assess(A, 1300, 1400, 1400), 1300)
  t.equal(paths.get(A)?.mtu, 1400, 'an estimate changes nothing')
  t.equal(paths.get(B), undefined)
})

t.test('below the narrowest path, routers are to fragment', async (t) => {
  const paths = new PathMtu(552)
  t.equal(paths.report(A, 68, 1500, 1500, 0), 552, 'a forged report costs no more than this')
  t.match(paths.get(A), { mtu: 552, mayFragment: true })
  t.equal(paths.report(A, 300, 552, 552, 0), 0, 'that is known')
  paths.report(B, 552, 1500, 1500, 0)
  t.match(paths.get(B), { mtu: 552, mayFragment: false })
  t.equal(paths.report(B, 551, 552, 552, 0), 552, 'news, though the MTU stays')
  t.match(paths.get(B), { mtu: 552, mayFragment: true })
})

t.test('a router that gives no MTU: the next common one below what it did not take (RFC 1191 §7.1)', async (t) => {
  const paths = new PathMtu(68)
  for (const [length, mtu] of [
    [1500, 1492],
    [1492, 1006],
    [1007, 1006],
    [297, 296],
  ] as const) {
    t.equal(paths.assess(A, 0, length, length), mtu, `${length}`)
  }
  t.equal(paths.assess(A, 0, 296, 296), 68, 'below all of them: the narrowest')
})

t.test('reports are forgotten after ten minutes, the oldest first', async (t) => {
  t.equal(PATH_MTU_LIFE, seconds(600))
  const paths = new PathMtu(68)
  t.equal(paths.deadline, Number.POSITIVE_INFINITY)
  paths.report(A, 1400, 1500, 1500, 0)
  paths.report(B, 1400, 1500, 1500, seconds(1))
  paths.report(A, 1300, 1400, 1400, seconds(2))
  t.equal(paths.deadline, seconds(601), 'A was told of again')
  paths.expire(seconds(601) - 1)
  t.equal(paths.size, 2)
  paths.expire(seconds(601))
  t.strictSame([paths.get(A)?.mtu, paths.get(B)?.mtu], [1300, undefined])
  paths.expire(seconds(602))
  t.equal(paths.size, 0)
})

t.test('what is remembered is bounded: the oldest gives way', async (t) => {
  const paths = new PathMtu(68, 3)
  for (const [i, destination] of [A, B, C].entries()) paths.report(destination, 1400, 1500, 1500, i)
  paths.report(A, 1300, 1400, 1400, 3)
  t.equal(paths.size, 3, 'one that is there needs no room')
  paths.report(D, 1400, 1500, 1500, 4)
  t.strictSame(
    [A, B, C, D].map((destination) => paths.get(destination)?.mtu),
    [1300, undefined, 1400, 1400],
  )
})
