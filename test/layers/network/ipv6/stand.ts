/** Stands for tests of IPv6: hosts and routers on cables in virtual time. */
import t, { type Test } from 'tap'
import { ethernet } from '../../../../layers/datalink/ethernet/ethernet.ts'
import { ip } from '../../../../layers/network/ip.ts'
import { ipv6 } from '../../../../layers/network/ipv6/ipv6.ts'
import type { Ipv6Options } from '../../../../layers/network/ipv6/options.ts'
import type { NetworkService } from '../../../../layers/network/service.ts'
import type { CableEnd } from '../../../../layers/physical/cable.ts'
import type { Blueprint } from '../../../../src/kernel/layer.ts'
import { packetsInUse } from '../../../../src/kernel/packet.ts'
import { beside, stack } from '../../../../src/kernel/stack.ts'
import { Simulation } from '../../../../src/runtime/simulation.ts'

export { drops, pattern, Sink } from '../ipv4/stand.ts'

/** An experimental protocol number (RFC 3692), so that no transport of ours has a part in it. */
export const PROBE = 253

/** An Ethernet host over one end of a cable. */
export function host(end: CableEnd, options: Ipv6Options = {}): Blueprint<NetworkService> {
  return stack(end, ethernet(), ip(ipv6(options)))
}

/** A router over ends of cables: `eth0`, `eth1`, … in their order. */
export function router(ends: readonly CableEnd[], options: Ipv6Options): Blueprint<NetworkService> {
  const links = Object.fromEntries(ends.map((end, i) => [`eth${i}`, stack(end, ethernet())]))
  return stack(beside(links), ip(ipv6({ forwarding: true, ...options })))
}

/** Runs a test in a simulation that must leave no packet and no timer. */
export function scenario(name: string, body: (t: Test, sim: Simulation) => Promise<void>): void {
  t.test(name, async (t) => {
    const before = packetsInUse()
    const sim = new Simulation()
    await body(t, sim)
    await sim.close()
    t.equal(packetsInUse(), before, 'every packet was released')
    t.equal(sim.timers.size, 0, 'no timer is left')
  })
}

/** The address fe80::… of a link. */
export function linkLocal(network: NetworkService, link = 'eth0'): string {
  const addresses = network.control.links().find(({ name }) => name === link)?.addresses ?? []
  return (addresses.find((address) => address.startsWith('fe80:')) ?? '').replace(/\/.*/, '')
}
