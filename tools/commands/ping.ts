/** `netstrata ping`: echo requests from a stack of ours. */
import type { Command } from 'commander'
import type { EchoReply, RouteEntry } from '../../src/index.ts'
import { EXIT } from '../exit.ts'
import { withExamples } from '../help.ts'
import { interruption, pause } from '../interrupt.ts'
import { Output } from '../output.ts'
import { integerArgument, type StackOptions, secondsArgument, withStack } from '../stack/options.ts'
import { openProber, PROBER_USAGE, type Prober, wayText } from './prober.ts'

interface PingOptions extends StackOptions {
  readonly count?: number
  readonly size: number
  readonly interval: number
  readonly timeout: number
  readonly ttl: number
  readonly dontFragment?: boolean
  readonly json?: boolean
}

/** Octets of an ICMP echo header. */
const ICMP_OCTETS = 8

export function registerPing(program: Command): void {
  const command = program
    .command('ping')
    .description('send echo requests to a host')
    .argument('<host...>', 'an address or a name; after @NODE, sent by that node')
    .usage(PROBER_USAGE)
  withStack(command)
    .option('-c, --count <n>', 'stop after n requests; default: go on until Ctrl-C', integerArgument(1, 1e9))
    .option('-s, --size <octets>', 'payload of each request', integerArgument(0, 65_507), 56)
    .option('-i, --interval <seconds>', 'time between requests', secondsArgument(0, 86_400), 1)
    .option('-W, --timeout <seconds>', 'how long to wait for each answer', secondsArgument(0, 86_400), 2)
    .option('-t, --ttl <n>', 'hops a request may take', integerArgument(1, 255), 64)
    .option('-M, --dont-fragment', 'refuse to fragment')
    .option('--json', 'one object a line')
    .action(ping)
  withExamples(command, [
    'netstrata ping 10.0.0.1 --link udp:7001,peer=127.0.0.1:7000 \\\n      --address 10.0.0.2/24',
    'netstrata ping 10.0.0.1 -c 3 --link tap:tap0 --address 10.0.0.2/24',
    'netstrata ping @router 10.0.0.1',
  ])
}

class Tally {
  sent = 0
  received = 0
  readonly times: number[] = []

  summary(host: string): object {
    const { times, sent, received } = this
    const mean = times.reduce((sum, time) => sum + time, 0) / (times.length || 1)
    return {
      host,
      sent,
      received,
      loss: sent === 0 ? 0 : 1 - received / sent,
      ...(times.length === 0 ? {} : { minMs: Math.min(...times), meanMs: mean, maxMs: Math.max(...times) }),
    }
  }

  text(host: string): string {
    const { times, sent, received } = this
    const lost = sent === 0 ? 0 : (100 * (sent - received)) / sent
    const line = `--- ${host}: ${sent} sent, ${received} received, ${Number(lost.toFixed(1))}% lost`
    if (times.length === 0) return line
    const mean = times.reduce((sum, time) => sum + time, 0) / times.length
    const shown = [Math.min(...times), mean, Math.max(...times)].map((time) => time.toFixed(3)).join('/')
    return `${line}\n    round trip min/mean/max ${shown} ms`
  }
}

async function ping(words: readonly string[], options: PingOptions): Promise<void> {
  const output = new Output(options.json === true)
  const signal = interruption()
  const { host, prober } = await openProber(words, options, 'ping', signal)
  await using _ = prober
  const tally = new Tally()
  const { count = Number.POSITIVE_INFINITY } = options
  output.message(`PING ${host}, ${options.size} octets of data`)
  for (let sequence = 1; sequence <= count && !signal.aborted; sequence++) {
    const next = pause(options.interval * 1000, signal)
    await probe(prober, host, sequence, options, output, tally, signal)
    if (sequence < count) await next
  }
  output.data(tally.summary(host), () => tally.text(host))
  signal.throwIfAborted()
  process.exitCode = tally.received > 0 ? EXIT.ok : EXIT.unreachable
}

async function probe(
  prober: Prober,
  host: string,
  sequence: number,
  { size, ttl, timeout, dontFragment }: PingOptions,
  output: Output,
  tally: Tally,
  signal: AbortSignal,
): Promise<void> {
  const answer = await prober.probe(host, { size, ttl, timeout: timeout * 1000, dontFragment })
  // Whoever stops does not lose the request that is under way.
  if (answer === undefined && signal.aborted) return
  tally.sent++
  if (answer === undefined) {
    // The routes know the way all the same.
    const way = await prober.way(host)
    const silence = `seq=${sequence} no answer within ${timeout} s`
    output.data({ sequence, outcome: 'noAnswer', way }, () => `${silence}${pathText(way)}`)
    return
  }
  const { reply, way } = answer
  if (reply.outcome === 'reply') {
    tally.received++
    tally.times.push(reply.roundTrip / 1000)
  }
  output.data({ sequence, ...reply, way }, () => `${describe(sequence, reply)}${pathText(way)}`)
}

const pathText = (way: RouteEntry | undefined): string => (way === undefined ? '' : ` ${wayText(way)}`)

function describe(sequence: number, reply: EchoReply): string {
  const time = `time=${(reply.roundTrip / 1000).toFixed(3)} ms`
  return reply.outcome === 'reply'
    ? `${reply.octets + ICMP_OCTETS} octets from ${reply.address}: seq=${sequence} ttl=${reply.ttl} ${time}`
    : `from ${reply.address}: seq=${sequence} ${reply.outcome} ${time}`
}
