/** `netstrata counters`: what passed each boundary of a running node, and what was dropped there and why. */
import type { Command } from 'commander'
import type { BoundarySnapshot } from '../../src/index.ts'
import { ask } from '../control/client.ts'
import { size } from './connection-figures.ts'
import { records, registerQuestion } from './question.ts'

export function registerCounters(program: Command): void {
  registerQuestion(program, 'counters', 'show the counters of every layer of a running node', async (node, output) => {
    const boundaries = (await ask(node, 'counters')) as BoundarySnapshot[]
    if (output.json) return records(boundaries, output)
    output.table(
      ['boundary', 'rx', 'tx'],
      boundaries.map(({ name, rxPackets, rxOctets, txPackets, txOctets }) => ({
        boundary: name,
        rx: `${rxPackets} (${size(rxOctets)})`,
        tx: `${txPackets} (${size(txOctets)})`,
      })),
      boundaries.map(({ drops }) => Object.entries(drops).map(([reason, count]) => `dropped ${count}: ${reason}`)),
    )
  })
}
