/**
 * Which stackings compile, and which do not: checked by `npm run check`, never run. The services compare by their tier and
 * their medium; what is refused here could only be found at run time otherwise.
 */
import type { NetworkService } from '../layers/network/service.ts'
import type { PhysicalService } from '../layers/physical/service.ts'
import type { Blueprint, Layer, Sockets } from '../src/index.ts'
import {
  beside,
  cable,
  direct,
  ethernet,
  hub,
  impair,
  ip,
  ipv4,
  loopback,
  type Simulation,
  serial,
  sockets,
  stack,
  tapDevice,
  tcp,
  tunDevice,
  udp,
  udpTunnel,
} from '../src/index.ts'

declare function hdlc(): Layer<PhysicalService<'octets' | 'frames'>, import('../src/index.ts').LinkService>
declare function naming(): <Below extends Sockets>(below: Below, env: import('../src/index.ts').Env) => Below & Naming
declare function rpc(): Layer<Sockets & Naming, { call(method: string): void }>
interface Naming {
  resolve(name: string): void
}

const [a, b] = cable()
const address = '10.0.0.1/24'
const network = ip(ipv4({ address }))

// Every medium under what fits it.
export const host: Blueprint<Sockets> = stack(a, ethernet(), network, sockets(tcp(), udp()))
export const impaired: Blueprint<NetworkService> = stack(a, impair({ loss: 0.1 }), ethernet(), network)
export const twiceImpaired: Blueprint<NetworkService> = stack(
  a,
  impair({ loss: 0.1 }),
  impair({ delay: 1 }),
  ethernet(),
  network,
)
export const onHub: Blueprint<NetworkService> = stack(hub(3)[2], ethernet(), network)
export const looped: Blueprint<NetworkService> = stack(loopback(), ethernet(), network)
export const tunnelled: Blueprint<NetworkService> = stack(udpTunnel(), ethernet(), network)
export const onTap: Blueprint<NetworkService> = stack(tapDevice('tap0'), ethernet(), network)
export const onTun: Blueprint<NetworkService> = stack(tunDevice('tun0'), direct(), network)
export const onLine: Blueprint<NetworkService> = stack(serial('/dev/ttyS0'), hdlc(), network)
export const router: Blueprint<NetworkService> = stack(
  beside({
    eth0: stack(a, ethernet()),
    ser0: stack(serial('/dev/ttyS0'), hdlc()),
    tun0: stack(tunDevice('tun0'), direct()),
  }),
  ip(ipv4({ forwarding: true })),
)
export const app: Blueprint<{ call(method: string): void }> = stack(
  a,
  ethernet(),
  network,
  sockets(tcp(), udp()),
  naming(),
  rpc(),
)
export const ipCable: Blueprint<NetworkService> = stack(cable({ medium: 'ip' })[0], direct(), network)

// A medium under a data link that cannot use it.
// @ts-expect-error HDLC does not run on a TAP device
stack(tapDevice('tap0'), hdlc())
// @ts-expect-error Ethernet needs frames; a serial line is octets
stack(serial('/dev/ttyS0'), ethernet())
// @ts-expect-error TUN carries packets, not frames
stack(tunDevice('tun0'), ethernet())
// @ts-expect-error a cable of packets carries no frames
stack(cable({ medium: 'ip' })[0], ethernet())
// @ts-expect-error TAP carries frames, not packets
stack(tapDevice('tap0'), direct())
// @ts-expect-error a cable carries frames, not packets
stack(a, direct())
// @ts-expect-error so does a tunnel
stack(udpTunnel(), direct())

// A tier left out.
// @ts-expect-error the network layer needs a data link
stack(a, network)
// @ts-expect-error that of a router too
stack(beside({ eth0: a, eth1: b }), network)
// @ts-expect-error one link that is none is enough
stack(beside({ eth0: stack(a, ethernet()), eth1: b }), network)
// @ts-expect-error a transport needs a network
stack(a, ethernet(), sockets(tcp(), udp()))
// @ts-expect-error TCP alone needs one as well
stack(a, ethernet(), tcp())
// @ts-expect-error rpc needs names
stack(a, ethernet(), network, sockets(tcp(), udp()), rpc())
// @ts-expect-error naming needs sockets
stack(a, ethernet(), network, naming())

// The wrong order, or twice the same.
// @ts-expect-error a network layer does not carry Ethernet
stack(a, ethernet(), network, ethernet())
// @ts-expect-error nor does Ethernet
stack(a, ethernet(), ethernet())
// @ts-expect-error only a medium can be impaired
stack(a, ethernet(), impair({ loss: 0.1 }))
// @ts-expect-error a network layer stands on links, not on another
stack(a, ethernet(), network, network)
// @ts-expect-error a layer is no blueprint: a stack begins with a medium
stack(ethernet(), network)
// @ts-expect-error sockets take transports, not the network layer
sockets(network, udp())
// @ts-expect-error TCP is no family of ip
ip(tcp())

// What a node offers follows from its topmost layer.
declare const simulation: Simulation
simulation.boot('host', host).net.connect(80, '10.0.0.2')
// @ts-expect-error without a transport there is nothing to connect
simulation.boot('link', stack(a, ethernet())).net.connect(80, '10.0.0.2')
// @ts-expect-error nor an agent for HTTP
simulation.boot('link', stack(a, ethernet())).httpAgent()
