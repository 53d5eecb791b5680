/** The program: every command with its options. Making it runs nothing. */
import { Command } from 'commander'
import { registerBabel } from './commands/babel.ts'
import { registerBridge } from './commands/bridge.ts'
import { registerCounters } from './commands/counters.ts'
import { registerDoctor } from './commands/doctor.ts'
import { registerExplain } from './commands/explain.ts'
import { registerForward } from './commands/forward.ts'
import { registerGroups } from './commands/groups.ts'
import { registerLeases } from './commands/leases.ts'
import { registerLink } from './commands/link.ts'
import { registerLinks } from './commands/links.ts'
import { registerNat } from './commands/nat.ts'
import { registerNc } from './commands/nc.ts'
import { registerNeigh } from './commands/neigh.ts'
import { registerPing } from './commands/ping.ts'
import { registerPolicy } from './commands/policy.ts'
import { registerReload } from './commands/reload.ts'
import { registerRip } from './commands/rip.ts'
import { registerRoutes } from './commands/routes.ts'
import { registerServe } from './commands/serve.ts'
import { registerSockets } from './commands/sockets.ts'
import { registerStatus } from './commands/status.ts'
import { registerTrace } from './commands/trace.ts'
import { registerDemo } from './demo/command.ts'
import { registerDump } from './dump/command.ts'
import { withExamples } from './help.ts'
import { registerRouter } from './router/command.ts'
import { version } from './version.ts'

const HELP = `
Exit codes: 0 ok, 1 failure, 2 usage, 3 configuration, 4 unreachable,
130 interrupted. Data goes to stdout, messages to stderr; NO_COLOR is honoured.`

/** A program to parse one command line. What is wrong with it is thrown: CommanderError, or CommandError. */
export function program(): Command {
  const command = new Command('netstrata')
    .description('A network stack of your own: run its nodes, reach them, look at their packets.')
    .version(version(), '--version')
    .configureOutput({ outputError: () => {} }) // said by `fail`, as text or JSON
    .exitOverride()
    .addHelpText('after', HELP)
  registerDemo(command)
  registerServe(command)
  registerRouter(command)
  registerNc(command)
  registerPing(command)
  registerTrace(command)
  registerForward(command)
  registerDump(command)
  registerStatus(command)
  registerLinks(command)
  registerRoutes(command)
  registerNeigh(command)
  registerSockets(command)
  registerCounters(command)
  registerBridge(command)
  registerExplain(command)
  registerReload(command)
  registerBabel(command)
  registerRip(command)
  registerLeases(command)
  registerPolicy(command)
  registerNat(command)
  registerGroups(command)
  registerLink(command)
  registerDoctor(command)
  return withExamples(command, ['netstrata demo', 'netstrata ping --help           the options, and examples'])
}
