/** A router's figures for Prometheus. */
import { collectDefaultMetrics, Registry } from 'prom-client'
import { version } from '../version.ts'
import type { Daemon } from './daemon.ts'
import { dhcpMetrics } from './dhcp-metrics.ts'
import { Figures, type Sample, tally } from './figures.ts'
import { routingMetrics } from './routing-metrics.ts'
import { rulesMetrics } from './rules-metrics.ts'

/** The metrics of one daemon, each called `netstrata_…`, and those of its process. */
export function routerMetrics(daemon: Daemon): Registry {
  const registry = new Registry()
  const { node } = daemon.router
  const { network, stream, datagram } = node.top
  const figures = new Figures(registry, (figure, error) => daemon.unreadable(figure, error))
  collectDefaultMetrics({ register: registry })
  figures.gauge('info', 'Which netstrata runs.', ['version', 'node'], () => [
    [{ version: version(), node: node.name }, 1],
  ])
  for (const [unit, received, sent] of UNITS) {
    const help = `What passed a boundary, ${unit}: received from below, sent towards the wire.`
    figures.counter(`boundary_${unit}_total`, help, ['boundary', 'direction'], () =>
      node.snapshot().flatMap((boundary): Sample[] => [
        [{ boundary: boundary.name, direction: 'received' }, boundary[received]],
        [{ boundary: boundary.name, direction: 'sent' }, boundary[sent]],
      ]),
    )
  }
  figures.counter('drops_total', 'Packets that a layer dropped.', ['boundary', 'reason'], () =>
    node
      .snapshot()
      .flatMap(({ name, drops }) =>
        Object.entries(drops).map(([reason, count]): Sample => [{ boundary: name, reason }, count]),
      ),
  )
  figures.gauge('link_up', 'Whether a link carries packets.', ['link'], () =>
    network.links().map(({ name, state }): Sample => [{ link: name }, state === 'up' ? 1 : 0]),
  )
  figures.gauge('link_mtu_octets', 'The largest packet of a link.', ['link'], () =>
    network.links().map(({ name, mtu }): Sample => [{ link: name }, mtu]),
  )
  figures.gauge('routes', 'Routes by where they come from.', ['origin'], () =>
    tally(network.routes.list(), ({ origin }) => ({ origin })),
  )
  figures.gauge('neighbours', 'Stations that were looked for on a link.', ['link', 'state'], () =>
    tally(network.neighbours(), ({ link, state }) => ({ link, state })),
  )
  figures.gauge('sockets', 'Connections and ports.', ['protocol', 'state'], () => [
    ...tally([...stream.list()], ({ state }) => ({ protocol: 'tcp', state })),
    ...tally([...datagram.list()], ({ remote }) => ({
      protocol: 'udp',
      state: remote === undefined ? 'bound' : 'connected',
    })),
  ])
  figures.counter('reloads_total', 'Attempts to read the configuration again.', ['result'], () => [
    [{ result: 'done' }, daemon.reloads],
    [{ result: 'refused' }, daemon.failedReloads],
  ])
  figures.gauge('config_loaded_timestamp_seconds', 'When what is so now was read from the file.', [], () => [
    [{}, daemon.loadedAt / 1000],
  ])
  routingMetrics(figures, daemon.router)
  dhcpMetrics(figures, daemon.router)
  rulesMetrics(figures, daemon.router)
  // The last one: it has those of its own scrape.
  figures.counter('figure_failures_total', 'How often a figure could not be read.', ['figure'], () =>
    Array.from(figures.failures, ([figure, count]): Sample => [{ figure }, count]),
  )
  return registry
}

const UNITS = [
  ['packets', 'rxPackets', 'txPackets'],
  ['octets', 'rxOctets', 'txOctets'],
] as const
