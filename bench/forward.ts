/**
 * A router: packets of several sizes from link to link, against the same work fused by hand in one loop; several links; and
 * what a policy and translation cost, against the same router without; and between UDP tunnels.
 */
import type { PolicyRule } from '../src/api/rules.ts'
import { fused } from './fused.ts'
import { alternate, type Bench, figure } from './harness.ts'
import { throughRouter } from './router-stand.ts'
import { throughRoutedTunnels, throughTunnel } from './router-tunnels.ts'

/** Nine rules that do not fit what passes, and the tenth that does. */
const RULES: readonly PolicyRule[] = [
  ...Array.from({ length: 9 }, (_, i): PolicyRule => ({ source: `192.0.2.${i}`, protocol: 'udp', action: 'deny' })),
  { destinationPort: 6000, action: 'allow' },
]

export const forward: Bench = async (effort, tell) => {
  const gate = { bench: 'forward', unit: 'packets/s' }
  for (const octets of [64, 576, 1500]) {
    const { ours, peer } = await alternate({ ours: await throughRouter({ octets }), peer: fused(octets) }, effort)
    tell(
      figure({ ...gate, metric: `router, ${octets} octets`, peer: 'fused by hand', target: 0.4 }, ours, peer, effort),
    )
  }
  const several = await alternate({ ours: await throughRouter({ pairs: 8 }), peer: fused(64) }, effort)
  tell(
    figure(
      { ...gate, metric: 'router of 16 links, 64 octets', peer: 'fused by hand', target: 0.3 },
      several.ours,
      several.peer,
      effort,
    ),
  )
  for (const octets of [64, 576, 1400]) {
    const tunnels = { routed: await throughRoutedTunnels(octets), one: await throughTunnel(octets) }
    const { routed, one } = await alternate(tunnels, effort)
    const metric = `router between UDP tunnels, ${octets} octets`
    tell(figure({ ...gate, metric, peer: 'one such tunnel', target: 0.3 }, routed, one, effort))
  }
  const options = await alternate(
    {
      plain: await throughRouter(),
      policy: await throughRouter({ ipv4: { policy: { rules: RULES, default: 'deny' } } }),
      nat: await throughRouter({ ipv4: { nat: { link: 'out0' } } }),
      reverse: await throughRouter({ ipv4: { reversePath: 'strict' } }),
    },
    effort,
  )
  for (const [what, rate, target] of [
    ['a policy of ten rules', options.policy, 0.5],
    ['translation', options.nat, 0.5],
    ['the reverse path check', options.reverse, 0.6],
  ] as const) {
    tell(figure({ ...gate, metric: `with ${what}, 64 octets`, peer: 'without', target }, rate, options.plain, effort))
  }
}
