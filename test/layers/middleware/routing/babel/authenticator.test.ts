import t from 'tap'
import { Authenticator, type BabelKey, checkKey } from '../../../../../layers/middleware/routing/babel/authenticator.ts'
import { parseAddress } from '../../../../../src/kernel/address.ts'
import { ms, seconds } from '../../../../../src/kernel/clock.ts'
import { SeededRandom } from '../../../../../src/kernel/random.ts'
import { OURS, Stand } from './pair.ts'

const hmac = (fill: number): BabelKey => ({ algorithm: 'hmac-sha256', key: new Uint8Array(32).fill(fill) })
const blake = (fill: number): BabelKey => ({ algorithm: 'blake2s', key: new Uint8Array(32).fill(fill) })
let seed = 0
const authenticator = (...keys: BabelKey[]): Authenticator =>
  new Authenticator(keys, new SeededRandom([++seed, 2, 3, 4]))

/** Two machines on one link, both at the same time; what one says the other hears, unless it is taken away. */
class Two {
  readonly a: Stand
  readonly b: Stand
  private readonly other = parseAddress('fe80::2')
  private heard = [0, 0]

  constructor(near: Authenticator, far: Authenticator) {
    this.a = new Stand({}, {}, () => near)
    this.b = new Stand({ routerLow: 2 }, { address: this.other }, () => far)
  }

  run(steps = 100): this {
    for (let step = 0; step < steps; step++) {
      this.a.run(ms(50))
      this.b.run(ms(50))
      this.deliver()
    }
    return this
  }

  get met(): boolean {
    return [this.a, this.b].every(({ links }) => (links[0]?.neighbours[0]?.cost ?? 0xffff) === 96)
  }

  private deliver(): void {
    for (let more = true; more; ) {
      more = false
      for (const [i, [from, to, source]] of (
        [
          [this.a, this.b, OURS],
          [this.b, this.a, this.other],
        ] as const
      ).entries()) {
        for (const { link, to: dst, octets } of from.packets.slice(this.heard[i])) {
          const [near] = to.links
          more = true
          if (link === 'eth0' && near !== undefined) to.babel.input(near, octets, 0, octets.length, source, dst, to.now)
        }
        this.heard[i] = from.packets.length
        to.collect()
      }
    }
  }
}

t.test('two with the same key believe each other, by either algorithm', async (t) => {
  for (const key of [hmac(1), blake(1)]) {
    const two = new Two(authenticator(key), authenticator(key)).run()
    t.ok(two.met, key.algorithm)
    const [packet] = two.a.packets
    const last = key.algorithm === 'blake2s' ? 16 : 32
    t.equal(packet?.octets.at(-last - 2), 16, 'a MAC ends the packet')
    t.equal(packet?.octets.at(-last - 1), last)
  }
})

t.test('keys are exchanged without a gap: both, then the new one alone', async (t) => {
  const [a, b] = [authenticator(hmac(1)), authenticator(hmac(1))]
  const two = new Two(a, b).run()
  for (const [who, keys] of [
    [a, [hmac(1), blake(2)]],
    [b, [hmac(1), blake(2)]],
    [a, [blake(2)]],
    [b, [blake(2)]],
  ] as const) {
    who.rekey(keys)
    two.run()
    t.ok(two.met)
  }
  t.notOk(two.a.babel.drops.has('wrongMac'))
  a.rekey([hmac(3)])
  two.run(400)
  t.notOk(two.met)
  t.ok(two.b.babel.drops.get('wrongMac'))
})

t.test('one with keys and one without', async (t) => {
  const two = new Two(authenticator(hmac(1)), authenticator(hmac(2))).run()
  t.notOk(two.met)
  const plain = new Stand()
  const strict = new Stand({}, { address: parseAddress('fe80::2') }, () => authenticator(hmac(1)))
  plain.run(seconds(5))
  for (const { octets } of plain.packets) strict.hearOctets({ address: OURS, link: 0 } as never, octets)
  t.ok(strict.babel.drops.get('noMac'))
})

t.test('nothing is believed twice, later, elsewhere, or changed', async (t) => {
  const two = new Two(authenticator(hmac(1)), authenticator(hmac(1))).run()
  const { b } = two
  const from = { address: OURS, link: 0 } as never
  const packet = two.a.packets.findLast(({ link, to }) => link === 'eth0' && to === null)
  if (packet === undefined) throw new Error('nothing was said')
  const before = new Map(b.babel.drops)
  const count = (reason: 'replayed' | 'wrongMac' | 'noMac' | 'challenged'): number =>
    (b.babel.drops.get(reason) ?? 0) - (before.get(reason) ?? 0)
  b.hearOctets(from, packet.octets)
  t.equal(count('replayed'), 1, 'again')
  b.hearOctets(from, packet.octets, parseAddress('fe80::2'))
  t.equal(count('wrongMac'), 1, 'it was for the group')
  b.hearOctets({ address: parseAddress('fe80::3'), link: 0 } as never, packet.octets)
  t.equal(count('wrongMac'), 2, 'it was of another')
  for (let at = 0; at < packet.octets.length; at++) {
    const bent = packet.octets.slice()
    bent[at] = (bent[at] ?? 0) ^ 1
    b.hearOctets(from, bent)
  }
  t.equal(count('wrongMac') + count('noMac'), 2 + packet.octets.length, 'any bit counts')
  t.equal(b.links[0]?.neighbours.length, 1)
})

t.test('one that has begun anew is challenged, and an old recording of it is of no use', async (t) => {
  const key = hmac(1)
  const first = new Two(authenticator(key), authenticator(key)).run()
  const old = first.a.packets.filter(({ link }) => link === 'eth0')
  const fresh = new Stand({ routerLow: 2 }, { address: parseAddress('fe80::2') }, () => authenticator(key))
  for (const { octets, to } of old) fresh.hearOctets({ address: OURS, link: 0 } as never, octets, to)
  t.ok(fresh.babel.drops.get('challenged'))
  t.equal(fresh.links[0]?.neighbours.length, 0)
  const challenges = fresh.packets.filter(({ octets }) => octets[4] === 18)
  t.equal(challenges.length, 1, 'one challenge for all of them')
})

t.test('keys that cannot be', async (t) => {
  t.throws(() => checkKey({ algorithm: 'blake2s', key: new Uint8Array(33) }), { code: 'ERR_INVALID_ARG_VALUE' })
  t.throws(() => checkKey({ algorithm: 'hmac-sha256', key: new Uint8Array(0) }), { code: 'ERR_INVALID_ARG_VALUE' })
  t.doesNotThrow(() => checkKey(blake(0)))
})
