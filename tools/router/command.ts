/** `netstrata router`: forwards between the links of a file, as a daemon. */
import { resolve } from 'node:path'
import { type Command, Option } from 'commander'
import { ask, NodeGone } from '../control/client.ts'
import { nodeMethods } from '../control/node-methods.ts'
import { serveControl } from '../control/server.ts'
import { usageError } from '../exit.ts'
import { withExamples } from '../help.ts'
import { aborted, interruption } from '../interrupt.ts'
import { Output } from '../output.ts'
import { type HostPort, LinkSpecError, parseHostPort, parseLinkSpec } from '../stack/link-spec.ts'
import { NOTHING, type RouterConfig, readRouterConfig, routerJsonSchema } from './config.ts'
import { Daemon, fixtureChanges, planText } from './daemon.ts'
import { serveHealth } from './health.ts'
import { daemonLog, LOG_LEVELS, type LogLevel } from './log.ts'
import { daemonStatus, type RunningConfiguration, routerMethods } from './methods.ts'
import { planned, shownStep } from './plan.ts'

interface RouterOptions {
  readonly config?: string
  readonly check?: boolean
  readonly dryRun?: boolean
  readonly schema?: boolean
  readonly metrics?: HostPort
  readonly logLevel: LogLevel
  readonly json?: boolean
}

const HELP = `
SIGHUP reads the file again, all or nothing: a wrong one changes nothing.
SIGTERM ends it in good order.`

export function registerRouter(program: Command): void {
  const command = program
    .command('router')
    .description('forward between links, as a daemon')
    .option('--config <file>', 'what the router is made of (YAML)')
    .option('--check', 'say whether the file is right, and end')
    .option('--dry-run', 'say what a reload would change, and end')
    .option('--schema', 'print the JSON Schema of the file, and end')
    .addOption(
      new Option('--metrics <[host:]port>', 'serve /metrics, /healthz and /readyz over HTTP').argParser(localPort),
    )
    .addOption(new Option('--log-level <level>', 'the least that is logged').choices(LOG_LEVELS).default('info'))
    .option('--json', 'log objects also on a terminal; with --dry-run, a step a line')
    .addHelpText('after', HELP)
    .action(router)
  withExamples(command, [
    'netstrata router --config router.yaml',
    'netstrata router --config router.yaml --dry-run   what a reload would change',
    'netstrata router --config router.yaml --metrics 9100',
  ])
}

async function router({ config: file, ...options }: RouterOptions): Promise<void> {
  const output = new Output(options.json === true)
  if (options.schema === true) {
    process.stdout.write(`${JSON.stringify(routerJsonSchema(), undefined, 2)}\n`)
    return
  }
  if (file === undefined) throw usageError('no file is given: add --config')
  const path = resolve(file)
  const config = readRouterConfig(path)
  if (options.check === true) return output.message(`${file} is right`)
  if (options.dryRun === true) return dryRun(config, output)
  await run(path, config, options)
}

async function run(path: string, config: RouterConfig, options: RouterOptions): Promise<void> {
  const log = daemonLog(options.logLevel, options.json === true)
  // Told before there is a router, it may have read the file before that was written: it reads it again when there is.
  let early = false
  let reload = (): void => {
    early = true
  }
  const signal = interruption(() => reload())
  await using daemon = await Daemon.start(path, log, config)
  const { node, bridges } = daemon.router
  const methods = nodeMethods(node, { hosts: config.fixture.hosts, bridges, status: () => daemonStatus(daemon) })
  const control = await serveControl(config.fixture.name, {
    ...methods,
    calls: { ...methods.calls, ...routerMethods(daemon) },
  })
  try {
    const health = options.metrics === undefined ? undefined : await serveHealth(daemon, options.metrics)
    if (health !== undefined) log.info({ port: health.port }, 'metrics')
    reload = () => void daemon.reload()
    if (early) reload()
    await aborted(signal)
    daemon.ready = false
    log.info('ending')
    await health?.close()
  } finally {
    await control.close()
  }
}

/** Against the router of that name that runs; where none does, against nothing. */
async function dryRun(config: RouterConfig, output: Output): Promise<void> {
  const { name } = config.fixture
  const running = await runningConfiguration(name)
  if (running === undefined) output.message(`no node named '${name}' is running: this is what a start would do`)
  const links = running?.links.map((link) => ({ ...link, spec: parseLinkSpec(link.text) }))
  const steps = planned(running === undefined || links === undefined ? NOTHING : { ...running, links }, config.state)
  const restart = running === undefined ? [] : fixtureChanges(running.fixture, config.fixture)
  if (output.json) {
    for (const step of steps) output.data(shownStep(step), () => '')
    for (const key of restart) output.data({ restart: key }, () => '')
  } else {
    output.data({}, () => planText(steps, restart))
  }
}

async function runningConfiguration(name: string): Promise<RunningConfiguration | undefined> {
  try {
    return (await ask(name, 'configuration')) as RunningConfiguration
  } catch (error) {
    if (error instanceof NodeGone) return undefined
    throw error
  }
}

/** Others have no business with it unless they are told: of this machine alone. */
function localPort(text: string): HostPort {
  try {
    return parseHostPort(text, '127.0.0.1')
  } catch (error) {
    if (error instanceof LinkSpecError) throw usageError(error.message)
    throw error
  }
}
