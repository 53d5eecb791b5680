/**
 * Neighbour Discovery with others: kernels behind a router of ours, and hosts of ours behind radvd and dnsmasq. Both ends
 * take their addresses from what the router says, and reach each other by them.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import {
  beside,
  boot,
  ethernet,
  ip,
  ipv6,
  type Node,
  type Sockets,
  seconds,
  sockets,
  stack,
  tapDevice,
  tcp,
  udp,
} from '../../src/index.ts'
import { packetsInUse, poisonReleased } from '../../src/kernel/packet.ts'
import { answered } from './echoes.ts'
import { type Cleaning, type Namespace, namespace, oracle } from './helpers.ts'
import { autoconfigured, found } from './ipv6-stand.ts'
import { folder } from './payload.ts'
import { dissect } from './tshark.ts'

poisonReleased(true)
t.setTimeout(600_000)

const LEFT = '2001:db8:1::'
const RIGHT = '2001:db8:2::'

/** left: kernel ── 2001:db8:1::1 router 2001:db8:2::1 ── right: kernel */
async function routed(t: Cleaning): Promise<{ left: Namespace; right: Namespace; router: Node<Sockets> }> {
  const left = namespace(t)
  const right = namespace(t)
  const network = ipv6({
    addresses: { left: `${LEFT}1/64`, right: `${RIGHT}1/64` },
    forwarding: true,
    advertise: {
      left: {
        mtu: 1400,
        hopLimit: 99,
        preference: 'high',
        nameServers: [`${LEFT}53`],
        searchDomains: ['example.net'],
        routes: [{ prefix: '2001:db8:ffff::/48', preference: 'low', lifetime: seconds(900) }],
        reachable: seconds(20),
      },
      right: { prefixes: [{ prefix: `${RIGHT}/64`, valid: seconds(7300), preferred: seconds(7200) }] },
    },
  })
  const links = {
    left: stack(tapDevice({ name: 'x0', netns: left.name }), ethernet()),
    right: stack(tapDevice({ name: 'x0', netns: right.name }), ethernet()),
  }
  const router = await boot(stack(beside(links), ip(network), sockets(tcp(), udp())), 'router')
  t.teardown(() => router.close())
  return { left, right, router }
}

t.test(
  'kernels behind a router of ours',
  { skip: oracle('root', 'tun', 'ip', 'ping', 'rdisc6', 'tshark') },
  async (t) => {
    const before = packetsInUse()
    const { left, right, router } = await routed(t)
    const path = join(folder(t), 'router.pcapng')
    const capture = router.capture(path)
    const [ofLeft, ofRight] = await Promise.all([autoconfigured(left, LEFT), autoconfigured(right, RIGHT)])
    t.ok(ofLeft, 'an address on the left')
    t.ok(ofRight, 'and on the right')

    const [route] = JSON.parse(left.ip('-6', '-j', 'route', 'show', 'default'))
    t.match(route, { dev: 'x0', gateway: /^fe80::/, protocol: 'ra', pref: 'high' })
    const sysctls = ['mtu', 'hop_limit'].map((name) => `net.ipv6.conf.x0.${name}`)
    const { output: values } = await left.run('sysctl', '-n', ...sysctls, 'net.ipv6.neigh.x0.base_reachable_time_ms')
    t.equal(values, '1400\n99\n20000\n', 'what we say of the link is heeded')

    t.equal(await answered(left, 5, '-6', '-i', '0.05', `${ofRight}`), 5, 'from one to the other, through us')
    t.match(await router.icmp.ping(`${ofLeft}`), { outcome: 'reply' }, 'and from us')
    t.match(
      router.top.network.neighbours().find(({ address }) => address === ofLeft),
      { link: 'left', state: 'reachable' },
    )

    const { output: seen } = await left.run('rdisc6', '-1', '-w', '30000', 'x0')
    for (const line of [
      /Hop limit +: +99 /,
      /Router preference +: +high/,
      /Router lifetime +: +1800 /,
      /Reachable time +: +20000 /,
      /Prefix +: 2001:db8:1::\/64\n +On-link +: +Yes\n +Autonomous address conf\.: +Yes/,
      /Valid time +: +2592000 /,
      /Pref\. time +: +604800 /,
      /MTU +: +1400 bytes/,
      /Route +: 2001:db8:ffff::\/48\n +Route preference +: +low\n +Route lifetime +: +900 /,
      /Recursive DNS server +: 2001:db8:1::53/,
      /DNS search list +: example\.net/,
    ]) {
      t.match(seen, line)
    }

    await router.close()
    const gone = await found(() => (left.ip('-6', 'route', 'show', 'default') === '' ? true : undefined))
    t.equal(gone, true, 'our goodbye ends the route')
    await capture.stop()
    const fields = ['_ws.malformed', 'icmpv6.checksum.status', 'icmpv6.type', '_ws.expert.message']
    const frames = await dissect(path, fields)
    const of = (type: number) => frames.filter((frame) => frame['icmpv6.type']?.[0] === `${type}`)
    for (const type of [133, 134, 135, 136]) t.ok(of(type).length > 0, `messages of type ${type}`)
    for (const frame of frames) {
      t.same(frame['_ws.malformed'], [])
      t.not(frame['icmpv6.checksum.status']?.[0], '0')
    }
    t.equal(packetsInUse(), before)
  },
)

/** A host of ours on x0 of a namespace that a router of others is in. */
async function hostBehind(t: Cleaning, kernel: Namespace): Promise<Node<Sockets>> {
  const device = tapDevice({ name: 'x0', netns: kernel.name })
  const node = await boot(stack(device, ethernet(), ip(ipv6()), sockets(tcp(), udp())), 'host')
  t.teardown(() => node.close())
  await kernel.run('sysctl', '-q', '-w', 'net.ipv6.conf.all.forwarding=1')
  kernel.ip('addr', 'add', `${LEFT}1/64`, 'dev', 'x0', 'nodad')
  return node
}

type Tap = Pick<typeof t, 'ok' | 'match' | 'equal'>

/** What a host of ours has learnt, once it can use it. */
async function learnt(t: Tap, kernel: Namespace, node: Node<Sockets>, mtu: number): Promise<void> {
  const { network } = node.top
  const own = await found(() => network.addresses().find((address) => address.startsWith(LEFT.slice(0, -1))))
  t.ok(own, 'an address')
  t.match(network.routes.lookup('2001:db8:9::1'), { prefix: '::/0', via: /^fe80::/, link: 'eth0', origin: 'ra' })
  t.match(network.routes.lookup(`${LEFT}77`), { prefix: `${LEFT}/64`, via: undefined, origin: 'ra' })
  const reached = async () => ((await answered(kernel, 2, '-6', '-i', '0.05', `${own}`)) === 2 ? true : undefined)
  t.equal(await found(reached), true, 'the kernel reaches it')
  t.match(await node.icmp.ping(`${LEFT}1`, { size: mtu - 48 }), { outcome: 'reply' }, 'it reaches the kernel')
}

t.test('a host of ours behind radvd', { skip: oracle('root', 'tun', 'ip', 'ping', 'radvd') }, async (t) => {
  const before = packetsInUse()
  const kernel = namespace(t)
  const node = await hostBehind(t, kernel)
  const config = join(folder(t), 'radvd.conf')
  const lines = [
    'interface x0 { AdvSendAdvert on; MinRtrAdvInterval 3; MaxRtrAdvInterval 4; AdvLinkMTU 1380;',
    `  prefix ${LEFT}/64 { AdvValidLifetime 7300; AdvPreferredLifetime 7200; };`,
    '  route 2001:db8:ffff::/48 { AdvRoutePreference high; };',
    `  RDNSS ${LEFT}53 ${LEFT}54 {}; DNSSL example.net example.org {}; };`,
  ]
  writeFileSync(config, lines.join('\n'), { mode: 0o600 })
  const args = ['-n', '-m', 'stderr', '-d', '1', '-u', 'root', '-C', config, '-p', join(folder(t), 'pid')]
  await kernel.start(/version .* started/, 'radvd', ...args)
  await learnt(t, kernel, node, 1380)
  const [link] = node.top.network.links()
  t.same(link?.nameServers, [`${LEFT}53`, `${LEFT}54`])
  t.same(link?.searchDomains, ['example.net', 'example.org'])
  t.match(node.top.network.routes.lookup('2001:db8:ffff::1'), { prefix: '2001:db8:ffff::/48', origin: 'ra' })
  await node.close()
  t.equal(packetsInUse(), before)
})

t.test('a host of ours behind dnsmasq', { skip: oracle('root', 'tun', 'ip', 'ping', 'dnsmasq') }, async (t) => {
  const before = packetsInUse()
  const kernel = namespace(t)
  const node = await hostBehind(t, kernel)
  const args = ['--no-daemon', '--conf-file=/dev/null', '--no-resolv', '--no-hosts', '--interface=x0', '--port=0']
  const ra = ['--enable-ra', `--dhcp-range=::,constructor:x0,ra-only`, '--ra-param=x0,mtu:1390,4,60']
  const leases = `--dhcp-leasefile=${join(folder(t), 'leases')}`
  await kernel.start(/router advertisement on/i, 'dnsmasq', ...args, ...ra, leases, '--user=root', '--pid-file=')
  await learnt(t, kernel, node, 1390)
  await node.close()
  t.equal(packetsInUse(), before)
})
