/** `netstrata doctor`: what may be wrong here, and with a node that runs, with what to do about it. */
import type { Command } from 'commander'
import { chooseNode } from '../control/client.ts'
import { runningNames } from '../control/path.ts'
import { EXIT } from '../exit.ts'
import { withExamples } from '../help.ts'
import { Output } from '../output.ts'
import { checkMachine, checkNode, type Finding } from './doctor-checks.ts'
import type { QuestionOptions } from './question.ts'

export function registerDoctor(program: Command): void {
  const command = program
    .command('doctor')
    .description('say what may be wrong here, and with a running node')
    .argument('[node]', 'the node, @NAME; default: the only one that runs, if any')
    .option('--json', 'one object a line')
    .action(doctor)
  withExamples(command, ['netstrata doctor @router'])
}

async function doctor(named: string | undefined, options: QuestionOptions): Promise<void> {
  const output = new Output(options.json === true)
  const running = await runningNames()
  const node = named !== undefined || running.length > 0 ? await chooseNode(named) : undefined
  let failed = false
  const tell = (finding: Finding): void => {
    failed ||= finding.result === 'failed'
    output.data(finding, () => findingText(finding))
  }
  for (const finding of checkMachine()) tell(finding)
  if (node === undefined) output.message('no node is running here, so nothing more can be said')
  else for await (const finding of checkNode(node)) tell(finding)
  process.exitCode = failed ? EXIT.failure : EXIT.ok
}

const MARKS: Readonly<Record<Finding['result'], string>> = { ok: 'ok', warning: 'warn', failed: 'FAIL' }

export const findingText = ({ result, check, detail, advice }: Finding): string =>
  `${MARKS[result].padEnd(4)}  ${check}: ${detail}${advice === undefined ? '' : `\n      → ${advice}`}`
