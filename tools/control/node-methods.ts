/** What a running node answers on its control socket. */
import { Writable } from 'node:stream'
import { z } from 'zod'
import { type Found, type Hosts, Names, textOf } from '../../src/api/node-net/names.ts'
import type { Endpoint } from '../../src/api/sockets.ts'
import { type EchoReply, type LinkEntry, NetError, type Node, type RouteEntry, type Sockets } from '../../src/index.ts'
import { formatScoped } from '../../src/kernel/address.ts'
import { hostPortText } from '../host-port.ts'
import type { Bridges } from '../stack/bridges.ts'
import { version } from '../version.ts'
import { type ControlMethods, MOST_LISTED } from './server.ts'

const ICMP = 1
const port = z.int().min(0).max(65_535).optional()
const explainParams = z.strictObject({
  destination: z.string(),
  source: z.string().optional(),
  protocol: z.int().min(0).max(255).optional(),
  sourcePort: port,
  destinationPort: port,
})
const pingParams = z.strictObject({
  host: z.string(),
  size: z.int().optional(),
  ttl: z.int().optional(),
  dontFragment: z.boolean().optional(),
  /** Milliseconds. */
  timeout: z.number().optional(),
})

const wayParams = z.strictObject({ host: z.string() })

/** Stations of each bridge. */
const bridgesParams = z.strictObject({ limit: z.int().min(0).max(MOST_LISTED) })

/** What `status` tells of every node. */
export interface NodeStatus {
  readonly name: string
  readonly pid: number
  readonly version: string
  /** Of Node. */
  readonly runtime: string
  readonly uptimeSeconds: number
  /** By how much the wall clock was set since the process began, in milliseconds. */
  readonly clockStepMs: number
  readonly links: { readonly up: number; readonly down: number }
  /** Addresses of its own that other stations have, too. */
  readonly conflicts: number
  readonly routes: number
  readonly neighbours: number
  readonly sockets: number
}

/** A link with the counters of its boundaries, the lowest of which is the wire. */
export interface LinkStatus extends LinkEntry {
  readonly rxPackets: number
  readonly rxOctets: number
  readonly txPackets: number
  readonly txOctets: number
  /** Of all its boundaries, by reason. */
  readonly drops: Readonly<Record<string, number>>
}

/** An echo request's answer, with the way it took from here. */
export interface PingAnswer {
  readonly reply: EchoReply
  /** Undefined for the node itself. */
  readonly way: RouteEntry | undefined
}

/** What a node does not know of itself. */
export interface NodeSurroundings {
  /** Names that may be asked for. */
  readonly hosts?: Hosts
  readonly bridges?: Bridges
  /** What `status` tells besides. */
  readonly status?: () => object
}

export function nodeMethods(
  node: Node<Sockets>,
  { hosts = {}, bridges, status = () => ({}) }: NodeSurroundings = {},
): ControlMethods {
  const names = new Names(hosts, node.top)
  const found = (host: string): Found => {
    const end = names.resolve(host, 0)
    if (NetError.is(end)) throw end
    return end
  }
  const wayTo = ({ address }: Found): RouteEntry | undefined =>
    node.top.network.routes.explain(`${address}`, { protocol: ICMP }).chosen
  return {
    calls: {
      status: () => ({ ...statusOf(node), ...status() }),
      explain: (params) => {
        const { destination, ...flow } = explainParams.parse(params)
        return node.top.network.routes.explain(destination, flow)
      },
      ping: async (params): Promise<PingAnswer> => {
        const { host, ...options } = pingParams.parse(params)
        const end = found(host)
        const reply = await node.icmp.ping(textOf(end), options)
        return { reply, way: wayTo(end) }
      },
      /** Null for the node itself, and where nothing leads. */
      way: (params): RouteEntry | null => wayTo(found(wayParams.parse(params).host)) ?? null,
      links: () => links(node),
      sockets: () => [...streams(node), ...datagrams(node)],
      counters: () => node.snapshot(),
      routes: () => node.top.network.routes.list(),
      neighbours: () => node.top.network.neighbours(),
      groups: () => node.top.network.groups(),
      bridges: (params) => bridges?.status(bridgesParams.parse(params).limit) ?? [],
    },
    streams: {
      /** A pcapng, in pieces of base64. */
      capture: (emit) => {
        const target = new Writable({
          write(chunk: Buffer, _encoding, done) {
            emit(chunk.toString('base64'))
            done()
          },
        })
        const capture = node.capture(target)
        return () => void capture.stop()
      },
    },
  }
}

function statusOf(node: Node<Sockets>): NodeStatus {
  const { network, stream, datagram } = node.top
  const all = network.links()
  const up = all.filter(({ state }) => state === 'up').length
  return {
    name: node.name,
    pid: process.pid,
    version: version(),
    runtime: process.version,
    uptimeSeconds: Math.round(process.uptime()),
    clockStepMs: Math.round(Date.now() - performance.timeOrigin - performance.now()),
    links: { up, down: all.length - up },
    conflicts: all.reduce((sum, { conflicts }) => sum + conflicts.length, 0),
    routes: network.routes.list().length,
    neighbours: network.neighbours().length,
    sockets: [...stream.list()].length + [...datagram.list()].length,
  }
}

function links(node: Node<Sockets>): LinkStatus[] {
  const counters = node.snapshot()
  return node.top.network.links().map((link) => {
    const own = counters.filter(({ name }) => name.startsWith(`${node.name}/${link.name}/`))
    const wire = own[0]
    const drops: Record<string, number> = {}
    for (const boundary of own) {
      for (const [reason, count] of Object.entries(boundary.drops)) drops[reason] = (drops[reason] ?? 0) + count
    }
    return {
      ...link,
      rxPackets: wire?.rxPackets ?? 0,
      rxOctets: wire?.rxOctets ?? 0,
      txPackets: wire?.txPackets ?? 0,
      txOctets: wire?.txOctets ?? 0,
      drops,
    }
  })
}

function streams(node: Node<Sockets>): object[] {
  return [...node.top.stream.list()].map((stream) => {
    const { state, local, remote, link } = stream
    const figures = stream.info()
    return {
      protocol: 'tcp',
      state,
      local: endpoint(local, link),
      link: link || undefined,
      remote: remote === undefined ? undefined : endpoint(remote),
      sendQueue: figures?.sendQueue ?? 0,
      receiveQueue: figures?.receiveQueue ?? 0,
      info: figures,
    }
  })
}

function datagrams(node: Node<Sockets>): object[] {
  return [...node.top.datagram.list()].map(({ local, remote, link, queuedOctets }) => ({
    protocol: 'udp',
    state: remote === undefined ? 'bound' : 'connected',
    local: endpoint(local, link),
    link: link || undefined,
    remote: remote === undefined ? undefined : endpoint(remote),
    sendQueue: 0,
    receiveQueue: queuedOctets,
  }))
}

/** @param link that the socket is bound to, whatever its address is: '0.0.0.0%lan:67', '[::%lan]:6696'. */
const endpoint = ({ address, port, zone = '' }: Endpoint, link = ''): string =>
  hostPortText(link === '' ? formatScoped(address, zone) : `${address}%${link}`, port)
