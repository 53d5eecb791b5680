/** Machines of routing protocols that hear any octets, half of them nearly right: nothing is thrown, and bounds hold. */
import { Babel } from '../../layers/middleware/routing/babel/machine.ts'
import { Rip } from '../../layers/middleware/routing/rip/machine.ts'
import { rip2 } from '../../layers/middleware/routing/rip/rip2.ts'
import { ripng } from '../../layers/middleware/routing/rip/ripng.ts'
import { parseAddress, parsePrefix } from '../../src/kernel/address.ts'
import { ms, seconds } from '../../src/kernel/clock.ts'
import { below, type Random } from '../../src/kernel/random.ts'

const DESTINATIONS = 50

/** A hello, and TLVs of small types around the octets, behind a header of Babel whose length is mostly right. */
function tlvs(octets: Uint8Array, random: Random): Uint8Array {
  const packet = new Uint8Array(12 + octets.length)
  packet.set(octets, 12)
  packet.set([42, 2, (octets.length + 8) >> 8, octets.length + 8, 4, 6, 0, 0, 0, below(random, 256), 1, 144])
  for (let at = 12; at + 1 < packet.length; at += 2 + (packet[at + 1] as number)) {
    packet[at] = below(random, 20)
    packet[at + 1] = below(random, 24)
  }
  if (below(random, 8) === 0) packet[below(random, 4)] = below(random, 256)
  return packet
}

/** @returns whether all of it was taken. */
export function babelNeighbour(random: Random): (octets: Uint8Array) => boolean {
  const babel = new Babel({ routerHigh: 0, routerLow: 1, random, destinations: DESTINATIONS, neighbours: 4 })
  const [address, sources] = [
    parseAddress('fe80::1'),
    ['fe80::2', 'fe80::3', '10.0.0.1'].map((text) => parseAddress(text)),
  ]
  const on = babel.attach(
    {
      name: 'eth0',
      type: 'wired',
      helloInterval: seconds(4),
      updateInterval: seconds(16),
      rxcost: 96,
      splitHorizon: true,
      maxOctets: 1400,
      address,
      nextHop4: null,
      authenticator: null,
    },
    0,
  )
  let now = 0
  return (octets) => {
    const packet = tlvs(octets, random)
    babel.drops.clear()
    babel.input(on, packet, 0, packet.length, sources[below(random, 3)] ?? address, null, now)
    while (babel.output() !== undefined);
    while (babel.take() !== undefined);
    now += ms(below(random, 1000))
    babel.expire(now)
    if (babel.table.destinations.all.length > DESTINATIONS || on.neighbours.length > 4)
      throw new Error('beyond its bounds')
    return babel.drops.size === 0
  }
}

/** @returns whether all of it was taken. */
export function ripNeighbour(random: Random): (octets: Uint8Array) => boolean {
  const stands = [rip2, ripng].map((codec) => {
    const rip = new Rip({ codec, random, destinations: DESTINATIONS })
    const prefixes = [parsePrefix(codec.isIpv4 ? '10.0.0.1/24' : 'fe80::1/64')]
    const on = rip.attach({ name: 'eth0', cost: 1, passive: false, maxOctets: 512, prefixes }, 0)
    return { codec, rip, on, from: parseAddress(codec.isIpv4 ? '10.0.0.2' : 'fe80::2') }
  })
  let now = 0
  return (octets) => {
    const { codec, rip, on, from } = stands[below(random, 2)] as (typeof stands)[number]
    const message = octets.slice(0, 4 + 20 * below(random, 10) + (below(random, 10) === 0 ? 1 : 0))
    if (message.length > 1 && below(random, 8) > 0) message.set([1 + below(random, 2), codec.version])
    for (let at = 4; at + 20 <= message.length; at += 20) {
      if (codec.isIpv4) message.set([0, 2, 0, 0, 10, below(random, 80), 0, 0, 255, 255, 0, 0], at)
      if (below(random, 4) > 0)
        message.set(
          codec.isIpv4 ? [0, 0, 0, below(random, 18)] : [64, below(random, 18)],
          at + (codec.isIpv4 ? 16 : 18),
        )
    }
    rip.drops.clear()
    rip.input(on, message, 0, message.length, from, codec.port, now)
    while (rip.output() !== undefined);
    while (rip.take() !== undefined);
    now += ms(below(random, 1000))
    rip.expire(now)
    if ([...rip.destinations].length > DESTINATIONS) throw new Error('beyond its bounds')
    return rip.drops.size === 0
  }
}
