/** Figures of a router's servers of DHCP. */
import { type Figures, type Sample, tally } from './figures.ts'
import type { Router } from './router.ts'

/** @param router its servers may come and go. */
export function dhcpMetrics(figures: Figures, router: Router): void {
  figures.gauge('dhcp_leases', 'Addresses that are, or were, given away by DHCP.', ['link', 'state'], () =>
    tally(router.givenAway(), ({ link, state }) => ({ link, state })),
  )
  figures.counter('dhcp_drops_total', 'Messages of DHCP that were dropped.', ['link', 'reason'], () =>
    [...router.dhcpServers].flatMap(([link, { drops }]) =>
      [...drops].map(([reason, count]): Sample => [{ link, reason }, count]),
    ),
  )
}
