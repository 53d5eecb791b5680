/** Boots the node that a configuration describes, with what surrounds it: a capture, a control socket, an end. */
import {
  type Blueprint,
  beside,
  boot,
  direct,
  ethernet,
  type ImpairLayer,
  impair,
  ip,
  ipv4,
  ipv6,
  type LapbOptions,
  type LinkService,
  lapb,
  type Medium,
  type Node,
  type PhysicalService,
  type PppOptions,
  ppp,
  type Sockets,
  serial,
  sockets,
  stack,
  tcp,
  tunDevice,
  udp,
} from '../../src/index.ts'
import { type IpAddress, parseAddress, parsePrefix, splitZone } from '../../src/kernel/address.ts'
import { nodeMethods } from '../control/node-methods.ts'
import { freeName, serveControl } from '../control/server.ts'
import { CommandError, EXIT, usageError } from '../exit.ts'
import { pause } from '../interrupt.ts'
import { Bridges } from './bridges.ts'
import type { LinkConfig, NodeConfig } from './config.ts'
import type { LapbSpec, LineSpec, PppSpec } from './link-spec.ts'
import { deviceOptions, dialled, ethernetMedium } from './media.ts'

/** A node of the command line that runs. */
export interface RunningNode extends AsyncDisposable {
  readonly node: Node<Sockets>
  /** Takes everything down again, the capture last, so that it is whole. */
  close(): Promise<void>
}

export interface BootOptions {
  /** The command, after which a node without a name is called. */
  readonly command: string
  /** Offer a control socket under the node's name. Long-running commands do; those that ask one question do not. */
  readonly control: boolean
  /** Of a command that begins by sending: links by PPP are waited for until they are up, unless this aborts. */
  readonly sends?: AbortSignal
}

/** @throws NetError, CommandError — what could not be started; nothing is left behind. */
export async function bootNode(config: NodeConfig, options: BootOptions): Promise<RunningNode> {
  const name = config.name ?? (options.control ? await freeName(options.command) : options.command)
  const bridges = new Bridges()
  const node = await boot(checkedBlueprint(config, bridges), name, { hosts: config.hosts })
  try {
    configure(node, config)
    if (config.capture !== undefined) node.capture(config.capture)
    await addressesUsable(node)
    if (options.sends !== undefined) await negotiated(node, config, options.sends)
    const control = options.control
      ? await serveControl(name, nodeMethods(node, { hosts: config.hosts, bridges }))
      : undefined
    const close = async (): Promise<void> => {
      await drained(node)
      // Whoever watches sees the last of it, too.
      await control?.close()
      await node.close()
    }
    return { node, close, [Symbol.asyncDispose]: close }
  } catch (error) {
    await node.close()
    throw error
  }
}

/** Two seconds are what looking for duplicates takes at the most (RFC 4862 §5.4); a duplicate is never usable. */
const USABLE_MS = 3000

/**
 * What a command does first is to find its own IPv6 addresses there, which are looked for on their links before they
 * are used.
 */
async function addressesUsable({ top }: Node<Sockets>): Promise<void> {
  const until = performance.now() + USABLE_MS
  const isUsable = (address: IpAddress): boolean => {
    try {
      top.stream.listen({ address, port: 0 }, { acceptable: () => {} }).close()
      return true
    } catch {
      return false
    }
  }
  const own = top.network.links().flatMap(({ addresses }) => addresses.map((text) => parsePrefix(text).address))
  const awaited = own.filter((address) => !address.isIpv4 && !address.isScoped)
  while (!awaited.every(isUsable) && performance.now() < until)
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
}

/** Requests are repeated every 3 s, of LCP, CHAP and IPCP one after the other. */
const NEGOTIATED_MS = 10_000

/** @throws CommandError — a link has no address, and its peer gives none; the reason of the signal. */
async function negotiated({ top }: Node<Sockets>, { links }: NodeConfig, signal: AbortSignal): Promise<void> {
  const until = performance.now() + NEGOTIATED_MS
  const awaited = (): LinkConfig[] => {
    const ready = top.network.links().filter(({ state, addresses }) => state === 'up' && addresses.length > 0)
    return links.filter(({ name, spec }) => spec.type === 'ppp' && !ready.some((link) => link.name === name))
  }
  while (awaited().length > 0 && performance.now() < until) if (!(await pause(POLL_MS, signal))) throw signal.reason
  const lost = awaited().find(({ addresses }) => addresses.length === 0)
  if (lost === undefined) return
  const why = `the PPP peer of ${lost.name} has agreed on no address within ${NEGOTIATED_MS / 1000} s`
  const advice =
    'see that it is there, that it has an address to give (peer-address=…), and that user and secret are right'
  throw new CommandError(`${why}: ${advice}`, EXIT.unreachable, 'ENETDOWN')
}

/** Connections that are closed, but whose last octets or FIN the peer has not acknowledged. */
const LEAVING: ReadonlySet<string> = new Set(['FIN-WAIT-1', 'CLOSING', 'LAST-ACK'])
const DRAIN_MS = 2000
const POLL_MS = 5

/** A kernel goes on when a program has ended; this stack ends with it, so what was written has to be out before. */
async function drained({ top }: Node<Sockets>): Promise<void> {
  const until = performance.now() + DRAIN_MS
  const leaving = (): boolean => [...top.stream.list()].some(({ state }) => LEAVING.has(state))
  while (leaving() && performance.now() < until) await new Promise((resolve) => setTimeout(resolve, POLL_MS))
}

/** Values that make no sense together are for whoever wrote them. */
function checkedBlueprint(config: NodeConfig, bridges: Bridges): Blueprint<Sockets> {
  try {
    return blueprintOf(config, bridges)
  } catch (error) {
    if (error instanceof TypeError || error instanceof RangeError) throw usageError(error.message)
    throw error
  }
}

/** The stack of a configuration: its links side by side under IP, TCP and UDP. */
export function blueprintOf(config: NodeConfig, bridges?: Bridges): Blueprint<Sockets> {
  const links = Object.fromEntries(config.links.map((link) => [link.name, linkBlueprint(link, { bridges })]))
  const options = { forwarding: config.forwarding, clampMss: config.clampMss }
  return stack(beside(links), ip(ipv4(options), ...(usesIpv6(config) ? [ipv6(options)] : [])), sockets(tcp(), udp()))
}

/** A node that has nothing to do with IPv6 is none of its stations. */
function usesIpv6({ links, routes, gateways }: NodeConfig): boolean {
  const ways = [...routes.map(({ prefix }) => prefix), ...gateways.map((gateway) => splitZone(gateway)[0])]
  const addresses = [...links.flatMap((link) => link.addresses), ...ways]
  return addresses.some((text) => !parsePrefix(text).address.isIpv4)
}

function configure(node: Node<Sockets>, config: NodeConfig): void {
  const { network } = node.top
  for (const link of config.links) for (const address of link.addresses) network.addAddress(link.name, address)
  for (const route of config.routes) network.routes.add(route)
  for (const { name, spec } of config.links) {
    if (spec.type === 'ppp' && spec.isDefault) network.routes.add({ prefix: '0.0.0.0/0', link: name })
  }
  for (const gateway of config.gateways) {
    const [via, link] = splitZone(gateway)
    const prefix = parseAddress(via).isIpv4 ? '0.0.0.0/0' : '::/0'
    network.routes.add({ prefix, via, ...(link === '' ? {} : { link }) })
  }
}

export interface LinkParts {
  /** What impairs it; by itself what its description says. */
  readonly faults?: ImpairLayer | undefined
  /** Where it is found when it is a bridge. */
  readonly bridges?: Bridges | undefined
}

/** The stack of one link. */
export function linkBlueprint(
  { name, spec, addresses }: LinkConfig,
  { faults = spec.impairment && impair(spec.impairment), bridges = new Bridges() }: LinkParts = {},
): Blueprint<LinkService> {
  if (spec.type === 'ppp') return stack(worsened(lineOf(spec), faults), ppp(pppOptions(spec, addresses)))
  if (spec.type === 'lapb') return stack(worsened(lineOf(spec), faults), lapb(lapbOptions(spec)))
  if (spec.type === 'tun') return stack(worsened(tunDevice(deviceOptions(spec)), faults), direct())
  const medium = ethernetMedium(spec, (options) => bridges.of(name, options))
  const framing = ethernet({
    ...(spec.mac === undefined ? {} : { address: spec.mac }),
    ...(spec.type === 'bridge' && spec.pause !== undefined ? { pause: spec.pause } : {}),
  })
  return stack(worsened(medium, faults), framing)
}

function worsened<M extends Medium>(
  medium: Blueprint<PhysicalService<M>>,
  faults: ImpairLayer | undefined,
): Blueprint<PhysicalService<M>> {
  return faults === undefined ? medium : stack(medium, faults)
}

function lineOf({ line, baudRate, rtscts }: LineSpec): Blueprint<PhysicalService<'octets'>> {
  if (typeof line !== 'string') return dialled(line)
  return serial({ path: line, rtscts, ...(baudRate === undefined ? {} : { baudRate }) })
}

/** An address on the link is what we tell the peer ours is; without one, it is the peer that tells us. */
function pppOptions({ peerAddress, chap, fcs, mtu }: PppSpec, addresses: readonly string[]): PppOptions {
  const address = addresses.find((text) => parsePrefix(text).address.isIpv4)?.split('/')[0]
  return {
    fcs,
    ...(address === undefined ? {} : { address }),
    ...(peerAddress === undefined ? {} : { peerAddress }),
    ...(chap === undefined ? {} : { chap }),
    ...(mtu === undefined ? {} : { mru: mtu }),
  }
}

/** Information begins with the number of the packet's protocol (RFC 1661 §2). */
const PROTOCOL_OCTETS = 2

function lapbOptions({ role, modulus, k, fcs, mtu }: LapbSpec): LapbOptions {
  return {
    role,
    modulus,
    fcs,
    ...(k === undefined ? {} : { k }),
    ...(mtu === undefined ? {} : { n1: mtu + PROTOCOL_OCTETS }),
  }
}

/** Link names in the order of their configuration, for messages. */
export const describeLinks = (links: readonly LinkConfig[]): string =>
  links.map(({ name, addresses }) => (addresses.length === 0 ? name : `${name} ${addresses.join(' ')}`)).join(', ')
