/** The options by which every command that needs a stack is told which. */
import { type Command, InvalidArgumentError, Option } from 'commander'
import { usageError } from '../exit.ts'
import {
  areOfEachFamily,
  isGateway,
  isNodeName,
  isPrefix,
  NO_GATEWAY,
  NO_NAME,
  type NodeConfig,
  readConfig,
  TWO_GATEWAYS,
} from './config.ts'
import { type LinkSpec, LinkSpecError, parseLinkSpec } from './link-spec.ts'

/** What commander gathers. */
export interface StackOptions {
  readonly link?: GatheredLink[]
  readonly address?: GatheredLink[]
  readonly gateway?: string[]
  readonly config?: string
  readonly capture?: string
  readonly name?: string
}

interface GatheredLink {
  readonly spec: LinkSpec
  readonly addresses: string[]
}

const HELP = `
A node is described by these options, or by --config FILE (YAML). Its links:
  udp:7000,peer=127.0.0.1:7001   Ethernet over UDP (VXLAN); needs no root
  tap:tap0[,netns=NAME]          a TAP device of this machine (Linux)
  tun:tun0                       a TUN device of this machine (Linux)
  ppp:/dev/ttyUSB0               PPP on a serial line, or by HOST:PORT on TCP;
                                 it needs no --address
  lapb:/dev/ttyUSB0,role=dte     LAPB on such a line; the other end has role=dce
  stream:/run/card[,listen]      Ethernet as QEMU's streams and passt carry it,
                                 on a Unix socket, or by HOST:PORT on TCP
  vde:/run/vde/switch            a port of a VDE switch
  etherip:192.0.2.1              Ethernet in IP (EtherIP); as root
  bridge:(tap:tap0)(udp:7000)    several links of Ethernet as one (in quotes)
Each also takes mtu=N, loss=1%, delay=20ms, jitter=5ms, rate=10mbit, and more;
with a name of its own: --link lan=udp:…`

/** Adds the options to a command that needs a stack. */
export function withStack(command: Command): Command {
  // `--address` belongs to the link before it, so both write into one list.
  const links: GatheredLink[] = []
  return command
    .addOption(
      new Option('--link <link>', 'a link of the node (repeatable)').argParser((text) => {
        links.push({ spec: linkSpec(text), addresses: [] })
        return links
      }),
    )
    .addOption(
      new Option('--address <address/length>', 'an address on the last --link (repeatable)').argParser((text) => {
        const link = links.at(-1)
        if (link === undefined) throw usageError('--address belongs to the --link before it: give that first')
        link.addresses.push(prefix(text))
        return links
      }),
    )
    .addOption(
      new Option('--gateway <address>', 'where packets go that no link leads to (once for each family)').argParser(
        (text, before: string[] = []) => gateways([...before, text]),
      ),
    )
    .option('--config <file>', 'read the node from a YAML file instead')
    .option('--capture <file>', 'write what passes the links to a pcapng file')
    .option('--name <name>', "the node's name; default: the command's")
    .addHelpText('after', HELP)
}

/**
 * The node that the options describe.
 * @throws CommandError exit 2 — no link is given; exit 3 — the configuration file is wrong.
 */
export function stackConfig(options: StackOptions): NodeConfig {
  if (options.name !== undefined && !isNodeName(options.name)) throw usageError(`'${options.name}' is ${NO_NAME}`)
  if (options.config !== undefined) {
    if (options.link !== undefined) throw usageError('--config describes the links: leave out --link')
    const config = readConfig(options.config)
    return {
      ...config,
      name: options.name ?? config.name,
      gateways: withGateways(config.gateways, options.gateway),
      capture: options.capture ?? config.capture,
    }
  }
  if (options.link === undefined) throw usageError('no link is given: add --link, and --address after it')
  if (options.link.every(({ spec, addresses }) => addresses.length === 0 && spec.type !== 'ppp')) {
    throw usageError('the node has no address: add --address after --link')
  }
  const links = options.link.map(({ spec, addresses }, i) => ({ name: spec.name ?? `eth${i}`, spec, addresses }))
  const names = new Set(links.map(({ name }) => name))
  if (names.size < links.length) throw usageError('two links have the same name')
  return {
    name: options.name,
    links,
    gateways: options.gateway ?? [],
    routes: [],
    forwarding: false,
    clampMss: false,
    hosts: {},
    capture: options.capture,
  }
}

/** For commander: an integer argument within a range. */
export function integerArgument(low: number, high: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (!/^\d+$/.test(text) || value < low || value > high) {
      throw new InvalidArgumentError(`It is a number from ${low} to ${high}.`)
    }
    return value
  }
}

/** For commander: a time in seconds, also fractional. */
export function secondsArgument(low: number, high: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (!/^\d+(\.\d+)?$/.test(text) || value < low || value > high) {
      throw new InvalidArgumentError(`It is a number of seconds from ${low} to ${high}.`)
    }
    return value
  }
}

function linkSpec(text: string): LinkSpec {
  try {
    return parseLinkSpec(text)
  } catch (error) {
    // Its message quotes the argument: said as it is.
    if (error instanceof LinkSpecError) throw usageError(error.message)
    throw error
  }
}

function gateways(texts: string[]): string[] {
  const wrong = texts.find((text) => !isGateway(text))
  if (wrong !== undefined) throw usageError(`'${wrong}' is ${NO_GATEWAY}`)
  if (!areOfEachFamily(texts)) throw usageError(TWO_GATEWAYS)
  return texts
}

/** An option takes precedence over the file for its own family. */
function withGateways(file: readonly string[], given: readonly string[] = []): readonly string[] {
  return [...given, ...file.filter((text) => areOfEachFamily([...given, text]))]
}

function prefix(text: string): string {
  if (isPrefix(text)) return text
  throw usageError(`'${text}' is not an address with its prefix length, such as '10.0.0.1/24'`)
}
