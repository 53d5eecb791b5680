/** `netstrata groups`: the multicast groups that a running router sends on. */
import type { Command } from 'commander'
import type { GroupCount } from '../../src/index.ts'
import { ask } from '../control/client.ts'
import type { Output } from '../output.ts'
import { mustSpeakOf, records, registerQuestion } from './question.ts'

export function registerGroups(program: Command): void {
  registerQuestion(program, 'groups', 'show the multicast groups a router sends on', show, '@router')
}

async function show(node: string, output: Output): Promise<void> {
  const groups = (await ask(node, 'groups')) as GroupCount[]
  if (output.json) return records(groups, output)
  if (groups.length === 0) await mustSpeakOf(node, 'groups', (running) => running.groups !== undefined)
  output.table(
    ['group', 'source', 'from', 'to', 'packets'],
    groups.map(({ group, source = 'any', from, to, packets }) => ({
      ...{ group, source, from, to: to.join(', '), packets },
    })),
  )
}
