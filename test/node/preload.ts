/**
 * What a test of Node's is started with (`--import`): `require('net')` and `require('dgram')` give it a node's own, and all
 * else goes through the node by `netstrata/register`.
 */
import Module from 'node:module'
import { ethernet } from '../../layers/datalink/index.ts'
import { ip, ipv4, ipv6 } from '../../layers/network/index.ts'
import { cable } from '../../layers/physical/index.ts'
import { sockets } from '../../layers/transport/sockets.ts'
import { tcp } from '../../layers/transport/tcp/tcp.ts'
import { udp } from '../../layers/transport/udp/udp.ts'
import { stack } from '../../src/kernel/stack.ts'
import { register } from '../../src/register.ts'
import { boot } from '../../src/runtime/real-time.ts'

/** As Node loads its modules; undocumented, and the same since its first days. */
const loader = Module as unknown as { _load(id: string, ...rest: unknown[]): unknown }

if (process.env.NETSTRATA_NODE_TESTS === 'ours') {
  const [end] = cable()
  const node = await boot(
    stack(
      end,
      ethernet(),
      ip(ipv4({ address: '10.0.0.1/24' }), ipv6({ address: '2001:db8::1/64' })),
      sockets(tcp(), udp()),
    ),
  )
  register(node)
  // Tests exchange functions of the modules: each has copies of its own.
  const ours = new Map<string, object>([
    ['net', { ...node.net }],
    ['dgram', { ...node.dgram }],
  ])
  const { _load: load } = loader
  loader._load = (id, ...rest) => ours.get(id.replace(/^node:/, '')) ?? Reflect.apply(load, loader, [id, ...rest])
}
