import t from 'tap'
import { inRange, integer, invalidType, invalidValue, NetError, outOfRange } from '../../src/kernel/errors.ts'

t.test('NetError: a code, a message that begins with it, and what is known', async (t) => {
  const cause = new Error('below')
  const details = { syscall: 'connect', address: '10.0.0.2', port: 80, layer: 'tcp', reason: 'reset', rfc: 'RFC 9293' }
  const error = new NetError('ECONNRESET', 'the peer reset the connection', { ...details, cause })
  t.ok(error instanceof Error)
  t.match(error, { name: 'NetError', code: 'ECONNRESET', ...details })
  t.equal(error.message, 'ECONNRESET: the peer reset the connection')
  t.equal(error.cause, cause)
  const bare = new NetError('EPIPE', 'EPIPE already said')
  t.equal(bare.message, 'EPIPE already said')
  t.match(bare, { syscall: undefined, address: undefined, port: undefined })
  t.notOk('cause' in bare)
})

t.test('NetError.is knows those of another copy of the package', async (t) => {
  t.equal(NetError.is(new NetError('EIO', 'x')), true)
  t.equal(NetError.is({ [Symbol.for('netstrata.NetError')]: true, code: 'EIO' }), true)
  for (const other of [new Error('x'), null, undefined, 'EIO', {}]) t.equal(NetError.is(other), false)
  t.notOk(JSON.stringify(Object.keys(new NetError('EIO', 'x'))).includes('netstrata'), 'the brand does not show')
})

t.test('misuse in Node’s words and codes', async (t) => {
  t.match(invalidValue('host', 'a name', 'x y'), {
    name: 'TypeError',
    code: 'ERR_INVALID_ARG_VALUE',
    message: "The argument 'host' must be a name. Received 'x y'",
  })
  t.match(invalidType('port', 'of type number', null), {
    name: 'TypeError',
    code: 'ERR_INVALID_ARG_TYPE',
    message: 'The "port" argument must be of type number. Received null',
  })
  t.equal(invalidType('port', 'of type number', 'x').message.endsWith('Received type string'), true)
  t.match(outOfRange('port', '>= 0 && <= 65535', 70_000), {
    name: 'RangeError',
    code: 'ERR_OUT_OF_RANGE',
    message: 'The value of "port" is out of range. It must be >= 0 && <= 65535. Received 70000',
  })
})

t.test('integer and inRange give back what they accept', async (t) => {
  t.equal(integer('n', 5, 0, 5), 5)
  t.equal(integer('n', 0, 0, 5), 0)
  t.equal(inRange('x', 0.5, 0, 1), 0.5)
  t.equal(inRange('x', Number.POSITIVE_INFINITY, 0, Number.POSITIVE_INFINITY), Number.POSITIVE_INFINITY)
  for (const bad of [-1, 6, 0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
    t.throws(() => integer('n', bad, 0, 5), { code: 'ERR_OUT_OF_RANGE' }, `${bad}`)
  }
  for (const bad of [-0.1, 1.1, Number.NaN]) t.throws(() => inRange('x', bad, 0, 1), { code: 'ERR_OUT_OF_RANGE' })
  for (const check of [integer, inRange]) {
    t.throws(() => check('n', '5' as unknown as number, 0, 5), { code: 'ERR_INVALID_ARG_TYPE', name: 'TypeError' })
  }
})
