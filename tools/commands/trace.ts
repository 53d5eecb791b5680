/** `netstrata trace`: the routers on the way to a host, by echo requests that die one hop later each time. */
import type { Command } from 'commander'
import { NetError } from '../../src/index.ts'
import { EXIT } from '../exit.ts'
import { withExamples } from '../help.ts'
import { interruption } from '../interrupt.ts'
import { Output } from '../output.ts'
import { bootNode, type RunningNode } from '../stack/boot.ts'
import { integerArgument, type StackOptions, secondsArgument, stackConfig, withStack } from '../stack/options.ts'

interface TraceOptions extends StackOptions {
  readonly maxHops: number
  readonly probes: number
  readonly timeout: number
  readonly json?: boolean
}

interface Probe {
  readonly address: string | null
  readonly outcome: string
  readonly ms: number | null
}

export function registerTrace(program: Command): void {
  const command = program
    .command('trace')
    .description('show the routers on the way to a host')
    .argument('<host>', 'an address, or a name of --config')
  withStack(command)
    .option('-m, --max-hops <n>', 'give up after n hops', integerArgument(1, 255), 30)
    .option('-q, --probes <n>', 'requests for each hop', integerArgument(1, 10), 3)
    .option('-W, --timeout <seconds>', 'how long to wait for each answer', secondsArgument(0, 3600), 2)
    .option('--json', 'one object a line')
    .action(trace)
  withExamples(command, [
    'netstrata trace 10.0.2.2 --link udp:7001,peer=127.0.0.1:7000 \\\n      --address 10.0.1.2/24 --gateway 10.0.1.1',
  ])
}

async function trace(host: string, options: TraceOptions): Promise<void> {
  const output = new Output(options.json === true)
  const signal = interruption()
  await using running = await bootNode(stackConfig(options), { command: 'trace', control: false })
  output.message(`trace to ${host}, at most ${options.maxHops} hops`)
  process.exitCode = EXIT.unreachable
  for (let hop = 1; hop <= options.maxHops && !signal.aborted; hop++) {
    const probes: Probe[] = []
    for (let i = 0; i < options.probes && !signal.aborted; i++) {
      probes.push(await probe(running, host, hop, options.timeout, signal))
    }
    signal.throwIfAborted()
    output.data({ hop, probes }, () => `${String(hop).padStart(2)}  ${describe(probes)}`)
    if (probes.some(({ outcome }) => outcome === 'reply')) {
      process.exitCode = EXIT.ok
      return
    }
    // Anything but silence and a router that found the TTL used up is the end of the way.
    if (probes.some(({ outcome }) => outcome !== 'timeExceeded' && outcome !== 'noAnswer')) return
  }
}

async function probe(
  { node }: RunningNode,
  host: string,
  ttl: number,
  timeout: number,
  signal: AbortSignal,
): Promise<Probe> {
  try {
    const reply = await node.icmp.ping(host, { ttl, timeout: timeout * 1000, signal })
    return { address: reply.address, outcome: reply.outcome, ms: reply.roundTrip / 1000 }
  } catch (error) {
    if (signal.aborted || (NetError.is(error) && error.code === 'ETIMEDOUT')) {
      return { address: null, outcome: 'noAnswer', ms: null }
    }
    throw error
  }
}

/** Times behind the address they came from; another address on the same hop is told when it changes. */
function describe(probes: readonly Probe[]): string {
  const parts: string[] = []
  let last: string | null = null
  for (const { address, outcome, ms } of probes) {
    if (address === null || ms === null) {
      parts.push('*')
      continue
    }
    if (address !== last) parts.push(address)
    last = address
    parts.push(`${ms.toFixed(3)} ms${outcome === 'reply' || outcome === 'timeExceeded' ? '' : ` !${outcome}`}`)
  }
  return parts.join('  ')
}
