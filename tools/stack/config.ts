/** What a node of the command line is made of: from options, or from a YAML file whose errors name line and column. */
import { z } from 'zod'
import type { Hosts } from '../../src/api/node-net/names.ts'
import { parsePrefix, splitZone, tryParseAddress } from '../../src/kernel/address.ts'
import { type LinkSpec, LinkSpecError, parseDuration, parseLinkSpec } from './link-spec.ts'
import { readYaml } from './yaml.ts'

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
  /** One of each family at the most. */
  readonly gateways: readonly string[]
  readonly routes: readonly {
    readonly prefix: string
    readonly via?: string | undefined
    readonly link?: string | undefined
  }[]
  readonly forwarding: boolean
  readonly clampMss: boolean
  readonly hosts: Hosts
  readonly capture: string | undefined
}

/** Says what is wrong with what is not a node's name. */
export const NO_NAME = 'no name for a node: 1 to 40 letters, digits, and _ . -'

/** Whether a node can be called that: its control socket is a file of this name. */
export const isNodeName = (text: string): boolean => /^[A-Za-z0-9_.-]{1,40}$/.test(text)

/** An IP address, as text. */
export const addressField: z.ZodString = z
  .string()
  .refine((text) => tryParseAddress(text) !== undefined, "not an IP address such as '10.0.0.1'")

/** Says what is wrong with what is not a gateway. */
export const NO_GATEWAY = "not an IP address such as '10.0.0.1', or 'fe80::1%eth0' with its link"

/** Whether packets can be sent by way of it: an address, and if that is link-local possibly its link. */
export function isGateway(text: string): boolean {
  const [host, zone] = splitZone(text)
  const address = tryParseAddress(host)
  return address !== undefined && (host === text || (zone !== '' && address.isScoped))
}

/** Names of hosts, each with its address or several. */
export const hostsField: z.ZodRecord<z.ZodString, z.ZodUnion<[z.ZodString, z.ZodArray<z.ZodString>]>> = z.record(
  z.string(),
  z.union([addressField, z.array(addressField).min(1, 'a name needs an address at least')]),
)

/** Says what is wrong with several gateways. */
export const TWO_GATEWAYS = 'there is one gateway for IPv4 and one for IPv6 at the most'

/** Whether each is of another family. */
export function areOfEachFamily(gateways: readonly string[]): boolean {
  return new Set(gateways.map((text) => text.includes(':'))).size === gateways.length
}

const gatewayField = z.string().refine(isGateway, NO_GATEWAY)

/** An address with the length of its prefix, as text. */
export const prefixField: z.ZodString = z
  .string()
  .refine(isPrefix, "not an address with a prefix length such as '10.0.0.1/24'")

/** The text form of a link, see link-spec.ts. */
export const linkField: z.ZodString = parsable(parseLinkSpec)

/** A time as text: '600s', '50ms'. */
export const durationField: z.ZodString = parsable(parseDuration)

/** Text that is right when this can parse it. */
function parsable(parse: (text: string) => unknown): z.ZodString {
  return z.string().superRefine((text, context) => {
    try {
      parse(text)
    } catch (error) {
      if (!(error instanceof LinkSpecError)) throw error
      context.addIssue({ code: 'custom', message: error.message })
    }
  })
}

/** A node's name. */
export const nameField: z.ZodString = z.string().refine(isNodeName, NO_NAME)

/** A link's name. */
export const linkNameField: z.ZodString = z
  .string()
  .regex(/^[A-Za-z0-9_.-]+$/, 'a link name has letters, digits, and _ . -')

const schema = z.strictObject({
  name: nameField.optional(),
  links: z
    .record(linkNameField, z.strictObject({ link: linkField, addresses: z.array(prefixField).default([]) }))
    .refine((links) => Object.keys(links).length > 0, 'a node needs at least one link')
    .refine(
      (links) => Object.values(links).some(({ link, addresses }) => addresses.length > 0 || isNegotiated(link)),
      'a node needs an address on one of its links: addresses: [10.0.0.1/24]',
    ),
  gateway: z.union([gatewayField, z.array(gatewayField).refine(areOfEachFamily, TWO_GATEWAYS)]).default([]),
  routes: z
    .array(z.strictObject({ prefix: prefixField, via: addressField.optional(), link: z.string().optional() }))
    .default([]),
  forwarding: z.boolean().default(false),
  clampMss: z.boolean().default(false),
  hosts: hostsField.default({}),
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
  const { links, name, gateway, capture, ...rest } = readYaml(path, schema)
  const gateways = typeof gateway === 'string' ? [gateway] : gateway
  return { ...rest, name, gateways, capture, links: linksOf(links) }
}

/** Links by name, in the order of the file. */
export function linksOf(
  links: Readonly<Record<string, { readonly link: string; readonly addresses: readonly string[] }>>,
): LinkConfig[] {
  return Object.entries(links).map(([name, { link, addresses }]) => ({ name, spec: parseLinkSpec(link), addresses }))
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
