/** Whose the addresses of a pool are, and what a client takes for a lease. */
import t from 'tap'
import { leaseOf } from '../../../../layers/middleware/dhcp/lease.ts'
import { Leases } from '../../../../layers/middleware/dhcp/leases.ts'
import { type Message, OPTION, TYPE } from '../../../../layers/middleware/dhcp/message.ts'
import { ofWord } from '../../../../layers/middleware/dhcp/values.ts'
import { seconds } from '../../../../src/kernel/clock.ts'

const FIRST = 0x0a00_0064

t.test('a new client gets what has been free the longest, and before that what nobody had', async (t) => {
  const leases = new Leases(FIRST, 3, new Set())
  for (const [i, until] of [20, 10].entries()) {
    Object.assign(leases.take(FIRST + i, `old${i}`), { state: 'leased', until })
  }
  t.equal(leases.findFree('new', 100), FIRST + 2)
  Object.assign(leases.take(FIRST + 2, 'two'), { state: 'leased', until: 200 })
  t.equal(leases.findFree('new', 100), FIRST + 1)
  Object.assign(leases.take(FIRST + 1, 'new'), { state: 'leased', until: 300 })
  t.equal(leases.of('old1'), undefined, 'who had it before has nothing now')
  t.equal(leases.findFree('late', 15), undefined, 'nothing is free yet')
  t.equal(leases.findFree('late', 20), FIRST)
})

t.test('a client has one address: what it had is given up for another', async (t) => {
  const leases = new Leases(FIRST, 3, new Set())
  Object.assign(leases.take(FIRST, 'one'), { state: 'leased', until: 100 })
  leases.take(FIRST + 1, 'one')
  t.strictSame(
    [...leases].map(({ address }) => address),
    [FIRST + 1],
  )
  t.ok(leases.isFree(FIRST, 'other', 0))
})

t.test('a declined address is nobody’s, also not of who declined it', async (t) => {
  const leases = new Leases(FIRST, 1, new Set())
  leases.decline(leases.take(FIRST, 'one'), 100)
  t.equal(leases.of('one'), undefined)
  t.notOk(leases.isFree(FIRST, 'one', 99))
  t.equal(leases.findFree('one', 99), undefined)
  t.equal(leases.findFree('one', 100), FIRST)
})

t.test('the times of a lease as a client takes them (RFC 2131 §4.4.5)', async (t) => {
  const times = (lease: number, renew?: number, rebind?: number, yiaddr = FIRST) => {
    const options = new Map<number, Uint8Array>([
      [OPTION.server, ofWord(1)],
      [OPTION.leaseTime, ofWord(lease)],
    ])
    if (renew !== undefined) options.set(OPTION.renewalTime, ofWord(renew))
    if (rebind !== undefined) options.set(OPTION.rebindingTime, ofWord(rebind))
    const header = { reply: true, type: TYPE.ack, xid: 1, secs: 0, broadcast: false, ciaddr: 0, giaddr: 0, chaddr: 5 }
    const found = leaseOf({ ...header, yiaddr, options } satisfies Message, 0)
    return found && [found.renewAt, found.rebindAt, found.expiresAt].map((at) => at / seconds(1))
  }
  t.strictSame(times(1000), [500, 875, 1000])
  t.strictSame(times(1000, 100, 900), [100, 900, 1000])
  t.strictSame(times(1000, 950, 900), [500, 900, 1000], 'what contradicts itself gives way')
  t.strictSame(times(1000, 100, 1001), [100, 875, 1000])
  t.strictSame(times(1000, 0, 0), [500, 875, 1000], 'nobody is asked without end')
  t.strictSame(times(0), [5, 8.75, 10])
  t.strictSame(times(-1), [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY])
  for (const address of [0, 0x7f00_0001, 0xe000_0001 | 0, -1]) t.equal(times(1000, 1, 1, address), undefined)
})
