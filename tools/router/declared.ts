/** What a router's file says of routes, in one list: its default route may be a gateway, or a PPP peer. */
import { parseAddress, parsePrefix } from '../../src/kernel/address.ts'
import { parseLinkSpec } from '../stack/link-spec.ts'
import type { FileRoute, RouterFile } from './config.ts'
import { isIpv6Group } from './groups.ts'
import { contains, everywhere } from './prefixes.ts'

/** A route with the place in the file that it comes from. */
export interface DeclaredRoute extends FileRoute {
  readonly path: readonly PropertyKey[]
}

/** The links' default routes, the gateway, and the routes, in that order. */
export function declaredRoutes({ links, gateway, routes }: RouterFile): DeclaredRoute[] {
  const forward = { metric: 0, action: 'forward' } as const
  return [
    ...Object.entries(links)
      .filter(([, { link }]) => isDefault(link))
      .map(([name]) => ({ ...forward, prefix: '0.0.0.0/0', link: name, path: ['links', name, 'link'] })),
    ...(gateway === undefined
      ? []
      : [{ ...forward, prefix: everywhere(parseAddress(gateway)), via: gateway, path: ['gateway'] }]),
    ...routes.map((route, i) => ({ ...route, path: ['routes', i] })),
  ]
}

/** The link that has a network with the address in it, the longest prefix first; undefined when none has. */
export function linkTowards(text: string, links: RouterFile['links']): string | undefined {
  const address = parseAddress(text)
  let best: { readonly name: string; readonly length: number } | undefined
  for (const [name, { addresses }] of Object.entries(links)) {
    for (const prefix of addresses.map((own) => parsePrefix(own))) {
      if (contains(prefix, address) && prefix.length > (best?.length ?? -1)) best = { name, length: prefix.length }
    }
  }
  return best?.name
}

function isDefault(link: string): boolean {
  const spec = parseLinkSpec(link)
  return spec.type === 'ppp' && spec.isDefault
}

/** Whether anything in the file is of IPv6; so is Babel, whatever it tells of, and RIP where it is told to be RIPng. */
export function usesIpv6(file: RouterFile): boolean {
  const links = Object.values(file.links)
  if (file.babel !== undefined || file.rip?.versions?.includes('ripng') === true) return true
  if (links.some(({ advertise, autoconfigure }) => advertise !== undefined || autoconfigure === true)) return true
  if (file.groups?.some(isIpv6Group) === true) return true
  const addresses = links.flatMap((link) => link.addresses)
  const prefixes = [...addresses, ...declaredRoutes(file).flatMap(({ prefix, via }) => [prefix, via ?? prefix])]
  return prefixes.some((prefix) => !parsePrefix(prefix).address.isIpv4)
}
