import fc from 'fast-check'
import t from 'tap'
import { enhancedPacket, interfaceDescription, LINKTYPE, sectionHeader } from '../../src/capture/pcapng.ts'
import { CaptureReader, type CaptureRecord } from '../../src/capture/reader.ts'

const join = (...parts: Uint8Array[]): Uint8Array => Buffer.concat(parts)
const describe = (name: string, fcsOctets: number): Uint8Array =>
  interfaceDescription({ name, linkType: LINKTYPE.ethernet, fcsOctets })

function readAll(octets: Uint8Array): CaptureRecord[] {
  const reader = new CaptureReader()
  const records = reader.push(octets)
  reader.end()
  return records
}

t.test('what is written is read back, however the file is cut into chunks', async (t) => {
  const packet = fc.record({
    octets: fc.uint8Array({ maxLength: 200 }),
    timeUs: fc.integer({ min: 0, max: 4_000_000_000_000_000 }),
    direction: fc.constantFrom('in' as const, 'out' as const, undefined),
    comments: fc.array(fc.string({ unit: 'grapheme', maxLength: 20 }), { maxLength: 3 }),
    interfaceId: fc.integer({ min: 0, max: 1 }),
  })
  fc.assert(
    fc.property(fc.array(packet, { maxLength: 8 }), fc.integer({ min: 1, max: 64 }), (packets, chunk) => {
      const file = join(
        sectionHeader('test'),
        describe('A/eth0', 4),
        describe('B/eth0', 0),
        ...packets.map((p) => enhancedPacket(p.interfaceId, p.timeUs, p.octets, p.direction, p.comments)),
      )
      const reader = new CaptureReader()
      const records: CaptureRecord[] = []
      for (let at = 0; at < file.length; at += chunk) records.push(...reader.push(file.subarray(at, at + chunk)))
      reader.end()
      t.equal(records.length, packets.length)
      for (const [i, p] of packets.entries()) {
        const record = records[i] as CaptureRecord
        t.equal(record.seconds, Math.floor(p.timeUs / 1_000_000))
        t.equal(record.nanoseconds, (p.timeUs % 1_000_000) * 1000)
        t.equal(record.interface.name, p.interfaceId === 0 ? 'A/eth0' : 'B/eth0')
        t.equal(record.interface.fcsOctets, p.interfaceId === 0 ? 4 : 0)
        t.equal(record.direction, p.direction)
        t.same(record.comments, p.comments)
        t.ok(Buffer.from(record.octets).equals(Buffer.from(p.octets)))
      }
    }),
    { numRuns: 100 },
  )
})

t.test('arbitrary octets end in an error or in nothing, never in anything else', async (t) => {
  let refused = 0
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (octets, framed) => {
      const file = framed ? join(sectionHeader('x'), describe('i', 0), octets) : octets
      try {
        readAll(file)
      } catch (error) {
        if (!(error instanceof Error) || !('code' in error) || error.code !== 'EINVAL') throw error
        refused++
      }
    }),
    { numRuns: 500 },
  )
  t.ok(refused > 100, 'most of them are refused')
})

t.test('the older formats are read in both byte orders and both resolutions', async (t) => {
  for (const littleEndian of [true, false]) {
    for (const [magic, nanoseconds] of [
      [0xa1b2c3d4, 7000],
      [0xa1b23c4d, 7],
    ] as const) {
      const file = new DataView(new ArrayBuffer(24 + 16 + 3))
      file.setUint32(0, magic, littleEndian)
      file.setUint32(16, 65535, littleEndian)
      file.setUint32(20, 101, littleEndian)
      file.setUint32(24, 1_700_000_000, littleEndian)
      file.setUint32(28, 7, littleEndian)
      file.setUint32(32, 3, littleEndian)
      file.setUint32(36, 60, littleEndian)
      file.setUint8(40, 0x45)
      const [record] = readAll(new Uint8Array(file.buffer))
      t.match(record, { seconds: 1_700_000_000, nanoseconds, wireLength: 60, interface: { linkType: 101 } })
      t.same([...(record?.octets ?? [])], [0x45, 0, 0])
    }
  }
})

t.test('a big-endian section with its own time resolution', async (t) => {
  const octets = new DataView(new ArrayBuffer(28 + 32 + 36))
  octets.setUint32(0, 0x0a0d0d0a)
  octets.setUint32(4, 28)
  octets.setUint32(8, 0x1a2b3c4d)
  octets.setUint16(12, 1)
  octets.setInt32(16, -1)
  octets.setInt32(20, -1)
  octets.setUint32(24, 28)
  octets.setUint32(28, 1)
  octets.setUint32(32, 32)
  octets.setUint16(36, 1)
  octets.setUint16(44, 9) // if_tsresol
  octets.setUint16(46, 1)
  octets.setUint8(48, 0x80 | 10) // 2^-10 s
  octets.setUint32(56, 32)
  octets.setUint32(60, 6)
  octets.setUint32(64, 36)
  octets.setUint32(76, 3 * 1024 + 512)
  octets.setUint32(80, 4)
  octets.setUint32(84, 4)
  octets.setUint32(88, 0xdeadbeef)
  octets.setUint32(92, 36)
  const [record] = readAll(new Uint8Array(octets.buffer))
  t.match(record, { seconds: 3, nanoseconds: 500_000_000, wireLength: 4 })
})

t.test('a file that ends within a block says so', async (t) => {
  const file = join(sectionHeader('test'), describe('A', 0))
  t.throws(() => readAll(file.subarray(0, file.length - 4)), { code: 'EINVAL', message: /ends within a block/ })
})
