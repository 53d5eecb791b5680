/**
 * The daemon as the router of a home: its address outside by DHCP, translation, a policy and a group of multicast, with kernels on both
 * sides; and its policy exchanged under a transfer.
 *
 *    lan: udhcpc, a server ── r ── up: dnsmasq, servers, no way back
 */
import t from 'tap'
import { comes } from './babel-peers.ts'
import { Daemons, type Told } from './daemons.ts'
import { provider, udhcpc } from './dhcp-peers.ts'
import { answered } from './echoes.ts'
import { type Namespace, namespace, oracle } from './helpers.ts'

t.setTimeout(600_000)
const skip = oracle('root', 'tun', 'ip', 'ping', 'socat', 'busybox', 'dnsmasq')
const WAN = '02:00:00:00:00:42'
const HOST = '192.168.0.7'

/** Serves what a shell prints, to one connection after the other. */
const serve = (inside: Namespace, port: number, command: string): Promise<void> =>
  inside.start(/listening/, 'socat', '-d', '-d', `TCP4-LISTEN:${port},fork,reuseaddr`, `SYSTEM:${command}`)
const fetched = async ({ run }: Namespace, address: string, port: number): Promise<string> =>
  (await run('socat', '-T', '30', '-u', `TCP4:${address}:${port},connect-timeout=30`, '-')).output

t.test('a home behind the daemon', { skip }, async (t) => {
  const daemons = new Daemons(t)
  const lan = namespace(t)
  const { up, leaseOf } = await provider(t, daemons.folder)
  lan.ip('tuntap', 'add', 'dev', 'x0', 'mode', 'tap')
  lan.ip('link', 'set', 'x0', 'up')
  const [{ address: mac }] = JSON.parse(lan.ip('-j', 'link', 'show', 'dev', 'x0'))
  const configuration = (rules: readonly object[]) => ({
    links: {
      lan: {
        link: `tap:x0,netns=${lan.name}`,
        addresses: ['192.168.0.1/24'],
        dhcp: { pool: ['192.168.0.100', '192.168.0.199'], reservations: { [mac]: HOST } },
      },
      wan: { link: `tap:x0,netns=${up.name},mac=${WAN}`, dhcp: 'client' },
    },
    policy: {
      default: 'deny',
      rules: [
        { name: 'known', tcp: 'established', action: 'allow' },
        { name: 'answers', answer: true, action: 'allow' },
        ...rules,
        { name: 'out', hook: 'forward', in: 'lan', out: 'wan', action: 'allow' },
        {
          name: 'web',
          hook: 'forward',
          destination: HOST,
          protocol: 'tcp',
          destinationPort: 80,
          action: 'allow',
        },
        { name: 'group', hook: 'forward', in: 'wan', destination: '239.1.2.3/32', protocol: 'udp', action: 'allow' },
        { name: 'igmp', hook: 'input', protocol: 2, action: 'allow' },
        { name: 'dhcp', hook: 'input', protocol: 'udp', destinationPort: ['67', '68'], action: 'allow' },
        { name: 'hosts', hook: 'input', in: 'lan', action: 'allow' },
        { name: 'own', hook: 'output', action: 'allow' },
      ],
    },
    nat: { link: 'wan', inside: ['192.168.0.0/24'], forwards: [{ protocol: 'tcp', port: 8080, to: `${HOST}:80` }] },
    groups: [{ group: '239.1.2.3', from: 'wan', to: ['lan'] }],
  })
  const reject = { hook: 'forward', in: 'lan', protocol: 'tcp', destinationPort: 25, action: 'reject' }
  const router = await daemons.start(namespace(t), 'home', configuration([{ name: 'no-mail', ...reject }]))
  t.match(await udhcpc(lan, daemons.folder), `${HOST}/24 router 192.168.0.1`, 'the reserved address')
  t.ok(await comes(async () => leaseOf(WAN) !== undefined, 60_000), 'an address outside')
  const outside = `${leaseOf(WAN)}`

  await serve(up, 7000, 'echo from $SOCAT_PEERADDR')
  await serve(up, 25, 'echo mail')
  await serve(lan, 80, 'echo page for $SOCAT_PEERADDR')
  t.ok(await comes(async () => (await fetched(lan, '10.9.0.1', 7000)) === `from ${outside}\n`, 60_000), 'translated')
  t.equal(await answered(lan, 3, '-i', '0.05', '10.9.0.1'), 3)
  t.equal(await fetched(up, outside, 8080), 'page for 10.9.0.1\n', 'a forward from outside')
  t.equal(await fetched(lan, outside, 8080), `page for ${outside}\n`, 'and from inside')
  t.match(await fetched(lan, '10.9.0.1', 25), /No route to host|refused|prohibited/i, 'no mail, and that is said')
  t.match((await up.run('ping', '-q', '-c', '2', '-i', '0.2', '-W', '1', outside)).output, ' 0 received', 'denied')

  const heard = lan.run('timeout', '60', 'socat', '-u', 'UDP4-RECVFROM:5001,ip-add-membership=239.1.2.3:x0', '-')
  const group = 'UDP4-DATAGRAM:239.1.2.3:5001,ip-multicast-ttl=4,ip-multicast-if=10.9.0.1'
  let over = false
  void heard.then(() => (over = true))
  let sent = 0
  // Who listens does not say since when.
  for (; !over; sent++) await up.run('sh', '-c', `echo tidings | socat -u - ${group}; sleep 0.2`)
  t.match((await heard).output, 'tidings', 'the group is sent on')

  const [policy, nat, groups, mail, page] = await Promise.all([
    daemons.ask(['policy', '@home']),
    daemons.ask(['nat', '@home']),
    daemons.ask(['groups', '@home']),
    daemons.ask(['policy', 'test', '@home', '--from', HOST, '--to', '10.9.0.1', '--dport', '25'], 4),
    daemons.ask(['policy', 'test', '@home', '--from', '10.9.0.1', '--to', HOST, '--dport', '80', '--in', 'wan']),
  ])
  const matched = new Map(policy.map(({ name, packets }) => [name, packets.ipv4]))
  for (const rule of ['known', 'answers', 'no-mail', 'out', 'web', 'group', 'dhcp', 'own', 'default'])
    t.ok(matched.get(rule) > 0, `rule ${rule} decided`)
  t.match(nat, [{ link: 'wan', address: outside, sessions: { udp: 0, icmp: 1 } }])
  const web = nat[0]?.listed.filter(({ remote }: Told) => remote.startsWith('10.9.0.1:'))
  t.match(web, { 0: { protocol: 'tcp', inside: `${HOST}:80`, outsidePort: 8080 } }, 'the session of the forward')
  t.match(groups, [{ group: '239.1.2.3', from: 'wan', to: ['lan'], packets: sent }])
  t.match(mail, [{ verdict: 'reject', rule: 'no-mail' }])
  t.match(page, [{ verdict: 'allow', rule: 'web' }])

  await serve(up, 7001, 'for i in $(seq 40); do echo $i; sleep 0.1; done')
  const begun = fetched(lan, '10.9.0.1', 7001)
  const under = async (): Promise<boolean> => {
    const [{ listed } = { listed: [] }] = await daemons.ask(['nat', '@home'])
    return listed.some(({ remote }: Told) => remote === '10.9.0.1:7001')
  }
  t.ok(await comes(under, 60_000), 'a connection under way')
  daemons.write('home', configuration([{ name: 'closed', ...reject, destinationPort: 7000 }]))
  router.child.kill('SIGHUP')
  await router.said(/the configuration was reloaded/)
  t.match(await begun, /^1\n2\n[\s\S]*\n39\n40\n$/, 'goes on')
  t.match(await fetched(lan, '10.9.0.1', 7000), /No route to host|refused|prohibited/i, 'the new rule counts')
  t.equal(await fetched(lan, '10.9.0.1', 25), 'mail\n', 'and the old one no more')
  t.match(await router.interrupt('SIGTERM'), { code: 0 })
})
