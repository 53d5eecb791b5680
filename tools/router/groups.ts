/** Multicast groups that a router sends on: what the file says of them. */
import { z } from 'zod'
import { staysOnLink as staysOnIpv4Link } from '../../layers/network/ipv4/addresses.ts'
import { staysOnLink as staysOnIpv6Link } from '../../layers/network/ipv6/address-kinds.ts'
import { type GroupRoute, ipv4, ipv6 } from '../../src/index.ts'
import { parsePrefix } from '../../src/kernel/address.ts'
import { linkNameField, prefixField } from '../stack/config.ts'
import type { Problem } from '../stack/yaml.ts'
import type { RouterFile } from './config.ts'
import { faultOf } from './fault-of.ts'

export const groupsField: z.ZodType<readonly GroupRoute[]> = z.array(
  z.strictObject({
    group: z.string().describe("a group, or a prefix of groups: '239.1.2.3', 'ff15::/16'"),
    source: prefixField.optional().describe('of these sources alone; default: of all'),
    from: linkNameField.describe('the link it comes in by, on which a single group is joined'),
    to: z.array(linkNameField).min(1).describe('the links it goes on by'),
  }),
)

export const isIpv6Group = ({ group }: GroupRoute): boolean => group.includes(':')

export function wrongGroups({ groups = [], links }: RouterFile): Problem[] {
  const seen = new Set<string>()
  return groups.flatMap((route, i): Problem[] => {
    const path = ['groups', i]
    const unknown = [route.from, ...route.to].find((name) => !Object.hasOwn(links, name))
    const message = unknown === undefined ? wrongGroup(route) : `there is no link '${unknown}'`
    if (message !== undefined) return [{ path, message }]
    const key = [route.group, route.source, route.from].join(' ')
    const isTwice = seen.has(key)
    seen.add(key)
    return isTwice ? [{ path, message: 'another route before it takes all of this: name all links in one' }] : []
  })
}

function wrongGroup(route: GroupRoute): string | undefined {
  const groups = [route]
  const fault = faultOf(() => (isIpv6Group(route) ? ipv6({ groups }) : ipv4({ groups })))
  if (fault !== undefined) return fault
  const { address } = parsePrefix(route.group)
  if (route.source !== undefined && parsePrefix(route.source).address.isIpv4 !== address.isIpv4)
    return `${route.group} and ${route.source} are of different families`
  const stays = address.isIpv4 ? staysOnIpv4Link(address.w3) : staysOnIpv6Link(address)
  return stays ? `what is sent to ${route.group} stays on its link` : undefined
}

/** A route of groups in words. */
export const groupText = ({ group, source, from, to }: GroupRoute): string =>
  `${group}${source === undefined ? '' : ` of ${source}`} from ${from} to ${to.join(', ')}`
