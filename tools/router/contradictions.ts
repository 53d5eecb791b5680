/** What a router's file cannot mean, although each value by itself is right. */

import { ipv4, ipv6 } from '../../src/index.ts'
import { parseAddress, parsePrefix } from '../../src/kernel/address.ts'
import { hostPortText } from '../host-port.ts'
import { linkBlueprint } from '../stack/boot.ts'
import { linksOf } from '../stack/config.ts'
import { type HostPort, type LinkSpec, parseLinkSpec } from '../stack/link-spec.ts'
import type { Problem } from '../stack/yaml.ts'
import { advertiseFault } from './advertise.ts'
import { babelFault } from './babel.ts'
import type { RouterFile } from './config.ts'
import { type DeclaredRoute, declaredRoutes, linkTowards, usesIpv6 } from './declared.ts'
import { dhcpFault } from './dhcp.ts'
import { faultOf } from './fault-of.ts'
import { wrongGroups } from './groups.ts'
import { wrongNat } from './nat.ts'
import { wrongPolicy } from './policy.ts'
import { contains, networkOf, wholeLength } from './prefixes.ts'
import { ripFault } from './rip.ts'

/** @returns all of them, each with the place in the file where it shows and what to do about it. */
export function contradictions(file: RouterFile): Problem[] {
  return [
    ...wrongLinks(file),
    ...mediaTwice(file),
    ...wrongFamily(file),
    ...wrongDhcp(file),
    ...wrongAddresses(file),
    ...wrongRoutes(file),
    ...wrongBabel(file),
    ...wrongRip(file),
    ...wrongPolicy(file),
    ...wrongNat(file),
    ...wrongGroups(file),
  ]
}

/** The layers of a link themselves know what they take. */
function wrongLinks({ links }: RouterFile): Problem[] {
  return linksOf(links).flatMap((link): Problem[] => {
    const message = faultOf(() => linkBlueprint(link))
    return message === undefined ? [] : [{ path: ['links', link.name, 'link'], message }]
  })
}

/** What a link takes for itself. */
interface Medium {
  readonly name: string
  /** One that has this in it. */
  readonly within?: string
}

const medium = (name: string): Medium => ({ name })

/** A port or a device serves one link. */
function mediaTwice({ links }: RouterFile): Problem[] {
  const problems: Problem[] = []
  const taken: { readonly medium: Medium; readonly by: string }[] = []
  for (const [name, { link }] of Object.entries(links)) {
    for (const medium of mediaOf(parseLinkSpec(link))) {
      const other = taken.find((one) => overlap(one.medium, medium))
      if (other === undefined) taken.push({ medium, by: name })
      else {
        const message = `${other.medium.name} is taken by the link '${other.by}'`
        problems.push({ path: ['links', name, 'link'], message })
      }
    }
  }
  return problems
}

const overlap = (a: Medium, b: Medium): boolean => a.name === b.name || a.name === b.within || a.within === b.name

function mediaOf(spec: LinkSpec): Medium[] {
  switch (spec.type) {
    case 'udp':
      return spec.local.port === 0 ? [] : [udpPort(spec.local)]
    case 'ppp':
    case 'lapb':
      return typeof spec.line === 'string' ? [medium(`the line ${spec.line}`)] : []
    case 'tap':
    case 'tun':
      return [medium(`the device ${spec.device}${spec.netns === undefined ? '' : ` of ${spec.netns}`}`)]
    case 'stream':
      return [medium(`the stream ${typeof spec.at === 'string' ? spec.at : hostPortText(spec.at.host, spec.at.port)}`)]
    case 'etherip':
      return [medium(`EtherIP with ${spec.peer}`)]
    case 'bridge':
      return Object.values(spec.ports).flatMap(mediaOf)
    case 'vde':
      return []
  }
}

/** A port of all addresses has those of each. */
function udpPort({ host, port }: HostPort): Medium {
  const name = (host: string): string => `UDP port ${hostPortText(host, port)}`
  return { name: name(host), within: name(host.includes(':') ? '::' : '0.0.0.0') }
}

/** What every link of IPv6 must carry (RFC 8200 §5). */
const IPV6_MTU = 1280

const HEEDS_AND_ADVERTISES =
  'the router of a link heeds no others there: leave out `advertise` on a link to the outside, or this on one to hosts'

function wrongFamily(file: RouterFile): Problem[] {
  const used = usesIpv6(file)
  if (file.ipv6 === false && used)
    return [
      { path: ['ipv6'], message: 'there are addresses or routes of IPv6, advertisements of routers, Babel or RIPng' },
    ]
  if (!used && file.ipv6 !== true) return []
  return Object.entries(file.links).flatMap(([name, { link, advertise, autoconfigure }]): Problem[] => {
    const fault = advertise === undefined ? undefined : advertiseFault(advertise)
    if (fault !== undefined) return [{ path: ['links', name, 'advertise'], message: fault }]
    if (advertise !== undefined && autoconfigure === true) {
      return [{ path: ['links', name, 'autoconfigure'], message: HEEDS_AND_ADVERTISES }]
    }
    const mtu = leastMtu(parseLinkSpec(link))
    if (mtu >= IPV6_MTU) return []
    return [{ path: ['links', name, 'link'], message: `IPv6 needs an mtu of ${IPV6_MTU} at least, not ${mtu}` }]
  })
}

/** Of a bridge, that of its narrowest port. */
const leastMtu = (spec: LinkSpec): number =>
  spec.type === 'bridge' ? Math.min(...Object.values(spec.ports).map(leastMtu)) : (spec.mtu ?? Number.POSITIVE_INFINITY)

function wrongDhcp({ links }: RouterFile): Problem[] {
  return Object.entries(links).flatMap(([name, { link, addresses, dhcp }]): Problem[] => {
    if (dhcp === undefined) return []
    const { type } = parseLinkSpec(link)
    const fault = hasStations(type)
      ? dhcpFault(dhcp, addresses)
      : `a link ${type}: has no stations that DHCP could tell apart`
    return fault === undefined ? [] : [{ path: ['links', name, 'dhcp'], message: fault }]
  })
}

const hasStations = (type: LinkSpec['type']): boolean => !['tun', 'ppp', 'lapb'].includes(type)

interface Placed {
  readonly link: string
  readonly text: string
  readonly path: readonly PropertyKey[]
}

function wrongAddresses({ links }: RouterFile): Problem[] {
  const problems: Problem[] = []
  const seen: Placed[] = []
  for (const [link, { addresses }] of Object.entries(links)) {
    for (const [i, text] of addresses.entries()) {
      const placed = { link, text, path: ['links', link, 'addresses', i] }
      const why = notOfStation(text) ?? seen.map((other) => clash(placed, other)).find((clash) => clash !== undefined)
      if (why !== undefined) problems.push({ path: placed.path, message: why })
      seen.push(placed)
    }
  }
  return problems
}

/** The family itself knows which addresses a station can have. */
function notOfStation(address: string): string | undefined {
  try {
    if (parsePrefix(address).address.isIpv4) ipv4({ address })
    else ipv6({ address })
    return undefined
  } catch {
    return `${address} is not one station's address, but a network's, a broadcast, or one of special use`
  }
}

function clash(one: Placed, other: Placed): string | undefined {
  const [a, b] = [parsePrefix(one.text), parsePrefix(other.text)]
  if (a.address.equals(b.address)) {
    const where = one.link === other.link ? 'this link already' : `the link '${other.link}', too`
    return `${a.address} is on ${where}: an address belongs to one link, once`
  }
  if (one.link === other.link || [a, b].some(({ address, length }) => length === wholeLength(address))) return undefined
  if (!contains(a, b.address) && !contains(b, a.address)) return undefined
  return `${networkOf(one.text)} overlaps ${networkOf(other.text)} of the link '${other.link}': which of the two leads there?`
}

function wrongRoutes(file: RouterFile): Problem[] {
  const problems: Problem[] = []
  const seen = new Set<string>()
  for (const route of declaredRoutes(file)) {
    const why = wrongRoute(route, file)
    if (why !== undefined) problems.push({ path: route.path, message: why })
    // Ways that differ share the traffic; where nothing leads, there is but one.
    const { via = '', link = via === '' ? '' : linkTowards(via, file.links) } = route
    const key = [networkOf(route.prefix), route.metric, ...(route.action === 'forward' ? [via, link] : [])].join(' ')
    if (seen.has(key)) problems.push({ path: route.path, message: 'this route is there already' })
    seen.add(key)
  }
  return problems
}

function wrongRoute({ prefix, via, link, action }: DeclaredRoute, { links }: RouterFile): string | undefined {
  if (action !== 'forward') {
    return via === undefined && link === undefined
      ? undefined
      : `a route that is ${action} leads to no next hop or link`
  }
  if (link !== undefined && !Object.hasOwn(links, link)) return noLink(link, links)
  if (via === undefined) return link === undefined ? 'a route needs `via`, the next hop, or `link`' : undefined
  const hop = parseAddress(via)
  if (hop.isIpv4 && !parsePrefix(prefix).address.isIpv4) return `${via} and ${prefix} are of different families`
  const own = Object.values(links).flatMap(({ addresses }) => addresses)
  if (own.some((address) => parsePrefix(address).address.equals(hop))) return `${via} is this router itself`
  if (link !== undefined || linkTowards(via, links) !== undefined) return undefined
  return `${via} is on no network of any link: give a link an address of its network, or the route a \`link\``
}

const noLink = (name: string, links: RouterFile['links']): string =>
  `there is no link '${name}'; there are: ${Object.keys(links).join(', ')}`

function wrongBabel({ babel, links }: RouterFile): Problem[] {
  return babel === undefined ? [] : wrongProtocol('babel', babelFault(babel), babel.interfaces, links, true)
}

function wrongRip({ rip, links }: RouterFile): Problem[] {
  const byIpv6 = rip?.versions?.includes('rip2') === false
  return rip === undefined ? [] : wrongProtocol('rip', ripFault(rip), rip.interfaces, links, byIpv6)
}

/** @param byIpv6 it speaks by IPv6 alone. */
function wrongProtocol(
  section: string,
  fault: string | undefined,
  interfaces: object,
  links: RouterFile['links'],
  byIpv6: boolean,
): Problem[] {
  if (fault !== undefined) return [{ path: [section], message: fault }]
  return Object.keys(interfaces).flatMap((name): Problem[] => {
    const path = [section, 'interfaces', name]
    const link = links[name]?.link
    if (link === undefined) return [{ path, message: noLink(name, links) }]
    if (!byIpv6 || parseLinkSpec(link).type !== 'ppp') return []
    return [{ path, message: `a link ppp: has no IPv6 addresses, by which ${section} speaks` }]
  })
}
