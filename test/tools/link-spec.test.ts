import t from 'tap'
import { type BridgeSpec, parseLinkSpec } from '../../tools/stack/link-spec.ts'

const common = { name: undefined, mtu: undefined, mac: undefined, impairment: undefined }

t.test('the forms of the help text', async (t) => {
  t.same(parseLinkSpec('tap:tap0'), { ...common, type: 'tap', device: 'tap0', netns: undefined, vnetHdr: false })
  t.same(parseLinkSpec('lan=tap:x0,netns=A,vnet-hdr,mtu=9000,mac=02:00:00:00:00:01'), {
    name: 'lan',
    mtu: 9000,
    mac: '02:00:00:00:00:01',
    impairment: undefined,
    type: 'tap',
    device: 'x0',
    netns: 'A',
    vnetHdr: true,
  })
  t.same(parseLinkSpec('udp:7000,peer=127.0.0.1:7001,peer=[::1]:7002'), {
    ...common,
    type: 'udp',
    local: { host: '0.0.0.0', port: 7000 },
    peers: [
      { host: '127.0.0.1', port: 7001 },
      { host: '::1', port: 7002 },
    ],
    codec: 'vxlan',
    engine: undefined,
    vni: 1,
    l2tpv3: undefined,
  })
  t.match(parseLinkSpec('udp:7000,codec=l2tpv3,session=1,peer-session=4294967295,cookie=01020304,sublayer'), {
    codec: 'l2tpv3',
    l2tpv3: { session: 1, peerSession: 4_294_967_295, cookie: Uint8Array.from([1, 2, 3, 4]), sublayer: true },
  })
  t.match(parseLinkSpec('udp:127.0.0.1:7000,codec=raw,engine=dgram,loss=1%,delay=20ms,rate=10mbit,reorder=0.5'), {
    codec: 'raw',
    engine: 'dgram',
    local: { host: '127.0.0.1', port: 7000 },
    impairment: { loss: 0.01, delay: 20_000, rate: 10_000_000, reordering: 0.5 },
  })
})

t.test('PPP on a serial line or a connection', async (t) => {
  t.match(parseLinkSpec('ser0=ppp:/dev/ttyS0,baud=115200,rtscts,user=me,secret=s,demand,default,fcs32'), {
    name: 'ser0',
    type: 'ppp',
    line: '/dev/ttyS0',
    baudRate: 115_200,
    rtscts: true,
    chap: { name: 'me', secret: 's', demand: true },
    isDefault: true,
    fcs: 'fcs32',
  })
  t.match(parseLinkSpec('ppp:127.0.0.1:7000,peer-address=10.0.0.2,mtu=576'), {
    line: { host: '127.0.0.1', port: 7000 },
    peerAddress: '10.0.0.2',
    mtu: 576,
  })
  t.match(parseLinkSpec('serial:/dev/ttyUSB0'), { type: 'ppp', line: '/dev/ttyUSB0', chap: undefined })
})

t.test('LAPB on a serial line or a connection', async (t) => {
  t.same(parseLinkSpec('ser0=lapb:/dev/ttyS0,role=dte,modulo=128,k=64,fcs32,baud=9600,rtscts,mtu=576'), {
    ...common,
    name: 'ser0',
    mtu: 576,
    type: 'lapb',
    line: '/dev/ttyS0',
    baudRate: 9600,
    rtscts: true,
    fcs: 'fcs32',
    role: 'dte',
    modulus: 128,
    k: 64,
  })
  t.match(parseLinkSpec('lapb:[::1]:7000,role=dce'), {
    line: { host: '::1', port: 7000 },
    role: 'dce',
    modulus: 8,
    k: undefined,
    fcs: 'fcs16',
  })
})

t.test('frames over streams, switches and IP', async (t) => {
  t.same(parseLinkSpec('card=stream:/run/card,listen,mtu=9000'), {
    ...common,
    name: 'card',
    mtu: 9000,
    type: 'stream',
    at: '/run/card',
    listen: true,
  })
  t.match(parseLinkSpec('stream:[::1]:7000,loss=1%,mac=02:00:00:00:00:01'), {
    at: { host: '::1', port: 7000 },
    listen: false,
    mac: '02:00:00:00:00:01',
    impairment: { loss: 0.01 },
  })
  t.same(parseLinkSpec('vde:/run/vde/switch'), { ...common, type: 'vde', switch: '/run/vde/switch' })
  t.same(parseLinkSpec('etherip:2001:db8::1'), { ...common, type: 'etherip', peer: '2001:db8::1' })
})

t.test('a bridge', async (t) => {
  const text = 'lan=bridge:(tap:tap0)(far=udp:7000,peer=[::1]:7001,delay=5ms),ageing=60s,stations=100,storm=500,loss=1%'
  t.match(parseLinkSpec(text), {
    name: 'lan',
    type: 'bridge',
    mac: undefined,
    ports: {
      port0: { type: 'tap', device: 'tap0' },
      far: { type: 'udp', peers: [{ host: '::1', port: 7001 }], impairment: { delay: 5000 } },
    },
    ageing: 60_000_000,
    stations: 100,
    storm: 500,
    impairment: { loss: 0.01 },
  })
  t.match(parseLinkSpec('bridge:(tap:t0),pause'), { pause: true })
  t.match(parseLinkSpec('bridge:(tap:t0),pause=100mbit'), { pause: { rate: 100_000_000 } })
  t.same(Object.keys((parseLinkSpec('bridge:(__proto__=tap:t0)') as BridgeSpec).ports), ['__proto__'])
  t.match(parseLinkSpec('bridge:(stream:/a(b),listen)'), { ports: { port0: { at: '/a(b)', listen: true } } })
})

t.test('what is wrong is quoted, and what would be right is said', async (t) => {
  const wrong: [string, RegExp][] = [
    ['', /a link looks like/],
    ['serial', /a link looks like/],
    ['foo:1', /of type 'udp', 'tap', .*'etherip' or 'bridge', not 'foo'/],
    ['stream:here', /HOST:PORT/],
    ['stream:/s,listen=1', /'listen' is no option/],
    ['vde:switch', /a switch has a path such as/],
    ['etherip:192.0.2', /'192\.0\.2' is not an IP address/],
    ['bridge:', /each port of a bridge stands in parentheses/],
    ['bridge:tap:t0', /each port of a bridge stands in parentheses/],
    ['bridge:(tap:t0', /each port of a bridge stands in parentheses/],
    ['bridge:(tap:t0))', /each port of a bridge stands in parentheses/],
    ['bridge:(tap:t0)x', /each port of a bridge stands in parentheses/],
    ['bridge:(tap:)', /'tap:' is not a link: a device name/],
    ['bridge:(tun:t0)', /a port of a bridge carries frames of Ethernet, which 'tun' does not/],
    ['bridge:(bridge:(tap:t0))', /which 'bridge' does not/],
    ['bridge:(a=tap:t0)(a=tap:t1)', /two ports are called 'a'/],
    ['bridge:(tap:t0,mac=02:00:00:00:00:01)', /'mac' is that of the bridge/],
    ['bridge:(tap:t0),mtu=1400', /'mtu' is no option/],
    ['bridge:(tap:t0),storm=0', /'storm' is a number from 1/],
    ['bridge:(tap:t0),pause=soon', /'soon' is not a rate such as '10mbit'/],
    ['bridge:(tap:t0,pause)', /'pause' is no option/],
    ['serial:tty0', /has a path such as/],
    ['ppp:/dev/ttyS0,user=me', /belong together/],
    ['ppp:/dev/ttyS0,user=me,secret=s3,x', /^'ppp:\/dev\/ttyS0,user=me,secret=…,x' is not a link: 'x' is no option/],
    ['bridge:(udp:1,codec=l2tpv3,session=1,peer-session=2,cookie=0badcafe),x', /cookie=…\),x' is not a link/],
    ['ppp:/dev/ttyS0,demand', /'demand' needs/],
    ['ppp:/dev/ttyS0,peer-address=x', /not an IPv4 address/],
    ['ppp:/dev/ttyS0,mac=02:00:00:00:00:01', /'mac' is no option/],
    ['ppp:host', /HOST:PORT/],
    ['lapb:/dev/ttyS0', /one end of LAPB has role=dte, and the other has role=dce/],
    ['lapb:/dev/ttyS0,role=both', /role is 'dte' or 'dce', not 'both'/],
    ['lapb:/dev/ttyS0,role=dte,modulo=16', /modulo is '8' or '128', not '16'/],
    ['lapb:/dev/ttyS0,role=dte,k=8', /'k' is a number from 1 to 7/],
    ['lapb:/dev/ttyS0,role=dte,user=me', /'user' is no option/],
    ['lapb:tty0,role=dte', /HOST:PORT/],
    ['tap:', /1 to 15 characters/],
    ['tap:a-name-that-is-too-long', /1 to 15 characters/],
    ['udp:70000', /port up to 65535/],
    ['udp:1,peer=2', /'2' is not HOST:PORT/],
    ['udp:1,codec=gre', /codec is 'vxlan', 'raw', 'geneve' or 'l2tpv3', not 'gre'/],
    ['udp:1,codec=l2tpv3,session=5', /needs session=N.* and peer-session=N/],
    ['udp:1,codec=l2tpv3,session=5,peer-session=0', /'peer-session' is a number from 1 to 4294967295/],
    ['udp:1,codec=l2tpv3,session=5,peer-session=6,cookie=12', /'cookie' has 8 or 16 hexadecimal digits/],
    ['udp:1,codec=geneve,session=5', /'session' is no option of this kind of link/],
    ['udp:1,engine=fast', /engine is 'dgram' or 'native'/],
    ['udp:1,vni=16777216', /from 0 to 16777215/],
    ['udp:1,vni=1,vni=2', /given twice/],
    ['udp:1,peer', /'peer' needs a value/],
    ['tun:t0,vnet-hdr', /'vnet-hdr' is no option/],
    ['tap:t0,loss=2', /not a share/],
    ['tap:t0,delay=20', /not a time/],
    ['tap:t0,rate=fast', /not a rate/],
    ['tap:t0,mtu=67', /from 68 to/],
  ]
  for (const [text, message] of wrong) t.throws(() => parseLinkSpec(text), { message }, text)
})
