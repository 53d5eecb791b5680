/** Who sends echo requests for `ping` and `trace`: a node booted for it, or one that runs, which knows more ways. */
import { NetError, type RouteEntry } from '../../src/index.ts'
import { ask, chooseNode } from '../control/client.ts'
import type { PingAnswer } from '../control/node-methods.ts'
import { CommandError, usageError } from '../exit.ts'
import { bootNode } from '../stack/boot.ts'
import { type StackOptions, stackConfig } from '../stack/options.ts'
import { splitNode } from './question.ts'
import { udpProbe } from './udp-probe.ts'

/** The usage of commands that have a prober: commander cannot have an optional argument in front. */
export const PROBER_USAGE = '[options] [@node] <host>'

export interface ProbeOptions {
  readonly size?: number | undefined
  readonly ttl?: number | undefined
  readonly dontFragment?: boolean | undefined
  /** Milliseconds. */
  readonly timeout: number
}

export interface Prober extends AsyncDisposable {
  /**
   * Sends one echo request, or what stands for one.
   * @returns undefined when nobody answers in time, or the signal aborts.
   */
  probe(host: string, options: ProbeOptions): Promise<PingAnswer | undefined>
  /** The way to a host by the routes of a node that runs, whether anybody answers there or not; undefined for one booted for it. */
  way(host: string): Promise<RouteEntry | undefined>
}

/**
 * @param words '[@NODE] HOST', as the command has them.
 * @throws CommandError exit 2 — neither a node that runs nor a link of one's own, or both.
 */
export async function openProber(
  words: readonly string[],
  options: StackOptions & { readonly udp?: boolean },
  command: string,
  signal: AbortSignal,
): Promise<{ readonly host: string; readonly prober: Prober }> {
  const { node, rest } = splitNode(words, { least: 1, most: 1 })
  const host = rest[0] as string
  if (node === undefined) return { host, prober: await ownProber(options, command, signal) }
  if (options.link !== undefined || options.config !== undefined) {
    throw usageError(`${node} has links of its own: leave out --link and --config`)
  }
  if (options.udp === true) throw usageError(`${node} sends echo requests: leave out --udp`)
  return { host, prober: remoteProber(await chooseNode(node), signal) }
}

async function ownProber(
  options: StackOptions & { readonly udp?: boolean },
  command: string,
  signal: AbortSignal,
): Promise<Prober> {
  const config = stackConfig(options)
  const { node, close } = await bootNode(config, { command, control: false, sends: signal })
  const echo = async (host: string, request: ProbeOptions): Promise<PingAnswer> => ({
    reply: await node.icmp.ping(host, { ...request, signal }),
    way: undefined,
  })
  const probe = options.udp === true ? udpProbe(node, config.hosts) : echo
  return {
    probe: (host, request) => answered(probe(host, request, signal), signal),
    way: async () => undefined,
    [Symbol.asyncDispose]: close,
  }
}

function remoteProber(node: string, signal: AbortSignal): Prober {
  return {
    probe: (host, request) => answered(ask(node, 'ping', { host, ...request }, signal) as Promise<PingAnswer>, signal),
    way: async (host) =>
      (await answered(ask(node, 'way', { host }, signal) as Promise<RouteEntry | null>, signal)) ?? undefined,
    [Symbol.asyncDispose]: async () => {},
  }
}

async function answered<Answer>(answer: Promise<Answer>, signal: AbortSignal): Promise<Answer | undefined> {
  try {
    return await answer
  } catch (error) {
    const silent = (NetError.is(error) || error instanceof CommandError) && error.code === 'ETIMEDOUT'
    if (signal.aborted || silent) return undefined
    throw error
  }
}

/** The first step of a way: 'via 10.0.1.2 on wan'. */
export const wayText = ({ via, link }: RouteEntry): string =>
  `${via === undefined ? '' : `via ${via} `}on ${link ?? 'no link'}`
