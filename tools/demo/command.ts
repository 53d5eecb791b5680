/** `netstrata demo`: what this is, shown in half a minute. */
import type { Command } from 'commander'
import { CommandError, EXIT } from '../exit.ts'
import { aborted, interruption } from '../interrupt.ts'
import { integerArgument } from '../stack/options.ts'
import { startNetwork } from './processes.ts'
import { type Incident, simulatedTransfer } from './simulation.ts'

interface DemoOptions {
  readonly stay?: boolean
  readonly seed: number
  readonly port?: number
  readonly capture: string
}

const OCTETS = 200_000
const LOSS = 0.02
const STAY_PORT = 8080

export function registerDemo(program: Command): void {
  program
    .command('demo')
    .description('two hosts and a router: in a lossy simulation, then as processes of this machine')
    .option('--stay', 'keep the processes up, for a browser or curl')
    .option(
      '--port <port>',
      'where to listen on 127.0.0.1; default 8080 with --stay, else a free one',
      integerArgument(0, 65_535),
    )
    .option('--seed <n>', 'another story', integerArgument(0, 0xffff_ffff), 8)
    .option('--capture <file>', 'where to write the packets of the simulation', 'demo.pcapng')
    .action(demo)
}

const say = (text: string): void => void process.stdout.write(`${text}\n`)

async function demo(options: DemoOptions): Promise<void> {
  const signal = interruption()
  await simulate(options)
  await run(options, signal)
}

async function simulate({ seed, capture }: DemoOptions): Promise<void> {
  say('1. In a simulation')
  say('')
  say('   alice ──────────── r1 ──────────── bob     5 ms a cable,')
  say('   10.0.1.2    10.0.1.1 10.0.2.1   10.0.2.2   2 % of packets lost at each host')
  say('')
  say(`   alice fetches ${OCTETS / 1000} kB from an http.Server on bob, over our own TCP/IP.`)
  const transfer = await simulatedTransfer({ seed, octets: OCTETS, loss: LOSS, capture, incident: tell })
  const drops = transfer.incidents.filter(({ kind }) => kind === 'drop').length
  say('')
  say(`   ${transfer.octets} octets arrived ${transfer.intact ? 'exactly' : 'DAMAGED'}, after ${drops} drops and`)
  say(
    `   ${transfer.incidents.length - drops} retransmissions, in ${seconds(transfer.virtualUs)} of virtual time: ${seconds(transfer.realUs)} of yours.`,
  )
  say(`   Every packet is in ${capture}, with these reasons as comments:`)
  say(`   netstrata dump ${capture}, or Wireshark. The same seed tells the same story.`)
  if (!transfer.intact) throw new CommandError('the transfer was not exact', EXIT.failure, 'ERR_DEMO')
}

function tell({ at, kind, where, concerns, reason, rfc }: Incident): void {
  const time = `${(at / 1000).toFixed(1)} ms`.padStart(11)
  const what = kind === 'drop' ? `✗ ${concerns}: ${reason}` : `↻ ${concerns}: ${reason}`
  say(`${time}  ${where.padEnd(12)} ${what}${rfc === '' ? '' : ` (${rfc})`}`)
}

async function run(options: DemoOptions, signal: AbortSignal): Promise<void> {
  say('')
  say('2. For real: three processes, Ethernet over UDP between them')
  say('')
  const network = await startNetwork(options.port ?? (options.stay === true ? STAY_PORT : 0))
  try {
    for (const { name, pid } of network.nodes) say(`   ${name.padEnd(6)} process ${pid}`)
    const started = performance.now()
    const response = await fetch(network.url)
    const body = await response.text()
    const title = /<h1>(.*)<\/h1>/.exec(body)?.[1] ?? 'nothing'
    say('')
    say(`   GET ${network.url}  (alice leads it to bob, 10.0.2.2:80)`)
    say(
      `   ${response.status} ${response.statusText}, ${body.length} octets in ${(performance.now() - started).toFixed(1)} ms: "${title}"`,
    )
    if (response.status !== 200) throw new CommandError('the page did not arrive', EXIT.failure, 'ERR_DEMO')
    if (options.stay === true) {
      say('')
      say(`   It stays up: open ${network.url} or`)
      say(`   curl ${network.url}`)
      say('   Ctrl-C ends it.')
      await aborted(signal)
    }
  } finally {
    await network.close()
  }
  say('')
  say('   All processes ended.')
}

const seconds = (us: number): string => `${(us / 1e6).toFixed(2)} s`
