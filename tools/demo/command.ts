/** `netstrata demo`: what this is, shown in half a minute. */
import type { Command } from 'commander'
import { NetError } from '../../src/index.ts'
import { CommandError, EXIT } from '../exit.ts'
import { withExamples } from '../help.ts'
import { aborted, interruption, unlessAborted } from '../interrupt.ts'
import { Output } from '../output.ts'
import { integerArgument } from '../stack/options.ts'
import { type RunningNetwork, startNetwork } from './processes.ts'
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
const FETCH_MS = 10_000
/** How the reader calls this program: as installed, or in a clone. */
const PROGRAM = import.meta.url.endsWith('.ts') ? 'npx tsx tools/cli.ts' : 'npx netstrata'

export function registerDemo(program: Command): void {
  const command = program
    .command('demo')
    .description('two hosts and a router: in a lossy simulation, then as processes of this machine')
    .option('--stay', 'keep the processes up, for a browser or curl, until Ctrl-C')
    .option(
      '--port <port>',
      'where to listen on 127.0.0.1; default: with --stay 8080 if free, else a free one',
      integerArgument(0, 65_535),
    )
    .option('--seed <n>', 'another story', integerArgument(0, 0xffff_ffff), 8)
    .option('--capture <file>', 'where to write the packets of the simulation', 'demo.pcapng')
    .action(demo)
  withExamples(command, ['netstrata demo', 'netstrata demo --stay'])
}

const output = new Output(false)
const say = (text: string): void => output.data({}, () => text)

async function demo(options: DemoOptions): Promise<void> {
  const signal = interruption()
  await unlessAborted(simulate(options), signal)
  await run(options, signal)
}

async function simulate({ seed, capture }: DemoOptions): Promise<void> {
  say('1. In a simulation')
  say('')
  say('   alice ──────────── r1 ──────────── bob     5 ms a cable,')
  say('   10.0.1.2    10.0.1.1 10.0.2.1   10.0.2.2   2 % of packets lost at each host')
  say('')
  say(`   alice fetches ${OCTETS / 1000} kB from an http.Server on bob, over our own TCP/IP.`)
  const options = { seed, octets: OCTETS, loss: LOSS, capture, incident: tell }
  const transfer = await simulatedTransfer(options).catch((error: unknown) => {
    if (!NetError.is(error) || error.syscall !== 'open') throw error
    const why = `${capture} cannot be written here: name another file with --capture FILE`
    throw new CommandError(why, EXIT.failure, error.code, error)
  })
  const drops = transfer.incidents.filter(({ kind }) => kind === 'drop').length
  const again = transfer.incidents.length - drops
  say('')
  say(`   ${transfer.octets} octets arrived ${transfer.intact ? 'exactly' : 'DAMAGED'}, after ${drops} drops and`)
  say(
    `   ${again} retransmissions, in ${seconds(transfer.virtualUs)} of virtual time: ${seconds(transfer.realUs)} of yours.`,
  )
  say(`   Every packet is in ${capture}, with these reasons as comments: see it in`)
  say(`   Wireshark, or by ${PROGRAM} dump ${capture}`)
  say('   The same seed tells the same story.')
  if (!transfer.intact) throw new CommandError('the transfer was not exact', EXIT.failure, 'ERR_DEMO')
}

function tell({ at, kind, where, concerns, reason, rfc }: Incident): void {
  const time = `${(at / 1000).toFixed(1)} ms`.padStart(9)
  const what = kind === 'drop' ? `✗ ${concerns}: ${reason}` : `↻ ${concerns}: ${reason}`
  say(`${time} ${where.padEnd(12)} ${what}${rfc === '' ? '' : ` (${rfc})`}`)
}

async function run(options: DemoOptions, signal: AbortSignal): Promise<void> {
  say('')
  say('2. For real: three processes, Ethernet over UDP between them')
  say('')
  const network = await start(options, signal)
  try {
    for (const { name, pid } of network.nodes) say(`   ${name.padEnd(6)} process ${pid}`)
    say('')
    say(`   GET ${network.url}  (alice leads it to bob, 10.0.2.2:80)`)
    await fetchPage(network.url, signal)
    if (options.stay === true) await stay(network.url, signal)
  } finally {
    await network.close()
  }
  say('')
  say('   All processes ended.')
}

/** Port 8080 is a wish: when it is taken, another one does. */
async function start({ stay, port }: DemoOptions, signal: AbortSignal): Promise<RunningNetwork> {
  if (port !== undefined || stay !== true) return startNetwork(port ?? 0, signal)
  try {
    return await startNetwork(STAY_PORT, signal)
  } catch (error) {
    if (!(error instanceof CommandError && error.code === 'EADDRINUSE')) throw error
    say(`   Port ${STAY_PORT} is in use by another program: a free one, then.`)
    return startNetwork(0, signal)
  }
}

async function fetchPage(url: string, signal: AbortSignal): Promise<void> {
  const started = performance.now()
  const timeout = AbortSignal.timeout(FETCH_MS)
  let response: Response
  let body: string
  try {
    response = await fetch(url, { signal: AbortSignal.any([signal, timeout]) })
    body = await response.text()
  } catch (error) {
    if (signal.aborted) throw signal.reason
    const why = timeout.aborted ? `nothing came within ${FETCH_MS / 1000} s` : String(error)
    throw new CommandError(`the page did not arrive: ${why}`, EXIT.failure, 'ERR_DEMO', error)
  }
  const title = /<h1>(.*)<\/h1>/.exec(body)?.[1] ?? 'nothing'
  const took = (performance.now() - started).toFixed(1)
  say(`   ${response.status} ${response.statusText}, ${body.length} octets in ${took} ms: "${title}"`)
  if (response.status !== 200) throw new CommandError('the page did not arrive', EXIT.failure, 'ERR_DEMO')
}

/** Ctrl-C is how this ends, and no failure. */
async function stay(url: string, signal: AbortSignal): Promise<void> {
  say('')
  say(`   It stays up: open ${url} in a browser, or`)
  say(`   curl ${url}`)
  say('   Ctrl-C ends it.')
  await aborted(signal)
}

const seconds = (us: number): string => `${(us / 1e6).toFixed(2)} s`
