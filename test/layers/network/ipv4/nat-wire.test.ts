/** Translation by packets made by hand: errors, fragments, and connections asked for from outside. On virtual time. */
import t, { type Test } from 'tap'
import { direct } from '../../../../layers/datalink/direct.ts'
import { ip } from '../../../../layers/network/ip.ts'
import { ipv4 } from '../../../../layers/network/ipv4/ipv4.ts'
import { cable } from '../../../../layers/physical/cable.ts'
import type { NatOptions } from '../../../../src/api/rules.ts'
import { ms, seconds } from '../../../../src/kernel/clock.ts'
import { Packet, packetsInUse, poisonReleased } from '../../../../src/kernel/packet.ts'
import { beside, stack } from '../../../../src/kernel/stack.ts'
import { Simulation } from '../../../../src/runtime/simulation.ts'
import {
  ACK,
  ICMP,
  type Ipv4Fields,
  icmpMessage,
  ipv4Packet,
  repair,
  SYN,
  TCP,
  tcpSegment,
  UDP,
  udpDatagram,
  viewOf,
} from '../../../fuzz/frames.ts'
import { address } from '../../../fuzz/stand.ts'

poisonReleased(true)

const HOST = address('192.168.0.2')
const OUTSIDE = address('203.0.113.1')
const SERVER = address('198.51.100.9')
const ROUTER_ON_THE_WAY = address('198.51.100.1')
const [UNREACHABLE, ECHO, ECHO_REPLY] = [3, 8, 0] as const
const NAMES = new Map([
  [HOST, 'host'],
  [OUTSIDE, 'outside'],
  [SERVER, 'server'],
  [ROUTER_ON_THE_WAY, 'router'],
])

type Side = 'inside' | 'outside'

/** A gateway, and what its links carry; each packet as text. */
function world(nat: Partial<NatOptions> = {}, addresses: string[] = ['203.0.113.1/24']) {
  const sim = new Simulation({ seed: 2 })
  const ends = { inside: cable({ medium: 'ip' }), outside: cable({ medium: 'ip' }) }
  const gateway = sim.boot(
    'R',
    stack(
      beside({ lan0: stack(ends.inside[0], direct()), wan0: stack(ends.outside[0], direct()) }),
      ip(
        ipv4({
          addresses: { lan0: '192.168.0.1/24', wan0: addresses },
          routes: [{ prefix: '0.0.0.0/0', link: 'wan0' }],
          forwarding: true,
          nat: { link: 'wan0', inside: ['192.168.0.0/24'], ...nat },
        }),
      ),
    ),
  )
  const got: Record<Side, string[]> = { inside: [], outside: [] }
  const links = { inside: sim.boot('in', ends.inside[1]), outside: sim.boot('out', ends.outside[1]) }
  for (const side of ['inside', 'outside'] as const) {
    links[side].top.boundary.attach({
      receive: (packet) => {
        got[side].push(told(packet.bytes().slice()))
        packet.release()
      },
    })
  }
  return {
    sim,
    /** Sends octets by a link. @returns what came out of the other since the last time. */
    async put(side: Side, ...packets: Uint8Array[]): Promise<string[]> {
      for (const octets of packets) {
        const packet = Packet.take(links[side].top.headroom, octets.length)
        packet.append(octets)
        links[side].top.send(packet, undefined)
        await sim.run(ms(1))
      }
      return got[side === 'inside' ? 'outside' : 'inside'].splice(0)
    },
    /** What came back to a side. */
    back: (side: Side) => got[side].splice(0),
    drops: () => Object.fromEntries([...gateway.top.boundary.drops].filter(([, count]) => count > 0)),
    ends: () => gateway.top.control.translationSessions(9).map(({ endsIn }) => Math.round(endsIn / seconds(1))),
    close: () => Promise.all([gateway, links.inside, links.outside].map((node) => node.close())),
  }
}

type World = ReturnType<typeof world>

function scenario(
  name: string,
  body: (t: Test, on: World) => Promise<void>,
  ...options: Parameters<typeof world>
): void {
  t.test(name, async (t) => {
    const before = packetsInUse()
    const on = world(...options)
    await body(t, on)
    await on.close()
    t.equal(packetsInUse(), before, 'every packet was released')
  })
}

/** 'udp host:5000 > server:53', and of an error what it quotes; a wrong checksum is told. */
function told(octets: Uint8Array): string {
  const right = octets.slice()
  repair(right, 'ip')
  const wrong = Buffer.compare(right, octets) === 0 ? '' : ' with a wrong checksum'
  const view = viewOf(octets)
  const fragment = view.getUint16(6) & 0x3fff
  const [from, to] = [view.getInt32(12), view.getInt32(16)].map((word) => NAMES.get(word) ?? String(word))
  const end = view.getUint16(2)
  if (fragment !== 0) return `fragment of ${end} octets ${from} > ${to}${wrong}`
  switch (octets[9]) {
    case ICMP: {
      if (octets[20] !== UNREACHABLE) return `echo ${from} > ${to} ${view.getUint16(24)}${wrong}`
      return `unreachable ${octets[21]} ${from} > ${to} (${quoted(octets.slice(28))})${wrong}`
    }
    case UDP:
      return `udp ${from}:${view.getUint16(20)} > ${to}:${view.getUint16(22)} of ${end}${wrong}`
    default:
      return `tcp ${from}:${view.getUint16(20)} > ${to}:${view.getUint16(22)}${wrong}`
  }
}

/** As `told`, of a beginning: sums of transports do not cover it. */
function quoted(octets: Uint8Array): string {
  const header = octets.slice(0, 20)
  repair(header, 'ip')
  const isRight = Buffer.compare(header, octets.slice(0, 20)) === 0
  return `${told(octets).replace(' with a wrong checksum', '')}${isRight ? '' : ' with a wrong header'}`
}

function packet(fields: Ipv4Fields, payload: Uint8Array, sound = true): Uint8Array {
  const octets = ipv4Packet(fields, payload)
  repair(octets, 'ip')
  if (!sound) octets[22] = (octets[22] as number) ^ 0x55
  return octets
}

const udp = (from: number, to: number, ports: [number, number], octets = 4) =>
  packet({ source: from, destination: to, protocol: UDP }, udpDatagram(...ports, new Uint8Array(octets)))

const tcp = (from: number, to: number, ports: [number, number], flags: number, seq = 0, ack = 0) => {
  const [sourcePort, destinationPort] = ports
  const segment = tcpSegment({ sourcePort, destinationPort, seq, ack, flags })
  return packet({ source: from, destination: to, protocol: TCP }, segment)
}

const echo = (from: number, to: number, type: number, identifier: number) =>
  packet({ source: from, destination: to, protocol: ICMP }, icmpMessage(type, 0, identifier << 16, new Uint8Array(8)))

/** An error that quotes a packet, by code 1: the host is unreachable. */
const error = (from: number, to: number, quote: Uint8Array, sound = true) =>
  packet({ source: from, destination: to, protocol: ICMP }, icmpMessage(UNREACHABLE, 1, 0, quote), sound)

scenario('errors about sessions go inside, and neither end nor keep them', async (t, on) => {
  const { sim, put, ends } = on
  await put('inside', udp(HOST, SERVER, [5000, 53]), echo(HOST, SERVER, ECHO, 7))
  await put('inside', tcp(HOST, SERVER, [6000, 80], SYN, 99))
  await put('outside', tcp(SERVER, OUTSIDE, [80, 6000], SYN | ACK, 499, 100))
  await put('inside', tcp(HOST, SERVER, [6000, 80], ACK, 100, 500))
  await sim.run(seconds(50))
  // RFC 5508 REQ-6, RFC 5382 REQ-10.
  t.strictSame(ends(), [7390, 250, 10])
  const sent = [
    udp(OUTSIDE, SERVER, [5000, 53]),
    echo(OUTSIDE, SERVER, ECHO, 7),
    tcp(OUTSIDE, SERVER, [6000, 80], ACK, 100, 500),
  ]
  t.strictSame(await put('outside', ...sent.map((quote) => error(ROUTER_ON_THE_WAY, OUTSIDE, quote))), [
    'unreachable 1 router > host (udp host:5000 > server:53 of 32)',
    'unreachable 1 router > host (echo host > server 7)',
    'unreachable 1 router > host (tcp host:6000 > server:80)',
  ])
  t.strictSame(ends(), [7390, 250, 10])
  t.strictSame(on.drops(), {})
  t.strictSame(await put('outside', udp(SERVER, OUTSIDE, [53, 5000]), echo(SERVER, OUTSIDE, ECHO_REPLY, 7)), [
    'udp server:53 > host:5000 of 32',
    'echo server > host 7',
  ])
})

scenario('errors that are damaged, or quote what nobody sent, go no further', async (t, on) => {
  const { put, drops } = on
  await put('inside', udp(HOST, SERVER, [5000, 53]))
  const quote = udp(OUTSIDE, SERVER, [5000, 53])
  t.strictSame(await put('outside', error(ROUTER_ON_THE_WAY, OUTSIDE, quote, false)), [], 'its checksum is wrong')
  t.strictSame(drops(), { icmpChecksum: 1 })
  t.strictSame(await put('outside', error(SERVER, OUTSIDE, udp(OUTSIDE, SERVER, [5000, 54]))), [], 'to another port')
  t.strictSame(drops(), { icmpChecksum: 1, natNoSession: 1 })
  t.strictSame(await put('outside', error(SERVER, OUTSIDE, udp(OUTSIDE, SERVER, [5001, 53]))), [], 'of nobody')
  t.strictSame(await put('outside', error(SERVER, OUTSIDE, udp(SERVER, OUTSIDE, [5000, 53]))), [], 'not ours')
  t.strictSame(await put('outside', error(SERVER, OUTSIDE, quote.slice(0, 27))), [], 'cut short')
  t.strictSame(drops(), { icmpChecksum: 1, natNoSession: 1, icmpQuote: 3 })
})

scenario('errors of a host inside leave with what they quote as it is outside', async (t, on) => {
  const { put, drops } = on
  // So that the port outside is another.
  await put('inside', udp(address('192.168.0.3'), SERVER, [5000, 53]))
  const [out = ''] = await put('inside', udp(HOST, SERVER, [5000, 53]))
  const port = Number(/outside:(\d+)/.exec(out)?.[1])
  t.not(port, 5000)
  t.strictSame(await put('outside', udp(SERVER, OUTSIDE, [53, port])), ['udp server:53 > host:5000 of 32'])
  const answer = udp(SERVER, HOST, [53, 5000])
  t.strictSame(await put('inside', error(HOST, SERVER, answer)), [
    `unreachable 1 outside > server (udp server:53 > outside:${port} of 32)`,
  ])
  t.strictSame(await put('inside', error(HOST, SERVER, udp(SERVER, HOST, [53, 4242]))), [], 'of no mapping')
  t.strictSame(await put('inside', error(HOST, SERVER, answer.slice(0, 27))), [], 'cut short')
  t.strictSame(await put('inside', error(HOST, SERVER, answer, false)), [], 'its checksum is wrong')
  t.strictSame(drops(), { natNoSession: 1, natQuote: 2 })
})

/** A datagram of UDP in three fragments, of 1,000 octets of data each but the last. */
function fragments(from: number, to: number, ports: [number, number], id: number): Uint8Array[] {
  const whole = udp(from, to, ports, 2500).slice(20)
  return [0, 1000, 2000].map((at) => {
    const more = at + 1000 < whole.length ? 0x2000 : 0
    const fields = { source: from, destination: to, protocol: UDP, id, fragment: more | (at / 8) }
    return packet(fields, whole.slice(at, at + 1000))
  })
}

scenario('datagrams in fragments pass in whatever order these come (RFC 4787 REQ-14)', async (t, on) => {
  const orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] // biome-ignore format: a list
  for (const [id, order] of orders.entries()) {
    const take = (pieces: Uint8Array[]) => order.map((i) => pieces[i] as Uint8Array)
    const left = await on.put('inside', ...take(fragments(HOST, SERVER, [5000, 53], id + 1)))
    t.strictSame(left, ['fragment of 1500 octets outside > server', 'fragment of 1048 octets outside > server'])
    const came = await on.put('outside', ...take(fragments(SERVER, OUTSIDE, [53, 5000], id + 1)))
    t.strictSame(came, ['fragment of 1500 octets server > host', 'fragment of 1048 octets server > host'])
  }
  t.strictSame(on.drops(), {})
})

scenario('a SYN that nobody asked for gets no answer, and both may open at once', async (t, on) => {
  const { sim, put, back, drops } = on
  // It has a port outside, by what it told another.
  await put('inside', tcp(HOST, ROUTER_ON_THE_WAY, [6000, 80], SYN, 99))
  const syn = tcp(SERVER, OUTSIDE, [7000, 6000], SYN, 499)
  t.strictSame(await put('outside', syn), [])
  await sim.run(seconds(6))
  t.strictSame(back('outside'), [], 'RFC 5382 REQ-4')
  t.strictSame(drops(), { natFiltered: 1 })
  t.strictSame(await put('inside', tcp(HOST, SERVER, [6000, 7000], SYN, 199)), ['tcp outside:6000 > server:7000'])
  t.strictSame(await put('outside', syn), ['tcp server:7000 > host:6000'], 'sent again')
  await put('inside', tcp(HOST, SERVER, [6000, 7000], SYN | ACK, 199, 500))
  t.strictSame(Math.max(...on.ends()), 240, 'half of it')
  await put('outside', tcp(SERVER, OUTSIDE, [7000, 6000], SYN | ACK, 499, 200))
  t.strictSame(Math.max(...on.ends()), 7440, 'RFC 5382 REQ-2')
})

scenario(
  'of several addresses outside it is the first that stands for all',
  async (t, on) => {
    t.strictSame(await on.put('inside', udp(HOST, SERVER, [5000, 53])), ['udp outside:5000 > server:53 of 32'])
    const second = address('203.0.113.77')
    t.strictSame(await on.put('outside', udp(SERVER, second, [53, 5000])), [], 'the others are those of the node')
    t.match(on.drops(), { protocolUnreachable: 1 })
  },
  {},
  ['203.0.113.1/24', '203.0.113.77/24'],
)
