/** `netstrata nat`: what the translation of a running router does, and who talks to whom through it. */
import { type Command, InvalidArgumentError } from 'commander'
import type { TranslationSession } from '../../src/index.ts'
import { tryParseAddress } from '../../src/kernel/address.ts'
import { ask } from '../control/client.ts'
import { MOST_LISTED } from '../control/server.ts'
import type { Output } from '../output.ts'
import type { NatAnswer } from '../router/rules-methods.ts'
import { integerArgument } from '../stack/options.ts'
import { type QuestionOptions, registerQuestion } from './question.ts'

interface NatOptions extends QuestionOptions {
  readonly limit: number
  readonly host?: string
}

export function registerNat(program: Command): void {
  registerQuestion<NatOptions>(program, 'nat', "show a router's translation and its sessions", show, '@router')
    .option('-n, --limit <n>', 'sessions to show at most', integerArgument(0, MOST_LISTED), 50)
    .option('--host <address>', 'those alone that are of this address, inside or remote', ipv4Address)
}

async function show(node: string, output: Output, { limit, host }: NatOptions): Promise<void> {
  const answer = (await ask(node, 'nat', { limit, host })) as NatAnswer
  if (output.json) return output.data(answer, () => '')
  sessions(answer.listed, output)
  output.data(answer, () => natText(answer, host))
}

function sessions(all: readonly TranslationSession[], output: Output): void {
  output.table(
    ['protocol', 'inside', 'port', 'remote', 'ends'],
    all.map(({ protocol, inside, outsidePort, remote, endsIn }) => ({
      ...{ protocol, inside, port: outsidePort, remote, ends: `in ${Math.ceil(endsIn / 1e6)} s` },
    })),
  )
}

/** The figures, of which the list may be a part. */
export function natText(answer: NatAnswer, host: string | undefined): string {
  const { link, address, ports, sessions, maxSessions, endedEarly, listed, drops } = answer
  const total = Object.values(sessions).reduce((sum, count) => sum + count, 0)
  const kinds = Object.entries(sessions).map(([protocol, count]) => `${count} ${protocol}`)
  const part = host === undefined && listed.length < total ? `, ${listed.length} of them above` : ''
  const dropped = Object.entries(drops).map(([reason, count]) => `${reason} ${count}`)
  return [
    `out of ${link}, as ${address ?? 'nobody: it has no address'}`,
    `${total} of ${maxSessions} sessions (${kinds.join(', ')})${part}; ${ports} ports`,
    ...(endedEarly > 0 ? [`${endedEarly} have ended early, since others needed their room`] : []),
    ...(dropped.length === 0 ? [] : [`dropped: ${dropped.join(', ')}`]),
  ].join('\n')
}

function ipv4Address(text: string): string {
  if (tryParseAddress(text)?.isIpv4 === true) return text
  throw new InvalidArgumentError("It is an IPv4 address such as '10.0.0.1'.")
}
