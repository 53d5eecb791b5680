/** What an authenticator believes (RFC 8967), by packets made by hand: counters, challenges, and what is bounded. */
import { createHmac } from 'node:crypto'
import t from 'tap'
import {
  Authenticator,
  type BabelKey,
  type Refused,
} from '../../../../../layers/middleware/routing/babel/authenticator.ts'
import { Writer } from '../../../../../layers/middleware/routing/babel/writer.ts'
import { type IpAddress, parseAddress } from '../../../../../src/kernel/address.ts'
import { type Instant, ms, seconds } from '../../../../../src/kernel/clock.ts'
import { SeededRandom } from '../../../../../src/kernel/random.ts'

const KEY: BabelKey = { algorithm: 'hmac-sha256', key: new Uint8Array(32).fill(7) }
const PEER = parseAddress('fe80::2')
const [PC, REQUEST, REPLY, MAC] = [17, 18, 19, 16]
const INDEX = new Array<number>(8).fill(9)
let seed = 0
const made = (): Authenticator => new Authenticator([KEY], new SeededRandom([++seed, 2, 3, 4]))
const tlv = (type: number, value: ArrayLike<number>): number[] => [type, value.length, ...Array.from(value)]
const counter = (pc: number, index: number[] = INDEX): number[] => tlv(PC, [0, 0, pc >> 8, pc & 255, ...index])

/** The octets of a packet to the group, with its MAC. @param wrong MACs of others, before that. */
function packet(body: number[], from: IpAddress = PEER, wrong = 0): Uint8Array {
  const signed = Uint8Array.of(42, 2, body.length >> 8, body.length & 255, ...body)
  const pseudo = new DataView(new ArrayBuffer(36))
  for (const [i, word] of [from.w0, from.w1, from.w2, from.w3].entries()) pseudo.setInt32(i * 4, word)
  pseudo.setUint16(16, 6696)
  for (const [i, word] of [0xff02_0000, 0, 0, 0x0001_0006].entries()) pseudo.setUint32(18 + i * 4, word)
  pseudo.setUint16(34, 6696)
  const mac = createHmac('sha256', KEY.key).update(new Uint8Array(pseudo.buffer)).update(signed).digest()
  const others = Array.from({ length: wrong }, () => tlv(MAC, new Uint8Array(32)))
  return Uint8Array.of(...signed, ...others.flat(), ...tlv(MAC, mac))
}

/** One that listens, and what it has sent: the type and the octets of challenges and answers. */
class Listener {
  readonly authenticator: Authenticator = made()
  readonly sent: { type: number; nonce: number[] }[] = []

  hear(octets: Uint8Array, now: Instant, from: IpAddress = PEER, length: number = octets.length): Refused | null {
    return this.authenticator.verify(octets, 0, length, from, null, now, (_, type, nonce) =>
      this.sent.push({ type, nonce: [...nonce] }),
    )
  }

  /** Is told a counter of the peer in answer to a challenge. */
  meet(pc: number, now: Instant = 0, from: IpAddress = PEER): this {
    this.hear(packet(counter(0), from), now, from)
    const nonce = this.sent.at(-1)?.nonce ?? []
    this.hear(packet([...counter(pc), ...tlv(REPLY, nonce)], from), now, from)
    return this
  }
}

t.test('an answer to a challenge says which counter counts from then on', async (t) => {
  const b = new Listener()
  t.equal(b.hear(packet(counter(8)), 0), 'challenged')
  t.match(b.sent, [{ type: REQUEST }])
  const nonce = b.sent[0]?.nonce as number[]
  t.equal(b.hear(packet([...counter(9), ...tlv(REPLY, [...nonce.slice(1), 0])]), 0), 'challenged', 'another nonce')
  const answer = packet([...counter(9), ...tlv(REPLY, nonce)])
  t.equal(b.hear(answer, 0), null)
  t.equal(b.hear(answer, 0), 'replayed', 'a nonce is good for one answer')
  t.equal(b.hear(packet(counter(8)), 0), 'replayed', 'what was sent before it')
  t.equal(b.hear(packet(counter(10)), 0), null)
  t.equal(b.hear(packet(counter(10)), 0), 'replayed')
  t.equal(b.hear(packet(counter(0x1000, [1, 2])), seconds(1)), 'challenged', 'another index, however high the counter')
  t.equal(b.sent.length, 2)
})

t.test('a challenge is to be answered within 30 s', async (t) => {
  for (const [after, verdict] of [
    [seconds(29.9), null],
    [seconds(30), 'challenged'],
  ] as const) {
    const b = new Listener()
    b.hear(packet(counter(1)), 0)
    const nonce = b.sent[0]?.nonce as number[]
    t.equal(b.hear(packet([...counter(2), ...tlv(REPLY, nonce)]), after), verdict)
    if (verdict !== null) t.notSame(b.sent[1]?.nonce, nonce, 'the next one is new')
  }
})

t.test('challenges of others are answered, but not more often than every 300 ms', async (t) => {
  const b = new Listener().meet(1)
  b.sent.length = 0
  const ask = (pc: number, now: Instant, nonce: number[] = [pc]) =>
    b.hear(packet([...counter(pc), ...tlv(REQUEST, nonce)]), now)
  ask(2, 0)
  ask(3, ms(299))
  ask(4, ms(300))
  ask(4, ms(600))
  t.same(
    b.sent,
    [2, 4, 4].map((pc) => ({ type: REPLY, nonce: [pc] })),
    'also in what is a replay',
  )
  ask(5, ms(900), new Array(193).fill(1))
  t.equal(b.sent.length, 3, 'a nonce has 192 octets at most')
  ask(6, ms(900), new Array(192).fill(1))
  t.equal(b.sent.length, 4)
})

t.test('what is no counter', async (t) => {
  const b = new Listener().meet(1)
  t.equal(b.hear(packet([4, 6, 0, 0, 0, 1, 1, 144]), 0), 'noCounter')
  t.equal(b.hear(packet(tlv(PC, [0, 0, 1])), 0), 'noCounter', 'too short')
  t.equal(b.hear(packet(counter(2, new Array(33).fill(1))), 0), 'noCounter', 'an index has 32 octets at most')
  t.equal(b.hear(packet([...counter(1), ...counter(2)]), 0), 'replayed', 'the first one counts')
  t.equal(b.hear(packet([...counter(2), ...counter(1)]), 0), null)
})

t.test('eight MACs of a packet are looked at', async (t) => {
  const b = new Listener().meet(1)
  t.equal(b.hear(packet(counter(2), PEER, 8), 0), 'wrongMac')
  t.equal(b.hear(packet(counter(2), PEER, 7), 0), null)
  const cut = packet(counter(3))
  t.equal(b.hear(cut, 0, PEER, cut.length - 1), 'noMac', 'what is behind the packet is no part of it')
})

t.test('the peers that are remembered are bounded; who is heard stays', async (t) => {
  const b = new Listener()
  const peer = (n: number): IpAddress => parseAddress(`fe80::1:${n.toString(16)}`)
  b.meet(1, 0, peer(1))
  for (let n = 2; n <= 256; n++) t.equal(b.hear(packet(counter(1), peer(n)), 0, peer(n)), 'challenged')
  const next = (now: Instant) => b.hear(packet(counter(1), peer(300)), now, peer(300))
  t.equal(next(0), 'tooManyPeers')
  t.equal(b.hear(packet(counter(2), peer(1)), seconds(200), peer(1)), null)
  t.equal(next(seconds(300)), 'tooManyPeers')
  t.equal(next(seconds(301)), 'challenged')
  t.equal(b.hear(packet(counter(3), peer(1)), seconds(301), peer(1)), null)
})

t.test('a counter that has run through begins anew under another index', async (t) => {
  const a = made()
  const said = (): string => {
    const writer = new Writer(new Uint8Array(200), 200 - a.octets)
    a.sign(writer, PEER, null)
    return Buffer.from(writer.octets.subarray(6, 18)).toString('hex')
  }
  const first = said()
  t.match(first, /^00000001/)
  Object.assign(a, { pc: 0xffff_ffff })
  t.equal(said(), `ffffffff${first.slice(8)}`)
  const anew = said()
  t.match(anew, /^00000001/)
  t.not(anew, first)
})
