/** `netstrata reload`: has a running router read its file again, as SIGHUP does, and says how that went. */
import type { Command } from 'commander'
import { ask } from '../control/client.ts'
import { CommandError, EXIT } from '../exit.ts'
import type { Output } from '../output.ts'
import { registerQuestion } from './question.ts'

export function registerReload(program: Command): void {
  registerQuestion(program, 'reload', 'have a running router read its file again', reload, '@router')
}

async function reload(node: string, output: Output): Promise<void> {
  const { error, steps } = (await ask(node, 'reload')) as { error?: string; steps: readonly string[] }
  if (error !== undefined) throw new CommandError(error, EXIT.configuration, 'ERR_CONFIG')
  output.data({ steps }, () => steps.join('\n') || 'nothing changed')
}
