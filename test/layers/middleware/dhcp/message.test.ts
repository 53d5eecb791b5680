import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { decode, encode, type Message, type MessageType, OPTION } from '../../../../layers/middleware/dhcp/message.ts'
import { lengthOf, maskOf, ofRoutes, routesOf, textOf } from '../../../../layers/middleware/dhcp/values.ts'
import { parseMac } from '../../../../src/kernel/address.ts'
import { holds } from '../../../property.ts'

const word = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
const code = fc.integer({ min: 1, max: 254 }).filter((code) => code !== OPTION.type && code !== OPTION.overload)
const message: fc.Arbitrary<Message> = fc.record({
  reply: fc.boolean(),
  type: fc.integer({ min: 1, max: 8 }) as fc.Arbitrary<MessageType>,
  xid: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  secs: fc.integer({ min: 0, max: 65_535 }),
  broadcast: fc.boolean(),
  ciaddr: word,
  yiaddr: word,
  giaddr: word,
  chaddr: fc.integer({ min: 0, max: 2 ** 48 - 1 }),
  options: fc
    .array(fc.tuple(code, fc.uint8Array({ maxLength: 600 })), { maxLength: 8 })
    .map((options) => new Map(options)),
})

t.test('messages come back as they were', async (t) => {
  const same = (one: Message) => {
    const octets = encode(one)
    assert.ok(octets.length >= 300)
    assert.deepEqual(decode(octets), {
      ...one,
      options: new Map([...one.options].map(([k, v]) => [k, Uint8Array.from(v)])),
    })
  }
  holds(t, 'encode and decode', fc.property(message, same))
})

t.test('octets of any kind are a message or a fault', async (t) => {
  const sound = (octets: Uint8Array) => void decode(octets)
  holds(t, 'random octets', fc.property(fc.uint8Array({ maxLength: 700 }), sound))
  const mutated = fc.tuple(
    message,
    fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 5 }),
    fc.nat(),
  )
  holds(
    t,
    'messages that were changed or cut',
    fc.property(mutated, ([one, changes, cut]) => {
      const octets = encode(one)
      for (const [at, value] of changes) octets[at % octets.length] = value
      decode(octets.subarray(0, cut % (octets.length + 1)))
    }),
  )
})

t.test('what is wrong has a name', async (t) => {
  const good = encode({
    ...{ reply: false, type: 1, xid: 1, secs: 0, broadcast: true, ciaddr: 0, yiaddr: 0, giaddr: 0 },
    chaddr: parseMac('02:00:00:00:00:01'),
    options: new Map([[OPTION.hostName, Uint8Array.of(65)]]),
  })
  const changed = (at: number, ...values: number[]) => {
    const octets = good.slice()
    octets.set(values, at)
    return decode(octets)
  }
  t.equal(decode(good.subarray(0, 239)), 'truncated')
  t.equal(changed(0, 3), 'badHardware')
  t.equal(changed(1, 6), 'badHardware')
  t.equal(changed(2, 16), 'badHardware')
  t.equal(changed(236, 0), 'badCookie')
  t.equal(changed(240, 0, 0, 0), 'noType')
  t.equal(changed(242, 9), 'noType')
  t.equal(decode(good.subarray(0, 245)), 'badOption', 'an option that reaches beyond the end')
  t.equal(decode(good.subarray(0, 244)), 'badOption', 'a code without a length')
  t.match(decode(good.subarray(0, 243)), { type: 1 }, 'the end may be missing')
})

t.test('options in the fields for names', async (t) => {
  const octets = new Uint8Array(300)
  octets.set([2, 1, 6])
  octets.set([0x63, 0x82, 0x53, 0x63, OPTION.type, 1, 2, OPTION.overload, 1, 3, 255], 236)
  octets.set([OPTION.hostName, 1, 65, 0, 0, 255, OPTION.hostName, 1, 99], 108)
  octets.set([OPTION.domainName, 2, 66, 67, 255], 44)
  const message = decode(octets)
  if (typeof message === 'string') return t.fail(message)
  t.strictSame([textOf(message, OPTION.hostName), textOf(message, OPTION.domainName)], ['A', 'BC'])
  t.notOk(message.options.has(OPTION.overload))
})

t.test('masks and routes', async (t) => {
  for (let length = 0; length <= 32; length++) t.equal(lengthOf(maskOf(length)), length)
  t.equal(lengthOf(0xff00ff00 | 0), undefined)
  const route = fc.record({ prefix: word, length: fc.integer({ min: 0, max: 32 }), via: word })
  holds(
    t,
    'classless routes',
    fc.property(fc.array(route, { minLength: 1, maxLength: 20 }), (routes) => {
      const masked = routes.map(({ prefix, length, via }) => ({ prefix: prefix & maskOf(length), length, via }))
      const octets = ofRoutes(masked)
      const carrier = (value: Uint8Array) =>
        ({ options: new Map([[OPTION.classlessRoutes, value]]) }) as unknown as Message
      assert.deepEqual(routesOf(carrier(octets)), masked)
      assert.equal(routesOf(carrier(octets.subarray(0, octets.length - 1))), undefined)
    }),
  )
})
