/** The program's help, and every command line that the help and the documents show: none may be wrong. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Command } from 'commander'
import t from 'tap'
import { usageOf } from '../../tools/help.ts'
import { program } from '../../tools/program.ts'
import { type StackOptions, stackConfig } from '../../tools/stack/options.ts'

const root = join(dirname(fileURLToPath(import.meta.url)), '../..')
const COLUMNS = 80
/** Commands that describe a node of their own. */
const WITH_STACK: ReadonlySet<string> = new Set(['serve', 'nc', 'ping', 'trace', 'forward'])

function helpOf(command: Command): string {
  let text = ''
  const write = (part: string): void => {
    text += part
  }
  command.configureOutput({ writeOut: write, getOutHelpWidth: () => COLUMNS, getOutHasColors: () => false })
  command.outputHelp()
  return text
}

/** Command lines of a text: `netstrata …` from the beginning of a line to its end, a pipe, a comment or a wide gap. */
function commandLines(text: string): string[][] {
  const joined = text.replace(/\\\n\s*/g, '')
  return [...joined.matchAll(/^\s*(?:npx )?netstrata (.*)$/gm)].map(([, rest = '']) => {
    const line = rest.replace(/ {2,}.*| [#&|<>].*/, '')
    return [...line.matchAll(/"[^"]*"|'[^']*'|\S+/g)].map(([word]) => word.replace(/^["']|["']$/g, ''))
  })
}

/** Those of a program with those below them; but not what is nothing but a name for these. */
const everyCommand = ({ commands }: Command): Command[] =>
  commands.flatMap((command) => [
    ...(command.commands.length > 0 && command.registeredArguments.length === 0 ? [] : [command]),
    ...everyCommand(command),
  ])

/** Parses a line without running it. @throws what is wrong with it. */
async function check(args: readonly string[]): Promise<void> {
  const whole = program()
  for (const command of everyCommand(whole)) {
    command.action(() => {
      const options = command.opts<StackOptions>()
      const own = WITH_STACK.has(command.name()) && !command.args[0]?.startsWith('@')
      if (own && options.config === undefined) stackConfig(options)
    })
  }
  await whole.parseAsync(['node', 'netstrata', ...args])
}

t.test('help fits a terminal, and has examples', async (t) => {
  const whole = program()
  for (const command of [whole, ...whole.commands, ...everyCommand(whole)]) {
    const help = helpOf(command)
    t.same(
      help.split('\n').filter((line) => [...line].length > COLUMNS),
      [],
      command.name(),
    )
    t.match(help, /\n\nExamples:\n {2}netstrata /, command.name())
  }
  t.match(helpOf(whole), /Exit codes: 0 ok, 1 failure, 2 usage, 3 configuration, 4 unreachable,\n130 interrupted/)
})

t.test('the usage that goes with an error is a line to copy', async (t) => {
  const whole = program()
  for (const command of whole.commands) {
    const usage = usageOf(command).split('\n')
    t.match(usage[0], `usage: netstrata ${command.name()} `)
    const example = usage.find((line) => line.startsWith('for example: '))?.slice('for example: '.length) ?? ''
    const [args = []] = commandLines(example)
    t.equal(args[0], command.name())
    await t.resolves(check(args), example)
  }
})

t.test('examples of the help parse', async (t) => {
  for (const command of program().commands) {
    const [, examples = ''] = helpOf(command).split('Examples:\n')
    for (const args of commandLines(examples)) await t.resolves(check(args), args.join(' '))
  }
})

t.test('command lines of the documents parse', async (t) => {
  const files = ['README.md', ...readdirSync(join(root, 'docs')).map((file) => `docs/${file}`)]
  let seen = 0
  for (const file of files) {
    const blocks = readFileSync(join(root, file), 'utf8').matchAll(/^```[^\n]*\n([\s\S]*?)^```/gm)
    for (const [, block = ''] of blocks) {
      for (const args of commandLines(block)) {
        seen++
        await t.resolves(check(args), `${file}: netstrata ${args.join(' ')}`)
      }
    }
  }
  t.ok(seen > 10, `${seen} command lines`)
})

t.test('a wrong line is caught by this test', async (t) => {
  const wrong = (...args: string[]): Promise<unknown> =>
    check(args).then(
      () => undefined,
      (error: unknown) => error,
    )
  t.match(await wrong('ping', '10.0.0.1', '--link', 'udp:7000', '--address', '10.0.0.1'), { exitCode: 2 })
  t.match(await wrong('ping', '10.0.0.1', '--lnik', 'udp:7000'), { code: 'commander.unknownOption' })
})

t.test('the documents name every option', async (t) => {
  const folder = join(root, 'docs')
  const pages = readdirSync(folder).filter((page) => page.endsWith('.md'))
  const text = pages.map((page) => readFileSync(join(folder, page), 'utf8')).join('\n')
  for (const command of everyCommand(program())) {
    const names = command.options.map(({ long, short, flags }) => [long ?? flags, short ?? flags])
    const unnamed = names.filter((either) => !either.some((name) => new RegExp(`${name}(?![\\w-])`).test(text)))
    t.same(unnamed, [], command.name())
  }
})
