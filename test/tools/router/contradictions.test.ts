/** What a router's file cannot mean, and what only just can. */
import t from 'tap'
import type { FileLink, RouterFile } from '../../../tools/router/config.ts'
import { contradictions } from '../../../tools/router/contradictions.ts'

type Links = Readonly<Record<string, { link: string } & Partial<FileLink>>>
type Rest = Partial<Omit<RouterFile, 'links'>>

/** Every contradiction as 'where: why'. */
function found(links: Links, rest: Rest = {}): string[] {
  const file: RouterFile = {
    ...{ name: 'R', routes: [], clampMss: false, reversePath: 'off', faults: false, hosts: {}, ...rest },
    links: Object.fromEntries(Object.entries(links).map(([name, link]) => [name, { addresses: [], ...link }])),
  }
  return contradictions(file).map(({ path, message }) => `${path.join('.')}: ${message}`)
}

t.test('a medium serves one link', async (t) => {
  for (const [a, b, taken] of [
    ['udp:127.0.0.1:7000', 'udp:127.0.0.1:7000', 'UDP port 127.0.0.1:7000'],
    ['udp:7000', 'bridge:(tap:t0)(udp:7000)', 'UDP port 0.0.0.0:7000'],
    ['udp:7000', 'udp:127.0.0.1:7000', 'UDP port 0.0.0.0:7000'],
    ['udp:127.0.0.1:7000', 'udp:7000', 'UDP port 127.0.0.1:7000'],
    ['udp:[::1]:7000', 'udp:[::]:7000', 'UDP port [::1]:7000'],
    ['ppp:/dev/ttyS0', 'ppp:/dev/ttyS0', 'the line /dev/ttyS0'],
    ['lapb:/dev/ttyS0,role=dte', 'ppp:/dev/ttyS0', 'the line /dev/ttyS0'],
    ['tap:t0,netns=n', 'tun:t0,netns=n', 'the device t0 of n'],
    ['stream:/run/s', 'stream:/run/s', 'the stream /run/s'],
    ['stream:10.0.0.1:9', 'stream:10.0.0.1:9', 'the stream 10.0.0.1:9'],
    ['etherip:192.0.2.1', 'etherip:192.0.2.1', 'EtherIP with 192.0.2.1'],
  ] as const) {
    t.strictSame(found({ a: { link: a }, b: { link: b } }), [`links.b.link: ${taken} is taken by the link 'a'`])
  }
  for (const [a, b] of [
    ['udp:127.0.0.1:0', 'udp:127.0.0.1:0'],
    ['udp:127.0.0.1:7000', 'udp:127.0.0.2:7000'],
    ['udp:7000', 'udp:127.0.0.1:7001'],
    ['udp:7000', 'udp:[::1]:7000'],
    ['udp:[::]:7000', 'udp:7000'],
    ['tap:t0,netns=n', 'tap:t0,netns=m'],
    ['tap:t0,netns=n', 'tap:t0'],
    ['etherip:192.0.2.1', 'etherip:192.0.2.2'],
  ] as const) {
    t.strictSame(found({ a: { link: a }, b: { link: b } }), [], `${a} and ${b}`)
  }
})

t.test('IPv6 needs 1280 octets of every link, also of each port of a bridge (RFC 8200 §5)', async (t) => {
  const mtu = (link: string) => found({ a: { link } }, { ipv6: true })
  t.strictSame(mtu('udp:1,mtu=1280'), [])
  t.strictSame(mtu('udp:1,mtu=1279'), ['links.a.link: IPv6 needs an mtu of 1280 at least, not 1279'])
  t.match(mtu('bridge:(udp:1,mtu=1500)(udp:2,mtu=1000)'), [/not 1000$/])
  t.match(mtu('bridge:(udp:1,mtu=1000)(udp:2)'), [/not 1000$/])
  t.strictSame(found({ a: { link: 'udp:1,mtu=1279' } }), [])
})

t.test('DHCP is for links with stations', async (t) => {
  for (const link of ['tun:t0', 'ppp:/dev/ttyS0', 'lapb:/dev/ttyS0,role=dte']) {
    t.match(found({ a: { link, dhcp: 'client' } }), [/^links\.a\.dhcp: a link (tun|ppp|lapb): has no stations/])
  }
  for (const link of ['tap:t0', 'udp:1', 'etherip:192.0.2.1']) t.strictSame(found({ a: { link, dhcp: 'client' } }), [])
})

t.test('addresses of one link may share a network, those of two may not', async (t) => {
  const of = (...addresses: string[][]) =>
    found(Object.fromEntries(addresses.map((some, i) => [`l${i}`, { link: 'udp:0', addresses: some }])))
  t.match(of(['10.0.1.1/24'], ['10.0.1.99/28']), [
    /^links\.l1\.addresses\.0: 10\.0\.1\.96\/28 overlaps 10\.0\.1\.0\/24/,
  ])
  t.match(of(['10.0.1.99/28'], ['10.0.1.1/24']), [/10\.0\.1\.0\/24 overlaps 10\.0\.1\.96\/28/])
  t.match(of(['10.0.0.1/24'], ['10.0.1.1/24'], ['10.0.1.1/32']), [/10\.0\.1\.1 is on the link 'l1', too/])
  t.match(of(['10.0.1.1/24', '10.0.1.1/32']), [/10\.0\.1\.1 is on this link already/])
  t.match(of(['fd00::1/64'], ['fd00::2/64']), [/fd00::\/64 overlaps/])
  t.strictSame(of(['10.0.1.1/24', '10.0.1.2/24'], ['10.0.1.9/32'], ['10.0.2.1/24', 'fd00::1/64']), [])
})

t.test('routes: the same way twice, and links that are none', async (t) => {
  const a = { link: 'udp:0', addresses: ['10.0.1.1/24'] }
  const route = { prefix: '10.9.0.0/16', via: '10.0.1.2', metric: 0, action: 'forward' } as const
  const routes = (...some: RouterFile['routes']) => found({ a }, { routes: some })
  t.strictSame(routes(route, { ...route, metric: 1 }), [], 'another metric: a way for when the first is down')
  t.strictSame(routes(route, { ...route, prefix: '10.9.7.7/16' }), ['routes.1: this route is there already'])
  t.strictSame(routes(route, { ...route, link: 'a' }), ['routes.1: this route is there already'], 'by its network')
  const nowhere = { prefix: '10.9.0.0/16', metric: 0, action: 'blackhole' } as const
  t.strictSame(routes(nowhere, { ...nowhere, action: 'prohibit' }), ['routes.1: this route is there already'])
  for (const link of ['b', 'toString', '__proto__']) {
    t.strictSame(routes({ ...route, link }), [`routes.0: there is no link '${link}'; there are: a`])
  }
})
