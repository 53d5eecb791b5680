/** `netstrata links`: the links of a running node, with the counters of the wire and the drops of all layers on it. */
import type { Command } from 'commander'
import type { AddressConflict } from '../../src/index.ts'
import { ask } from '../control/client.ts'
import type { LinkStatus } from '../control/node-methods.ts'
import { size } from './connection-figures.ts'
import { records, registerQuestion } from './question.ts'

export function registerLinks(program: Command): void {
  registerQuestion(program, 'links', 'show the links of a running node', async (node, output) => {
    const links = (await ask(node, 'links')) as LinkStatus[]
    if (output.json) return records(links, output)
    output.table(
      ['name', 'state', 'mtu', 'mac', 'rx', 'tx'],
      links.map((link) => ({
        name: link.name,
        state: link.state,
        mtu: link.mtu,
        mac: link.linkAddress ?? '',
        rx: `${link.rxPackets} (${size(link.rxOctets)})`,
        tx: `${link.txPackets} (${size(link.txOctets)})`,
      })),
      links.map(({ addresses, conflicts, nameServers, searchDomains, drops }) => [
        ...addresses,
        ...conflicts.map(conflictText),
        ...nameServers.map((server) => `name server ${server}`),
        ...searchDomains.map((domain) => `search ${domain}`),
        ...Object.entries(drops).map(([reason, count]) => `dropped ${count}: ${reason}`),
      ]),
    )
  })
}

const conflictText = ({ address, linkAddress = 'another station', lost }: AddressConflict): string =>
  `conflict: ${linkAddress} uses ${address}${lost ? ', so it is not used here' : ', too'}`
