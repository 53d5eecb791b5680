/**
 * A kernel's host behind our translation, to a kernel's servers; and the same behind the kernel's own (nftables), which has
 * to come to the same.
 *
 *   lan 192.168.50.2, .3 ── 192.168.50.1 gateway 203.0.113.1 ── 203.0.113.2 wan 198.51.100.1 ── 198.51.100.2 far
 */
import { Readable } from 'node:stream'
import t from 'tap'
import { beside, boot, ethernet, ip, ipv4, sockets, stack, tapDevice, tcp, udp } from '../../src/index.ts'
import { packetsInUse, poisonReleased } from '../../src/kernel/packet.ts'
import { answered } from './echoes.ts'
import { addAddress, type Cleaning, type Namespace, namespace, oracle } from './helpers.ts'
import { payloadFile, payloadHash } from './payload.ts'

poisonReleased(true)
t.setTimeout(600_000)
const skip = oracle('root', 'tun', 'ip', 'ping', 'traceroute', 'socat', 'nft', 'python3')

const FAR = '198.51.100.2'
const OUTSIDE = '203.0.113.1'
const FILE_OCTETS = 5 << 20

/** Tells by TCP and UDP who it is asked by; by UDP in 32 octets. */
const PEER = `
import socketserver, sys, threading
port = int(sys.argv[1])
class Tcp(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.recv(100)
        self.request.sendall(b'%s:%d\\n' % (self.client_address[0].encode(), self.client_address[1]))
class Udp(socketserver.BaseRequestHandler):
    def handle(self):
        self.request[1].sendto(b'%-31s\\n' % (b'%s:%d' % (self.client_address[0].encode(), self.client_address[1])), self.client_address)
socketserver.TCPServer.allow_reuse_address = True
udp = socketserver.UDPServer(('', port), Udp)
tcp = socketserver.ThreadingTCPServer(('', port), Tcp)
threading.Thread(target=udp.serve_forever, daemon=True).start()
print('ready')
tcp.serve_forever()
`

interface World {
  readonly lan: Namespace
  readonly wan: Namespace
  readonly far: Namespace
}

/** What is the same whoever translates; `x0` of lan and of wan lead to the gateway. */
async function around(t: Cleaning, world: World): Promise<void> {
  const { lan, wan, far } = world
  addAddress(lan, 'x0', '192.168.50.2/24')
  lan.ip('addr', 'add', '192.168.50.3/24', 'dev', 'x0')
  lan.ip('route', 'add', 'default', 'via', '192.168.50.1', 'congctl', 'cubic')
  addAddress(wan, 'x0', '203.0.113.2/24')
  wan.ip('link', 'add', 'e0', 'type', 'veth', 'peer', 'name', 'e0', 'netns', far.name)
  for (const [side, prefix] of [[wan, '198.51.100.1/24'] as const, [far, `${FAR}/24`] as const]) {
    side.ip('link', 'set', 'e0', 'mtu', '1300', 'up')
    addAddress(side, 'e0', prefix)
  }
  await wan.run('sysctl', '-q', '-w', 'net.ipv4.ip_forward=1')
  // No way to the inside: only what is translated comes back.
  far.ip('route', 'add', '203.0.113.0/24', 'via', '198.51.100.1', 'congctl', 'cubic')
  const file = await payloadFile(t, FILE_OCTETS)
  await far.start(/ready/, 'python3', '-u', '-c', PEER, '7000')
  await far.start(/listening/, 'socat', '-d', '-d', '-u', `OPEN:${file}`, 'TCP4-LISTEN:7001,fork,reuseaddr')
  await lan.start(/ready/, 'python3', '-u', '-c', PEER, '80')
}

/** What the hosts see, in the order of the tries; a port that somebody else has is 'another port'. */
async function seen({ lan, far }: World): Promise<string[]> {
  const lines: string[] = []
  const tell = (what: string, text: string) => lines.push(`${what}: ${text.trim()}`)
  const ask = async (from: Namespace, to: string, options = '') => {
    // UDP does not tell its end.
    const end = to.startsWith('UDP') ? ',readbytes=32' : ''
    const { output } = await from.feed(Readable.from(['hello\n']), 'socat', '-t60', '-', `${to}${options}${end}`)
    return output.replace(/^.*\] [EW] .*: /m, '')
  }
  tell('UDP', await ask(lan, `UDP4:${FAR}:7000`, ',bind=192.168.50.2:4444'))
  const second = await ask(lan, `UDP4:${FAR}:7000`, ',bind=192.168.50.3:4444')
  tell('UDP of another host', second.replace(/:(?!4444\b)\d+/, ' another port'))
  tell('UDP once more', await ask(lan, `UDP4:${FAR}:7000`, ',bind=192.168.50.2:4444'))
  tell('TCP', await ask(lan, `TCP4:${FAR}:7000`, ',bind=192.168.50.2:4445'))
  tell('TCP refused', await ask(lan, `TCP4:${FAR}:7009`, ',bind=192.168.50.2:4446'))
  for (const octets of ['56', '4000']) {
    tell(`ping of ${octets}`, `${await answered(lan, 3, '-i', '0.05', '-s', octets, FAR)} received`)
  }
  const { output: large } = await lan.run('ping', '-c', '1', '-w', '60', '-M', 'do', '-s', '1400', FAR)
  tell('too large', /From .*mtu = \d+\)/.exec(large)?.[0] ?? large)
  for (const method of ['udp', 'icmp']) {
    const { output } = await lan.run('traceroute', '-n', '-q', '1', '-w', '30', '-M', method, FAR)
    tell(`traceroute by ${method}`, [...output.matchAll(/^ *\d+ {2}(\S+)/gm)].map(([, hop]) => hop).join(' '))
  }
  lan.ip('route', 'flush', 'cache')
  const { output: hash } = await lan.run('sh', '-c', `socat -u TCP4:${FAR}:7001 - | sha256sum`)
  tell('a file', hash.replace(payloadHash(FILE_OCTETS), 'intact').replace(' -', ''))
  const asked = async (from: Namespace, options = '') =>
    (await ask(from, `TCP4:${OUTSIDE}:8080`, options)).replace(/:\d+\s*$/, '')
  tell('a forward, asked by', await asked(far))
  tell('and from inside by', await asked(lan, ',bind=192.168.50.3'))
  tell(
    'from outside unasked',
    (await far.run('ping', '-q', '-c', '1', '-W', '1', '192.168.50.2')).code === 0 ? 'in' : 'not in',
  )
  return lines
}

const expected = [
  `UDP: ${OUTSIDE}:4444`,
  `UDP of another host: ${OUTSIDE} another port`,
  `UDP once more: ${OUTSIDE}:4444`,
  `TCP: ${OUTSIDE}:4445`,
  'TCP refused: Connection refused',
  'ping of 56: 3 received',
  'ping of 4000: 3 received',
  'too large: From 203.0.113.2 icmp_seq=1 Frag needed and DF set (mtu = 1300)',
  `traceroute by udp: 192.168.50.1 203.0.113.2 ${FAR}`,
  `traceroute by icmp: 192.168.50.1 203.0.113.2 ${FAR}`,
  'a file: intact',
  `a forward, asked by: ${FAR}`,
  `and from inside by: ${OUTSIDE}`,
  'from outside unasked: not in',
]

function three(t: Cleaning): World {
  return { lan: namespace(t), wan: namespace(t), far: namespace(t) }
}

t.test('behind our translation', { skip }, async (t) => {
  const before = packetsInUse()
  const world = three(t)
  const links = beside({
    lan0: stack(tapDevice({ name: 'x0', netns: world.lan.name, vnetHdr: true }), ethernet()),
    wan0: stack(tapDevice({ name: 'x0', netns: world.wan.name, vnetHdr: true }), ethernet()),
  })
  const gateway = await boot(
    stack(
      links,
      ip(
        ipv4({
          addresses: { lan0: '192.168.50.1/24', wan0: `${OUTSIDE}/24` },
          gateway: '203.0.113.2',
          forwarding: true,
          nat: { link: 'wan0', forwards: [{ protocol: 'tcp', port: 8080, to: '192.168.50.2:80' }] },
        }),
      ),
      sockets(tcp(), udp()),
    ),
    'gateway',
  )
  t.teardown(() => gateway.close())
  await around(t, world)
  t.strictSame(await seen(world), expected)
  const udpPorts = gateway.top.network.translations().filter(({ protocol }) => protocol === 'udp')
  t.match(
    udpPorts.find(({ inside }) => inside === '192.168.50.2:4444'),
    { outsidePort: 4444, sessions: 1 },
  )
  t.match(await gateway.icmp.ping(FAR), { outcome: 'reply' }, 'the gateway itself gets out too')
  await gateway.close()
  t.equal(packetsInUse(), before)
})

t.test("behind the kernel's", { skip }, async (t) => {
  const world = three(t)
  const gateway = namespace(t)
  const rules = `
    table ip nat {
      chain in { type nat hook prerouting priority dstnat; ip daddr ${OUTSIDE} tcp dport 8080 dnat to 192.168.50.2:80; }
      chain out {
        type nat hook postrouting priority srcnat;
        oifname x1 masquerade
        ip saddr 192.168.50.0/24 ip daddr 192.168.50.2 snat to ${OUTSIDE}
      }
    }`
  for (const [side, far] of [['x0', world.lan] as const, ['x1', world.wan] as const]) {
    gateway.ip('link', 'add', side, 'type', 'veth', 'peer', 'name', 'x0', 'netns', far.name)
    gateway.ip('link', 'set', side, 'up')
    far.ip('link', 'set', 'x0', 'up')
  }
  addAddress(gateway, 'x0', '192.168.50.1/24')
  addAddress(gateway, 'x1', `${OUTSIDE}/24`)
  gateway.ip('route', 'add', 'default', 'via', '203.0.113.2')
  await gateway.run('sysctl', '-q', '-w', 'net.ipv4.ip_forward=1')
  const loaded = await gateway.feed(Readable.from([rules]), 'nft', '-f', '-')
  t.equal(loaded.code, 0, loaded.output)
  await around(t, world)
  t.strictSame(await seen(world), expected)
})
