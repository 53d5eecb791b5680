/** Translation on a router: what the file says of it, and what IPv4 is told. */
import { z } from 'zod'
import { ipv4, type NatOptions } from '../../src/index.ts'
import { parsePrefix } from '../../src/kernel/address.ts'
import { durationField, linkNameField, prefixField } from '../stack/config.ts'
import { parseDuration, parseLinkSpec } from '../stack/link-spec.ts'
import type { Problem } from '../stack/yaml.ts'
import type { RouterFile } from './config.ts'
import { complaintAt, faultOf } from './fault-of.ts'

const TIMEOUTS = ['udp', 'tcp', 'tcpTransitory', 'icmp'] as const

/** Translation as the file has it; times are text such as '300s'. */
export interface FileNat extends Omit<NatOptions, 'timeouts'> {
  readonly timeouts?: { readonly [Name in (typeof TIMEOUTS)[number]]?: string | undefined } | undefined
}

const portField = z.int().min(1).max(65_535)

export const natField: z.ZodType<FileNat> = z.strictObject({
  link: linkNameField.describe('to the outside: what leaves by it gets its first address as source'),
  inside: z
    .array(prefixField)
    .min(1)
    .optional()
    .describe('whose sources are translated, and whom nobody outside reaches unasked; default: all'),
  forwards: z
    .array(
      z.strictObject({
        protocol: z.enum(['tcp', 'udp']),
        port: portField.describe('outside'),
        to: z.string().describe("'192.168.0.5:80'; without a port, the same one"),
      }),
    )
    .optional()
    .describe('ports outside that lead to a host inside'),
  filtering: z
    .enum(['endpointIndependent', 'address', 'addressAndPort'])
    .optional()
    .describe('who may answer: anyone, addresses it has sent to, only their ports; default address'),
  maxSessions: z.int().optional().describe('at once; default 65536'),
  maxSessionsPerHost: z.int().optional().describe('default: an eighth of all'),
  reserved: z.array(portField).optional().describe('ports given to nobody, since the router itself listens there'),
  timeouts: z
    .strictObject({
      udp: durationField.optional().describe("default '300s'"),
      tcp: durationField.optional().describe("of connections; default '7440s'"),
      tcpTransitory: durationField.optional().describe("of those that open or close; default '240s'"),
      icmp: durationField.optional().describe("default '60s'"),
    })
    .optional()
    .describe('after how long idle a session ends'),
})

/** What IPv4 is told. */
export function natOptions({ timeouts, ...rest }: FileNat): NatOptions {
  if (timeouts === undefined) return rest
  const given = TIMEOUTS.flatMap((name) => {
    const text = timeouts[name]
    return text === undefined ? [] : [[name, parseDuration(text)] as const]
  })
  return { ...rest, timeouts: Object.fromEntries(given) }
}

export function wrongNat({ nat, links }: RouterFile): Problem[] {
  if (nat === undefined) return []
  const fault = faultOf(() => ipv4({ forwarding: true, nat: natOptions(nat) }))
  if (fault !== undefined) return [complaintAt(fault, ['nat'])]
  const { link: name, forwards = [], reserved = [] } = nat
  const link = links[name]
  if (link === undefined) return [{ path: ['nat', 'link'], message: `there is no link '${name}'` }]
  const hasAddress = link.addresses.some((text) => parsePrefix(text).address.isIpv4)
  const getsAddress = link.dhcp === 'client' || parseLinkSpec(link.link).type === 'ppp'
  return [
    ...(hasAddress || getsAddress
      ? []
      : [{ path: ['nat', 'link'], message: `the link '${name}' has no IPv4 address that could be a source` }]),
    ...forwards.flatMap(({ port }, i): Problem[] =>
      reserved.includes(port)
        ? [{ path: ['nat', 'forwards', i, 'port'], message: `port ${port} is reserved for the router itself` }]
        : [],
    ),
  ]
}

/** A translation as lines, for a diff. */
export function natText({ link, inside, forwards = [], ...rest }: NatOptions): string[] {
  const settings = Object.entries(rest).map(([name, value]) => `${name} ${JSON.stringify(value)}`)
  return [
    `out of ${link}${inside === undefined ? '' : ` for ${inside.join(', ')}`}`,
    ...forwards.map(({ protocol, port, to }) => `forward ${protocol} ${port} to ${to}`),
    ...settings,
  ]
}
