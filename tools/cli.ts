#!/usr/bin/env node
/** The one binary: `netstrata COMMAND`. */
import { type Command, CommanderError } from 'commander'
import { CommandError, EXIT, usageError } from './exit.ts'
import { usageOf } from './help.ts'
import { endWithReaders, Interrupted } from './interrupt.ts'
import { exitCodeOf, Output } from './output.ts'
import { program } from './program.ts'

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
  const used = commandOf(program, argv.slice(2))
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

/** The command that the words name: `policy test` is of `policy`. */
function commandOf(command: Command, [word, ...rest]: readonly string[]): Command {
  const next = command.commands.find((each) => each.name() === word)
  return next === undefined ? command : commandOf(next, rest)
}

endWithReaders()
void main(process.argv)
