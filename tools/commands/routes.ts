/** `netstrata routes`: the routing table of a running node. */
import type { Command } from 'commander'
import type { RouteEntry } from '../../src/index.ts'
import { ask } from '../control/client.ts'
import { records, registerQuestion } from './question.ts'

export function registerRoutes(program: Command): void {
  registerQuestion(program, 'routes', 'show the routes of a running node', async (node, output) => {
    const routes = (await ask(node, 'routes')) as RouteEntry[]
    if (output.json) return records(routes, output)
    output.table(
      ['prefix', 'via', 'link', 'metric', 'origin'],
      routes.map(({ prefix, via, link, metric, origin, action }) => ({
        prefix,
        via: via ?? '',
        link: action === 'forward' ? (link ?? '') : `(${action})`,
        metric,
        origin,
      })),
    )
  })
}
