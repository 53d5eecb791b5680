/** `netstrata forward`: a port of this machine that leads to a port inside the stack. */
import net from 'node:net'
import type { Command } from 'commander'
import { InvalidArgumentError } from 'commander'
import { CommandError, EXIT } from '../exit.ts'
import { withExamples } from '../help.ts'
import { hostPortText } from '../host-port.ts'
import { aborted, interruption } from '../interrupt.ts'
import { Output } from '../output.ts'
import { relay } from '../relay.ts'
import { bootNode } from '../stack/boot.ts'
import { type HostPort, LinkSpecError, parseHostPort } from '../stack/link-spec.ts'
import { type StackOptions, stackConfig, withStack } from '../stack/options.ts'

interface ForwardOptions extends StackOptions {
  readonly json?: boolean
}

export function registerForward(program: Command): void {
  const command = program
    .command('forward')
    .description('listen on this machine and connect inside the stack')
    .argument('<listen>', 'where to listen on this machine: [HOST:]PORT, port 0 for a free one', hostPort('127.0.0.1'))
    .argument('<to>', 'where to connect inside the stack: HOST:PORT', target)
  withStack(command).option('--json', 'one object a line').action(forward)
  withExamples(command, [
    'netstrata forward 8080 10.0.0.1:80 \\\n      --link udp:7001,peer=127.0.0.1:7000 --address 10.0.0.2/24',
  ])
}

async function forward(listen: HostPort, to: HostPort, options: ForwardOptions): Promise<void> {
  const output = new Output(options.json === true)
  const signal = interruption()
  await using running = await bootNode(stackConfig(options), { command: 'forward', control: true })
  const clients = new Set<net.Socket>()
  const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true }, (client) => {
    clients.add(client.on('close', () => clients.delete(client)))
    const inside = running.node.net.connect({ host: to.host, port: to.port, allowHalfOpen: true })
    relay(client, inside, (error) => output.message(`${hostPortText(to.host, to.port)}: ${error.message}`))
  })
  await listening(server, listen)
  try {
    const { address, port } = server.address() as net.AddressInfo
    output.data(
      { listening: { address, port }, to },
      () => `${hostPortText(address, port)} leads to ${hostPortText(to.host, to.port)}`,
    )
    await aborted(signal)
    throw signal.reason
  } finally {
    server.close()
    for (const client of clients) client.destroy()
  }
}

/** @throws CommandError exit 1 — the port cannot be had. */
function listening(server: net.Server, { host, port }: HostPort): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const code = error.code ?? 'EIO'
      reject(new CommandError(`${ADVICE[code]?.(host, port) ?? error.message}`, EXIT.failure, code, error))
    })
    server.listen(port, host, resolve)
  })
}

const ADVICE: Readonly<Record<string, (host: string, port: number) => string>> = {
  EADDRINUSE: (host, port) =>
    `port ${port} of ${host} is in use by another program: choose another, or 0 for a free one`,
  EADDRNOTAVAIL: (host) => `${host} is no address of this machine: listen on 127.0.0.1 or 0.0.0.0`,
  EACCES: (_, port) => `no permission to listen on port ${port}: choose one from 1024 up`,
}

function target(text: string): HostPort {
  const to = hostPort(undefined)(text)
  if (to.port === 0) throw new InvalidArgumentError('Nobody listens on port 0.')
  return to
}

function hostPort(defaultHost: string | undefined): (text: string) => HostPort {
  return (text) => {
    try {
      return parseHostPort(text, defaultHost)
    } catch (error) {
      if (error instanceof LinkSpecError) throw new InvalidArgumentError(error.message)
      throw error
    }
  }
}
