/** Any octets from a neighbour: nothing is thrown, what is kept stays within its bounds, and good neighbours keep their routes. */
import { ok, strictEqual } from 'node:assert'
import fc from 'fast-check'
import t from 'tap'
import { rip2 } from '../../../../../layers/middleware/routing/rip/rip2.ts'
import { ripng } from '../../../../../layers/middleware/routing/rip/ripng.ts'
import { ms } from '../../../../../src/kernel/clock.ts'
import { holds } from '../../../../property.ts'
import { Stand } from './pair.ts'

const octet = fc.oneof(fc.constantFrom(0, 1, 2, 10, 16, 255), fc.integer({ min: 0, max: 255 }))
const noise = fc.array(octet, { minLength: 20, maxLength: 20 })
const entry4 = fc
  .tuple(octet, octet)
  .map(([n, m]) => [0, 2, 0, n, 10, n, 0, 0, 255, 255, 0, 0, 10, 0, 1, m, 0, 0, 0, m & 31])
const entry6 = fc.tuple(octet, octet).map(([n, m]) => [0xfd, 1, 0, n, ...new Array(12).fill(0), 0, n, 32, m & 31])

for (const [codec, entry, net, good, bad] of [
  [rip2, entry4, '10.99.0.0/16', '10.0.0.2', '10.0.1.3'],
  [ripng, entry6, 'fd00:5::/64', 'fe80::2', 'fe80::3'],
] as const) {
  t.test(`a neighbour of ${codec.name} that says anything`, async (t) => {
    const body = fc.array(fc.oneof(entry, entry, noise), { maxLength: 30, size: 'max' })
    const command = fc.constantFrom(1, 2, 2, 2, 0, 9)
    const whole = fc.tuple(command, octet, body, fc.nat(3)).map(([command, other, entries, cut]) => {
      const octets = Uint8Array.from([command, other === 255 ? other : codec.version, 0, 0, ...entries.flat()])
      return octets.subarray(0, octets.length - (cut === 1 ? 1 : 0))
    })
    holds(
      t,
      'is bounded, and harms nobody else',
      fc.property(fc.array(whole, { minLength: 1, maxLength: 20, size: 'max' }), (said) => {
        const stand = new Stand(codec, { destinations: 20 }).hear(0, good, [net, 1])
        for (const octets of said) stand.hearOctets(1, bad, octets).run(ms(700))
        ok([...stand.rip.destinations].length <= 20)
        for (const { metric } of stand.rip.destinations) ok(metric >= 1 && metric <= 16)
        // It cannot be worse than it was: 16 is only believed of the one who gave the way.
        strictEqual(stand.way(net), `${good} eth0 2`)
        // What it made us say is right.
        ok(!stand.lately().some((line) => / bad[A-Z]/.test(line)))
      }),
      { numRuns: 200 },
    )
  })
}
