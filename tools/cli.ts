#!/usr/bin/env node
/** The one binary: `netstrata COMMAND`. */
import { readFileSync } from 'node:fs'
import { Command, CommanderError } from 'commander'
import { registerForward } from './commands/forward.ts'
import { registerNc } from './commands/nc.ts'
import { registerPing } from './commands/ping.ts'
import { registerServe } from './commands/serve.ts'
import { registerStatus } from './commands/status.ts'
import { registerTrace } from './commands/trace.ts'
import { registerDemo } from './demo/command.ts'
import { registerDump } from './dump/command.ts'
import { CommandError, EXIT, usageError } from './exit.ts'
import { usageOf, withExamples } from './help.ts'
import { Interrupted } from './interrupt.ts'
import { exitCodeOf, Output } from './output.ts'

const HELP = `
Exit codes: 0 ok, 1 failure, 2 usage, 3 configuration, 4 unreachable,
130 interrupted. Data goes to stdout, messages to stderr; NO_COLOR is honoured.`

function program(): Command {
  const command = new Command('netstrata')
    .description('A network stack of your own: run its nodes, reach them, look at their packets.')
    .version(version(), '--version')
    .configureOutput({ outputError: () => {} }) // said by `fail`, as text or JSON
    .exitOverride()
    .addHelpText('after', HELP)
  registerDemo(command)
  registerServe(command)
  registerNc(command)
  registerPing(command)
  registerTrace(command)
  registerForward(command)
  registerDump(command)
  registerStatus(command)
  return withExamples(command, ['netstrata demo', 'netstrata ping --help           the options, and examples'])
}

/** From sources the package's description is one folder up, built it is two. */
function version(): string {
  for (const place of ['../package.json', '../../package.json']) {
    try {
      const description: unknown = JSON.parse(readFileSync(new URL(place, import.meta.url), 'utf8'))
      if (typeof description === 'object' && description !== null && 'version' in description) {
        return String(description.version)
      }
    } catch {
      // The other place, then.
    }
  }
  return 'unknown'
}

async function main(argv: readonly string[]): Promise<void> {
  const command = program()
  try {
    await command.parseAsync(argv)
  } catch (error) {
    fail(error, command, argv)
  }
}

function fail(error: unknown, program: Command, argv: readonly string[]): void {
  process.exitCode = exitCodeOf(error)
  if (error instanceof Interrupted) return
  const output = new Output(argv.includes('--json'))
  const used = program.commands.find((command) => command.name() === argv[2]) ?? program
  if (error instanceof CommanderError) {
    // What was asked for, help or version, has been printed.
    process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.usage
    if (error.exitCode !== 0 && error.code !== 'commander.help') {
      output.error(usageError(error.message.replace(/^error: /, '')), usageOf(used))
    }
  } else if (error instanceof CommandError && error.exitCode === EXIT.usage) {
    output.error(error, usageOf(used))
  } else {
    output.error(error)
  }
}

void main(process.argv)
