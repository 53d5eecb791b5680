/** What a router of Babel knows, as text. */
import type { Babel } from './machine.ts'
import { INFINITY } from './tlv.ts'

export interface BabelNeighbour {
  readonly address: string
  readonly link: string
  /** What it costs it to send to us, as we see it, and us to send to it, as it says; undefined: it cannot be done. */
  readonly rxcost: number | undefined
  readonly txcost: number | undefined
  /** Of the link, both considered. */
  readonly cost: number | undefined
  /** Which of the last 16 hellos arrived, the newest first: '1110111111111111'. */
  readonly hellos: string
  readonly routes: number
}

export interface BabelRoute {
  readonly prefix: string
  /** undefined: it is our own. */
  readonly via: string | undefined
  readonly link: string | undefined
  /** undefined: retracted. */
  readonly metric: number | undefined
  /** As the neighbour has it. */
  readonly refmetric: number | undefined
  readonly seqno: number
  /** 16 hexadecimal digits. */
  readonly routerId: string
  /** It may be used without fear of a loop. */
  readonly feasible: boolean
  readonly selected: boolean
}

export const formatRouter = (high: number, low: number): string =>
  [high, low].map((word) => (word >>> 0).toString(16).padStart(8, '0')).join('')

const finite = (cost: number): number | undefined => (cost === INFINITY ? undefined : cost)

export function listNeighbours({ interfaces }: Babel): BabelNeighbour[] {
  return interfaces.flatMap(({ neighbours, settings: { name } }) =>
    neighbours.map(({ address, rxcost, txcost, cost, multicast, routeCount }) => ({
      address: address.toString(),
      link: name,
      rxcost: finite(rxcost),
      txcost: finite(txcost),
      cost: finite(cost),
      hellos: multicast.bits.toString(2).padStart(16, '0'),
      routes: routeCount,
    })),
  )
}

export function listRoutes(router: Babel): BabelRoute[] {
  const listed: BabelRoute[] = []
  for (const destination of router.table.destinations.all) {
    const prefix = `${destination.address}/${destination.length}`
    if (destination.own >= 0) {
      listed.push({
        prefix,
        via: undefined,
        link: undefined,
        metric: destination.own,
        refmetric: destination.own,
        seqno: router.seqno,
        routerId: formatRouter(router.routerHigh, router.routerLow),
        feasible: true,
        selected: true,
      })
    }
    for (let route = destination.routes; route !== null; route = route.following) {
      listed.push({
        prefix,
        via: route.nextHop.toString(),
        link: route.neighbour.interface.settings.name,
        metric: finite(route.metric),
        refmetric: finite(route.refmetric),
        seqno: route.seqno,
        routerId: formatRouter(route.source.routerHigh, route.source.routerLow),
        feasible: route.feasible,
        selected: route === destination.selected,
      })
    }
  }
  return listed
}
