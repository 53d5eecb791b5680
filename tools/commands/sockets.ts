/** `netstrata sockets`: the connections and ports of a running node. */
import type { Command } from 'commander'
import type { ConnectionInfo } from '../../src/index.ts'
import { ask } from '../control/client.ts'
import { figureLines } from './connection-figures.ts'
import { type QuestionOptions, records, registerQuestion } from './question.ts'

interface SocketsOptions extends QuestionOptions {
  readonly info?: boolean
}

/** As the control socket gives them. */
interface SocketStatus {
  readonly protocol: string
  readonly state: string
  readonly local: string
  /** The link it is bound to. */
  readonly link?: string
  readonly remote?: string
  readonly sendQueue: number
  readonly receiveQueue: number
  readonly info?: ConnectionInfo
}

export function registerSockets(program: Command): void {
  registerQuestion<SocketsOptions>(
    program,
    'sockets',
    'show the connections and ports of a running node',
    async (node, output, { info }) => {
      const sockets = (await ask(node, 'sockets')) as SocketStatus[]
      if (output.json) return records(sockets, output)
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
  ).option('-i, --info', 'the figures of each connection: round trips, windows, losses')
}
