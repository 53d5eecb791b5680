/** DHCP with servers and clients of others: dnsmasq and busybox's udhcpd as servers, udhcpc and dhclient as clients. */
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import {
  boot,
  dhcpClient,
  dhcpServer,
  ethernet,
  ip,
  ipv4,
  seconds,
  sockets,
  stack,
  tapDevice,
  tcp,
  udp,
} from '../../src/index.ts'
import { answered } from './echoes.ts'
import { type Cleaning, type Namespace, namespace, oracle, until } from './helpers.ts'
import { folder } from './payload.ts'

t.setTimeout(600_000)
const MAC = '02:00:00:00:00:42'
const skip = oracle('root', 'tun', 'ip', 'ping', 'tshark', 'dnsmasq', 'dhclient', 'busybox')

/** A kernel with a TAP device x0 whose other end is ours to take. */
function kernelWithTap(t: Cleaning, address?: string): Namespace {
  const kernel = namespace(t)
  kernel.ip('tuntap', 'add', 'dev', 'x0', 'mode', 'tap')
  if (address !== undefined) kernel.ip('addr', 'add', address, 'dev', 'x0')
  kernel.ip('link', 'set', 'x0', 'up')
  return kernel
}

async function client(t: Cleaning, kernel: Namespace) {
  const told: string[] = []
  const node = await boot(
    stack(
      tapDevice({ name: 'x0', netns: kernel.name }),
      ethernet({ address: MAC }),
      ip(ipv4()),
      sockets(tcp(), udp()),
      dhcpClient({ hostName: 'ours', onLease: (lease, reason) => told.push(`${reason} ${lease?.address}`) }),
    ),
  )
  t.teardown(() => node.close())
  return { node, told }
}

t.test('dnsmasq gives us an address', { skip }, async (t) => {
  const kernel = kernelWithTap(t, '10.9.0.1/24')
  const home = folder(t)
  const options = [
    '--dhcp-option=option:mtu,1400',
    '--dhcp-option=121,172.16.0.0/12,10.9.0.9,0.0.0.0/0,10.9.0.1',
    '--domain=example.org',
  ]
  await kernel.start(
    /DHCP, IP range/,
    'dnsmasq',
    ...['-k', '--conf-file=/dev/null', '--user=root', `--pid-file=${join(home, 'pid')}`, '--log-facility=-'],
    ...['--interface=x0', '--bind-interfaces', '--except-interface=lo', '--no-resolv', '--no-hosts', '--no-ping'],
    ...[`--dhcp-leasefile=${join(home, 'leases')}`, '--dhcp-range=10.9.0.50,10.9.0.59,120', ...options],
  )
  const { node, told } = await client(t, kernel)
  const lease = await node.top.dhcp.bound({ signal: AbortSignal.timeout(60_000) })
  t.match(lease, {
    address: /^10\.9\.0\.5\d\/24$/,
    server: '10.9.0.1',
    nameServers: ['10.9.0.1'],
    domainName: 'example.org',
    mtu: 1400,
  })
  t.match(node.top.network.routes.lookup('172.20.0.1'), { via: '10.9.0.9' })
  const address = lease.address.split('/')[0] as string
  t.equal(await answered(kernel, 3, '-i', '0.05', address), 3)
  const leased = await kernel.run('cat', join(home, 'leases'))
  t.match(leased.output, new RegExp(`${MAC} ${address} ours`))
  node.top.dhcp.renew()
  t.equal(node.top.dhcp.state, 'rebooting')
  await until(() => node.top.dhcp.state === 'bound', 'it confirms what we had')
  await node.close()
  t.match(told, [`bound ${lease.address}`, 'released undefined'])
  await until(() => !readFileSync(join(home, 'leases'), 'utf8').includes(MAC), 'it has heard that it is given back')
})

t.test('udhcpd gives us an address', { skip }, async (t) => {
  const kernel = kernelWithTap(t, '10.9.0.1/24')
  const home = folder(t)
  const config = join(home, 'conf')
  const options = 'option subnet 255.255.255.0\noption router 10.9.0.1\noption lease 60\n'
  const files = `lease_file ${join(home, 'leases')}\npidfile ${join(home, 'pid')}\n`
  writeFileSync(config, `start 10.9.0.30\nend 10.9.0.40\ninterface x0\n${files}${options}`)
  writeFileSync(join(home, 'leases'), '')
  await kernel.start(/udhcpd: started/, 'busybox', 'udhcpd', '-f', config)
  const { node } = await client(t, kernel)
  const lease = await node.top.dhcp.bound({ signal: AbortSignal.timeout(60_000) })
  t.match(lease, { address: /^10\.9\.0\.(3\d|40)\/24$/, routers: ['10.9.0.1'] })
  t.equal(await answered(kernel, 3, '-i', '0.05', lease.address.split('/')[0] as string), 3)
})

t.test('we give udhcpc and dhclient addresses, and tshark finds nothing wrong', { skip }, async (t) => {
  const kernel = kernelWithTap(t)
  const home = folder(t)
  const events: string[] = []
  const node = await boot(
    stack(
      tapDevice({ name: 'x0', netns: kernel.name }),
      ethernet({ address: MAC }),
      ip(ipv4({ address: '10.9.0.2/24' })),
      sockets(tcp(), udp()),
      dhcpServer({
        pool: ['10.9.0.100', '10.9.0.109'],
        leaseTime: seconds(120),
        nameServers: ['10.9.0.53'],
        domainName: 'example.org',
        routes: [{ prefix: '172.16.0.0/12', via: '10.9.0.9' }],
        onEvent: (event) => events.push(event),
      }),
    ),
  )
  t.teardown(() => node.close())
  const captured = join(home, 'capture.pcapng')
  const capture = node.capture(captured)

  const script = join(home, 'script')
  writeFileSync(
    script,
    '#!/bin/sh\n[ "$1" = bound ] && echo "$ip/$mask by $serverid router $router dns $dns lease $lease routes $staticroutes domain $domain"\n' +
      '[ "$1" = bound ] && ip addr add $ip/$mask dev $interface\nexit 0\n',
  )
  chmodSync(script, 0o755)
  const { output } = await kernel.run('busybox', 'udhcpc', '-f', '-q', '-n', '-t', '20', '-i', 'x0', '-s', script)
  const said =
    /(10\.9\.0\.10\d)\/24 by 10\.9\.0\.2 router 10\.9\.0\.2 dns 10\.9\.0\.53 lease 120 routes 0\.0\.0\.0\/0 10\.9\.0\.2 172\.16\.0\.0\/12 10\.9\.0\.9 domain example\.org/
  t.match(output, said)
  const [, address = ''] = said.exec(output) ?? []
  t.equal(await answered(kernel, 3, '-i', '0.05', '10.9.0.2'), 3, 'the kernel has the address and reaches us')
  kernel.ip('addr', 'flush', 'dev', 'x0')

  const files = ['-lf', join(home, 'dhclient.leases'), '-pf', join(home, 'dhclient.pid')]
  const dhclient = await kernel.run('dhclient', '-1', '-v', '-sf', '/bin/true', ...files, 'x0')
  t.match(dhclient.output, /DHCPACK of 10\.9\.0\.10\d from 10\.9\.0\.2/)
  // Who waits long for an offer asks again.
  const told = events.filter((event, i) => event !== events[i - 1])
  t.strictSame(told, ['offered', 'leased', 'offered', 'leased'])
  t.ok(node.top.dhcp.leases().some((lease) => lease.address === address && lease.state !== 'free'))

  await capture.stop()
  const fields = ['-T', 'fields', '-e', 'dhcp.option.dhcp', '-e', '_ws.malformed', '-e', 'udp.checksum.status']
  const seen = await kernel.run('tshark', '-r', captured, '-o', 'udp.check_checksum:TRUE', '-Y', 'dhcp', ...fields)
  const lines = seen.output.split('\n').filter((line) => /^\d\t/.test(line))
  t.ok(lines.length >= 8, 'all of it was captured')
  t.strictSame(
    lines.filter((line) => !/^[1-8]\t\t1$/.test(line)),
    [],
  )
})
