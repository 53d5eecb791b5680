/** Examples: at the end of a command's help, and in the message when it was used wrongly. */
import type { Command } from 'commander'

const examples = new WeakMap<Command, readonly string[]>()

/** Shows `lines` as examples of the command, after whatever help it has so far. The first one is its usual use. */
export function withExamples(command: Command, lines: readonly [string, ...string[]]): Command {
  examples.set(command, lines)
  return command.addHelpText('after', `\nExamples:\n${lines.map((line) => `  ${line}`).join('\n')}`)
}

/** How a command is to be used, in three or four lines. */
export function usageOf(command: Command): string {
  const usage = `usage: ${pathOf(command)} ${command.usage()}`
  // A backslash at the end of a line: the example goes on in the next. What it does stands far to the right of it.
  const [first] = examples.get(command) ?? []
  const example = first === undefined ? [] : [`for example: ${first.replace(/\\\n\s*/g, '').replace(/ {2,}.*/, '')}`]
  return [usage, ...example, `'${pathOf(command)} --help' says more`].join('\n')
}

function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`
}
