import t from 'tap'
import { tapDevice } from '../../../layers/physical/tap-device.ts'
import { tunDevice } from '../../../layers/physical/tun-device.ts'

// Devices themselves need the kernel: see test/interop/physical-tap.test.ts.
t.test('options that make no sense are refused at once', async (t) => {
  const value = { code: 'ERR_INVALID_ARG_VALUE' }
  const range = { code: 'ERR_OUT_OF_RANGE' }
  for (const device of [tapDevice, tunDevice]) {
    for (const name of ['', '.', '..', 'a/b', 'a b', 'a:b', 'sixteen-octets-x', 'äöüäöüäö'])
      t.throws(() => device(name), value, `'${name}'`)
    t.doesNotThrow(() => device('fifteen-octets-'), 'nothing is opened before it boots')
    t.throws(() => device({}), value)
    t.throws(() => device({ name: 'tap0', fd: 3 }), value)
    t.throws(() => device({ name: 'tap0', netns: '' }), value)
    t.throws(() => device({ name: 'tap0', mtu: 67 }), range)
    t.throws(() => device({ name: 'tap0', mtu: 65_522 }), range)
    t.throws(() => device({ fd: -1 }), range)
    t.throws(() => device({ name: 'tap0', turnPackets: 0 }), range)
    // @ts-expect-error: not a device
    t.throws(() => device(7), { code: 'ERR_INVALID_ARG_TYPE' })
  }
})
