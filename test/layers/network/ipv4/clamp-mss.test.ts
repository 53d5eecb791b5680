/** What a router that clamps makes of the segments it forwards. */
import fc from 'fast-check'
import t from 'tap'
import { packetsInUse } from '../../../../src/kernel/packet.ts'
import { type Bare, bare, datagram, stand } from './bare.ts'
import { referenceChecksum } from './stand.ts'

const TCP = 6
const SYN = 0x02
const ACK = 0x10
const FAR = { source: '10.0.0.2', destination: '192.0.2.9', protocol: TCP }
const ROUTER = { forwarding: true, clampMss: true, mtu: 1000 }
const FITTING = 1000 - 40

/** A segment with its checksum, by other code than the one under test. */
function segment(flags: number, options: readonly number[], data: readonly number[] = []): Uint8Array {
  const octets = Uint8Array.of(
    4, 210, 0, 80, 1, 2, 3, 4, 5, 6, 7, 8, (5 + options.length / 4) << 4, flags, 255, 255, 0, 0, 0, 0, ...options, ...data,
  ) // biome-ignore format: one segment
  const sum = referenceChecksum(Uint8Array.of(...pseudo(octets.length), ...octets))
  octets[16] = sum >> 8
  octets[17] = sum & 255
  return octets
}

const pseudo = (length: number): number[] => [10, 0, 0, 2, 192, 0, 2, 9, 0, TCP, length >> 8, length & 255]

const sumsUp = (tcp: Uint8Array): boolean => referenceChecksum(Uint8Array.of(...pseudo(tcp.length), ...tcp)) === 0

/** The segment that leaves when this one came. */
function forwarded({ wire }: Bare, tcp: Uint8Array, more: { flags?: number; options?: number[] } = {}): Uint8Array {
  const before = wire.sent.length
  wire.inject(datagram({ ...FAR, ...more, payload: tcp }))
  return (wire.sent[before] as Uint8Array).subarray(20 + (more.options ?? []).length)
}

const mss = (value: number): number[] => [2, 4, value >> 8, value & 255]

bare(
  'a SYN announces what fits the links, wherever its option stands',
  async (t, router) => {
    for (const flags of [SYN, SYN | ACK]) {
      for (const before of [[], [1], [1, 1], [3, 3, 7], [8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1]]) {
        const rest = new Array<number>((8 - ((before.length + 4) % 4)) % 4).fill(0)
        const tcp = forwarded(router, segment(flags, [...before, ...mss(1460), ...rest], [1, 2, 3]))
        const at = 20 + before.length + 2
        t.equal(((tcp[at] as number) << 8) | (tcp[at + 1] as number), FITTING, `behind ${before.length} octets`)
        t.ok(sumsUp(tcp))
      }
    }
    const whole = forwarded(router, segment(SYN, mss(1460)), { options: [1, 1, 1, 0] })
    t.equal(((whole[22] as number) << 8) | (whole[23] as number), FITTING, 'behind IP options')
  },
  ROUTER,
)

bare(
  'anything else goes on as it is',
  async (t, router) => {
    const same = (tcp: Uint8Array, more = {}): void => {
      t.strictSame(forwarded(router, tcp, more), tcp)
    }
    same(segment(SYN, mss(FITTING)))
    same(segment(SYN, mss(536)))
    same(segment(SYN, []))
    same(segment(ACK, mss(1460)))
    same(segment(SYN, [0, 2, 4, 5]), {})
    same(segment(SYN, [2, 3, 5, 0]))
    same(segment(SYN, [5, 1, 2, 4]))
    same(segment(SYN, [5, 60, 2, 4]))
    same(segment(SYN, mss(1460)), { flags: 1 })
    same(segment(SYN, mss(1460)).subarray(0, 23))
    same(segment(SYN, mss(1460)).subarray(0, 13))
  },
  ROUTER,
)

bare(
  'a router that was not told to clamps nothing',
  async (t, router) => {
    const tcp = segment(SYN, mss(1460))
    t.strictSame(forwarded(router, tcp), tcp)
  },
  { ...ROUTER, clampMss: false },
)

t.test('whatever a segment looks like, it leaves with its length and the sum it had', async (t) => {
  const before = packetsInUse()
  const router = stand(ROUTER)
  const octets = fc.uint8Array({ minLength: 0, maxLength: 60 })
  fc.assert(
    fc.property(octets, fc.boolean(), (noise, valid) => {
      const tcp = Uint8Array.from(noise)
      if (tcp.length > 13) tcp[13] = SYN
      if (valid && tcp.length >= 20) {
        tcp[12] = 0xf0
        tcp[16] = tcp[17] = 0
        const sum = referenceChecksum(Uint8Array.of(...pseudo(tcp.length), ...tcp))
        tcp[16] = sum >> 8
        tcp[17] = sum & 255
      }
      const was = sumsUp(tcp)
      const sent = forwarded(router, tcp)
      return sent.length === tcp.length && sumsUp(sent) === was
    }),
    { numRuns: 2000 },
  )
  await router.sim.close()
  t.equal(packetsInUse(), before)
})
