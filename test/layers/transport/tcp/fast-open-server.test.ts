/** TCP Fast Open, the side that listens (RFC 7413 §4.1.2, §4.2.2, §5.1). */
import t from 'tap'
import { FastOpenKeys } from '../../../../layers/transport/tcp/fast-open-keys.ts'
import { fastOpenSettings } from '../../../../layers/transport/tcp/fast-open-settings.ts'
import type { TcpOptions } from '../../../../layers/transport/tcp/settings.ts'
import { parseAddress } from '../../../../src/kernel/address.ts'
import { ms, seconds } from '../../../../src/kernel/clock.ts'
import { SeededRandom } from '../../../../src/kernel/random.ts'
import { Script } from './script.ts'

/** Linux's `net.ipv4.tcp_fastopen_key=a0bf63f7-ed803d81-cd641d30-cebc4a90`. */
const KEY: Uint8Array = Buffer.from('f763bfa0813d80ed301d64cd904abcce', 'hex')
const OLD_KEY: Uint8Array = Buffer.alloc(16, 7)
const CLIENT = parseAddress('10.0.0.2')
const SERVER = parseAddress('10.0.0.1')

const cookieOf = (key: Uint8Array, client = CLIENT, server = SERVER): string => {
  const keys = new FastOpenKeys({ fastOpen: fastOpenSettings({ keys: [key] }) }, new SeededRandom([1, 2, 3, 4]))
  return Buffer.from(keys.make(server, client, 0)).toString('hex')
}
const COOKIE = cookieOf(KEY)

function listening(fastOpen = 2, options: TcpOptions = {}): Script {
  const s = new Script({ tcp: { sack: false, timestamps: false, windowScaling: false, ...options } })
  s.listen({ options: { fastOpen } })
  return s
}
const withKeys: TcpOptions = { fastOpen: { keys: [KEY, OLD_KEY] } }

t.test('cookies are those of Linux', async (t) => {
  t.equal(cookieOf(KEY, parseAddress('10.248.0.3'), parseAddress('192.168.0.2')), '1313a2da994a0951')
  t.not(cookieOf(KEY, parseAddress('10.248.0.4'), parseAddress('192.168.0.2')), '1313a2da994a0951')
  t.not(
    cookieOf(KEY, parseAddress('2001:db8::1'), parseAddress('2001:db8::2')),
    cookieOf(KEY, parseAddress('2001:db8::3'), parseAddress('2001:db8::2')),
  )
})

t.test('random keys are exchanged; the one before is good for as long again', async (t) => {
  const keys = new FastOpenKeys(
    { fastOpen: fastOpenSettings({ keyLifetime: seconds(10) }) },
    new SeededRandom([1, 2, 3, 4]),
  )
  const cookie = keys.make(SERVER, CLIENT, 0)
  const view = new DataView(cookie.buffer)
  const judge = (at: number) => keys.judge(view, 0, 8, SERVER, CLIENT, seconds(at))
  t.same([judge(9), judge(10), judge(19), judge(20)], ['current', 'previous', 'previous', 'none'])
  t.equal(keys.judge(view, 0, 6, SERVER, CLIENT, seconds(20)), 'none')
})

t.test('off by default: data of a SYN waits for the handshake, and the option is not answered', async (t) => {
  const s = new Script({ tcp: { sack: false, timestamps: false, windowScaling: false } })
  s.listen()
  s.in('S 0:10 <mss 1000,fo>')
  s.out('S. 0:0 ack 1 <mss 1460>')
  t.same(s.told, [])
})

t.test('who asks is given a cookie, in the format he asks in; data without one is not taken', async (t) => {
  const s = listening(2, withKeys)
  s.in('S 0:10 <mss 1000,fo>')
  s.out(`S. 0:0 ack 1 <mss 1460,fo ${COOKIE},nop,nop>`)
  s.ports[1]++
  s.in('S 0:10 <mss 1000,foexp>')
  s.out(`S. 0:0 ack 1 <mss 1460,foexp ${COOKIE}>`)
  s.ports[1]++
  s.in('S 0:10 <mss 1000>')
  s.out('S. 0:0 ack 1 <mss 1460>')
  t.same(s.told, [])
})

t.test('reset before its handshake is complete, what it brought can be read', async (t) => {
  const s = listening(2, withKeys)
  s.in(`S 0:10 win 5000 <mss 1000,fo ${COOKIE}>`)
  s.out('S. 0:0 ack 11 <mss 1460>')
  s.in('R. 11:11 ack 1')
  s.tells('acceptable', 'readable')
  const c = s.accepted[0] as (typeof s.accepted)[0]
  t.equal(c.state, 'CLOSED')
  t.equal(s.read(c, 100, 0), 10)
  s.tells('closed ECONNRESET reset')
})

t.test('the peer hears of no larger window before it has answered', async (t) => {
  const s = new Script({ tcp: { sack: false, timestamps: false, ...withKeys } })
  s.listen({ options: { fastOpen: 2 } })
  s.in(`S 0:10 win 5000 <mss 1000,nop,ws 7,fo ${COOKIE}>`)
  s.tells('acceptable', 'readable')
  s.skip()
  t.equal(s.read(s.accepted[0] as (typeof s.accepted)[0], 100, 0), 10)
  s.out()
})

t.test('with a cookie, data is accepted, read and answered before the handshake is complete', async (t) => {
  const s = listening(2, withKeys)
  s.in(`S 0:10 win 5000 <mss 1000,fo ${COOKIE}>`)
  s.out('S. 0:0 ack 11 <mss 1460>')
  s.tells('acceptable', 'readable')
  const c = s.accepted[0] as (typeof s.accepted)[0]
  t.equal(c.state, 'SYN-RECEIVED')
  t.equal(c.info().synDataAccepted, true)
  t.equal(s.read(c, 100, 0), 10)
  t.equal(s.write(c, 1500), 1500)
  s.out('. 1:1001 ack 11', 'P. 1001:1501 ack 11')
  s.in('. 11:11 ack 1501')
  t.equal(c.state, 'ESTABLISHED')
  t.equal(c.queuedOctets, 0)
  s.tells()
  s.in('. 11:21 ack 1501')
  t.equal(s.read(c, 100, 10), 10)
  s.run(ms(40))
  s.out('. 1501:1501 ack 21')
  s.call(() => c.close())
  s.out('F. 1501:1501 ack 21')
  s.in('F. 21:21 ack 1502')
  s.out('. 1502:1502 ack 22')
  s.tells('closed')
})

t.test('the end of a peer whose data came with its SYN is acknowledged at once', async (t) => {
  const s = listening(2, withKeys)
  s.in(`S 0:10 <mss 1000,fo ${COOKIE}>`)
  s.out('S. 0:0 ack 11')
  s.in('. 11:11 ack 1', 'F. 11:11 ack 1')
  s.out('. 1:1 ack 12')
  t.equal(s.accepted[0]?.state, 'CLOSE-WAIT')
})

t.test('a cookie without data opens early, too: the server may speak first', async (t) => {
  const s = listening(2, withKeys)
  s.in(`S 0:0 <mss 1000,fo ${COOKIE}>`)
  s.out('S. 0:0 ack 1 <mss 1460>')
  s.tells('acceptable')
  s.write(s.accepted[0] as (typeof s.accepted)[0], 10)
  s.out('P. 1:11 ack 1')
  s.in('. 1:1 ack 1')
  t.equal(s.accepted[0]?.state, 'ESTABLISHED')
  t.equal(s.accepted[0]?.info().outstanding, 10)
  s.run(ms(250))
  s.out('P. 1:11 ack 1')
  t.equal(s.accepted[0]?.info().synDataAccepted, false)
})

t.test('until the handshake is complete it is the SYN-ACK that goes again, then the data', async (t) => {
  const s = listening(2, withKeys)
  s.in(`S 0:10 <mss 1000,fo ${COOKIE}>`)
  s.skip()
  s.write(s.accepted[0] as (typeof s.accepted)[0], 100)
  s.out('P. 1:101 ack 11')
  s.run(seconds(1))
  s.out('S. 0:0 ack 11 <mss 1460>')
  s.in(`S 0:10 <mss 1000,fo ${COOKIE}>`)
  s.out('S. 0:0 ack 11 <mss 1460>')
  s.in('. 11:11 ack 1')
  s.out()
  s.run(seconds(3))
  s.out('P. 1:101 ack 11')
  t.equal(s.accepted.length, 1)
})

t.test('the key before is good still, and the new cookie is told; any other cookie is none', async (t) => {
  const s = listening(5, withKeys)
  s.in(`S 0:10 <mss 1000,fo ${cookieOf(OLD_KEY)}>`)
  s.out(`S. 0:0 ack 11 <mss 1460,fo ${COOKIE},nop,nop>`)
  for (const wrong of [cookieOf(Buffer.alloc(16, 9)), COOKIE.slice(0, 12), `${COOKIE}0000`, 'aabb']) {
    s.ports[1]++
    s.in(`S 0:10 <mss 1000,fo ${wrong}>`)
    s.out(`S. 0:0 ack 1 <mss 1460,fo ${COOKIE},nop,nop>`)
  }
  t.equal(s.accepted.length, 1)
})

t.test(
  'no more than the limit wait for the end of their handshakes; those that were reset count for a minute',
  async (t) => {
    const s = listening(2, withKeys)
    const syn = (port: number, ack: 1 | 11) => {
      s.ports[1] = port
      s.in(`S 0:10 <mss 1000,fo ${COOKIE}>`)
      s.out(`S. 0:0 ack ${ack} <mss 1460>`)
    }
    syn(1, 11)
    syn(2, 11)
    s.in('. 11:11 ack 1')
    s.run(0)
    syn(3, 11)
    syn(4, 1)
    s.ports[1] = 3
    s.in('R 11:11')
    s.run(0)
    syn(5, 1)
    s.run(seconds(59))
    s.skip()
    syn(6, 1)
    s.run(seconds(1))
    s.skip()
    syn(7, 11)
    t.equal(s.accepted.length, 4)
  },
)

t.test('with a full backlog it is dropped as ever; with SYN cookies there is no Fast Open', async (t) => {
  const s = new Script({
    tcp: { sack: false, timestamps: false, windowScaling: false, maxSynReceived: 1, ...withKeys },
  })
  s.listen({ options: { fastOpen: 10 } })
  s.in(`S 0:10 <mss 1000,fo ${COOKIE}>`)
  s.out('S. 0:0 ack 11 <mss 1460>')
  s.ports[1]++
  s.in(`S 0:10 <mss 1000,fo ${COOKIE}>`)
  s.out('S. 0:0 ack 1 <mss 1460>')
  t.equal(s.drops('synQueueFull'), 1)
  s.in('. 1:11 ack 1')
  s.out('. 1:1 ack 11')
  t.equal(s.read(s.accepted[1] as (typeof s.accepted)[0], 100, 0), 10)
})

t.test('without cookies, where the node is told so', async (t) => {
  const s = listening(2, { fastOpen: { requireCookie: false } })
  s.in('S 0:10 <mss 1000>')
  s.out('S. 0:0 ack 11 <mss 1460>')
  t.equal(s.accepted.length, 1)
})

t.test('closing early sends FIN, or resets what is unread; a listener that closes resets', async (t) => {
  const s = listening(9, withKeys)
  const open = () => {
    s.ports[1]++
    s.in(`S 0:10 <mss 1000,fo ${COOKIE}>`)
    s.skip()
    return s.accepted.at(-1) as (typeof s.accepted)[0]
  }
  const read = open()
  s.read(read)
  s.call(() => read.close())
  s.out('F. 1:1 ack 11')
  s.in('F. 11:11 ack 2')
  s.out('. 2:2 ack 12')
  const unread = open()
  s.call(() => unread.close())
  s.out('R. 1:1 ack 11')
  const lost = open()
  s.run(seconds(100))
  t.equal(lost.state, 'CLOSED')
  s.close()
  t.equal(s.packets, 0)
})

t.test('an ICMP error about the SYN-ACK ends what is not complete yet; a guess does not', async (t) => {
  const s = listening(2, withKeys)
  s.in(`S 0:10 <mss 1000,fo ${COOKIE}>`)
  s.skip()
  s.told = []
  t.equal(s.icmp(1000, { code: 'ECONNREFUSED', reason: 'portUnreachable', hard: true }), false)
  s.in('S 100:100 <mss 1000>')
  s.out('. 1:1 ack 11')
  t.equal(s.accepted[0]?.state, 'SYN-RECEIVED', 'nor does a SYN in the window')
  t.equal(s.icmp(0, { code: 'ECONNREFUSED', reason: 'portUnreachable', hard: true }), true)
  s.tells('closed ECONNREFUSED portUnreachable')
})

t.test('data beyond the window of the SYN-ACK is cut', async (t) => {
  const s = new Script({ tcp: { sack: false, timestamps: false, windowScaling: false, ...withKeys } })
  s.listen({ options: { fastOpen: 1, receiveBuffer: 4 } })
  s.in(`S 0:10 <mss 1000,fo ${COOKIE}>`)
  s.out('S. 0:0 ack 5 win 0 <mss 1460>')
  t.equal(s.accepted[0]?.readableOctets, 4)
})

t.test('misuse throws', async (t) => {
  t.throws(() => fastOpenSettings({ keys: [new Uint8Array(15)] }), { code: 'ERR_INVALID_ARG_VALUE' })
  t.throws(() => fastOpenSettings({ keys: [KEY, KEY, KEY] }), { code: 'ERR_INVALID_ARG_VALUE' })
  t.throws(() => new Script().listen({ options: { fastOpen: -1 } }), { code: 'ERR_OUT_OF_RANGE' })
})
