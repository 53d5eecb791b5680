import t from 'tap'
import { Addresses } from '../../../../layers/network/ipv4/addresses.ts'
import type { Ipv4Port } from '../../../../layers/network/ipv4/port.ts'
import { parseAddress } from '../../../../src/kernel/address.ts'

/** All that is read of a port. */
const portOf = (text: string): Ipv4Port =>
  ({ addresses: [{ address: parseAddress(text), length: 24, usable: true }] }) as unknown as Ipv4Port

t.test('what was found last is forgotten when addresses come and go', async (t) => {
  const addresses = new Addresses()
  const [ours, theirs] = [parseAddress('10.0.0.1').w3, parseAddress('10.0.0.2').w3]
  const local = (): boolean[] => [ours, ours, theirs, 0].map((word) => addresses.isLocal(word))
  const foreign = (): boolean[] => [theirs, theirs, ours].map((word) => addresses.isForeign(word))
  t.same(local(), [false, false, false, false], 'none yet')
  addresses.update([portOf('10.0.0.1')])
  t.same(
    [local(), foreign()],
    [
      [true, true, false, false],
      [true, true, false],
    ],
  )
  addresses.update([portOf('10.0.0.2')])
  t.same(
    [local(), foreign()],
    [
      [false, false, true, false],
      [false, false, true],
    ],
  )
})
