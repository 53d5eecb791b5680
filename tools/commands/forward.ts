/** `netstrata forward`: a port of this machine that leads to a port inside the stack. */
import net from 'node:net'
import type { Command } from 'commander'
import { InvalidArgumentError } from 'commander'
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
  withStack(
    program
      .command('forward')
      .description('listen on this machine and connect inside the stack')
      .argument(
        '<listen>',
        'where to listen on this machine: [HOST:]PORT, port 0 for a free one',
        hostPort('127.0.0.1'),
      )
      .argument('<to>', 'where to connect inside the stack: HOST:PORT', hostPort(undefined)),
  )
    .option('--json', 'one object a line')
    .action(forward)
}

async function forward(listen: HostPort, to: HostPort, options: ForwardOptions): Promise<void> {
  const output = new Output(options.json === true)
  const signal = interruption()
  await using running = await bootNode(stackConfig(options), { control: true })
  const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true }, (client) => {
    const inside = running.node.net.connect({ host: to.host, port: to.port, allowHalfOpen: true })
    relay(client, inside, (error) => output.message(`${to.host}:${to.port}: ${error.message}`))
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(listen.port, listen.host, resolve)
  })
  const { address, port } = server.address() as net.AddressInfo
  output.data({ listening: { address, port }, to }, () => `${address}:${port} leads to ${to.host}:${to.port}`)
  await aborted(signal)
  server.close()
  process.exitCode = 130
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
