/** `netstrata explain route`: which route a packet takes, and why none of the others. */
import type { Command } from 'commander'
import type { RouteCandidate, RouteEntry, RouteExplanation } from '../../src/index.ts'
import { ask, chooseNode } from '../control/client.ts'
import { EXIT } from '../exit.ts'
import { withExamples } from '../help.ts'
import { Output } from '../output.ts'
import { integerArgument } from '../stack/options.ts'
import {
  addressArgument,
  type NamedProtocol,
  PROTOCOL_WORDS,
  protocolArgument,
  protocolNumber,
} from './packet-arguments.ts'

interface ExplainOptions {
  readonly from?: string
  readonly protocol?: NamedProtocol
  readonly sport?: number
  readonly dport?: number
  readonly json?: boolean
}

const EXAMPLES = [
  'netstrata explain route 10.0.2.2 @router',
  'netstrata explain route 10.0.2.2 --from 10.0.1.7 --protocol tcp --dport 443',
] as const

export function registerExplain(program: Command): void {
  const explain = program.command('explain').description('say why a running node does what it does')
  const route = explain
    .command('route')
    .description('say which route a packet takes, and why')
    .argument('<destination>', 'an address', addressArgument)
    .argument('[node]', 'the node, @NAME; default: the only one that runs')
    .option('--from <address>', 'its source, which matters where several ways are equal', addressArgument)
    .option('--protocol <protocol>', `its protocol: ${PROTOCOL_WORDS}`, protocolArgument)
    .option('--sport <port>', 'its source port', integerArgument(0, 65_535))
    .option('--dport <port>', 'its destination port', integerArgument(0, 65_535))
    .option('--json', 'an object')
    .action(explainRoute)
  for (const command of [explain, route]) withExamples(command, EXAMPLES)
}

async function explainRoute(destination: string, node: string | undefined, options: ExplainOptions): Promise<void> {
  const output = new Output(options.json === true)
  const { from: source, sport: sourcePort, dport: destinationPort } = options
  const protocol = options.protocol === undefined ? undefined : protocolNumber(options.protocol)
  const params = { destination, source, protocol, sourcePort, destinationPort }
  const explanation = (await ask(await chooseNode(node), 'explain', params)) as RouteExplanation
  output.data(explanation, () => explanationText(explanation))
  const { chosen, local } = explanation
  process.exitCode = local || chosen?.action === 'forward' ? EXIT.ok : EXIT.unreachable
}

/** The chosen route first, then the others, each with what spoke for or against it. */
export function explanationText({ destination, local, chosen, candidates }: RouteExplanation): string {
  if (local) return `${destination} is the node itself: no route is taken`
  if (chosen === undefined) return `${destination}: no route leads there`
  const head = `${destination} takes ${routeText(chosen)}`
  return [head, ...candidates.map((candidate) => `  ${candidate.chosen ? '*' : ' '} ${reasonText(candidate)}`)].join(
    '\n',
  )
}

function reasonText({ route, chosen, rule }: RouteCandidate): string {
  return `${routeText(route)}\n      ${chosen ? 'taken' : 'not taken'}: ${(chosen ? FOR : AGAINST)[rule]}`
}

const FOR: Readonly<Record<RouteCandidate['rule'], string>> = {
  longestPrefix: 'its prefix is the longest',
  linkDown: 'its link is up, that of the next one is down',
  metric: 'its metric is the lowest',
  older: 'it came first among equal ones',
  flowHash: 'the hash of the flow chose it among equal ways',
  only: 'no other leads there',
}

const AGAINST: Readonly<Record<RouteCandidate['rule'], string>> = {
  longestPrefix: 'another has a longer prefix',
  linkDown: 'its link is down, that of another is up',
  metric: 'another has a lower metric',
  older: 'another of the same metric came first',
  flowHash: 'the hash of the flow chose another of equal ways',
  only: '',
}

function routeText({ prefix, via, link, metric, origin, action }: RouteEntry): string {
  const way = action === 'forward' ? `${via === undefined ? '' : ` via ${via}`} on ${link}` : ` (${action})`
  return `${prefix}${way}, metric ${metric}, ${origin}`
}
