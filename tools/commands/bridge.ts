/** `netstrata bridge`: the bridges of a running node, and which station is behind which port. */
import type { Command } from 'commander'
import { ask } from '../control/client.ts'
import { MOST_LISTED } from '../control/server.ts'
import { CommandError, EXIT } from '../exit.ts'
import type { Output } from '../output.ts'
import type { BridgeStatus } from '../stack/bridges.ts'
import { integerArgument } from '../stack/options.ts'
import { type QuestionOptions, records, registerQuestion } from './question.ts'

interface BridgeCommandOptions extends QuestionOptions {
  readonly limit: number
}

export function registerBridge(program: Command): void {
  registerQuestion<BridgeCommandOptions>(program, 'bridge', "show a node's bridges and their stations", show).option(
    '-n, --limit <n>',
    'stations of each bridge to show at most, those heard last',
    integerArgument(0, MOST_LISTED),
    50,
  )
}

/** @throws CommandError exit 1 — no link of the node is a bridge. */
async function show(node: string, output: Output, { limit }: BridgeCommandOptions): Promise<void> {
  const bridges = (await ask(node, 'bridges', { limit })) as BridgeStatus[]
  if (bridges.length === 0) {
    const what = `no link of '${node}' is a bridge, such as --link 'bridge:(tap:tap0)(udp:7000)'`
    throw new CommandError(what, EXIT.failure, 'ENOENT')
  }
  if (output.json) return records(bridges, output)
  ports(bridges, output)
  output.data({}, () => '')
  stations(bridges, output)
}

/** What the node's own station is called among the ports. */
const OWN = '(this node)'

const ports = (bridges: readonly BridgeStatus[], output: Output): void =>
  output.table(
    ['bridge', 'port', 'state', 'flooded', 'storm'],
    bridges.flatMap(({ link, ports }) =>
      ports.map(({ name = OWN, state, flooded, stormDrops: storm }) => ({
        ...{ bridge: link, port: name, state, flooded, storm },
      })),
    ),
  )

function stations(bridges: readonly BridgeStatus[], output: Output): void {
  output.table(
    ['bridge', 'station', 'port', 'heard'],
    bridges.flatMap(({ link, stations }) =>
      stations.map(({ address, port = OWN, ageSeconds }) => ({
        ...{ bridge: link, station: address, port, heard: `${ageSeconds.toFixed(1)} s ago` },
      })),
    ),
  )
  for (const { link, known, stations } of bridges)
    if (stations.length < known) output.message(`${link} knows ${known} stations: --limit shows more`)
}
