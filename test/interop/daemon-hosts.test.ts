/**
 * Kernels as hosts behind the daemon: they take addresses and routes of both families from it, and reach each other through it, also
 * where the way becomes narrow; and the daemon as a host of others, by DHCP.
 *
 *    left: udhcpc ── r ── right: dhclient, by packets of 1300 octets
 *                    └── up: dnsmasq
 */
import { join } from 'node:path'
import t from 'tap'
import { comes } from './babel-peers.ts'
import { Daemons } from './daemons.ts'
import { dhclient, provider, udhcpc } from './dhcp-peers.ts'
import { answered } from './echoes.ts'
import { type Namespace, namespace, oracle } from './helpers.ts'
import { autoconfigured } from './ipv6-stand.ts'
import { payloadFile, payloadHash } from './payload.ts'

t.setTimeout(600_000)
const NARROW = 1300
/** The station of the daemon that dnsmasq sees. */
const WAN = '02:00:00:00:00:42'
const skip = oracle(
  ...(['root', 'tun', 'ip', 'ping', 'traceroute', 'socat', 'tshark', 'tcpdump'] as const),
  ...(['rdisc6', 'busybox', 'dhclient', 'dnsmasq'] as const),
)

const daemons = new Daemons(t)

const hardware = ({ ip }: Namespace): string => JSON.parse(ip('-j', 'link', 'show', 'dev', 'x0'))[0].address

t.test('hosts behind the daemon, and the daemon behind dnsmasq', { skip }, async (t) => {
  const [left, right] = [namespace(t), namespace(t)]
  const { up, leaseOf } = await provider(t, daemons.folder)
  const router = await daemons.start(namespace(t), 'r', {
    links: {
      left: {
        link: `tap:x0,netns=${left.name},mac=02:00:00:00:00:01`,
        addresses: ['10.1.0.1/24', 'fd00:1::1/64'],
        advertise: { interval: '4s', preference: 'high', nameServers: ['fd00:1::53'], searchDomains: ['example.net'] },
        dhcp: {
          pool: ['10.1.0.100', '10.1.0.109'],
          leaseSeconds: 120,
          nameServers: ['10.1.0.53'],
          domainName: 'example.org',
        },
      },
      right: {
        link: `tap:x0,netns=${right.name},mtu=${NARROW}`,
        addresses: ['10.2.0.1/24', 'fd00:2::1/64'],
        advertise: true,
        dhcp: { pool: ['10.2.0.100', '10.2.0.109'] },
      },
      wan: { link: `tap:x0,netns=${up.name},mac=${WAN}`, dhcp: 'client' },
    },
  })
  const capture = join(daemons.folder, 'left.pcap')
  await left.start(/listening/, 'tcpdump', '-U', '-i', 'x0', '-w', capture)

  const [given, taken, left6, right6] = await Promise.all([
    udhcpc(left, daemons.folder),
    dhclient(right, daemons.folder),
    autoconfigured(left, 'fd00:1::'),
    autoconfigured(right, 'fd00:2::'),
  ])
  t.match(given, /10\.1\.0\.10\d\/24 router 10\.1\.0\.1 dns 10\.1\.0\.53 domain example\.org lease 120/)
  const right4 = /DHCPACK of (10\.2\.0\.10\d) from 10\.2\.0\.1/.exec(taken)?.[1] ?? taken
  t.ok(left6, 'an address of IPv6 on the left')
  t.ok(right6, 'and on the right')
  const [wan, leases] = await Promise.all([daemons.ask(['routes', '@r']), daemons.ask(['leases', '@r'])])
  t.match(
    wan.find(({ prefix }) => prefix === '0.0.0.0/0'),
    { via: '10.9.0.1', link: 'wan', origin: 'dhcp' },
    'a default route from dnsmasq',
  )
  const [left4] = /10\.1\.0\.10\d/.exec(given) ?? []
  t.match(leases, [
    { address: left4, link: 'left', state: 'leased', hardware: hardware(left) },
    { address: right4, link: 'right', state: 'leased', hardware: hardware(right) },
  ])
  t.ok(leases[0]?.secondsLeft > 60 && leases[0]?.secondsLeft <= 120, 'for two minutes')

  await t.test('from host to host', async (t) => {
    for (const [family, to, hop] of [
      ['-4', right4, '10.1.0.1'],
      ['-6', `${right6}`, 'fd00:1::1'],
    ] as const) {
      t.equal(await answered(left, 3, family, '-i', '0.05', to), 3, `ping ${family}`)
      const { output: hops } = await left.run('traceroute', family, '-n', '-w', '30', '-q', '1', to)
      t.match(hops, new RegExp(`^ 1 {2}${hop} [^]*^ 2 {2}${to} `, 'm'), `traceroute ${family} names the router`)
    }
  })

  await t.test('a narrow way is found', async (t) => {
    const probe = ['-c', '1', '-W', '30', '-M', 'do', '-s', '1400']
    const four = await left.run('ping', '-4', ...probe, right4)
    t.match(four.output, /From 10\.1\.0\.1 .*Frag needed and DF set \(mtu = 1300\)/)
    const six = await left.run('ping', '-6', ...probe, `${right6}`)
    t.match(six.output, /From fd00:1::1 .*Packet too big: mtu=1300/)
    const file = await payloadFile(t, 4 << 20)
    // The right offers segments that do not fit its link, as what stands before a tunnel does.
    right.ip('route', 'replace', 'default', 'via', '10.2.0.1', 'advmss', '1460')
    left.ip('route', 'flush', 'cache')
    for (const [listen, to] of [
      ['TCP4-LISTEN:7000', `TCP4:${left4}:7000`],
      ['TCP6-LISTEN:7006', `TCP6:[${left6}]:7006`],
    ] as const) {
      await left.start(/listening/, 'socat', '-d', '-d', '-u', `OPEN:${file}`, listen)
      const { output } = await right.run('sh', '-c', `socat -u ${to} - | sha256sum`)
      t.match(output, payloadHash(4 << 20), listen)
    }
    t.match(left.ip('route', 'get', right4), 'mtu 1300', 'and had to be told')
  })

  await t.test('what rdisc6 is told', async (t) => {
    const { output } = await left.run('rdisc6', '-1', '-w', '30000', 'x0')
    for (const line of [
      /Router preference +: +high/,
      /Router lifetime +: +12 /,
      /Prefix +: fd00:1::\/64\n +On-link +: +Yes\n +Autonomous address conf\.: +Yes/,
      /Recursive DNS server +: fd00:1::53/,
      /DNS search list +: example\.net/,
      /Source link-layer address: 02:00:00:00:00:01/,
    ]) {
      t.match(output, line)
    }
  })

  await t.test('by the address that dnsmasq gave', async (t) => {
    up.ip('route', 'add', '10.1.0.0/24', 'via', `${leaseOf(WAN)}`)
    const { output } = await up.run('traceroute', '-n', '-w', '30', '-q', '1', '10.1.0.1')
    t.match(output, /^ 1 {2}10\.1\.0\.1 /m)
  })

  t.match(await router.interrupt('SIGTERM'), { code: 0 })
  t.ok(await comes(async () => leaseOf(WAN) === undefined, 60_000), 'dnsmasq has its address back')
  t.ok(await comes(async () => left.ip('-6', 'route', 'show', 'default') === '', 60_000), 'the goodbye ends the route')
  const fields = ['-T', 'fields', '-e', 'dhcp.option.dhcp', '-e', 'icmpv6.type', '-e', '_ws.malformed']
  const { output } = await left.run('tshark', '-n', '-r', capture, '-Y', 'dhcp or icmpv6.type >= 133', ...fields)
  const told = output.split('\n').filter((line) => /^\d*\t\d*\t/.test(line))
  t.strictSame(
    told.filter((line) => !line.endsWith('\t')),
    [],
    'tshark finds nothing malformed',
  )
  const kinds = new Set(told)
  for (const kind of ['2\t\t', '5\t\t', '\t134\t', '\t136\t']) t.ok(kinds.has(kind), `${kind.trim()} was there`)
})
