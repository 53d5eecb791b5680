/** What runs on a router besides its links and routes: DHCP on a link, and routing protocols on several. */
import {
  type BabelControl,
  type Blueprint,
  babel,
  type DhcpServer,
  dhcpClient,
  dhcpServer,
  type LeaseEntry,
  type RipControl,
  rip,
  type Sockets,
} from '../../src/index.ts'
import type { Instant } from '../../src/kernel/clock.ts'
import { babelOptions, type FileBabel, shownBabel } from './babel.ts'
import { type FileDhcp, type FileDhcpServer, serverOptions } from './dhcp.ts'
import type { LeaseBook } from './lease-book.ts'
import { type FileRip, ripOptions } from './rip.ts'

/** A service that is to run. */
export type RouterService =
  | { readonly kind: 'DHCP client'; readonly link: string }
  | { readonly kind: 'DHCP server'; readonly link: string; readonly server: FileDhcpServer }
  | { readonly kind: 'Babel'; readonly babel: FileBabel }
  | { readonly kind: 'RIP'; readonly rip: FileRip }

/** One that runs, as far as it can be asked. */
export interface RunningService {
  /** What a server has given away, and what it dropped. */
  readonly dhcp?: DhcpServer
  /** By the clock of its leases. */
  readonly now?: () => Instant
  readonly babel?: BabelControl
  readonly rip?: RipControl
}

/** The service of a link. */
export const dhcpService = (link: string, dhcp: FileDhcp): RouterService =>
  dhcp === 'client' ? { kind: 'DHCP client', link } : { kind: 'DHCP server', link, server: dhcp }

/** What it is called; a router has one of each. Unlike any link: their names have no blanks. */
export const serviceName = (service: RouterService): string =>
  'link' in service ? `${service.kind} ${service.link}` : `routing ${service.kind}`

/** The links it runs on. */
export function linksOfService(service: RouterService): readonly string[] {
  if ('link' in service) return [service.link]
  return Object.keys((service.kind === 'Babel' ? service.babel : service.rip).interfaces)
}

/** A service for people and their programs: nobody's secrets. */
export const shownService = (service: RouterService): object =>
  service.kind === 'Babel' ? { ...service, babel: shownBabel(service.babel) } : service

/** Whether it sees by itself which links there are, and which addresses they have: a routing protocol does. */
export const followsLinks = (service: RouterService): boolean => !('link' in service)

/** @param book what servers of DHCP before it have given away; it is ready. */
export function serviceBlueprint(service: RouterService, sockets: Sockets, book: LeaseBook): Blueprint<RunningService> {
  return (env) => {
    if (service.kind === 'Babel') return { babel: babel(babelOptions(service.babel))(sockets, env).babel }
    if (service.kind === 'RIP') return { rip: rip(ripOptions(service.rip))(sockets, env).rip }
    if (service.kind === 'DHCP client') {
      dhcpClient({ link: service.link })(sockets, env)
      return {}
    }
    const { link, server } = service
    const leases = book.of(link, env.clock.now())
    const store = { save: (lease: LeaseEntry) => book.save(link, lease, env.clock.now()) }
    // Without a file there is nothing to wait for.
    const kept = book.path === undefined ? {} : { store }
    let given = (): LeaseEntry[] => []
    // When the server has ended: what it gave away is for the one after it.
    env.defer(() => {
      for (const lease of given()) book.put(link, lease, env.clock.now())
    })
    const { dhcp } = dhcpServer({ ...serverOptions(server), link, leases, ...kept })(sockets, env)
    given = () => dhcp.leases()
    return { dhcp, now: () => env.clock.now() }
  }
}
