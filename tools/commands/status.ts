/** `netstrata status`: a running node at a glance. */
import type { Command } from 'commander'
import type { TranslationStatus } from '../../src/index.ts'
import { ask } from '../control/client.ts'
import type { NodeStatus } from '../control/node-methods.ts'
import type { DaemonStatus } from '../router/methods.ts'
import { registerQuestion } from './question.ts'

export function registerStatus(program: Command): void {
  registerQuestion(program, 'status', 'show a running node at a glance', async (node, output) => {
    const status = (await ask(node, 'status')) as NodeStatus & Partial<DaemonStatus>
    output.data(status, () => statusText(status))
  })
}

/** @returns lines of at most 80 columns, but for paths and reasons. */
export function statusText(status: NodeStatus & Partial<DaemonStatus>): string {
  const { name, pid, version, runtime, uptimeSeconds, links, routes, neighbours, sockets, file, lastReload } = status
  const state = links.down === 0 ? `${links.up} up` : `${links.up} up, ${links.down} down`
  const lines: [string, string][] = [
    ['node', `${name} (process ${pid}), up ${duration(uptimeSeconds)}`],
    ['version', `netstrata ${version}, node ${runtime}`],
    ['links', state],
    ...conflictLine(status),
    ['routes', String(routes)],
    ['neighbours', String(neighbours)],
    ['sockets', String(sockets)],
  ]
  for (const protocol of ['babel', 'rip'] as const) {
    const counts = status[protocol]
    if (counts !== undefined) lines.push([protocol, `${counts.neighbours} neighbours, ${counts.routes} routes`])
  }
  if (status.nat !== undefined) lines.push(['nat', natLine(status.nat)])
  if (file !== undefined && status.loadedAt !== undefined) {
    lines.push(['configuration', `${file}, as of ${instant(status.loadedAt)}`])
    lines.push(['reloads', `${status.reloads ?? 0} done, ${status.failedReloads ?? 0} refused`])
  }
  if (lastReload?.error !== undefined) {
    lines.push(['refused', `${instant(lastReload.at)}, what ran before goes on:`])
    for (const line of lastReload.error.split('\n')) lines.push(['', line])
  }
  const width = Math.max(...lines.map(([key]) => key.length))
  return lines.map(([key, value]) => `${key.padEnd(width)}  ${value}`).join('\n')
}

const conflictLine = ({ name, conflicts }: NodeStatus): [string, string][] =>
  conflicts > 0 ? [['conflicts', `${conflicts} of its addresses that others use, too: netstrata doctor @${name}`]] : []

/** 'out of wan, as 203.0.113.2; 12 of 65536 sessions'. */
function natLine({ link, address, sessions, maxSessions }: TranslationStatus): string {
  const total = Object.values(sessions).reduce((sum, count) => sum + count, 0)
  return `out of ${link}, as ${address ?? 'nobody: it has no address'}; ${total} of ${maxSessions} sessions`
}

const instant = (milliseconds: number): string => new Date(milliseconds).toISOString().slice(0, 19).replace('T', ' ')

/** '3 d 4 h', '5 min 6 s': the two largest units. */
function duration(seconds: number): string {
  const units: [string, number][] = [
    ['d', Math.floor(seconds / 86_400)],
    ['h', Math.floor(seconds / 3600) % 24],
    ['min', Math.floor(seconds / 60) % 60],
    ['s', seconds % 60],
  ]
  const first = units.findIndex(([, count]) => count > 0)
  const shown = first < 0 ? units.slice(-1) : units.slice(first, first + 2)
  return shown.map(([unit, count]) => `${count} ${unit}`).join(' ')
}
