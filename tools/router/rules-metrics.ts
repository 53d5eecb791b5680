/** Figures of the rules that a router holds packets against. */

import type { Figures, Sample } from './figures.ts'
import type { Router } from './router.ts'

export function rulesMetrics(figures: Figures, router: Router): void {
  const { network } = router.node.top
  figures.counter('policy_packets_total', 'Packets a rule fitted.', ['rule', 'action', 'family'], () =>
    network.policy().map(({ name, action, family, packets }): Sample => [{ rule: name, action, family }, packets]),
  )
  figures.gauge('nat_sessions', 'Sessions of translation.', ['protocol'], () =>
    Object.entries(network.translation()?.sessions ?? {}).map(([protocol, count]): Sample => [{ protocol }, count]),
  )
  figures.gauge('nat_sessions_max', 'Sessions of translation there can be.', [], () =>
    samplesOf(network.translation()?.maxSessions),
  )
  figures.counter('nat_sessions_ended_early_total', 'Sessions that ended since others needed their room.', [], () =>
    samplesOf(network.translation()?.endedEarly),
  )
  figures.gauge('nat_ports', 'Ports outside that translation has given out.', [], () =>
    samplesOf(network.translation()?.ports),
  )
  figures.counter('group_packets_total', 'Packets a route of groups took.', ['group', 'source', 'from'], () =>
    network.groups().map(({ group, source = '', from, packets }): Sample => [{ group, source, from }, packets]),
  )
}

const samplesOf = (value: number | undefined): Sample[] => (value === undefined ? [] : [[{}, value]])
