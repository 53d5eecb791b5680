/** What a node of the command line is made of: from options, or from a YAML file whose errors name line and column. */
import { readFileSync } from 'node:fs'
import { isNode, LineCounter, parseDocument } from 'yaml'
import { z } from 'zod'
import { parsePrefix, tryParseAddress } from '../../src/kernel/address.ts'
import { CommandError, EXIT } from '../exit.ts'
import { type LinkSpec, LinkSpecError, parseLinkSpec } from './link-spec.ts'

/** A link with the addresses that the node has on it. */
export interface LinkConfig {
  readonly name: string
  readonly spec: LinkSpec
  readonly addresses: readonly string[]
}

export interface NodeConfig {
  /** Undefined: named after its command. */
  readonly name: string | undefined
  readonly links: readonly LinkConfig[]
  readonly gateway: string | undefined
  readonly routes: readonly {
    readonly prefix: string
    readonly via?: string | undefined
    readonly link?: string | undefined
  }[]
  readonly forwarding: boolean
  readonly clampMss: boolean
  readonly hosts: Readonly<Record<string, string>>
  readonly capture: string | undefined
}

/** Says what is wrong with what is not a node's name. */
export const NO_NAME = 'no name for a node: 1 to 40 letters, digits, and _ . -'

/** Whether a node can be called that: its control socket is a file of this name. */
export const isNodeName = (text: string): boolean => /^[A-Za-z0-9_.-]{1,40}$/.test(text)

const address = z.string().refine((text) => tryParseAddress(text) !== undefined, "not an IP address such as '10.0.0.1'")
const prefix = z.string().refine(isPrefix, "not an address with a prefix length such as '10.0.0.1/24'")

const schema = z.strictObject({
  name: z.string().refine(isNodeName, NO_NAME).optional(),
  links: z
    .record(
      z.string().regex(/^[A-Za-z0-9_.-]+$/, 'a link name has letters, digits, and _ . -'),
      z.strictObject({
        link: z.string().superRefine((text, context) => {
          try {
            parseLinkSpec(text)
          } catch (error) {
            if (!(error instanceof LinkSpecError)) throw error
            context.addIssue({ code: 'custom', message: error.message })
          }
        }),
        addresses: z.array(prefix).default([]),
      }),
    )
    .refine((links) => Object.keys(links).length > 0, 'a node needs at least one link')
    .refine(
      (links) => Object.values(links).some(({ link, addresses }) => addresses.length > 0 || isNegotiated(link)),
      'a node needs an address on one of its links: addresses: [10.0.0.1/24]',
    ),
  gateway: address.optional(),
  routes: z.array(z.strictObject({ prefix, via: address.optional(), link: z.string().optional() })).default([]),
  forwarding: z.boolean().default(false),
  clampMss: z.boolean().default(false),
  hosts: z.record(z.string(), address).default({}),
  capture: z.string().optional(),
})

/** PPP brings an address of its own. */
function isNegotiated(link: string): boolean {
  return /^(?:[^:=]+=)?(?:ppp|serial):/.test(link)
}

/**
 * Reads a node's configuration from a YAML file.
 * @throws CommandError exit 3 — with `FILE:LINE:COLUMN` in front of what is wrong; all errors, one a line.
 */
export function readConfig(path: string): NodeConfig {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    throw configError(`${path}: ${error instanceof Error ? error.message : String(error)}`)
  }
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  const [broken] = document.errors
  if (broken !== undefined) throw configError(`${place(path, lines, broken.pos[0])}: ${broken.message}`)
  const result = schema.safeParse(document.toJS())
  if (!result.success) {
    const problems = result.error.issues.map((issue) => {
      // An unknown key stands at the key itself, not at the map that should not have it.
      const keys = issue.code === 'unrecognized_keys' ? [...issue.path, issue.keys[0] as string] : issue.path
      const at = offsetOf(document, keys)
      const where = issue.path.join('.')
      return `${place(path, lines, at)}: ${where === '' ? '' : `${where}: `}${issue.message}`
    })
    throw configError(problems.join('\n'))
  }
  const { links, name, gateway, capture, ...rest } = result.data
  return {
    ...rest,
    name,
    gateway,
    capture,
    links: Object.entries(links).map(([link, { link: spec, addresses }]) => ({
      name: link,
      spec: parseLinkSpec(spec),
      addresses,
    })),
  }
}

/** An address with its prefix length; without one it would be a host that has no neighbours. */
export function isPrefix(text: string): boolean {
  try {
    parsePrefix(text)
    return text.includes('/')
  } catch {
    return false
  }
}

/** Where the value of a path begins; that of the nearest parent where the path itself is missing. */
function offsetOf(document: ReturnType<typeof parseDocument>, path: readonly PropertyKey[]): number {
  for (let length = path.length; length >= 0; length--) {
    const node: unknown = length === 0 ? document.contents : document.getIn(path.slice(0, length), true)
    if (isNode(node) && node.range) return node.range[0]
  }
  return 0
}

function place(path: string, lines: LineCounter, offset: number): string {
  const { line, col } = lines.linePos(offset)
  return `${path}:${line}:${col}`
}

const configError = (message: string): CommandError => new CommandError(message, EXIT.configuration, 'ERR_CONFIG')
