/** `netstrata policy`: the rules of a router with what they have met, and what would become of a packet. */
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { SamplePacket } from '../../src/index.ts'
import { ask, chooseNode } from '../control/client.ts'
import { CommandError, EXIT, usageError } from '../exit.ts'
import { withExamples } from '../help.ts'
import { Output } from '../output.ts'
import { readRouterConfig } from '../router/config.ts'
import { type PolicyRow, type SampleAnswer, sampleAnswer } from '../router/rules-methods.ts'
import { integerArgument } from '../stack/options.ts'
import { addressArgument, PROTOCOL_WORDS, protocolArgument } from './packet-arguments.ts'
import { records, registerQuestion } from './question.ts'

interface TestOptions {
  readonly from?: string
  readonly to?: string
  readonly in?: string
  readonly out?: string
  readonly hook?: SamplePacket['hook']
  readonly protocol?: SamplePacket['protocol']
  readonly sport?: number
  readonly dport?: number
  readonly icmpType?: number
  readonly flags?: string
  readonly answer?: boolean
  readonly config?: string
  readonly json?: boolean
}

const HELP = `
Of a running router, the routes say by which links the packet comes and goes,
where you do not. Exit code 0: it may pass; 4: it may not.`

export function registerPolicy(program: Command): void {
  const policy = registerQuestion(program, 'policy', 'show the rules of a router, and what they met', show, '@router')
  const port = integerArgument(0, 65_535)
  const test = policy
    .command('test')
    .description('say what the rules of a router, or of its file, do with a packet, and why')
    .argument('[node]', 'the node, @NAME; default: the only one that runs')
    .option('--from <address>', 'its source', addressArgument)
    .option('--to <address>', 'its destination', addressArgument)
    .option('--in <link>', 'the link it comes by')
    .option('--out <link>', 'the link it leaves by')
    .addOption(
      new Option('--hook <hook>', 'on its way through, to the router, from it').choices(['forward', 'input', 'output']),
    )
    .option('--protocol <protocol>', `${PROTOCOL_WORDS}; default: tcp`, protocolArgument)
    .option('--sport <port>', 'its source port', port)
    .option('--dport <port>', 'its destination port', port)
    .option('--icmp-type <n>', 'its type, of ICMP and ICMPv6', integerArgument(0, 255))
    .option('--flags <flags>', 'of TCP: SYN (the default), SYN,ACK, ACK, …', flags)
    .option('--answer', 'it answers what translation has let out')
    .option('--config <file>', 'the rules of a file, which need not run')
    .option('--json', 'an object')
    .addHelpText('after', HELP)
    .action(testPacket)
  withExamples(test, [
    'netstrata policy test @router --from 10.0.1.7 --to 192.0.2.1 --dport 25',
    'netstrata policy test --config router.yaml --in wan --out lan \\\n    --from 192.0.2.1 --to 10.0.1.7 --dport 22',
  ])
}

async function show(node: string, output: Output): Promise<void> {
  const rows = (await ask(node, 'policy')) as PolicyRow[]
  if (output.json) return records(rows, output)
  const both = rows.some(({ packets }) => packets.ipv6 !== undefined)
  output.table(
    ['rule', ...(both ? ['ipv4', 'ipv6'] : ['packets']), 'what'],
    rows.map(({ name, text, packets: { ipv4, ipv6 = 0 } }) => ({
      rule: name,
      ...(both ? { ipv4, ipv6 } : { packets: ipv4 }),
      what: text,
    })),
  )
}

/** Options that `policy` itself has, too, are its own. */
async function testPacket(node: string | undefined, _options: TestOptions, command: Command): Promise<void> {
  const options = command.optsWithGlobals<TestOptions>()
  const output = new Output(options.json === true)
  const { from: source, to: destination, config } = options
  if (source === undefined || destination === undefined) throw usageError('say of which packet: --from and --to')
  if (node !== undefined && config !== undefined) throw usageError('either a node or --config, not both')
  const { in: into, out, hook, protocol, sport, dport, icmpType, flags, answer } = options
  const packet: SamplePacket = {
    ...{ source, destination, in: into, out, hook, protocol, icmpType, answer },
    ...{ sourcePort: sport, destinationPort: dport, tcpFlags: flags },
  }
  const result =
    config === undefined
      ? ((await ask(await chooseNode(node), 'policyTest', packet)) as SampleAnswer)
      : ofFile(config, packet)
  output.data(result, () => sampleText(result))
  process.exitCode = result.verdict === 'allow' ? EXIT.ok : EXIT.unreachable
}

/** @throws CommandError exit 3 — the file is wrong, or has no policy. */
function ofFile(file: string, packet: SamplePacket): SampleAnswer {
  const { policy } = readRouterConfig(file).state
  if (policy === undefined) throw new CommandError(`${file} says nothing of policy`, EXIT.configuration, 'ERR_CONFIG')
  return sampleAnswer(policy, packet)
}

/** What becomes of it, the packet, and each rule that was tried. */
export function sampleText({ verdict, rule, trials, rewritten, packet }: SampleAnswer): string {
  const width = Math.max(0, ...trials.map((trial) => trial.rule.length))
  const changes = Object.entries(rewritten).map(([name, value]) => `${name} ${value}`)
  return [
    `${verdict}: ${rule === undefined ? 'no rule decides, so the default does' : `rule ${rule}`}`,
    `  ${packetText(packet)}`,
    ...(changes.length === 0 ? [] : [`  changed: ${changes.join(', ')}`]),
    ...trials.map(({ rule, action, matched, mismatch = '' }) => {
      return `  ${matched ? '*' : ' '} ${rule.padEnd(width)}  ${matched ? action : `not this ${WORDS[mismatch] ?? mismatch}`}`
    }),
  ].join('\n')
}

const WORDS: Readonly<Record<string, string>> = {
  in: 'link it came by',
  out: 'link it leaves by',
  sourcePort: 'source port',
  destinationPort: 'destination port',
  icmpType: 'type of ICMP',
  tcp: 'state of TCP',
}

function packetText(packet: SamplePacket): string {
  const { hook = 'forward', protocol = 'tcp', source, destination, sourcePort, destinationPort } = packet
  return [
    hook,
    ...(packet.in === undefined ? [] : [`in ${packet.in}`]),
    ...(packet.out === undefined ? [] : [`out ${packet.out}`]),
    String(protocol),
    `from ${source}${sourcePort === undefined ? '' : ` port ${sourcePort}`}`,
    `to ${destination}${destinationPort === undefined ? '' : ` port ${destinationPort}`}`,
  ].join(' ')
}

function flags(text: string): string {
  const known = ['FIN', 'SYN', 'RST', 'PSH', 'ACK', 'URG']
  if (text.split(',').every((flag) => known.includes(flag.toUpperCase()))) return text
  throw new InvalidArgumentError(`They are some of ${known.join(', ')}, with commas between.`)
}
