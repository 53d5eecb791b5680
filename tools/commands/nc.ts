/** `netstrata nc`: stdin and stdout as one end of a connection, or of an exchange of datagrams. */
import { once } from 'node:events'
import type net from 'node:net'
import { isIP } from 'node:net'
import type { Command } from 'commander'
import { NetError, type Node, type Sockets } from '../../src/index.ts'
import { splitZone } from '../../src/kernel/address.ts'
import { usageError } from '../exit.ts'
import { withExamples } from '../help.ts'
import { hostPortText } from '../host-port.ts'
import { aborted, interruption, pause, unlessAborted } from '../interrupt.ts'
import { Output } from '../output.ts'
import { bootNode } from '../stack/boot.ts'
import { integerArgument, type StackOptions, secondsArgument, stackConfig, withStack } from '../stack/options.ts'

interface NcOptions extends StackOptions {
  readonly listen?: boolean
  readonly udp?: boolean
  readonly wait: number
  readonly quit: number
  readonly json?: boolean
}

/** What the talking parts share. */
interface Talk {
  readonly node: Node<Sockets>
  readonly host: string | undefined
  readonly port: number
  readonly options: NcOptions
  readonly output: Output
  readonly signal: AbortSignal
}

/** A longer piece of input becomes several datagrams, as with other netcats. */
const DATAGRAM_OCTETS = 16_384
/** Octets of datagrams that wait for the reader of stdout. */
const MAX_WAITING_OCTETS = 16 * 1024 * 1024
const POLL_MS = 50

const port = integerArgument(1, 65_535)

export function registerNc(program: Command): void {
  const command = program
    .command('nc')
    .description('connect stdin and stdout to a port, or wait for a connection with -l')
    .argument('[host]', 'an address, or a name of --config; with -l the own address to listen on, default any')
    .argument('[port]', 'a port')
    .usage('[options] HOST PORT\n       netstrata nc -l [options] [HOST] PORT')
  withStack(command)
    .option('-l, --listen', 'wait for one connection')
    .option('-u, --udp', 'datagrams instead of a connection')
    .option('-W, --wait <seconds>', 'give up connecting after this time', secondsArgument(0, 86_400), 10)
    .option('-q, --quit <seconds>', 'with -u: how long to listen after the input', secondsArgument(0, 86_400), 1)
    .option('--json', 'messages as objects')
    .action(nc)
  withExamples(command, [
    'netstrata nc 10.0.0.1 9000 --link udp:7001,peer=127.0.0.1:7000 \\\n      --address 10.0.0.2/24',
    'netstrata nc -l 9000 --link udp:7000 --address 10.0.0.1/24',
  ])
}

async function nc(first: string | undefined, second: string | undefined, options: NcOptions): Promise<void> {
  const host = second === undefined ? undefined : first
  const number = portOf(second ?? first)
  if (host === undefined && options.listen !== true) throw usageError('say where to connect: HOST PORT')
  const output = new Output(options.json === true)
  const signal = interruption()
  const sends = options.listen === true ? {} : { sends: signal }
  await using running = await bootNode(stackConfig(options), { command: 'nc', control: true, ...sends })
  const talk = { node: running.node, host, port: number, options, output, signal }
  try {
    await unlessAborted((options.udp === true ? datagrams : stream)(talk), signal)
  } finally {
    // A terminal or pipe that is still open would keep the process alive.
    process.stdin.destroy()
  }
}

function portOf(text: string | undefined): number {
  if (text === undefined) throw usageError('say where to connect: HOST PORT, or where to listen: -l PORT')
  try {
    return port(text)
  } catch {
    throw usageError(`'${text}' is not a port: a number from 1 to 65535`)
  }
}

async function stream(talk: Talk): Promise<void> {
  const socket = await (talk.options.listen === true ? accept(talk) : connect(talk))
  const closed = once(socket, 'close')
  process.stdin.pipe(socket)
  socket.pipe(process.stdout, { end: false })
  // At a terminal nobody is going to end the input of a connection whose other end has left.
  socket.on('end', () => process.stdin.isTTY && socket.end())
  await closed
}

async function connect({ node, host, port, options: { wait } }: Talk): Promise<net.Socket> {
  const timeout = AbortSignal.timeout(wait * 1000)
  try {
    return await node.net.promises.connect({ host: host as string, port, allowHalfOpen: true, signal: timeout })
  } catch (error) {
    if (!timeout.aborted) throw error
    throw new NetError('ETIMEDOUT', `no answer from ${hostPortText(host as string, port)} within ${wait} s`, {
      cause: error,
    })
  }
}

async function accept({ node, host, port, output }: Talk): Promise<net.Socket> {
  const server = node.net.createServer({ allowHalfOpen: true })
  server.listen({ port, ...(host === undefined ? {} : { host }) })
  await once(server, 'listening')
  output.message(`listening on port ${port}`)
  const [socket] = (await once(server, 'connection')) as [net.Socket]
  server.close()
  output.message(`connection from ${hostPortText(socket.remoteAddress as string, socket.remotePort as number)}`)
  return socket
}

type DatagramSocket = ReturnType<Node<Sockets>['dgram']['createSocket']>

/** Each piece of input is a datagram; with -l the answers go to whoever was heard from last. */
async function datagrams(talk: Talk): Promise<void> {
  const { node, options } = talk
  const socket = node.dgram.createSocket(datagramType(talk))
  const failed = new Promise<never>((_, reject) => socket.once('error', reject))
  await Promise.race([options.listen === true ? answerAll(talk, socket) : askOne(talk, socket), failed])
}

/** By the address; who listens to any hears both families where the node has both. */
function datagramType({ node, host }: Talk): 'udp4' | 'udp6' {
  const ipv6 = host === undefined ? node.top.ipv6 === true : isIP(splitZone(host)[0]) === 6
  return ipv6 ? 'udp6' : 'udp4'
}

/** Who listens stays until told to leave. */
async function answerAll({ host, port, output, signal }: Talk, socket: DatagramSocket): Promise<void> {
  let peer: { readonly address: string; readonly port: number } | undefined
  socket.on('message', (message, from) => {
    peer = from
    show(message)
  })
  socket.bind({ port, ...(host === undefined ? {} : { address: host }) })
  await once(socket, 'listening')
  output.message(`listening on port ${port}`)
  for await (const datagram of input()) {
    if (peer === undefined) output.message('nobody has been heard from yet: not sent')
    else await sent(socket, datagram, peer)
  }
  await aborted(signal)
}

/** Who asks waits a little for the answers. It is connected, so that it hears of a port that nobody listens on. */
async function askOne({ host, port, options, signal }: Talk, socket: DatagramSocket): Promise<void> {
  let heard = 0
  socket.on('message', (message) => {
    heard = performance.now()
    show(message)
  })
  socket.connect(port, host)
  await once(socket, 'connect')
  for await (const datagram of input()) await sent(socket, datagram)
  heard = performance.now()
  while (performance.now() - heard < options.quit * 1000) if (!(await pause(POLL_MS, signal))) return
}

async function* input(): AsyncGenerator<Uint8Array> {
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    for (let at = 0; at < chunk.length; at += DATAGRAM_OCTETS) yield chunk.subarray(at, at + DATAGRAM_OCTETS)
  }
}

function show(message: Uint8Array): void {
  // Datagrams may be lost, memory may not: a reader that is too slow misses some.
  if (process.stdout.writableLength < MAX_WAITING_OCTETS) process.stdout.write(message)
}

function sent(
  socket: DatagramSocket,
  datagram: Uint8Array,
  peer?: { readonly address: string; readonly port: number },
): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (error: Error | null): void => (error ? reject(error) : resolve())
    if (peer === undefined) socket.send(datagram, done)
    else socket.send(datagram, peer.port, peer.address, done)
  })
}
