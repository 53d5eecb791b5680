/** What a router is made of: the YAML file of `netstrata router`, and what it comes to. */
import { isAbsolute } from 'node:path'
import { z } from 'zod'
import type { AdvertiseOptions, GroupRoute } from '../../src/index.ts'
import { parseAddress } from '../../src/kernel/address.ts'
import { addressField, linkField, linkNameField, linksOf, nameField, prefixField } from '../stack/config.ts'
import type { LinkSpec } from '../stack/link-spec.ts'
import { readYaml } from '../stack/yaml.ts'
import { advertiseField, advertiseOptions, type FileAdvertise } from './advertise.ts'
import { babelField, type FileBabel } from './babel.ts'
import { contradictions } from './contradictions.ts'
import { declaredRoutes, linkTowards, usesIpv6 } from './declared.ts'
import { dhcpField, type FileDhcp } from './dhcp.ts'
import { groupsField } from './groups.ts'
import { type FileNat, natField, natOptions } from './nat.ts'
import type { PacketRules } from './packet-rules.ts'
import { policyField, type RulePolicy } from './policy.ts'
import { networkOf } from './prefixes.ts'
import { type FileRip, ripField } from './rip.ts'
import { dhcpService, type RouterService } from './services.ts'

/** A link with what is on it. */
export interface RouterLink {
  readonly name: string
  /** As the file has it; it may hold a secret, see `withoutSecrets`. */
  readonly text: string
  readonly spec: LinkSpec
  /** With the lengths of their prefixes; the first one is the source where none is nearer. */
  readonly addresses: readonly string[]
  /** It can be made worse while it runs. */
  readonly faults: boolean
  /** What is said on it as a router of IPv6; undefined: nothing. */
  readonly advertise?: AdvertiseOptions | undefined
  /** Routers of IPv6 are heeded on it: it leads to them. */
  readonly autoconfigure?: true | undefined
}

/** A static route, with its link worked out. */
export interface RouterRoute {
  /** Without bits beyond its length: '10.9.0.0/16'. */
  readonly prefix: string
  readonly via: string | undefined
  /** Undefined for a route that leads nowhere. */
  readonly link: string | undefined
  readonly metric: number
  readonly action: 'forward' | 'blackhole' | 'unreachable' | 'prohibit'
}

/** What a reload can change while the router runs. */
export interface RouterState extends PacketRules {
  readonly links: readonly RouterLink[]
  readonly routes: readonly RouterRoute[]
  readonly services: readonly RouterService[]
}

/** What stays as it was when the router began. */
export interface RouterFixture {
  readonly name: string
  readonly ipv6: boolean
  readonly clampMss: boolean
  readonly reversePath: ReversePath
  readonly hosts: Readonly<Record<string, string>>
  /** The file in which leases of DHCP outlive the process; undefined: the place is left to whoever starts the router. */
  readonly leases: string | undefined
}

/** Whether the way back to a packet's source has to be a link at all, or the one it came in by (RFC 3704). */
export type ReversePath = 'off' | 'loose' | 'strict'

export interface RouterConfig {
  readonly fixture: RouterFixture
  readonly state: RouterState
}

/** Nothing: what a router has before its first configuration. */
export const NOTHING: RouterState = { links: [], routes: [], services: [] }

/** A file that has the right shape. */
export interface RouterFile {
  readonly name: string
  readonly links: Readonly<Record<string, FileLink>>
  readonly gateway?: string | undefined
  readonly routes: readonly FileRoute[]
  readonly babel?: FileBabel | undefined
  readonly rip?: FileRip | undefined
  readonly policy?: RulePolicy | undefined
  readonly nat?: FileNat | undefined
  readonly groups?: readonly GroupRoute[] | undefined
  readonly ipv6?: boolean | undefined
  readonly clampMss: boolean
  readonly reversePath: ReversePath
  readonly faults: boolean
  readonly hosts: Readonly<Record<string, string>>
  readonly leases?: string | undefined
}

/** A link as the file has it. */
export interface FileLink {
  readonly link: string
  readonly addresses: readonly string[]
  readonly advertise?: true | FileAdvertise | undefined
  readonly autoconfigure?: boolean | undefined
  readonly dhcp?: FileDhcp | undefined
}

/** A route as the file has it. */
export interface FileRoute {
  readonly prefix: string
  readonly via?: string | undefined
  readonly link?: string | undefined
  readonly metric: number
  readonly action: RouterRoute['action']
}

const link = z.strictObject({
  link: linkField.describe("the medium, as --link takes it: 'udp:7000,peer=192.0.2.7:7000', 'tap:tap0', …"),
  addresses: z.array(prefixField).default([]).describe('addresses of the router on this link: [10.0.1.1/24]'),
  advertise: advertiseField.optional().describe('tell the hosts of the link of this router, by IPv6'),
  autoconfigure: z
    .boolean()
    .optional()
    .describe('heed the routers of the link, by IPv6: take addresses and routes from them; default false'),
  dhcp: dhcpField.optional().describe("'client': take an address of the link; or give addresses to its hosts"),
})

const route = z.strictObject({
  prefix: prefixField.describe("where to: '10.9.0.0/16'"),
  via: addressField.optional().describe('the next hop; without it, the destinations are on the link itself'),
  link: linkNameField.optional().describe('needed without `via`, or where `via` is on no network of a link'),
  metric: z.int().min(0).max(0x7fff_ffff).default(0).describe('the lower one wins among routes to the same prefix'),
  action: z
    .enum(['forward', 'blackhole', 'unreachable', 'prohibit'])
    .default('forward')
    .describe('what becomes of packets: forwarded, lost without a word, or refused with an ICMP error'),
})

/** The shape of the file; `contradictions` sees to what a shape cannot say. */
const schema: z.ZodType<RouterFile> = z
  .strictObject({
    name: nameField.default('router').describe('how `netstrata status @NAME` and others find the router'),
    links: z
      .record(linkNameField, link)
      .refine((links) => Object.keys(links).length > 0, 'a router needs at least one link')
      .describe('the links by name'),
    gateway: addressField.optional().describe('the next hop of the default route'),
    routes: z.array(route).default([]).describe('static routes'),
    babel: babelField.optional().describe('find ways with other routers, by Babel (RFC 8966)'),
    rip: ripField.optional().describe('find ways with other routers, by RIPv2 (RFC 2453) and RIPng (RFC 2080)'),
    policy: policyField.optional().describe('what may pass, come in and go out; default: all'),
    nat: natField.optional().describe('give what leaves by a link its address, and know whose the answers are'),
    groups: groupsField.optional().describe('multicast groups that are sent on'),
    ipv6: z
      .boolean()
      .optional()
      .describe('be a router of IPv6, too; by itself where the file has an address or a route of it, Babel or RIPng'),
    clampMss: z
      .boolean()
      .default(false)
      .describe('let forwarded TCP connections announce no larger segments than these links take'),
    reversePath: z
      .enum(['off', 'loose', 'strict'])
      .default('off')
      .describe('drop what comes from where no link leads (loose), or this link does not lead (strict): RFC 3704'),
    faults: z.boolean().default(false).describe('`netstrata link` may make every link worse; it costs offload'),
    hosts: z.record(z.string(), addressField).default({}).describe('names for `netstrata ping @NAME HOST`'),
    leases: z
      .string()
      .refine((path) => isAbsolute(path), "a path from the root, such as '/var/lib/netstrata/edge.leases'")
      .optional()
      .describe(
        'the file in which leases of DHCP are kept; default: NAME.leases in $STATE_DIRECTORY, where there is one',
      ),
  })
  .meta({ title: 'The configuration of netstrata router' })

/** The JSON Schema of the file, for editors. */
export function routerJsonSchema(): object {
  return z.toJSONSchema(schema, { io: 'input', target: 'draft-2020-12' })
}

/** @throws CommandError exit 3 — with `FILE:LINE:COLUMN` in front of what is wrong; all errors, one a line. */
export function readRouterConfig(path: string): RouterConfig {
  return configOf(readYaml(path, schema, contradictions))
}

/** What a file without contradictions comes to. */
export function configOf(file: RouterFile): RouterConfig {
  const { name, links, clampMss, reversePath, faults, hosts } = file
  return {
    fixture: { name, ipv6: file.ipv6 ?? usesIpv6(file), clampMss, reversePath, hosts, leases: file.leases },
    state: {
      links: linksOf(links).map((entry) => {
        const { link: text, advertise, autoconfigure } = links[entry.name] as FileLink
        return {
          ...entry,
          text,
          faults,
          ...(advertise === undefined ? {} : { advertise: advertiseOptions(advertise) }),
          ...(autoconfigure === true ? { autoconfigure } : {}),
        }
      }),
      ...(file.policy === undefined ? {} : { policy: file.policy }),
      ...(file.nat === undefined ? {} : { nat: natOptions(file.nat) }),
      ...(file.groups === undefined ? {} : { groups: file.groups }),
      services: [
        ...Object.entries(links).flatMap(([name, { dhcp }]) => (dhcp === undefined ? [] : [dhcpService(name, dhcp)])),
        ...(file.babel === undefined ? [] : [{ kind: 'Babel', babel: file.babel } as const]),
        ...(file.rip === undefined ? [] : [{ kind: 'RIP', rip: file.rip } as const]),
      ],
      routes: declaredRoutes(file).map(({ prefix, via, link, metric, action }) => {
        const leads = action === 'forward'
        return {
          prefix: networkOf(prefix),
          via: leads && via !== undefined ? parseAddress(via).toString() : undefined,
          link: leads ? (link ?? (via === undefined ? undefined : linkTowards(via, links))) : undefined,
          metric,
          action,
        }
      }),
    },
  }
}
