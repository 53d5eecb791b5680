/** Commands that ask a running node one question, and show the answer. */
import type { Command } from 'commander'
import { ask, chooseNode } from '../control/client.ts'
import { CommandError, EXIT, usageError } from '../exit.ts'
import { withExamples } from '../help.ts'
import { Output } from '../output.ts'
import type { DaemonStatus, RunningConfiguration } from '../router/methods.ts'

/** What every such command takes. */
export interface QuestionOptions {
  readonly json?: boolean
}

/** Adds `netstrata NAME [@NODE]`. @param example a node that can be asked. */
export function registerQuestion<Options extends QuestionOptions>(
  program: Command,
  name: string,
  description: string,
  show: (node: string, output: Output, options: Options) => Promise<void>,
  example = '@serve',
): Command {
  const command = program
    .command(name)
    .description(description)
    .argument('[node]', 'the node, @NAME; default: the only one that runs')
    .option('--json', 'one object a line')
    .action(async (node: string | undefined, options: Options) =>
      show(await chooseNode(node), new Output(options.json === true), options),
    )
  return withExamples(command, [`netstrata ${name} ${example}`])
}

/** With `--json`, rows are objects, and nothing is made of them. */
export function records(rows: readonly object[], output: Output): void {
  for (const row of rows) output.data(row, () => '')
}

/**
 * Tells a router that has nothing to show from one that was never told to: for people, since programs take an empty list.
 * @param section what its file would speak of. @param has whether it does.
 * @throws CommandError exit 1 — it does not; or the node is no router.
 */
export async function mustSpeakOf(
  node: string,
  section: string,
  has: (running: RunningConfiguration) => boolean,
): Promise<void> {
  if (has((await ask(node, 'configuration')) as RunningConfiguration)) return
  const { file } = (await ask(node, 'status')) as DaemonStatus
  throw new CommandError(`${file} says nothing of ${section}`, EXIT.failure, 'ENOPROTOOPT')
}

/**
 * Takes '@NODE' from the front of a command's words.
 * @throws CommandError exit 2 — more or fewer than `count` words are left.
 */
export function splitNode(
  words: readonly string[],
  count: { readonly least: number; readonly most: number },
): { readonly node: string | undefined; readonly rest: readonly string[] } {
  const named = words[0]?.startsWith('@') === true
  const rest = named ? words.slice(1) : words
  if (rest.length < count.least) throw usageError('something is missing after the node')
  if (rest.length > count.most) throw usageError(`one word too many: '${rest[count.most]}'`)
  return { node: named ? words[0] : undefined, rest }
}
