import fc from 'fast-check'
import t from 'tap'
import type { FcsKind, TransparencyKind } from '../../../../layers/datalink/framing/framing.ts'
import { packetsInUse, poisonReleased } from '../../../../src/kernel/packet.ts'
import { framedLine } from './line.ts'

poisonReleased(true)

const hex = (octets: Uint8Array): string => Buffer.from(octets).toString('hex')
const octets = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'))
const LONGEST = 60

t.test('a frame as RFC 1662 has it', async (t) => {
  const { framing, send, line, arrive, frames } = framedLine({ longest: LONGEST })
  send(octets('ff 03 c0 21 01 01 00 04'))
  const all = '7e ff 7d23 c0 21 7d21 7d21 7d20 7d24 d1 b5 7e'.replaceAll(' ', '')
  t.equal(hex(line()), all, 'all control characters are escaped at first')
  framing.escape(0x0000_0002, 0)
  send(octets('00 01 02 7e 7d 20'))
  t.match(hex(line()), /^7e007d21027d5e7d5d20....7e$/, 'later only those of the map, the flag and the escape')
  arrive(octets(all))
  t.equal(hex(frames[0] ?? octets('')), 'ff03c02101010004')
})

t.test('bits: five ones are followed by a zero, a flag ends the frame, ones fill', async (t) => {
  const { send, line, arrive, frames, drops } = framedLine({ longest: LONGEST, transparency: 'bits', fcs: 'none' })
  send(octets('ff 00'))
  // 01111110 | 11111 0 111 00000000 | 01111110 | 1111111, lowest bit first.
  const bits = [...line()].map((octet) => octet.toString(2).padStart(8, '0').split('').reverse().join('')).join('')
  t.equal(bits, `01111110${'111110111'}00000000${'01111110'}${'1111111'}`)
  send(octets('ff 00'))
  arrive(line())
  t.strictSame(frames.map(hex), ['ff00'])
  t.strictSame(drops(), {})
})

t.test('KISS and SMACK', async (t) => {
  const kiss = framedLine({ longest: LONGEST, transparency: 'kiss', fcs: 'none' })
  kiss.send(octets('00 c0 db dc'))
  t.equal(hex(kiss.line()), 'c000dbdcdbdddcc0')
  const smack = framedLine({ longest: LONGEST, transparency: 'kiss', fcs: 'smack' })
  smack.send(octets('00 54 45 53 54'))
  // CRC-16/ARC of 80 54 45 53 54, low octet first.
  const line = smack.line()
  t.equal(hex(line.subarray(0, 6)), 'c08054455354')
  smack.arrive(octets('c0 00 41 c0'))
  smack.arrive(line)
  t.strictSame(smack.frames.map(hex), ['0041', '0054455354'], 'frames without CRC are taken, too')
  line[3] = 0x44
  smack.arrive(line)
  smack.arrive(octets('c0 00 41 c0'))
  t.strictSame(smack.drops(), { fcs: 2 }, 'once the peer has shown that it sends one, a frame without has lost the bit')
})

t.test('SMACK that is taken and not sent: a peer may begin with it and give it up', async (t) => {
  const smack = framedLine({ longest: LONGEST, transparency: 'kiss', fcs: 'smack' })
  const plain = framedLine({ longest: LONGEST, transparency: 'kiss', fcs: 'smackReceived' })
  smack.send(octets('00 54 45 53 54'))
  const line = smack.line()
  plain.arrive(line)
  plain.arrive(octets('c0 00 41 c0'))
  t.strictSame(plain.frames.map(hex), ['0054455354', '0041'])
  line[3] = 0x44
  plain.arrive(line)
  t.strictSame(plain.drops(), { fcs: 1 })
  plain.send(octets('00 54'))
  t.equal(hex(plain.line()), 'c00054c0')
})

t.test('over frames only the FCS is added', async (t) => {
  const { framing, send, line, arrive, frames, drops } = framedLine({ longest: LONGEST }, 'frames', { mtu: 40 })
  t.equal(framing.mtu, 38)
  send(octets('7e 7d 00'))
  const frame = line()
  t.equal(hex(frame.subarray(0, 3)), '7e7d00')
  t.equal(frame.length, 5)
  arrive(frame)
  t.strictSame(frames.map(hex), ['7e7d00'])
  arrive(octets('00 00 00'))
  arrive(octets('00'))
  t.strictSame(drops(), { fcs: 1, runt: 1 })
})

t.test('a run longer than the medium likes goes in parts', async (t) => {
  const { send, line, runs, arrive, frames } = framedLine({ longest: LONGEST }, 'octets', { mtu: 7 })
  send(new Uint8Array(20).fill(0x7e))
  t.ok(runs.length > 5 && runs.every((size) => size <= 7))
  arrive(line(), [1])
  t.equal(frames[0]?.length, 20)
})

t.test('every reason to drop is reached, and the next frame is good', async (t) => {
  const stuffed = framedLine({ longest: 8, shortest: 2, fcs: 'none' })
  const good = '7e 61 62 7e'
  for (const bad of [
    '00 01', // garbage
    '7e 7e 7e', // idle
    '7e 61 62 63 7d 7e', // aborted
    '7e 61 7d 7d 61 7e', // badEscape
    '7e 61 62 63 64 65 66 67 68 69 6a 6b 7e', // tooLong, once
    '7e 61 7e', // runt
  ]) {
    stuffed.arrive(octets(bad))
    stuffed.arrive(octets(good), [1])
  }
  t.equal(stuffed.frames.length, 6)
  t.strictSame(stuffed.drops(), { garbage: 1, aborted: 1, badEscape: 1, tooLong: 1, runt: 1 })
  const bits = framedLine({ longest: 8, fcs: 'none', transparency: 'bits' })
  bits.arrive(octets('7e 61 62 7f 00')) // aborted
  bits.arrive(octets('7e 61 06 bf 3f')) // 1 bit too many
  bits.send(octets('61 62'))
  bits.arrive(bits.line())
  bits.arrive(octets('7e 00 00 00 00 00 00 00 00 00 00 7e'))
  t.strictSame(bits.frames.map(hex), ['6162'])
  t.strictSame(bits.drops(), { aborted: 1, notOctets: 1, tooLong: 1 })
  const kiss = framedLine({ longest: 8, fcs: 'none', transparency: 'kiss' })
  kiss.arrive(octets('c0 00 db 41 42 c0 00 41 c0'))
  t.strictSame(kiss.frames.map(hex), ['0041'])
  t.strictSame(kiss.drops(), { badEscape: 1 })
  kiss.send(new Uint8Array(9))
  t.strictSame(kiss.drops(), { badEscape: 1, tooLong: 1 })
})

t.test('control characters of the receive map are the line’s, not the frame’s', async (t) => {
  const { framing, arrive, frames } = framedLine({ longest: 8, fcs: 'none' })
  framing.escape(-1, 0x000a_0000)
  arrive(octets('7e 61 11 7d 13 31 62 13 12 7e'))
  t.strictSame(frames.map(hex), ['61116212'])
})

t.test('a link that goes down forgets what it had begun', async (t) => {
  const { framing, arrive, frames, close } = framedLine({ longest: 8, fcs: 'none' })
  arrive(octets('7e 61 62'))
  ;(framing as unknown as { linkChanged(state: 'down', reason: string): void }).linkChanged('down', 'test')
  arrive(octets('63 7e 64 7e'))
  t.strictSame(frames.map(hex), ['64'])
  arrive(octets('7e 61 62'))
  await close()
})

const kinds: readonly [TransparencyKind, FcsKind][] = [
  ['octets', 'fcs16'],
  ['octets', 'fcs32'],
  ['octets', 'none'],
  ['bits', 'fcs16'],
  ['bits', 'fcs32'],
  ['kiss', 'none'],
  ['kiss', 'smack'],
  ['kiss', 'smackReceived'],
]
const anyFrame = fc.oneof(
  fc.uint8Array({ minLength: 1, maxLength: LONGEST }),
  fc
    .array(fc.constantFrom(0x7e, 0x7d, 0xff, 0x5e, 0xc0, 0xdb, 0x11, 0), { minLength: 1, maxLength: LONGEST })
    .map((values) => Uint8Array.from(values)),
)

for (const [transparency, fcs] of kinds) {
  t.test(`property: ${transparency} with ${fcs} carries any frames, cut anyhow`, async (t) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(anyFrame, { maxLength: 8 }),
        fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 6 }),
        fc.integer(),
        async (sent, sizes, map) => {
          const before = packetsInUse()
          const line = framedLine({ longest: LONGEST, transparency, fcs })
          line.framing.escape(map, map)
          // SMACK announces its CRC by the highest bit of the command.
          for (const frame of sent) if (fcs.startsWith('smack')) frame[0] = (frame[0] as number) & 0x7f
          for (const frame of sent) line.send(frame)
          line.arrive(line.line(), sizes)
          const same = line.frames.map(hex).join() === sent.map(hex).join()
          const quiet = Object.keys(line.drops()).length === 0
          await line.close()
          return same && quiet && packetsInUse() === before
        },
      ),
    )
    t.pass()
  })

  t.test(`property: ${transparency} with ${fcs} finds its feet after anything`, async (t) => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), anyFrame, async (garbage, frame) => {
        const line = framedLine({ longest: LONGEST, transparency, fcs })
        if (fcs.startsWith('smack')) frame[0] = (frame[0] as number) & 0x7f
        line.arrive(garbage, [garbage.length || 1])
        // What the garbage began may swallow the first flag, or the frame behind it; not the second.
        for (let i = 0; i < 3; i++) line.send(frame)
        line.arrive(line.line(), [13])
        const found = hex(line.frames.at(-1) ?? octets('')) === hex(frame)
        await line.close()
        return found && packetsInUse() === 0
      }),
    )
    t.pass()
  })
}

t.test('frames of every length up to the limit and beyond', async (t) => {
  for (const [transparency, fcs] of kinds) {
    const near = framedLine({ longest: 300, transparency, fcs })
    const far = framedLine({ longest: LONGEST, transparency, fcs })
    for (let length = 1; length <= 300; length++) near.send(new Uint8Array(length).fill(0x1f))
    far.arrive(near.line(), [1000])
    t.equal(far.frames.length, LONGEST, `${transparency} ${fcs}`)
    t.equal(far.drops().tooLong, 300 - LONGEST)
  }
})
