/** `netstrata groups`: the multicast groups that a running node sends on. */
import type { Command } from 'commander'
import type { GroupCount } from '../../src/index.ts'
import { ask } from '../control/client.ts'
import { records, registerQuestion } from './question.ts'

export function registerGroups(program: Command): void {
  registerQuestion(program, 'groups', 'show the multicast groups a node sends on', async (node, output) => {
    const groups = (await ask(node, 'groups')) as GroupCount[]
    if (output.json) return records(groups, output)
    output.table(
      ['group', 'source', 'from', 'to', 'packets'],
      groups.map(({ group, source = 'any', from, to, packets }) => ({
        ...{ group, source, from, to: to.join(', '), packets },
      })),
    )
  })
}
