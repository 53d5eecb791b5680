/** `netstrata babel`: what the Babel of a running router knows of its neighbours, and heard of ways. */
import type { Command } from 'commander'
import type { BabelNeighbour, BabelRoute } from '../../src/index.ts'
import { ask } from '../control/client.ts'
import type { Output } from '../output.ts'
import type { BabelStatus } from '../router/methods.ts'
import { registerQuestion } from './question.ts'

export function registerBabel(program: Command): void {
  registerQuestion(program, 'babel', "show a router's neighbours and routes by Babel", show, '@router')
}

async function show(node: string, output: Output): Promise<void> {
  const status = (await ask(node, 'babel')) as BabelStatus
  if (output.json) return output.data(status, () => '')
  neighbours(status.neighbours, output)
  routes(status.routes, output)
  const drops = Object.entries(status.drops).map(([reason, count]) => `${reason} ${count}`)
  output.data(status, () => `router ${status.routerId}${drops.length === 0 ? '' : `, dropped: ${drops.join(', ')}`}`)
}

const INFINITE = 'infinite'

function neighbours(all: readonly BabelNeighbour[], output: Output): void {
  output.table(
    ['neighbour', 'link', 'cost', 'hellos', 'routes'],
    all.map(({ address, link, cost = INFINITE, hellos, routes }) => ({
      ...{ neighbour: address, link, cost, hellos, routes },
    })),
  )
}

/** One that is taken has a `*`; one that might lead into a loop a `!`. */
function routes(all: readonly BabelRoute[], output: Output): void {
  output.table(
    ['', 'prefix', 'via', 'link', 'metric'],
    all.map(({ prefix, via = '(own)', link = '', metric = INFINITE, feasible, selected }) => ({
      ...{ '': selected ? '*' : feasible ? '' : '!', prefix, via, link, metric },
    })),
  )
}
