/**
 * The daemon with an uplink of IPv6: radvd tells it the address, the default route and the name servers there, while it is itself the
 * router of a kernel behind it.
 *
 *    host: kernel ── 2001:db8:2::/64 ── r ── 2001:db8:1::/64 ── up: radvd, and 2001:db8:9::1 beyond
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { comes } from './babel-peers.ts'
import { Daemons, type Told } from './daemons.ts'
import { answered } from './echoes.ts'
import { namespace, oracle } from './helpers.ts'
import { autoconfigured } from './ipv6-stand.ts'

t.setTimeout(600_000)
const OUTSIDE = '2001:db8:1::'
const INSIDE = '2001:db8:2::'
const BEYOND = '2001:db8:9::1'

t.test('an uplink with radvd', { skip: oracle('root', 'tun', 'ip', 'ping', 'radvd', 'traceroute') }, async (t) => {
  const daemons = new Daemons(t)
  const [up, host] = [namespace(t), namespace(t)]
  up.ip('tuntap', 'add', 'dev', 'x0', 'mode', 'tap')
  await up.run('sysctl', '-q', '-w', 'net.ipv6.conf.all.forwarding=1')
  up.ip('link', 'set', 'x0', 'up')
  up.ip('addr', 'add', `${OUTSIDE}1/64`, 'dev', 'x0', 'nodad')
  up.ip('addr', 'add', `${BEYOND}/128`, 'dev', 'lo')
  const config = join(daemons.folder, 'radvd.conf')
  const lines = [
    'interface x0 { AdvSendAdvert on; MinRtrAdvInterval 3; MaxRtrAdvInterval 4; AdvLinkMTU 1400;',
    `  prefix ${OUTSIDE}/64 { AdvValidLifetime 7300; AdvPreferredLifetime 7200; }; RDNSS ${OUTSIDE}53 {}; };`,
  ]
  writeFileSync(config, lines.join('\n'), { mode: 0o600 })

  const configuration = (autoconfigure: boolean) => ({
    links: {
      lan: { link: `tap:x0,netns=${host.name}`, addresses: [`${INSIDE}1/64`], advertise: { interval: '4s' } },
      wan: { link: `tap:x0,netns=${up.name}`, autoconfigure },
    },
  })
  const router = await daemons.start(namespace(t), 'r', configuration(true))
  const pid = join(daemons.folder, 'radvd.pid')
  await up.start(
    /version .* started/,
    'radvd',
    ...['-n', '-m', 'stderr', '-d', '1', '-u', 'root'],
    '-C',
    config,
    '-p',
    pid,
  )

  const wan = async (): Promise<Told | undefined> => {
    const links = await daemons.ask(['links', '@r'])
    return links.find(({ name }) => name === 'wan')
  }
  const prefix = OUTSIDE.slice(0, -1)
  const addressOf = (link: Told | undefined): string | undefined =>
    link?.addresses.find((own: string) => own.startsWith(prefix))?.replace(/\/\d+$/, '')
  t.ok(await comes(async () => addressOf(await wan()) !== undefined, 60_000), 'an address of the prefix outside')
  const own = addressOf(await wan())
  t.match(await wan(), { nameServers: [`${OUTSIDE}53`], mtu: 1500 })
  const learnt = (await daemons.ask(['routes', '@r'])).filter(({ origin }) => origin === 'ra')
  t.match(
    learnt.find(({ prefix }) => prefix === '::/0'),
    { via: /^fe80::/, link: 'wan' },
    'a default route',
  )
  t.ok(
    learnt.find((route) => route.prefix === `${OUTSIDE}/64`),
    'and the network of the link',
  )

  const inside = await autoconfigured(host, INSIDE)
  t.ok(inside, 'the host behind has an address of ours')
  up.ip('route', 'add', `${INSIDE}/64`, 'via', `${own}`)
  const reached = async (): Promise<boolean> => (await answered(host, 3, '-6', '-i', '0.05', BEYOND)) === 3
  t.ok(await comes(reached, 60_000), 'and reaches what is beyond')
  const { output: hops } = await host.run('traceroute', '-6', '-n', '-w', '30', '-q', '1', BEYOND)
  t.match(hops, new RegExp(`^ 1 {2}${INSIDE}1 [^]*^ 2 {2}${BEYOND} `, 'm'))
  const { output: narrow } = await host.run('ping', '-6', '-c', '1', '-W', '30', '-M', 'do', '-s', '1400', BEYOND)
  t.match(narrow, `From ${INSIDE}1 `, 'who is told')
  t.match(narrow, 'Packet too big: mtu=1400', 'how large packets may be outside')

  daemons.write('r', configuration(false))
  router.child.kill('SIGHUP')
  await router.said(/the configuration was reloaded/)
  const left = (await daemons.ask(['routes', '@r'])).filter(({ origin }) => origin === 'ra')
  t.same([left, addressOf(await wan())], [[], undefined], 'without autoconfigure, nothing is left of it')
  await up.run('sleep', '4')
  t.equal(addressOf(await wan()), undefined, 'nor comes back with the next advertisement')
  t.match(await router.interrupt('SIGTERM'), { code: 0 })
})
