/** `netstrata link`: makes a link of a running router worse on purpose, and as it was. */
import type { Command } from 'commander'
import { ask, chooseNode } from '../control/client.ts'
import { usageError } from '../exit.ts'
import { withExamples } from '../help.ts'
import { Output } from '../output.ts'
import { LinkSpecError, parseDuration, parseImpairment } from '../stack/link-spec.ts'
import { splitNode } from './question.ts'

interface LinkOptions {
  readonly yes?: boolean
  readonly json?: boolean
}

const HELP = `
What is worse, each way: loss=5%, delay=40ms, jitter=5ms, rate=10mbit,
duplicate=1%, reorder=1%, corrupt=1%; for=30s: as it was after that time.
A router allows it where its file says 'faults: true'. Elsewhere --yes sets the
link up anew first, which breaks connections through it.`

export function registerLink(program: Command): void {
  const command = program
    .command('link')
    .description('make a link of a running router worse, for tests')
    .argument('<words...>', 'a link, and `set WHAT=HOWMUCH…` or `clear`; @NODE in front')
    .usage('[options] [@node] <name> set <what=howmuch...> | clear')
    .option('--yes', 'also where the file does not allow it')
    .option('--json', 'an object')
    .addHelpText('after', HELP)
    .action(link)
  withExamples(command, [
    'netstrata link @router wan set loss=5% delay=40ms for=30s',
    'netstrata link @router wan clear',
  ])
}

async function link(words: readonly string[], options: LinkOptions): Promise<void> {
  const output = new Output(options.json === true)
  const { node, rest } = splitNode(words, { least: 2, most: Number.POSITIVE_INFINITY })
  const [name, verb, ...what] = rest as [string, string, ...string[]]
  if (verb !== 'set' && verb !== 'clear') throw usageError(`'${verb}' is neither 'set' nor 'clear'`)
  if (verb === 'clear' && what.length > 0) throw usageError(`'clear' takes nothing: '${what.join(' ')}'`)
  const fault = verb === 'set' ? faultOf(what) : {}
  await ask(await chooseNode(node), 'fault', { link: name, ...fault, force: options.yes === true })
  output.data({ link: name, ...fault }, () => (verb === 'clear' ? `${name} as it was` : `${name} ${what.join(' ')}`))
}

function faultOf(words: readonly string[]): { readonly impairment?: object; readonly seconds?: number } {
  try {
    const [time, second] = words.filter((word) => word.startsWith('for='))
    if (second !== undefined) throw usageError("'for' is given twice")
    const impairment = parseImpairment(words.filter((word) => !word.startsWith('for=')))
    return time === undefined ? { impairment } : { impairment, seconds: parseDuration(time.slice(4)) / 1e6 }
  } catch (error) {
    if (error instanceof LinkSpecError) throw usageError(error.message)
    throw error
  }
}
