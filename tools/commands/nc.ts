/** `netstrata nc`: stdin and stdout as one end of a connection, or of an exchange of datagrams. */
import { once } from 'node:events'
import type { Command } from 'commander'
import { NetError, type Node, type Sockets } from '../../src/index.ts'
import { usageError } from '../exit.ts'
import { aborted, interruption } from '../interrupt.ts'
import { Output } from '../output.ts'
import { bootNode } from '../stack/boot.ts'
import { integerArgument, type StackOptions, secondsArgument, stackConfig, withStack } from '../stack/options.ts'

interface NcOptions extends StackOptions {
  readonly listen?: boolean
  readonly udp?: boolean
  readonly wait: number
  readonly json?: boolean
}

const port = integerArgument(1, 65_535)

export function registerNc(program: Command): void {
  withStack(
    program
      .command('nc')
      .description('connect stdin and stdout to a port, or wait for a connection with -l')
      .argument('[host]', 'an address; with -l the own address to listen on, default any')
      .argument('<port>', 'a port'),
  )
    .option('-l, --listen', 'wait for one connection')
    .option('-u, --udp', 'datagrams instead of a connection')
    .option('-W, --wait <seconds>', 'give up connecting after this time', secondsArgument(0, 86_400), 10)
    .option('--json', 'messages as objects')
    .usage('[options] HOST PORT\n       netstrata nc -l [options] [HOST] PORT')
    .action(nc)
}

async function nc(first: string, second: string | undefined, options: NcOptions): Promise<void> {
  const host = second === undefined ? undefined : first
  const number = port(second ?? first)
  if (host === undefined && options.listen !== true) throw usageError('say where to connect: HOST PORT')
  const output = new Output(options.json === true)
  const signal = interruption()
  await using running = await bootNode(stackConfig(options), { control: true })
  const talk = options.udp === true ? datagrams : options.listen === true ? accept : connect
  await Promise.race([talk(running.node, host, number, options, output), interrupted(signal)])
}

async function interrupted(signal: AbortSignal): Promise<void> {
  await aborted(signal)
  throw signal.reason
}

async function connect(node: Node<Sockets>, host: string | undefined, port: number, options: NcOptions): Promise<void> {
  const timeout = AbortSignal.timeout(options.wait * 1000)
  let socket: Awaited<ReturnType<typeof node.net.promises.connect>>
  try {
    socket = await node.net.promises.connect({ host: host as string, port, allowHalfOpen: true, signal: timeout })
  } catch (error) {
    if (!timeout.aborted) throw error
    throw new NetError('ETIMEDOUT', `no answer from ${host}:${port} within ${options.wait} s`, { cause: error })
  }
  process.stdin.pipe(socket)
  socket.pipe(process.stdout)
  await once(socket, 'close')
  process.stdin.destroy()
}

async function accept(
  node: Node<Sockets>,
  host: string | undefined,
  port: number,
  _options: NcOptions,
  output: Output,
): Promise<void> {
  const server = node.net.createServer({ allowHalfOpen: true })
  server.listen({ port, ...(host === undefined ? {} : { host }) })
  await once(server, 'listening')
  output.message(`listening on port ${port}`)
  const [socket] = await once(server, 'connection')
  server.close()
  output.message(`connection from ${socket.remoteAddress}:${socket.remotePort}`)
  process.stdin.pipe(socket)
  socket.pipe(process.stdout)
  await once(socket, 'close')
  process.stdin.destroy()
}

/** Each piece of input is a datagram; with -l the answers go to whoever was heard from last. */
async function datagrams(
  node: Node<Sockets>,
  host: string | undefined,
  port: number,
  options: NcOptions,
  output: Output,
): Promise<void> {
  const socket = node.dgram.createSocket('udp4')
  let peer = options.listen === true ? undefined : { address: host as string, port }
  socket.on('message', (message, from) => {
    if (options.listen === true) peer = { address: from.address, port: from.port }
    process.stdout.write(message)
  })
  socket.bind({ port: options.listen === true ? port : 0, ...(options.listen && host ? { address: host } : {}) })
  await once(socket, 'listening')
  if (options.listen === true) output.message(`listening on port ${port}`)
  process.stdin.on('data', (chunk) => {
    if (peer === undefined) output.message('nobody has been heard from yet: not sent')
    else socket.send(chunk, peer.port, peer.address)
  })
  await once(socket, 'close')
}
