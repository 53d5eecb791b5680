/**
 * One of the two processes of the memory bench: `memory-end.ts server PORT` or `memory-end.ts client PORT small|net`
 * with a UDP tunnel between them. The client prints what a connection costs it, in octets; `memory-end.ts hosts` what a
 * booted host does, without the slab.
 */
import { cable } from '../layers/physical/index.ts'
import { type UdpTunnelOptions, udpTunnel } from '../layers/physical/node.ts'
import type { Connection, Sockets } from '../src/api/sockets.ts'
import { parseAddress } from '../src/kernel/address.ts'
import type { Blueprint } from '../src/kernel/layer.ts'
import { slab } from '../src/kernel/slab.ts'
import { boot } from '../src/runtime/real-time.ts'
import { sleep } from './harness.ts'
import { host } from './hosts.ts'

const CONNECTIONS = 10_000
const HOSTS = 200
/** Handshakes under way at a time. */
const CONCURRENT = 100
const LOCALHOST = '127.0.0.1'

const [mode, port, api] = process.argv.slice(2)

/** Octets of the heap, outside of it, and, if counted, of the slab's pages; of which the heap keeps no garbage. */
function used(withSlab: boolean): number {
  for (let i = 0; i < 4; i++) globalThis.gc?.()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external + (withSlab ? slab().reservedOctets : 0)
}

/** A host at one end of a tunnel. */
function end(address: string, options: UdpTunnelOptions): Blueprint<Sockets> {
  return host(udpTunnel({ codec: 'raw', mtu: 1450, ...options }), address)
}

async function server(): Promise<void> {
  const local = { host: LOCALHOST, port: Number(port) }
  const node = await boot(end('10.0.0.2/24', { local, learnPeers: true }), 'server')
  const accepted: Connection[] = []
  node.top.stream.listen(
    { port: 9 },
    {
      acceptable(ready) {
        for (let c = ready.accept(); c !== undefined; c = ready.accept()) accepted.push(c)
      },
    },
  )
  console.log('listening')
}

async function client(): Promise<void> {
  const peers = [{ host: LOCALHOST, port: Number(port) }]
  const node = await boot(end('10.0.0.1/24', { local: { host: LOCALHOST }, peers }), 'client')
  const held: unknown[] = []
  const open = api === 'net' ? () => throughNet() : () => throughSmall()
  const handler = { established: (): void => {} }
  // One of each, so that what is made once is not counted.
  held.push(await open())
  await sleep(200)
  const before = used(true)
  while (held.length <= CONNECTIONS) {
    held.push(...(await Promise.all(Array.from({ length: CONCURRENT }, open))))
  }
  await sleep(1000)
  console.log((used(true) - before) / (held.length - 1))
  process.exit(0)

  function throughNet(): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const socket = node.net.connect(9, '10.0.0.2')
      const established = (): void => {
        socket.off('error', reject)
        resolve(socket)
      }
      socket.once('connect', established).once('error', reject)
    })
  }

  function throughSmall(): Promise<unknown> {
    const address = parseAddress('10.0.0.2', 'address')
    return new Promise((resolve) => {
      const connection = node.top.stream.connect(
        { address, port: 9 },
        {
          established() {
            connection.handler = handler
            resolve(connection)
          },
        },
      )
    })
  }
}

async function hosts(): Promise<void> {
  slab()
  const one = (): Promise<unknown> => boot(host(cable({ medium: 'ethernet' })[0], '10.0.0.1/24'), 'host')
  const held = [await one()]
  const before = used(false)
  while (held.length <= HOSTS) held.push(await one())
  console.log((used(false) - before) / HOSTS)
  process.exit(0)
}

if (mode === 'server') await server()
else if (mode === 'client') await client()
else await hosts()
