/** Whether a router's policy lets its own services speak and hear: routing protocols, and DHCP. */
import { type SamplePacket, testPolicy } from '../../src/index.ts'
import type { RunningConfiguration } from './methods.ts'
import { linksOfService, type RouterService } from './services.ts'

/** A service that the policy keeps from its packets. */
export interface Silenced {
  readonly service: RouterService['kind']
  readonly link: string
  readonly hook: 'input' | 'output'
  /** Where the packets go to. */
  readonly destination: string
  readonly port: number
  /** The rule that says so; undefined: the default. */
  readonly rule: string | undefined
}

/** What a service sends, or takes, by UDP. */
interface Speech {
  readonly hook: 'input' | 'output'
  readonly source: string
  readonly destination: string
  readonly ports: readonly [source: number, destination: number]
}

/** Any station of a link, by IPv6. */
const LINK_LOCAL = 'fe80::1'
const EVERYBODY = '255.255.255.255'
const NOBODY = '0.0.0.0'
/** RFC 2131 §4.1. */
const [DHCP_SERVER, DHCP_CLIENT] = [67, 68]

/** Those of a router that runs; empty without a policy. What others send is taken to come from the link's own network. */
export function silenced({ fixture, policy, services, links }: RunningConfiguration): Silenced[] {
  if (policy === undefined) return []
  return services.flatMap((service) =>
    linksOfService(service).flatMap((link) => {
      const own = links.find(({ name }) => name === link)?.addresses.find((address) => !address.includes(':'))
      return speechOf(service, own?.split('/')[0], fixture.ipv6).flatMap(({ hook, ports, ...way }): Silenced[] => {
        const packet: SamplePacket = {
          ...{ ...way, hook, protocol: 'udp', sourcePort: ports[0], destinationPort: ports[1] },
          ...(hook === 'input' ? { in: link } : { out: link }),
        }
        const { verdict, rule } = testPolicy(policy, packet)
        const { destination } = way
        return verdict === 'allow' ? [] : [{ service: service.kind, link, hook, destination, port: ports[1], rule }]
      })
    }),
  )
}

/** @param own an IPv4 address on the link; undefined where there is none. */
function speechOf(service: RouterService, own: string | undefined, ipv6: boolean): Speech[] {
  const group = (source: string, destination: string, port: number): Speech[] =>
    (['input', 'output'] as const).map((hook) => ({ hook, source, destination, ports: [port, port] }))
  switch (service.kind) {
    case 'Babel':
      return group(LINK_LOCAL, 'ff02::1:6', 6696)
    case 'RIP': {
      const { versions = ipv6 ? ['rip2', 'ripng'] : ['rip2'] } = service.rip
      return [
        ...(versions.includes('rip2') && own !== undefined ? group(own, '224.0.0.9', 520) : []),
        ...(versions.includes('ripng') ? group(LINK_LOCAL, 'ff02::9', 521) : []),
      ]
    }
    case 'DHCP server':
      return [
        { hook: 'input', source: NOBODY, destination: EVERYBODY, ports: [DHCP_CLIENT, DHCP_SERVER] },
        { hook: 'output', source: own ?? NOBODY, destination: EVERYBODY, ports: [DHCP_SERVER, DHCP_CLIENT] },
      ]
    case 'DHCP client':
      // Whose answer it will be is not known before.
      return [{ hook: 'output', source: NOBODY, destination: EVERYBODY, ports: [DHCP_CLIENT, DHCP_SERVER] }]
  }
}
