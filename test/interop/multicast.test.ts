/** Groups with the kernel: it hears what we send to its groups, we what it sends to ours, and who asks is told. */
import { once } from 'node:events'
import { join } from 'node:path'
import t from 'tap'
import { boot, ethernet, ip, ipv4, ipv6, sockets, stack, tapDevice, tcp, udp } from '../../src/index.ts'
import { namespace, oracle, until } from './helpers.ts'
import { folder } from './payload.ts'

t.setTimeout(600_000)
const skip = oracle('root', 'tun', 'ip', 'socat', 'tshark', 'scapy')
const GROUPS = { udp4: '239.1.2.3', udp6: 'ff15::1234' } as const

t.test('groups on one Ethernet with a kernel', { skip }, async (t) => {
  const kernel = namespace(t)
  const ours = stack(
    tapDevice({ name: 'x0', netns: kernel.name }),
    ethernet(),
    ip(ipv4({ address: '10.9.0.2/24' }), ipv6({ address: 'fd00::2/64' })),
    sockets(tcp(), udp()),
  )
  const node = await boot(ours)
  t.teardown(() => node.close())
  kernel.ip('addr', 'add', '10.9.0.1/24', 'dev', 'x0')
  kernel.ip('addr', 'add', 'fd00::1/64', 'dev', 'x0', 'nodad')
  kernel.ip('route', 'add', 'multicast', '239.0.0.0/8', 'dev', 'x0')
  await until(
    () => /fe80.*scope link \n|fe80(?!.*tentative)/.test(kernel.ip('-6', 'addr', 'show', 'dev', 'x0')),
    'the kernel is there',
  )
  const file = join(folder(t), 'capture.pcapng')
  const capture = node.capture(file)

  const listening = {
    udp4: `UDP4-RECVFROM:5000,ip-add-membership=${GROUPS.udp4}:x0,reuseaddr`,
    udp6: `UDP6-RECVFROM:5000,ipv6-join-group=[${GROUPS.udp6}]:x0,reuseaddr`,
  }
  const sending = {
    udp4: `UDP4-DATAGRAM:${GROUPS.udp4}:5001,ip-multicast-if=10.9.0.1`,
    udp6: `UDP6-DATAGRAM:[${GROUPS.udp6}]:5001`,
  }
  for (const type of ['udp4', 'udp6'] as const) {
    const heard = kernel.run('timeout', '60', 'socat', '-u', listening[type], '-')
    const socket = node.dgram.createSocket({ type, reuseAddr: true })
    socket.bind(5001)
    await once(socket, 'listening')
    socket.addMembership(GROUPS[type])
    // The kernel's program says nothing when it is ready.
    const repeat = setInterval(() => socket.send('from us', 5000, GROUPS[type]), 100)
    t.equal((await heard).output, 'from us', `${type}: the kernel hears us`)
    clearInterval(repeat)

    const message = once(socket, 'message')
    await kernel.run('sh', '-c', `echo hello | socat -u - '${sending[type]}'`)
    const [octets, from] = await message
    t.equal(String(octets), 'hello\n', `${type}: we hear the kernel`)
    t.match(from.address, type === 'udp4' ? '10.9.0.1' : /^f/)
    socket.dropMembership(GROUPS[type])
    socket.addSourceSpecificMembership(type === 'udp4' ? '10.9.0.77' : 'fd00::77', GROUPS[type])
    let deaf = true
    socket.once('message', () => (deaf = false))
    await kernel.run('sh', '-c', `echo hello | socat -u - '${sending[type]}'`)
    await kernel.run('sleep', '0.2')
    t.ok(deaf, `${type}: but not where another source is wanted`)
  }

  const query = (kind: string) => kernel.run('/usr/bin/python3', join(import.meta.dirname, 'query.py'), 'x0', kind)
  for (const kind of ['igmp3', 'mld2', 'igmp2']) t.equal((await query(kind)).code, 0, kind)
  await kernel.run('sleep', '1.2')
  await capture.stop()
  const fields = [
    '-T',
    'fields',
    ...[
      'ip.src',
      'ipv6.src',
      'igmp.type',
      'igmp.record_type',
      'icmpv6.type',
      'icmpv6.mldr.mar.record_type',
      '_ws.malformed',
    ].flatMap((f) => ['-e', f]),
  ]
  const seen = await kernel.run('tshark', '-r', file, '-Y', 'igmp or icmpv6.type == 143', ...fields)
  const lines = seen.output.split('\n').filter((line) => /^(10\.9\.0\.2|\tfe80)/.test(line))
  const from = (pattern: RegExp) => lines.filter((line) => pattern.test(line)).length
  t.strictSame(
    lines.filter((line) => !/\t$/.test(line)),
    [],
    'nothing is malformed',
  )
  t.ok(from(/^10\.9\.0\.2\t\t0x22\t4\t/) >= 1, 'joined')
  t.ok(from(/^10\.9\.0\.2\t\t0x22\t3\t/) >= 1, 'left')
  t.ok(from(/^10\.9\.0\.2\t\t0x22\t1\t/) >= 1, 'asked, it says what it wants')
  t.ok(from(/^10\.9\.0\.2\t\t0x16\t\t/) >= 1, 'and to a router of version 2 in its way')
  t.ok(from(/^\tfe80\S+\t\t\t143\t[12](,[12])*\t/) >= 1, 'and by MLD')
})
