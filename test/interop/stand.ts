/**
 * The stand of the interop tests: a node of ours at 10.9.0.2 in this process, and a kernel at 10.9.0.1 in a network
 * namespace of its own, joined by one of the media that a kernel speaks.
 *
 *   tap, tap+vnet   the kernel's end is the TAP device x0
 *   vxlan           the kernel's end is its VXLAN device x0; the datagrams between it and our tunnel cross a veth pair
 */
import {
  type Blueprint,
  boot,
  ethernet,
  type ImpairLayer,
  ip,
  ipv4,
  type Node,
  type PhysicalService,
  type Sockets,
  sockets,
  stack,
  type TcpOptions,
  tapDevice,
  tcp,
  type UdpTunnelOptions,
  udp,
  udpTunnel,
} from '../../src/index.ts'
import { addAddress, type Cleaning, type Namespace, namespace, within } from './helpers.ts'

export const MEDIA = ['tap', 'tap+vnet', 'vxlan'] as const
export type Medium = (typeof MEDIA)[number]

export const OURS = '10.9.0.2'
export const THEIRS = '10.9.0.1'
const VNI = 42

/** IPv6 is none of ours yet. */
const SYSCTLS = ['net.ipv6.conf.all.disable_ipv6=1', 'net.ipv6.conf.default.disable_ipv6=1']

export interface StandOptions {
  /** Stands on our end of the medium. */
  readonly impairment?: ImpairLayer
  readonly tcp?: TcpOptions
  /** IP MTU of both ends, on a TAP device. */
  readonly mtu?: number
  /** What does the system calls of a tunnel; default: as the tunnel chooses. */
  readonly engine?: UdpTunnelOptions['engine']
  readonly hosts?: Readonly<Record<string, string>>
}

export interface Stand {
  readonly node: Node<Sockets>
  /** Where the other end lives; its interface is x0. */
  readonly kernel: Namespace
  /** Cuts or joins the wire under both ends, without either end's doing. */
  wire(state: 'up' | 'down'): void
}

/** Boots both ends; the test's teardown takes them down. */
export async function stand(t: Cleaning, medium: Medium, options: StandOptions = {}): Promise<Stand> {
  const kernel = namespace(t)
  await kernel.run('sysctl', '-q', '-w', ...SYSCTLS)
  const ours = medium === 'vxlan' ? await tunnelSide(t, kernel) : undefined
  const host = hostOf(physical(medium, kernel, options), options)
  const started = () => boot(host, 'ours', { hosts: options.hosts })
  const node = await (ours === undefined ? started() : within(ours, started))
  t.teardown(() => node.close())
  addAddress(kernel, 'x0', `${THEIRS}/24`)
  return {
    node,
    kernel,
    wire: (state) => {
      if (ours === undefined) kernel.ip('link', 'set', 'x0', state)
      else ours.ip('link', 'set', 'w0', state)
    },
  }
}

function hostOf(
  medium: Blueprint<PhysicalService<'ethernet'>>,
  { impairment, tcp: settings }: StandOptions,
): Blueprint<Sockets> {
  const link = impairment === undefined ? medium : stack(medium, impairment<'ethernet'>)
  return stack(link, ethernet(), ip(ipv4({ address: `${OURS}/24`, gateway: THEIRS })), sockets(tcp(settings), udp()))
}

function physical(
  medium: Medium,
  kernel: Namespace,
  { mtu, engine }: StandOptions,
): Blueprint<PhysicalService<'ethernet'>> {
  if (medium === 'vxlan') {
    return udpTunnel({ vni: VNI, peers: [{ host: '192.0.2.1' }], ...(engine !== undefined && { engine }) })
  }
  return tapDevice({
    name: 'x0',
    netns: kernel.name,
    vnetHdr: medium === 'tap+vnet',
    ...(mtu === undefined ? {} : { mtu }),
  })
}

/** What was dropped anywhere in the node, in words. */
export function dropsOf(node: Node<unknown>): string[] {
  return node
    .snapshot()
    .flatMap(({ name, drops }) => Object.entries(drops).map(([reason, count]) => `${name} ${reason} ${count}`))
}

/** A namespace for our tunnel's sockets, joined to the kernel's, which gets its VXLAN device. */
export async function tunnelSide(t: Cleaning, kernel: Namespace): Promise<Namespace> {
  const ours = namespace(t)
  kernel.ip('link', 'add', 'u0', 'type', 'veth', 'peer', 'name', 'w0', 'netns', ours.name)
  kernel.ip('addr', 'add', '192.0.2.1/24', 'dev', 'u0')
  kernel.ip('link', 'set', 'u0', 'up')
  ours.ip('addr', 'add', '192.0.2.2/24', 'dev', 'w0')
  ours.ip('link', 'set', 'w0', 'up')
  // A veth pair hands packets on with their checksums unfinished, the inner one too: no wire does that.
  await kernel.run('ethtool', '-K', 'u0', 'tx', 'off')
  const tunnel = ['id', `${VNI}`, 'local', '192.0.2.1', 'remote', '192.0.2.2', 'dstport', '4789', 'dev', 'u0']
  kernel.ip('link', 'add', 'x0', 'type', 'vxlan', ...tunnel)
  kernel.ip('link', 'set', 'x0', 'up')
  return ours
}
