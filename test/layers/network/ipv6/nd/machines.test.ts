/** The machines of Neighbour Discovery one by one, and the form of its options. */
import t from 'tap'
import { AddressClaim } from '../../../../../layers/network/ipv6/nd/address-claim.ts'
import { Advertiser } from '../../../../../layers/network/ipv6/nd/advertiser.ts'
import { optionsFault } from '../../../../../layers/network/ipv6/nd/options.ts'
import { RouterSolicitor } from '../../../../../layers/network/ipv6/nd/router-solicitor.ts'
import { parseAddress } from '../../../../../src/kernel/address.ts'
import { seconds } from '../../../../../src/kernel/clock.ts'
import type { Timed } from '../../../../../src/kernel/machine.ts'
import { SeededRandom } from '../../../../../src/kernel/random.ts'

const random = () => new SeededRandom([1, 2, 3, 4])
/** Lets the next thing happen. @returns how long it took from the last one. */
function wait(machine: Timed, from: number): number {
  const at = machine.deadline
  machine.expire(at)
  return at - from
}

t.test('stations that claim together do not ask together (RFC 4862 §5.4.2)', (t) => {
  const chance = random()
  const first = Array.from({ length: 20 }, () => {
    const claim = new AddressClaim(parseAddress('fe80::1'), 64, 1, seconds(1), chance, 100)
    return claim.deadline - 100
  })
  t.ok(first.every((delay) => delay >= 0 && delay <= seconds(1)))
  t.ok(Math.max(...first) - Math.min(...first) > seconds(0.5))
  t.end()
})

t.test('a link that gives everything back is asked three times, and then once a minute (RFC 7527 §4.1)', (t) => {
  const claim = new AddressClaim(parseAddress('fe80::1'), 64, 1, seconds(1), random(), 0)
  const gaps: number[] = []
  for (let i = 0, at = 0; i < 7; i++) {
    const gap = wait(claim, at)
    at += gap
    if (i > 0) gaps.push(gap / seconds(1))
    t.ok(claim.output())
    t.notOk(claim.takeClaimed())
    claim.loopedBack()
  }
  t.same(gaps, [1, 1, 1, 1, 60, 60])
  claim.expire(claim.deadline)
  t.ok(claim.output())
  claim.expire(claim.deadline)
  t.ok(claim.takeClaimed(), 'until one does not come back')
  t.notOk(claim.takeClaimed(), 'told once')
  t.end()
})

t.test('a router speaks three times soon whenever it begins (RFC 4861 §6.2.4)', (t) => {
  const advertiser = new Advertiser(seconds(200), seconds(600), random())
  let at = seconds(1)
  for (let begun = 0; begun < 2; begun++) {
    advertiser.start(at)
    const gaps: number[] = []
    for (let i = 0; i < 5; i++) {
      const gap = wait(advertiser, at)
      at += gap
      gaps.push(gap / seconds(1))
    }
    t.ok(
      gaps.slice(0, 3).every((gap) => gap <= 16),
      `${gaps}`,
    )
    t.ok(
      gaps.slice(3).every((gap) => gap >= 200 && gap <= 600),
      `${gaps}`,
    )
  }
  t.end()
})

t.test('a link that comes again has its routers sought from the beginning (RFC 7559)', (t) => {
  const solicitor = new RouterSolicitor(random())
  for (let begun = 0; begun < 2; begun++) {
    solicitor.start(0)
    let at = 0
    for (const about of [0, 4, 8, 16]) {
      const gap = wait(solicitor, at) / seconds(1)
      t.ok(about === 0 ? gap <= 1 : Math.abs(gap - about) <= about / 10, `${gap} s for about ${about}`)
      at = seconds(gap) + at
      t.ok(solicitor.output())
    }
    solicitor.stop()
    t.equal(solicitor.deadline, Number.POSITIVE_INFINITY)
  }
  t.end()
})

t.test('lengths that options can have, in units of 8 octets', (t) => {
  for (const [type, allowed, bits] of [
    [1, [1], 0],
    [2, [1], 0],
    [3, [4], 64],
    [5, [1], 0],
    [24, [1, 2, 3], 0],
    [25, [3, 5, 7], 0],
    [31, [2, 3, 4, 5, 6, 7, 8], 0],
    [200, [1, 2, 3, 4, 5, 6, 7, 8], 0],
  ] as const) {
    const fitting: number[] = []
    for (let units = 0; units <= 8; units++) {
      const octets = new Uint8Array(64)
      octets.set([type, units, bits])
      if (!optionsFault(new DataView(octets.buffer), 0, units * 8 || 8)) fitting.push(units)
      t.ok(units === 0 || optionsFault(new DataView(octets.buffer), 0, units * 8 - 1), 'cut short')
    }
    t.same(fitting, allowed, `option ${type}`)
  }
  for (const [type, units, most] of [
    [3, 4, 128],
    [24, 1, 0],
    [24, 2, 64],
    [24, 3, 128],
  ] as const) {
    const fault = (bits: number) =>
      optionsFault(new DataView(Uint8Array.of(type, units, bits, ...new Array(29).fill(0)).buffer), 0, units * 8)
    t.same([fault(most), fault(most + 1)], [false, true], `${most} bits in ${units} units`)
  }
  t.end()
})
