/**
 * A kernel as the router in front of us, with a link of 1300 octets behind it and a filter that keeps its complaints from us; a
 * kernel behind that link receives. Without probing (RFC 4821) nothing large would ever arrive.
 *
 *   ours 10.9.0.2 ── 1500 ── 10.9.0.1 router 10.3.0.254 ── 1300 ──► 10.3.0.1 curl
 */
import { createServer } from 'node:http'
import t from 'tap'
import type { ConnectionInfo, Node, Sockets } from '../../src/index.ts'
import { packetsInUse, poisonReleased } from '../../src/kernel/packet.ts'
import { type Cleaning, type Namespace, namespace, oracle } from './helpers.ts'
import { payload, payloadHash } from './payload.ts'
import { OURS, stand } from './stand.ts'

poisonReleased(true)
t.setTimeout(600_000)
const skip = oracle('root', 'tun', 'ip', 'curl', 'nft', 'ethtool')
const NARROW = 1300
const OCTETS = 8 << 20

/** The router does not say which packets it drops. @returns the namespace behind it. */
async function behindBlackHole(t: Cleaning, router: Namespace): Promise<Namespace> {
  const far = namespace(t)
  await router.run('sysctl', '-q', '-w', 'net.ipv4.ip_forward=1')
  router.ip('link', 'add', 'e0', 'type', 'veth', 'peer', 'name', 'e0', 'netns', far.name)
  for (const [side, address] of [[router, '10.3.0.254/24'] as const, [far, '10.3.0.1/24'] as const]) {
    side.ip('addr', 'add', address, 'dev', 'e0')
    side.ip('link', 'set', 'e0', 'up')
    await side.run('ethtool', '-K', 'e0', 'tx', 'off', 'gro', 'off')
  }
  // One way only: what the far end offers as its segment size does not give the narrow link away.
  router.ip('link', 'set', 'e0', 'mtu', `${NARROW}`)
  far.ip('route', 'add', 'default', 'via', '10.3.0.254')
  await router.run('nft', 'add table ip mute; add chain ip mute out { type filter hook output priority 0; }')
  await router.run(
    'nft',
    'add',
    'rule',
    'ip',
    'mute',
    'out',
    'icmp',
    'type',
    'destination-unreachable',
    'counter',
    'drop',
  )
  return far
}

/** Serves the payload, and notes what the connection knew of the path at the end. */
function serve(node: Node<Sockets>, infos: ConnectionInfo[]): void {
  const server = createServer((_request, response) => {
    payload((octets) => octets < OCTETS).stream.pipe(response)
    response.on('finish', () => {
      for (const connection of node.top.stream.list()) {
        const info = connection.info()
        if (connection.state === 'ESTABLISHED' && info !== undefined) infos.push(info)
      }
    })
  })
  node.net.attach(server).listen(80)
}

for (const medium of ['tap', 'tap+vnet'] as const) {
  t.test(`a black hole in front of a kernel, over ${medium}`, { skip }, async (t) => {
    const before = packetsInUse()
    const { node, kernel: router } = await stand(t, medium)
    const far = await behindBlackHole(t, router)
    const infos: ConnectionInfo[] = []
    serve(node, infos)
    const started = performance.now()
    const { output } = await far.run('sh', '-c', `curl -s -m 100 http://${OURS}/ | sha256sum`)
    const took = performance.now() - started
    t.match(output, payloadHash(OCTETS), `${OCTETS} octets arrive`)
    // Three timeouts of 200 ms and more, and whatever else the machine is doing.
    t.ok(took < 60_000, `in ${Math.round(took)} ms`)
    const [info] = infos
    t.ok(info !== undefined && info.pathMtu > NARROW - 8 && info.pathMtu <= NARROW, `path MTU ${info?.pathMtu}`)
    t.comment(`${medium}: ${Math.round(took)} ms, path MTU ${info?.pathMtu}, ${info?.mtuProbes} probes`)
    const { output: rules } = await router.run('nft', 'list', 'table', 'ip', 'mute')
    t.notMatch(rules, 'packets 0 ', 'the router would have said so')
    await node.close()
    t.equal(packetsInUse(), before)
  })
}
