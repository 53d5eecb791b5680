/** Captures taken through links that damage packets: what tshark calls bad was dropped, and the capture says so and why. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import {
  cable,
  ethernet,
  type ImpairOptions,
  impair,
  ip,
  ipv4,
  ms,
  Simulation,
  seconds,
  sockets,
  stack,
  tcp,
  udp,
} from '../../src/index.ts'
import { oracle } from './helpers.ts'
import { folder, payload, payloadFile, payloadHash, received } from './payload.ts'
import { OURS, type Stand, stand, THEIRS } from './stand.ts'
import { examine } from './tshark.ts'

t.setTimeout(600_000)
const FILE_OCTETS = 2 << 20
/** One bit of a packet, which no checksum misses. More of what comes in, since that is what a capture shows damaged. */
const DAMAGE: ImpairOptions = { down: { corruption: 0.005 }, up: { corruption: 0.05 } }
const PINGS = 100
/** Some 25 and more are expected: that there are fewer than this is less likely than one in a million. */
const LEAST_BAD = 3

for (const medium of ['tap', 'tap+vnet', 'vxlan'] as const) {
  const needed = ['root', 'tun', 'ip', 'curl', 'bridge', 'ethtool', 'tshark'] as const
  t.test(`damage over ${medium}`, { skip: oracle(...needed) }, async (t) => {
    const path = join(folder(t), 'damage.pcapng')
    const link = impair()
    const place = await stand(t, medium, { impairment: link })
    // Resolved before the link gets worse: nothing protects ARP against corruption.
    await place.node.icmp.ping(THEIRS)
    const capture = place.node.capture(path)
    link.link.set(DAMAGE)
    await traffic(t, place)
    await capture.stop()
    await assertExplained(t, path)
  })
}

/** A transfer each way, and echoes meanwhile: ours, since the kernel's ping believes damaged replies. */
async function traffic(t: Test, { node, kernel }: Stand): Promise<void> {
  const server = createServer((request, response) => {
    if (request.method === 'GET') payload((octets) => octets < FILE_OCTETS).stream.pipe(response)
    else void received(request).then(({ hash }) => response.end(hash))
  })
  await once(node.net.attach(server).listen(80), 'listening')
  const echoes = Array.from({ length: PINGS }, () => node.icmp.ping(THEIRS, { timeout: 1000 }).catch(() => undefined))
  const file = await payloadFile(t, FILE_OCTETS / 4)
  const url = `http://${OURS}/`
  const down = await kernel.run('bash', '-o', 'pipefail', '-c', `curl -sS -m 100 ${url} | sha256sum`)
  t.match(down.output, payloadHash(FILE_OCTETS))
  const up = await kernel.run('curl', '-sS', '-m', '100', '-T', file, url)
  t.equal(up.output, payloadHash(FILE_OCTETS / 4))
  await Promise.all(echoes)
}

t.test('damage to frames that have an FCS', { skip: oracle('tshark') }, async (t) => {
  const path = join(folder(t), 'damage.pcapng')
  const simulation = new Simulation({ seed: 7 })
  const [a, b] = cable({ delay: ms(5) })
  const host = (end: typeof a, address: string) =>
    stack(stack(end, impair(DAMAGE)<'frames'>), ethernet(), ip(ipv4({ address })), sockets(tcp(), udp()))
  const client = simulation.boot('client', host(a, '10.0.0.1/24'))
  const server = simulation.boot('server', host(b, '10.0.0.2/24'))
  const capture = simulation.capture(path)
  server.net.createServer((socket) => void payload((n) => n < FILE_OCTETS).stream.pipe(socket)).listen(80)
  const arrived = received(client.net.connect(80, '10.0.0.2'))
  await simulation.run(seconds(600))
  t.same(await arrived, { octets: FILE_OCTETS, hash: payloadHash(FILE_OCTETS) })
  await capture.stop()
  await simulation.close()
  t.ok((await assertExplained(t, path)).every((comment) => /: fcs \(IEEE 802\.3 §3\.4\)$/.test(comment)))
})

/**
 * Holds that every frame that tshark finds something wrong with was dropped, and has a comment that says who did, and why.
 * @returns what the comments say.
 */
async function assertExplained(t: Test, path: string): Promise<string[]> {
  // A datagram is judged as a whole, its fragments are not.
  const frames = await examine(path, '-o', 'ip.defragment:FALSE')
  const unexplained: string[] = []
  const reasons: string[] = []
  for (const [i, { faults, comments, interface: name, direction }] of frames.entries()) {
    const verdicts = comments.filter((comment) => DROPPED.test(comment))
    if (faults.length === 0) continue
    reasons.push(...verdicts)
    if (verdicts.length === 0)
      unexplained.push(`frame ${i + 1} ${direction} ${name}: ${faults.join(', ')}; ${comments}`)
  }
  t.same(unexplained, [], 'what is bad was dropped, and the capture says why')
  t.ok(
    reasons.length >= LEAST_BAD,
    `${reasons.length} of ${frames.length} frames are bad: ${[...new Set(reasons)].join('; ')}`,
  )
  return reasons
}

/** 'dropped by ours/tcp: badChecksum (RFC 9293 §3.1)' */
const DROPPED = /^dropped by [\w/]+(?:-\w+)*: \w+/
