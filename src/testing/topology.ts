/** From a description of a network to addresses and routes: which address each node has on each link, and the way to all others. */
import type { NewRoute } from '../api/routes.ts'
import { formatIpv4, maskIpv4, type Prefix, parsePrefix } from '../kernel/address.ts'
import { invalidValue } from '../kernel/errors.ts'

/** A link as far as addresses and routes go. */
export interface LinkPlan {
  /** The nodes at its ends; each once. */
  readonly between: readonly string[]
  /** Its prefix; default: that of the first address given, else 10.x.y.0/24 by the number of the link. */
  readonly prefix?: string | undefined
  /** Addresses with prefix length by node, where they matter; the others are counted from the first of the prefix. */
  readonly addresses?: Readonly<Record<string, string>> | undefined
}

/** One node's place on one link. */
export interface Attachment {
  /** Index of the link. */
  readonly link: number
  /** The link's name within the node: eth0, eth1, … in the order of the links. */
  readonly name: string
  readonly address: number
  readonly length: number
}

/** What a node is told when it is booted. */
export interface NodePlan {
  readonly name: string
  readonly forwarding: boolean
  readonly attachments: readonly Attachment[]
  readonly routes: readonly NewRoute[]
}

/** '10.0.1.1/24' */
export const addressText = ({ address, length }: Attachment): string => `${formatIpv4(address)}/${length}`

/**
 * @param nodes by name, whether each forwards.
 * @throws TypeError ERR_INVALID_ARG_VALUE — a link between unknown nodes, an address twice or outside its prefix, a node without a link.
 */
export function plan(nodes: ReadonlyMap<string, boolean>, links: readonly LinkPlan[]): NodePlan[] {
  const prefixes = links.map((link, i) => prefixOf(link, i))
  const attachments = new Map([...nodes.keys()].map((name): [string, Attachment[]] => [name, []]))
  for (const [i, link] of links.entries()) attach(link, i, prefixes[i] as Prefix, attachments)
  for (const [name, list] of attachments) {
    if (list.length === 0) throw invalidValue('links', `with a link for every node`, `none for ${name}`)
  }
  return [...nodes].map(([name, forwarding]) => ({
    name,
    forwarding,
    attachments: attachments.get(name) as Attachment[],
    routes: routesFrom(name, nodes, links, prefixes, attachments),
  }))
}

function prefixOf(link: LinkPlan, index: number): Prefix {
  const text =
    link.prefix ?? Object.values(link.addresses ?? {})[0] ?? `10.${(index + 1) >> 8}.${(index + 1) & 255}.0/24`
  const prefix = parsePrefix(text, `links[${index}]`)
  if (!prefix.address.isIpv4 || prefix.length > 30) {
    throw invalidValue(`links[${index}]`, 'an IPv4 prefix with room for hosts', text)
  }
  prefix.address.setIpv4(prefix.address.w3 & maskIpv4(prefix.length))
  return prefix
}

/** Gives every end of a link its address: those that were asked for, then the lowest that are free. */
function attach(link: LinkPlan, index: number, prefix: Prefix, attachments: Map<string, Attachment[]>): void {
  const where = `links[${index}]`
  const { between, addresses = {} } = link
  if (between.length < 2 || new Set(between).size < between.length) {
    throw invalidValue(`${where}.between`, 'at least two nodes, each once', between.join(', '))
  }
  const taken = new Map<number, string>()
  for (const [name, text] of Object.entries(addresses)) {
    const { address, length } = parsePrefix(text, `${where}.addresses.${name}`)
    const inside =
      address.isIpv4 && length === prefix.length && ((address.w3 ^ prefix.address.w3) & maskIpv4(length)) === 0
    if (!between.includes(name) || !inside || taken.has(address.w3)) {
      throw invalidValue(`${where}.addresses.${name}`, 'one address of the link’s prefix for one of its nodes', text)
    }
    taken.set(address.w3, name)
  }
  const given = new Map([...taken].map(([address, name]) => [name, address]))
  let next = prefix.address.w3
  for (const name of between) {
    const list = attachments.get(name)
    if (list === undefined) throw invalidValue(`${where}.between`, 'names of hosts and routers', name)
    let address = given.get(name)
    while (address === undefined) {
      next = (next + 1) | 0
      if (!taken.has(next)) address = next
    }
    if (((address + 1) & ~maskIpv4(prefix.length)) === 0) {
      throw invalidValue(`${where}.prefix`, `a prefix with room for ${between.length} nodes`, `/${prefix.length}`)
    }
    list.push({ link: index, name: `eth${list.length}`, address, length: prefix.length })
  }
}

/** A static route to every link that is not our own, by the fewest hops; among equals, over the earlier link. */
function routesFrom(
  origin: string,
  nodes: ReadonlyMap<string, boolean>,
  links: readonly LinkPlan[],
  prefixes: readonly Prefix[],
  attachments: ReadonlyMap<string, readonly Attachment[]>,
): NewRoute[] {
  const own = attachments.get(origin) ?? []
  const routes: NewRoute[] = []
  const reached = new Set(own.map(({ link }) => link))
  const seen = new Set([origin])
  // Breadth first: links in the order of their distance, each with the address of the first router on the way.
  const queue = own.map(({ link }): { link: number; via: number | undefined } => ({ link, via: undefined }))
  for (let step = queue.shift(); step !== undefined; step = queue.shift()) {
    for (const name of (links[step.link] as LinkPlan).between) {
      if (seen.has(name) || nodes.get(name) !== true) continue
      seen.add(name)
      const theirs = attachments.get(name) ?? []
      const via = step.via ?? theirs.find(({ link }) => link === step.link)?.address
      for (const { link } of theirs) {
        if (reached.has(link)) continue
        reached.add(link)
        const { address, length } = prefixes[link] as Prefix
        routes.push({ prefix: `${formatIpv4(address.w3)}/${length}`, via: formatIpv4(via as number) })
        queue.push({ link, via })
      }
    }
  }
  return routes
}
