/**
 * The small sockets API over the host's own network (node:net and node:dgram), so that the same middleware, and the same
 * `node.net`, run with or without a stack of ours. Only for real time: the host's sockets know no virtual clock.
 *
 *   stack(hostSockets(), naming(…), rpc(…))      instead of      stack(host, naming(…), rpc(…))
 *
 * What the host does not offer is not there: interception, ICMP, and the control of links and routes.
 */
import { networkInterfaces } from 'node:os'
import type { Blueprint } from '../kernel/layer.ts'
import { HostDatagrams } from './host-sockets/datagrams.ts'
import { HostStreams } from './host-sockets/streams.ts'
import type { PlainSockets } from './sockets.ts'

/** What the host's network offers. */
export interface HostSockets extends PlainSockets {
  readonly tier: 'transport'
}

/**
 * Streams and datagrams of the host. They do not keep the process alive by themselves, as those of our own stack do not.
 * Closing the node resets what is still open. May boot any number of nodes; they all share the host's ports.
 */
export function hostSockets(): Blueprint<HostSockets> {
  return (env) => {
    const stream = new HostStreams()
    const datagram = new HostDatagrams()
    env.defer(() => {
      stream.closeAll()
      datagram.closeAll()
    })
    return { tier: 'transport', ipv6: hasIpv6(), stream, datagram }
  }
}

/** Many a container has none, not even ::1: what is bound to `localhost`, or to all addresses, is bound to IPv4 alone there. */
function hasIpv6(): boolean {
  return Object.values(networkInterfaces()).some((addresses = []) => addresses.some(({ family }) => family === 'IPv6'))
}
