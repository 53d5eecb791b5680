/** What runs on a router besides its links and routes: DHCP on a link, and Babel on several. */
import {
  type BabelControl,
  type Blueprint,
  babel,
  dhcpClient,
  dhcpServer,
  type LeaseEntry,
  type Sockets,
} from '../../src/index.ts'
import { babelOptions, type FileBabel } from './babel.ts'
import { type FileDhcp, type FileDhcpServer, serverOptions } from './dhcp.ts'

/** A service that is to run. */
export type RouterService =
  | { readonly kind: 'DHCP client'; readonly link: string }
  | { readonly kind: 'DHCP server'; readonly link: string; readonly server: FileDhcpServer }
  | { readonly kind: 'Babel'; readonly babel: FileBabel }

/** One that runs, as far as it can be asked. */
export interface RunningService {
  /** What a server has given away. */
  readonly leases?: () => LeaseEntry[]
  readonly babel?: BabelControl
}

/** The service of a link. */
export const dhcpService = (link: string, dhcp: FileDhcp): RouterService =>
  dhcp === 'client' ? { kind: 'DHCP client', link } : { kind: 'DHCP server', link, server: dhcp }

/** What it is called; a router has one of each. Unlike any link: their names have no blanks, and no link is Babel's alone. */
export const serviceName = (service: RouterService): string =>
  service.kind === 'Babel' ? 'routing Babel' : `${service.kind} ${service.link}`

/** The links it runs on. */
export const linksOfService = (service: RouterService): readonly string[] =>
  service.kind === 'Babel' ? Object.keys(service.babel.interfaces) : [service.link]

/** @param leases what a server of DHCP before it has given away. */
export function serviceBlueprint(
  service: RouterService,
  sockets: Sockets,
  leases: readonly LeaseEntry[],
): Blueprint<RunningService> {
  return (env) => {
    if (service.kind === 'Babel') return { babel: babel(babelOptions(service.babel))(sockets, env).babel }
    if (service.kind === 'DHCP client') {
      dhcpClient({ link: service.link })(sockets, env)
      return {}
    }
    const { dhcp } = dhcpServer({ ...serverOptions(service.server), link: service.link, leases })(sockets, env)
    return { leases: () => dhcp.leases() }
  }
}
