/** `netstrata neigh`: the stations that a running node has looked for on its links. */
import type { Command } from 'commander'
import type { NeighbourEntry } from '../../src/index.ts'
import { ask } from '../control/client.ts'
import { records, registerQuestion } from './question.ts'

export function registerNeigh(program: Command): void {
  registerQuestion(program, 'neigh', 'show the neighbours of a running node', async (node, output) => {
    const neighbours = (await ask(node, 'neighbours')) as NeighbourEntry[]
    if (output.json) return records(neighbours, output)
    output.table(
      ['address', 'link', 'mac', 'state'],
      neighbours.map(({ address, link, linkAddress = '', state }) => ({ address, link, mac: linkAddress, state })),
    )
  })
}
