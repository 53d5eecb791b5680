/**
 * LCP with Debian's pppd over Linux's PPP, in User-mode Linux: MRUs of both directions, odd and beyond 1500, kept to by both
 * ends; echo requests, asked and answered, by which either end finds the link dead, and both of them set it up again. IPv6CP
 * goes on beside it, where the MRU permits: the peer is pinged by the address that it has agreed on.
 */
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { ETHERTYPE } from '../../layers/datalink/service.ts'
import {
  boot,
  impair,
  ip,
  ipv4,
  ipv6,
  type Node,
  type PppOptions,
  type PppService,
  ppp,
  type Sockets,
  seconds,
  sockets,
  stack,
  tcp,
  udp,
} from '../../src/index.ts'
import { folder } from './payload.ts'
import { answers, PPPD, pppd, sleep } from './ppp-stand.ts'
import { dissect } from './tshark.ts'

t.setTimeout(600_000)

const OURS = '0x00000002'
const THEIRS = '0x00000001'
/** Of LCP (RFC 1661 §5). */
const ACK = '2'
const ECHO_REQUEST = '9'
const ECHO_REPLY = '10'
const LCP = '0xc021'

interface Line {
  readonly node: Node<Sockets>
  readonly link: () => PppService
  /** Addresses of the peer that were agreed on, of both families. */
  readonly peers: ReadonlySet<string>
  /** What was told of the link since it was asked for last. */
  readonly told: () => string[]
  /** Loses everything, both ways or one. */
  readonly cut: (ways: 'both' | 'down' | 'none') => void
}

async function line(t: Test, mine: PppOptions, theirs: string): Promise<Line> {
  const noise = impair()
  const told: string[] = []
  const peers = new Set<string>()
  let link: PppService | undefined
  const node = await boot(
    stack(
      pppd(t, `noauth +ipv6 persist maxfail 0 holdoff 1 ${theirs} 10.7.0.1:10.7.0.2`),
      noise,
      (below, env) => {
        link = ppp(mine)(below, env)
        link.negotiated.follow((_local, peer) => peers.add(String(peer)))
        const linkChanged = (state: string, reason: string): void => void told.push(`${state}: ${reason}`)
        link.boundary.attach({ receive: (packet) => packet.release(), linkChanged }, ETHERTYPE.arp)
        return link
      },
      mine.ipv6 === false ? ip(ipv4()) : ip(ipv4(), ipv6()),
      sockets(tcp(), udp()),
    ),
    'A',
  )
  return {
    node,
    link: () => link as PppService,
    peers,
    told: () => told.splice(0),
    cut: (ways) => noise.link.set({ down: { loss: ways === 'none' ? 0 : 1 }, up: { loss: ways === 'both' ? 1 : 0 } }),
  }
}

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 2400 && !condition(); i++) await sleep(50)
}

/** Pings with many octets, which both ends cut into fragments. */
async function isPinged(t: Test, { icmp }: Node<Sockets>): Promise<void> {
  t.ok(await answers({ icmp } as Node<Sockets>, '10.7.0.1'), 'a ping is answered')
  const { outcome } = await icmp.ping('10.7.0.1', { size: 9000 })
  t.equal(outcome, 'reply', 'and one in fragments')
}

type Frames = Awaited<ReturnType<typeof dissect>>
const FIELDS = ['frame.packet_flags_direction', 'ppp.protocol', 'ppp.code', 'lcp.opt.mru', 'lcp.magic_number', 'ip.len']

async function framesOf(path: string): Promise<Frames> {
  const frames = await dissect(path, [...FIELDS, '_ws.malformed'], '-o', 'ppp.fcs_type:16-Bit')
  return frames.filter((frame) => frame['_ws.malformed']?.length === 0)
}

const of = (frames: Frames, direction: string, code: string): Frames =>
  frames.filter((frame) => {
    const [way, protocol, said] = FIELDS.map((field) => frame[field]?.[0])
    return way === direction && protocol === LCP && said === code
  })

const longest = (frames: Frames, direction: string): number =>
  Math.max(
    ...frames
      .filter((frame) => frame['frame.packet_flags_direction']?.[0] === direction)
      .map((frame) => Number(frame['ip.len']?.[0] ?? 0)),
  )

/** Both have agreed on the other's MRU, and sent fragments as long as they may be, but none longer. */
function keepTo(t: Test, frames: Frames, ours: number, theirs: number): void {
  t.equal(of(frames, THEIRS, ACK)[0]?.['lcp.opt.mru']?.[0], String(ours), 'theirs acknowledges our MRU')
  t.equal(of(frames, OURS, ACK)[0]?.['lcp.opt.mru']?.[0], String(theirs), 'and ours theirs')
  // Of two MRUs both ends send what the lesser permits, as their links have one MTU each; pppd sets it so, too.
  const mtu = Math.min(ours, theirs)
  const fragment = 20 + ((mtu - 20) & ~7)
  t.strictSame([longest(frames, THEIRS), longest(frames, OURS)], [fragment, fragment])
}

const CASES = [
  {
    name: 'odd MRUs; we find the link dead',
    mine: { mru: 705, ipv6: false, echoInterval: seconds(1), echoFailures: 2 },
    theirs: 'mru 1003',
    ours: 705,
    other: 1003,
    ways: 'both',
    why: 'the peer does not answer echo requests',
    asker: OURS,
  },
  {
    name: 'MRUs beyond 1500; pppd finds the link dead',
    mine: { mru: 4001, echoInterval: 0 },
    theirs: 'mru 2999 mtu 4001 lcp-echo-interval 1 lcp-echo-failure 2',
    ours: 4001,
    other: 2999,
    ways: 'down',
    why: 'the peer or the line ended the session',
    asker: THEIRS,
  },
] as const

for (const { name, mine, theirs, ours, other, ways, why, asker } of CASES) {
  t.test(`${name}, and both set it up again`, { skip: PPPD }, async (t) => {
    const { node, link, peers, told, cut } = await line(t, mine, theirs)
    const path = join(folder(t), 'lcp.pcapng')
    const capture = node.capture(path)
    await until(() => node.top.network.addresses().includes('10.7.0.2'))
    t.equal(link().mtu, Math.min(ours, other))
    await isPinged(t, node)
    const own = [...peers].find((address) => address.startsWith('fe80::'))
    t.equal(own === undefined, mine.mru < 1280, 'IPv6 wants an MRU of 1280')
    if (own !== undefined) t.ok(await answers(node, `${own}%eth0`), `${own} answers`)
    await sleep(3500)
    t.ok(link().phase === 'network', 'answers keep it up')
    told()
    cut(ways)
    await until(() => link().phase !== 'network')
    t.strictSame(told(), [`down: ${why}`])
    cut('none')
    t.ok(await answers(node, '10.7.0.1'), 'after a while it answers again')
    t.match(told().at(-1), 'up: negotiated')
    await node.close()
    await capture
    const frames = await framesOf(path)
    keepTo(t, frames, ours, other)
    const asked = of(frames, asker, ECHO_REQUEST)
    const answered = of(frames, asker === OURS ? THEIRS : OURS, ECHO_REPLY)
    t.ok(answered.length >= 2, `${answered.length} of ${asked.length} answered`)
    t.ok(
      answered.every((frame) => frame['lcp.magic_number']?.[0] !== '0x00000000'),
      'with a magic number',
    )
  })
}
