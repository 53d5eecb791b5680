/** A router's figures for Prometheus, read when they are asked for: nothing is counted twice. */
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import { version } from '../version.ts'
import type { Daemon } from './daemon.ts'

/** One value with its labels. */
type Sample = readonly [labels: Readonly<Record<string, string>>, value: number]

/** The metrics of one daemon, each called `netstrata_…`, and those of its process. */
export function routerMetrics(daemon: Daemon): Registry {
  const registry = new Registry()
  const { node } = daemon.router
  const { network, stream, datagram } = node.top
  const counter = (name: string, help: string, labelNames: readonly string[], samples: () => Sample[]): void => {
    const metric: Counter = new Counter({
      ...{ name: `netstrata_${name}`, help, labelNames, registers: [registry] },
      collect: () => {
        metric.reset()
        for (const [labels, value] of samples()) metric.inc(labels, value)
      },
    })
  }
  const gauge = (name: string, help: string, labelNames: readonly string[], samples: () => Sample[]): void => {
    const metric: Gauge = new Gauge({
      ...{ name: `netstrata_${name}`, help, labelNames, registers: [registry] },
      collect: () => {
        metric.reset()
        for (const [labels, value] of samples()) metric.set(labels, value)
      },
    })
  }
  collectDefaultMetrics({ register: registry })
  gauge('info', 'Which netstrata runs.', ['version', 'node'], () => [[{ version: version(), node: node.name }, 1]])
  for (const [unit, received, sent] of UNITS) {
    const help = `What passed a boundary, ${unit}: received from below, sent towards the wire.`
    counter(`boundary_${unit}_total`, help, ['boundary', 'direction'], () =>
      node.snapshot().flatMap((boundary): Sample[] => [
        [{ boundary: boundary.name, direction: 'received' }, boundary[received]],
        [{ boundary: boundary.name, direction: 'sent' }, boundary[sent]],
      ]),
    )
  }
  counter('drops_total', 'Packets that a layer dropped.', ['boundary', 'reason'], () =>
    node
      .snapshot()
      .flatMap(({ name, drops }) =>
        Object.entries(drops).map(([reason, count]): Sample => [{ boundary: name, reason }, count]),
      ),
  )
  gauge('link_up', 'Whether a link carries packets.', ['link'], () =>
    network.links().map(({ name, state }): Sample => [{ link: name }, state === 'up' ? 1 : 0]),
  )
  gauge('link_mtu_octets', 'The largest packet of a link.', ['link'], () =>
    network.links().map(({ name, mtu }): Sample => [{ link: name }, mtu]),
  )
  gauge('routes', 'Routes by where they come from.', ['origin'], () =>
    tally(network.routes.list(), ({ origin }) => ({ origin })),
  )
  gauge('neighbours', 'Stations that were looked for on a link.', ['link', 'state'], () =>
    tally(network.neighbours(), ({ link, state }) => ({ link, state })),
  )
  gauge('sockets', 'Connections and ports.', ['protocol', 'state'], () => [
    ...tally([...stream.list()], ({ state }) => ({ protocol: 'tcp', state })),
    ...tally([...datagram.list()], ({ remote }) => ({
      protocol: 'udp',
      state: remote === undefined ? 'bound' : 'connected',
    })),
  ])
  counter('reloads_total', 'Attempts to read the configuration again.', ['result'], () => [
    [{ result: 'done' }, daemon.reloads],
    [{ result: 'refused' }, daemon.failedReloads],
  ])
  gauge('config_loaded_timestamp_seconds', 'When what is so now was read from the file.', [], () => [
    [{}, daemon.loadedAt / 1000],
  ])
  return registry
}

const UNITS = [
  ['packets', 'rxPackets', 'txPackets'],
  ['octets', 'rxOctets', 'txOctets'],
] as const

/** How many items there are for each set of labels. */
function tally<Item>(items: readonly Item[], labelsOf: (item: Item) => Readonly<Record<string, string>>): Sample[] {
  const counts = new Map<string, { readonly labels: Readonly<Record<string, string>>; count: number }>()
  for (const item of items) {
    const labels = labelsOf(item)
    const key = JSON.stringify(labels)
    const entry = counts.get(key) ?? { labels, count: 0 }
    entry.count++
    counts.set(key, entry)
  }
  return [...counts.values()].map(({ labels, count }): Sample => [labels, count])
}
