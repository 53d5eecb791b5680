/** `netstrata links` and `netstrata sockets`: what a running node says of itself. */
import type { Command } from 'commander'
import type { ConnectionInfo } from '../../src/index.ts'
import { ask, chooseNode } from '../control/client.ts'
import { withExamples } from '../help.ts'
import { Output } from '../output.ts'
import { figureLines, size } from './connection-figures.ts'

interface StatusOptions {
  readonly json?: boolean
  readonly info?: boolean
}

/** As the control socket gives them. */
interface LinkStatus {
  readonly name: string
  readonly state: string
  readonly mtu: number
  readonly linkAddress?: string
  readonly addresses: readonly string[]
  readonly rxPackets: number
  readonly rxOctets: number
  readonly txPackets: number
  readonly txOctets: number
  readonly drops: Readonly<Record<string, number>>
}

interface SocketStatus {
  readonly protocol: string
  readonly state: string
  readonly local: string
  readonly remote?: string
  readonly sendQueue: number
  readonly receiveQueue: number
  readonly info?: ConnectionInfo
}

export function registerStatus(program: Command): void {
  status(program, 'links', 'show the links of a running node', async (node, output) => {
    const links = (await ask(node, 'links')) as LinkStatus[]
    if (output.json) return rows(links, output)
    output.table(
      ['name', 'state', 'mtu', 'mac', 'addresses', 'rx', 'tx', 'drops'],
      links.map((link) => ({
        name: link.name,
        state: link.state,
        mtu: link.mtu,
        mac: link.linkAddress ?? '',
        addresses: link.addresses.join(' '),
        rx: `${link.rxPackets} (${size(link.rxOctets)})`,
        tx: `${link.txPackets} (${size(link.txOctets)})`,
        drops: Object.entries(link.drops)
          .map(([reason, count]) => `${reason} ${count}`)
          .join(' '),
      })),
    )
  })
  const sockets = status(
    program,
    'sockets',
    'show the connections and ports of a running node',
    async (node, output, { info }) => {
      const sockets = (await ask(node, 'sockets')) as SocketStatus[]
      if (output.json) return rows(sockets, output)
      output.table(
        ['proto', 'state', 'recv-q', 'send-q', 'local', 'remote'],
        sockets.map((socket) => ({
          proto: socket.protocol,
          state: socket.state,
          'recv-q': socket.receiveQueue,
          'send-q': socket.sendQueue,
          local: socket.local,
          remote: socket.remote ?? '*',
        })),
        info === true ? sockets.map((socket) => (socket.info === undefined ? [] : figureLines(socket.info))) : [],
      )
    },
  )
  sockets.option('-i, --info', 'the figures of each connection: round trips, windows, losses')
}

function rows(records: readonly object[], output: Output): void {
  for (const record of records) output.data(record, () => '')
}

function status(
  program: Command,
  name: string,
  description: string,
  show: (node: string, output: Output, options: StatusOptions) => Promise<void>,
): Command {
  const command = program
    .command(name)
    .description(description)
    .argument('[node]', 'the node, @NAME; default: the only one that runs')
    .option('--json', 'one object a line')
    .action((node: string | undefined, options: StatusOptions) =>
      show(chooseNode(node), new Output(options.json === true), options),
    )
  return withExamples(command, [`netstrata ${name} @serve`])
}
