/** Figures of the routing protocols that a router speaks, each with the label `protocol`: 'babel', 'rip2', 'ripng'. */
import type { BabelControl, LinkTraffic, RipControl, RipVersion } from '../../src/index.ts'
import { type Figures, type Sample, tally } from './figures.ts'
import type { Router } from './router.ts'

/** 'own' is announced by this router, 'spare' is not the best one. */
type RouteState = 'own' | 'selected' | 'spare' | 'unreachable'

/** What there is to tell of each protocol; lists may be long, and are made when they are asked for. */
interface Protocol {
  readonly protocol: string
  /** The links of its neighbours, one for each. */
  readonly neighbours: () => readonly string[]
  readonly routes: () => readonly RouteState[]
  readonly drops: ReadonlyMap<string, number>
  readonly traffic: readonly LinkTraffic[]
}

/** @param router its protocols may come and go. */
export function routingMetrics(figures: Figures, router: Router): void {
  const each = (samplesOf: (one: Protocol) => Sample[]) => () => protocolsOf(router).flatMap(samplesOf)
  figures.gauge(
    'routing_neighbours',
    'Neighbours of a routing protocol.',
    ['protocol', 'link'],
    each(({ protocol, neighbours }) => tally(neighbours(), (link) => ({ protocol, link }))),
  )
  figures.gauge(
    'routing_routes',
    'Routes that a routing protocol knows.',
    ['protocol', 'state'],
    each(({ protocol, routes }) => tally(routes(), (state) => ({ protocol, state }))),
  )
  figures.counter(
    'routing_drops_total',
    'Messages of a routing protocol, or parts of them, that came to nothing.',
    ['protocol', 'reason'],
    each(({ protocol, drops }) => [...drops].map(([reason, count]): Sample => [{ protocol, reason }, count])),
  )
  for (const [unit, received, sent] of UNITS) {
    figures.counter(
      `routing_${unit}_total`,
      `What a routing protocol heard and said, ${unit}: the payload of UDP.`,
      ['protocol', 'link', 'direction'],
      each(({ protocol, traffic }) =>
        traffic.flatMap(({ link, ...count }): Sample[] => [
          [{ protocol, link, direction: 'received' }, count[received]],
          [{ protocol, link, direction: 'sent' }, count[sent]],
        ]),
      ),
    )
  }
}

const UNITS = [
  ['packets', 'rxPackets', 'txPackets'],
  ['octets', 'rxOctets', 'txOctets'],
] as const

const protocolsOf = ({ babel, rip }: Router): Protocol[] => [
  ...(babel === undefined ? [] : [babelOf(babel)]),
  ...(rip === undefined ? [] : rip.versions.map((version) => ripOf(rip, version))),
]

const babelOf = (babel: BabelControl): Protocol => ({
  protocol: 'babel',
  neighbours: () => babel.neighbours().map(({ link }) => link),
  routes: () => babel.routes().map((route) => stateOf(route, route.selected)),
  drops: babel.drops,
  traffic: babel.traffic(),
})

function ripOf(rip: RipControl, version: RipVersion): Protocol {
  const isOfVersion = (one: { readonly version: RipVersion }): boolean => one.version === version
  return {
    protocol: version,
    neighbours: () =>
      rip
        .neighbours()
        .filter(isOfVersion)
        .map(({ link }) => link),
    routes: () =>
      rip
        .routes()
        .filter(isOfVersion)
        .map((route) => stateOf(route, true)),
    drops: rip.drops(version),
    traffic: rip.traffic(version),
  }
}

interface Way {
  readonly via: string | undefined
  readonly metric: number | undefined
}

function stateOf({ via, metric }: Way, selected: boolean): RouteState {
  if (metric === undefined) return 'unreachable'
  if (via === undefined) return 'own'
  return selected ? 'selected' : 'spare'
}
