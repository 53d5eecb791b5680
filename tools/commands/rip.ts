/** `netstrata rip`: what the RIP of a running router has heard: from whom, and of which ways. */
import type { Command } from 'commander'
import type { RipNeighbour, RipRoute } from '../../src/index.ts'
import { ask } from '../control/client.ts'
import type { Output } from '../output.ts'
import type { RipStatus } from '../router/methods.ts'
import { registerQuestion } from './question.ts'

export function registerRip(program: Command): void {
  registerQuestion(program, 'rip', "show a router's neighbours and routes by RIP", show, '@router')
}

async function show(node: string, output: Output): Promise<void> {
  const status = (await ask(node, 'rip')) as RipStatus
  if (output.json) return output.data(status, () => '')
  neighbours(status.neighbours, output)
  routes(status.routes, output)
  for (const [version, drops] of Object.entries(status.drops)) {
    const reasons = Object.entries(drops).map(([reason, count]) => `${reason} ${count}`)
    if (reasons.length > 0) output.data(status, () => `${version} dropped: ${reasons.join(', ')}`)
  }
}

function neighbours(all: readonly RipNeighbour[], output: Output): void {
  output.table(
    ['neighbour', 'link', 'version', 'heard', 'routes'],
    all.map(({ address, link, version, age, routes }) => ({
      ...{ neighbour: address, link, version, heard: `${Math.round(age / 1e6)} s ago`, routes },
    })),
  )
}

function routes(all: readonly RipRoute[], output: Output): void {
  output.table(
    ['prefix', 'via', 'link', 'metric'],
    all.map(({ prefix, via = '(own)', link = '', metric = 'unreachable' }) => ({ prefix, via, link, metric })),
  )
}
