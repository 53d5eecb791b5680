/**
 * Redirects of a kernel that is our router (RFC 4861 §8): it knows a neighbour that is nearer to one destination, and that
 * another is on the link itself.
 *
 *   ours 2001:db8:1::2 ──┬── kernel 2001:db8:1::1, fe80::a: the default router
 *                        └── kernel fe80::b: 2001:db8:5::/64 is behind it, and it is 2001:db8:6::6
 */
import t from 'tap'
import { beside, boot, bridge, ethernet, ip, ipv6, sockets, stack, tapDevice, udp } from '../../src/index.ts'
import { packetsInUse, poisonReleased } from '../../src/kernel/packet.ts'
import { namespace, oracle } from './helpers.ts'
import { answers, found } from './ipv6-stand.ts'

poisonReleased(true)
t.setTimeout(600_000)

t.test('a kernel redirects us', { skip: oracle('root', 'tun', 'ip', 'ping') }, async (t) => {
  const before = packetsInUse()
  const [router, nearer] = [namespace(t), namespace(t)]
  const media = beside({
    router: tapDevice({ name: 'x0', netns: router.name }),
    nearer: tapDevice({ name: 'x0', netns: nearer.name }),
  })
  const host = ip(ipv6({ address: '2001:db8:1::2/64', gateway: 'fe80::a' }))
  const node = await boot(stack(stack(media, bridge()), ethernet(), host, sockets(udp())), 'host')
  t.teardown(() => node.close())
  const add = (to: typeof router, ...addresses: string[]) => {
    for (const address of addresses) to.ip('addr', 'add', address, 'dev', 'x0', 'nodad')
  }
  for (const { run } of [router, nearer]) await run('sysctl', '-q', '-w', 'net.ipv6.conf.all.forwarding=1')
  // One link-local address: by it we know the router, and by it only may it redirect us.
  router.ip('link', 'set', 'x0', 'addrgenmode', 'none')
  router.ip('-6', 'addr', 'flush', 'dev', 'x0')
  add(router, 'fe80::a/64', '2001:db8:1::1/64', '2001:db8:6::1/64')
  add(nearer, 'fe80::b/64', '2001:db8:6::6/64')
  nearer.ip('addr', 'add', '2001:db8:5::5/128', 'dev', 'lo')
  nearer.ip('route', 'add', '2001:db8:1::/64', 'dev', 'x0')
  router.ip('route', 'add', '2001:db8:5::/64', 'via', 'fe80::b', 'dev', 'x0')
  await answers(router, '2001:db8:1::2')

  const { routes } = node.top.network
  for (const [destination, via] of [
    ['2001:db8:5::5', 'fe80::b'],
    ['2001:db8:6::6', undefined],
  ] as const) {
    t.match(routes.lookup(destination), { prefix: '::/0', via: 'fe80::a' })
    t.match(await node.icmp.ping(destination), { outcome: 'reply' }, 'by the router')
    const redirected = await found(() => (routes.lookup(destination)?.prefix === '::/0' ? undefined : true))
    t.equal(redirected, true)
    t.match(routes.lookup(destination), { prefix: `${destination}/128`, via, origin: 'ra', link: 'eth0' })
    router.ip('link', 'set', 'x0', 'down')
    t.match(await node.icmp.ping(destination), { outcome: 'reply' }, 'without it')
    router.ip('link', 'set', 'x0', 'up')
    add(router, 'fe80::a/64', '2001:db8:1::1/64', '2001:db8:6::1/64')
    router.ip('route', 'replace', '2001:db8:5::/64', 'via', 'fe80::b', 'dev', 'x0')
    await answers(router, '2001:db8:1::2')
  }
  await node.close()
  t.equal(packetsInUse(), before)
})
