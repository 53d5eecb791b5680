/** What the doctor looks at: this machine by itself, and a running node through its control socket. */
import { accessSync, constants } from 'node:fs'
import { createRequire } from 'node:module'
import type { RouteEntry } from '../../src/index.ts'
import { formatScoped, parseAddress } from '../../src/kernel/address.ts'
import { ask, NodeGone } from '../control/client.ts'
import type { LinkStatus, NodeStatus, PingAnswer } from '../control/node-methods.ts'
import { CommandError } from '../exit.ts'
import type { DaemonStatus, RunningConfiguration } from '../router/methods.ts'
import { type Silenced, silenced } from '../router/silenced.ts'
import { version } from '../version.ts'

/** What came of one check. */
export interface Finding {
  readonly check: string
  readonly result: 'ok' | 'warning' | 'failed'
  /** What was seen. */
  readonly detail: string
  /** What to do about it; absent when all is well. */
  readonly advice?: string
}

const PING_MS = 1000
/** Headers of an echo request, by the family of an address. */
const echoOctets = (address: string): number => (address.includes(':') ? 40 : 20) + 8
/** A wall clock that was set by more than this while a node ran makes its logs and captures hard to read. */
const CLOCK_STEP_MS = 1000
/** Of what a link carries, more than one in so many dropped is worth a look. */
const DROPS_ONE_IN = 100
/** Where a packet of this size does not fit, paths of the Internet may fail (RFC 1122 §3.3.3). */
const SMALL_MTU = 576

/** What this machine has. */
export function checkMachine(): Finding[] {
  return [nodeVersion(), koffi(), tunDevice()]
}

function nodeVersion(): Finding {
  const check = 'Node'
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  if (major > 20 || (major === 20 && minor >= 19)) return { check, result: 'ok', detail: process.version }
  return { check, result: 'failed', detail: process.version, advice: 'install Node 20.19 or a later one' }
}

function koffi(): Finding {
  const check = 'koffi'
  try {
    createRequire(import.meta.url)('koffi')
    return { check, result: 'ok', detail: 'it loads: TAP, TUN and the native engine of tunnels can be had' }
  } catch {
    const detail = 'it does not load: no TAP, no TUN, and tunnels send one datagram at a time'
    return { check, result: 'warning', detail, advice: 'npm install koffi' }
  }
}

function tunDevice(): Finding {
  const check = '/dev/net/tun'
  try {
    accessSync(check, constants.R_OK | constants.W_OK)
    return { check, result: 'ok', detail: 'it may be opened' }
  } catch {
    const advice =
      'only links tap: and tun: need it; as root: modprobe tun, or let this user have a device by ip tuntap'
    return { check, result: 'warning', detail: 'it is not there, or not for this user', advice }
  }
}

/** @throws CommandError exit 4 — the node is not running. */
export async function* checkNode(node: string): AsyncGenerator<Finding> {
  const status = (await ask(node, 'status')) as NodeStatus & Partial<DaemonStatus>
  yield sameVersion(status)
  yield clock(status)
  if (status.file !== undefined) {
    yield configuration(status)
    yield* policyFindings(silenced((await ask(node, 'configuration')) as RunningConfiguration))
  }
  const links = (await ask(node, 'links')) as LinkStatus[]
  for (const link of links) {
    yield* linkFindings(link)
    yield* conflictFindings(link)
  }
  const routes = (await ask(node, 'routes')) as RouteEntry[]
  for (const { via, link } of nextHops(routes)) {
    const mtu = links.find(({ name }) => name === link)?.mtu ?? 0
    yield await reachable(node, via, link, mtu)
  }
}

function sameVersion({ name, version: its }: NodeStatus): Finding {
  const check = 'version'
  if (its === version()) return { check, result: 'ok', detail: `${name} is of netstrata ${its}, as this command` }
  const detail = `${name} is of netstrata ${its}, this command of ${version()}`
  return { check, result: 'warning', detail, advice: `start ${name} again` }
}

function clock({ name, clockStepMs }: NodeStatus): Finding {
  const check = 'clock'
  const off = Math.abs(clockStepMs)
  if (off < CLOCK_STEP_MS) return { check, result: 'ok', detail: 'it was not set since the node began' }
  const detail = `it was set by ${Math.round(off / 1000)} s since the node began; its captures go by the old time`
  return { check, result: 'warning', detail, advice: `start ${name} again once the clock is right` }
}

function configuration({ file = '', lastReload }: Partial<DaemonStatus>): Finding {
  const check = 'configuration'
  if (lastReload?.error === undefined) return { check, result: 'ok', detail: `${file} is what runs` }
  const detail = `${file} was refused, what ran before goes on`
  return { check, result: 'failed', detail, advice: `netstrata router --config ${file} --check` }
}

/** What the router itself has to say and to hear is denied, which nobody means. */
export function policyFindings(all: readonly Silenced[]): Finding[] {
  return all.map(({ service, link, hook, destination, port, rule }) => ({
    check: `policy`,
    result: 'warning',
    detail: `${service} on ${link} ${hook === 'input' ? 'hears nothing' : 'says nothing'}: ${
      rule === undefined ? 'the default denies it' : `rule ${rule} denies it`
    }`,
    advice: `allow ${hook} ${hook === 'input' ? 'in' : 'out'} ${link} udp to ${destination} port ${port}`,
  }))
}

function* linkFindings(link: LinkStatus): Generator<Finding> {
  const check = `link ${link.name}`
  if (link.state === 'down') {
    const advice = 'see whether the device is up, or the other end of the line answers'
    yield { check, result: 'failed', detail: 'it is down', advice }
    return
  }
  const dropped = Object.values(link.drops).reduce((sum, count) => sum + count, 0)
  const carried = link.rxPackets + link.txPackets
  if (link.mtu < SMALL_MTU) {
    const advice = 'give it a larger mtu=, or expect fragments'
    yield { check, result: 'warning', detail: `packets have ${link.mtu} octets at most`, advice }
  } else if (dropped * DROPS_ONE_IN > carried) {
    const detail = `${dropped} packets were dropped of ${carried}`
    yield { check, result: 'warning', detail, advice: 'netstrata links tells the reasons' }
  } else {
    yield { check, result: 'ok', detail: `it is up, packets of ${link.mtu} octets, ${dropped} of ${carried} dropped` }
  }
}

/** One of an older version does not tell. */
function* conflictFindings({ name, conflicts = [] }: Partial<LinkStatus>): Generator<Finding> {
  for (const { address, linkAddress = 'another station', lost } of conflicts) {
    const check = `address ${address} on ${name}`
    const either = 'give this node or that station another address'
    if (lost) {
      const advice = `${either}; where this one was freed, start the node again`
      yield { check, result: 'failed', detail: `it is not used, as ${linkAddress} has it`, advice }
    } else {
      const detail = `${linkAddress} uses it, too: what is sent there comes to one or the other`
      yield { check, result: 'warning', detail, advice: either }
    }
  }
}

interface NextHop {
  readonly via: string
  readonly link: string
}

/** Each next hop once. A link-local address may be one on several links. */
function nextHops(routes: readonly RouteEntry[]): Iterable<NextHop> {
  const hops = new Map<string, NextHop>()
  for (const { via, link } of routes)
    if (via !== undefined && link !== undefined) hops.set(`${via} on ${link}`, { via, link })
  return hops.values()
}

/** The next hop answers, and gets packets as large as the link says. */
async function reachable(node: string, via: string, link: string, mtu: number): Promise<Finding> {
  const check = `next hop ${via} on ${link}`
  const host = formatScoped(parseAddress(via), link)
  const echo = await echoed(node, host, undefined)
  if (echo === undefined) {
    const advice = `see whether it runs, and whether its link and the peer= of ${link} meet`
    return { check, result: 'failed', detail: 'it does not answer', advice }
  }
  if ((await echoed(node, host, mtu - echoOctets(via))) !== undefined) {
    const detail = `it answers after ${(echo.reply.roundTrip / 1000).toFixed(1)} ms, also to packets of ${mtu} octets`
    return { check, result: 'ok', detail }
  }
  const advice = `give ${link} a smaller mtu= at both ends, by what the medium under it carries`
  return { check, result: 'failed', detail: `it answers, but not to packets of ${mtu} octets`, advice }
}

async function echoed(node: string, host: string, size: number | undefined): Promise<PingAnswer | undefined> {
  try {
    const answer = (await ask(node, 'ping', { host, size, dontFragment: true, timeout: PING_MS })) as PingAnswer
    return answer.reply.outcome === 'reply' ? answer : undefined
  } catch (error) {
    // The node said why not; one that has gone cannot.
    if (error instanceof CommandError && !(error instanceof NodeGone)) return undefined
    throw error
  }
}
