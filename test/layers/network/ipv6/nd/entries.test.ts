/** What messages do to the entry of who sent them, and what they must not do (RFC 4861 §6.2.6, §6.3.4, §7.2.3, appendix C). */
import t from 'tap'
import { parseAddress as parse } from '../../../../../src/kernel/address.ts'
import { ms, seconds } from '../../../../../src/kernel/clock.ts'
import { Simulation } from '../../../../../src/runtime/simulation.ts'
import { Segment } from '../../arp-link.ts'
import * as octets from './octets.ts'
import { type Station, type StationOptions, station } from './stand.ts'

const GROUP = 'ff02::1:ff00:1'
const PEER = 'fe80::9'

/** A station with fe80::1 that has said all it says by itself. */
async function alone(options: StationOptions = {}): Promise<{ sim: Simulation; a: Station }> {
  const sim = new Simulation()
  const a = station(sim, new Segment(), 1, { accept: false, duplicateTransmits: 0, ...options })
  a.claim('fe80::1')
  await sim.run(seconds(5))
  a.sent.length = a.told.length = 0
  return { sim, a }
}

const known = (a: Station): string[] =>
  a.discovery.list().map(({ address, state, linkAddress = 0 }) => `${address} ${state} ${linkAddress % 256}`)

/** Has it know PEER as reachable at station 9. */
function reach(a: Station): void {
  a.send(PEER, 1)
  a.hear(octets.na(PEER, 'SO', octets.at(2, 9)), PEER, 'fe80::1')
}

const SPOKEN = [
  ['a neighbour that asks', {}, octets.ns('fe80::1', octets.at(1, 9)), octets.ns('fe80::1', octets.at(1, 8)), GROUP],
  [
    'a host that looks for routers',
    { forwarding: true, advertise: {} },
    octets.rs(octets.at(1, 9)),
    octets.rs(octets.at(1, 8)),
    'ff02::2',
  ],
  [
    'a router that advertises',
    { accept: true },
    octets.ra(1800, 0, 64, octets.at(1, 9)),
    octets.ra(1800, 0, 64, octets.at(1, 8)),
    'ff02::1',
  ],
] as const

for (const [who, options, message, elsewhere, to] of SPOKEN) {
  t.test(`${who} is entered, but not proven reachable`, async (t) => {
    const { sim, a } = await alone(options)
    a.hear(message, PEER, to)
    t.strictSame(known(a), [`${PEER} stale 9`])
    a.send(PEER, 1)
    t.match(known(a), [`${PEER} delay 9`], 'it is asked when something is sent')
    await sim.close()
  })

  t.test(`${who}, and is known to be where it is, changes nothing`, async (t) => {
    const { sim, a } = await alone(options)
    reach(a)
    t.strictSame(known(a), [`${PEER} reachable 9`])
    a.hear(message, PEER, to)
    t.strictSame(known(a), [`${PEER} reachable 9`])
    a.hear(elsewhere, PEER, to)
    t.strictSame(known(a), [`${PEER} stale 8`], 'from another place it is doubted')
    await sim.close()
  })

  t.test(`${who}, and does not tell where it is, is not entered`, async (t) => {
    const { sim, a } = await alone(options)
    const fixed = message.slice(0, -8)
    a.hear(fixed, PEER, to)
    t.strictSame(
      known(a).filter((entry) => !entry.includes('incomplete')),
      [],
    )
    await sim.close()
  })
}

t.test('nobody is entered for a solicitation from no address', async (t) => {
  const { sim, a } = await alone({ forwarding: true, advertise: {} })
  t.equal(a.hear(octets.rs(), '::', 'ff02::2'), undefined)
  t.equal(a.hear(octets.ns('fe80::1'), '::', GROUP), undefined)
  await sim.run(ms(600))
  t.strictSame(known(a), [])
  t.match(
    a.sent.join('\n'),
    /NA RO for fe80::1: fe80::1 > ff02::1\n/,
    'and what it asked is told to all, as unasked for',
  )
  t.match(a.sent.join('\n'), / RA .*> ff02::1/)
  await sim.close()
})

t.test('a router that asks for us stays our router (§7.2.3)', async (t) => {
  const { sim, a } = await alone({ accept: true })
  a.hear(octets.ra(1800, 0, 64, octets.at(1, 9)), PEER, 'ff02::1')
  t.match(a.told, [/route ::\/0 via fe80::9/])
  a.told.length = 0
  for (const n of [9, 8]) a.hear(octets.ns('fe80::1', octets.at(1, n)), PEER, GROUP)
  a.hear(octets.na(PEER, 'RO', octets.at(2, 9)), PEER, 'ff02::1')
  await sim.run(seconds(1))
  t.strictSame(a.told, [])
  await sim.close()
})

t.test('what is stale is used for five seconds, then asked alone; who confirms it ends that (§7.3.3)', async (t) => {
  for (const confirmed of [false, true]) {
    const { sim, a } = await alone()
    a.hear(octets.ns('fe80::1', octets.at(1, 9)), PEER, GROUP)
    a.sent.length = 0
    a.send(PEER, 1)
    await sim.run(ms(4900))
    t.strictSame(a.sent, [])
    if (confirmed) a.discovery.confirm(parse(PEER))
    await sim.run(ms(200))
    t.strictSame(
      a.sent.map((line) => line.replace(/^\d+ /, '')),
      confirmed ? [] : [`NS for ${PEER}: fe80::1 > ${PEER} at 9`],
    )
    t.strictSame(known(a), [`${PEER} ${confirmed ? 'reachable' : 'probe'} 9`])
    await sim.close()
  }
})
