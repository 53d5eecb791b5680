/** `netstrata trace`: the routers on the way to a host, by echo requests or datagrams that die one hop later each time. */
import type { Command } from 'commander'
import type { PingAnswer } from '../control/node-methods.ts'
import { EXIT } from '../exit.ts'
import { withExamples } from '../help.ts'
import { interruption } from '../interrupt.ts'
import { Output } from '../output.ts'
import { integerArgument, type StackOptions, secondsArgument, withStack } from '../stack/options.ts'
import { openProber, PROBER_USAGE, wayText } from './prober.ts'

interface TraceOptions extends StackOptions {
  readonly maxHops: number
  readonly probes: number
  readonly timeout: number
  readonly udp?: boolean
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
    .argument('<host...>', 'an address or a name; after @NODE, from that node')
    .usage(PROBER_USAGE)
  withStack(command)
    .option('-m, --max-hops <n>', 'give up after n hops', integerArgument(1, 255), 30)
    .option('-q, --probes <n>', 'requests for each hop', integerArgument(1, 10), 3)
    .option('-W, --timeout <seconds>', 'how long to wait for each answer', secondsArgument(0, 3600), 2)
    .option('-U, --udp', 'send datagrams to ports from 33434 on, instead of echo requests')
    .option('--json', 'one object a line')
    .action(trace)
  withExamples(command, [
    'netstrata trace 10.0.2.2 --link udp:7001,peer=127.0.0.1:7000 \\\n      --address 10.0.1.2/24 --gateway 10.0.1.1',
    'netstrata trace --udp fd00:2::2 --link udp:7001,peer=127.0.0.1:7000 \\\n      --address fd00:1::2/64 --gateway fd00:1::1',
    'netstrata trace @router 10.0.2.2',
  ])
}

async function trace(words: readonly string[], options: TraceOptions): Promise<void> {
  const output = new Output(options.json === true)
  const signal = interruption()
  const { host, prober } = await openProber(words, options, 'trace', signal)
  await using _ = prober
  output.message(`trace to ${host}, at most ${options.maxHops} hops`)
  process.exitCode = EXIT.unreachable
  for (let hop = 1; hop <= options.maxHops && !signal.aborted; hop++) {
    const answers: (PingAnswer | undefined)[] = []
    for (let i = 0; i < options.probes && !signal.aborted; i++) {
      answers.push(await prober.probe(host, { ttl: hop, timeout: options.timeout * 1000 }))
    }
    signal.throwIfAborted()
    const probes = answers.map(probeOf)
    // The way from here on is for the routers to choose.
    const way = hop === 1 ? await prober.way(host) : undefined
    const path = way === undefined ? '' : `  ${wayText(way)}`
    output.data({ hop, probes, way }, () => `${String(hop).padStart(2)}  ${describe(probes)}${path}`)
    if (probes.some(({ outcome }) => outcome === 'reply')) {
      process.exitCode = EXIT.ok
      return
    }
    // Anything but silence and a router that found the TTL used up is the end of the way.
    if (probes.some(({ outcome }) => outcome !== 'timeExceeded' && outcome !== 'noAnswer')) return
  }
}

function probeOf(answer: PingAnswer | undefined): Probe {
  if (answer === undefined) return { address: null, outcome: 'noAnswer', ms: null }
  const { address, outcome, roundTrip } = answer.reply
  return { address, outcome, ms: roundTrip / 1000 }
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
