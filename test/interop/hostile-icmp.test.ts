/**
 * Forged ICMP errors about a connection (RFC 5927): those that quote what is not in flight change nothing, those that do
 * may narrow the path, and never end the connection.
 */
import { Readable } from 'node:stream'
import { setTimeout as wait } from 'node:timers/promises'
import t from 'tap'
import type { Connection } from '../../src/index.ts'
import { parseAddress } from '../../src/kernel/address.ts'
import { packetsInUse, poisonReleased } from '../../src/kernel/packet.ts'
import { attacker, type ForgedError } from './attacker.ts'
import { type Namespace, oracle, until } from './helpers.ts'
import { besieged, dropped } from './hostile.ts'
import { payload, received } from './payload.ts'
import { THEIRS } from './stand.ts'

poisonReleased(true)
t.setTimeout(600_000)
const SINK = 9
const OCTETS = 100_000
/** Far from everything in flight. */
const FAR = 2 ** 30
const FULL_MSS = 1448
const NARROW_MTU = 1000
/** Nothing less is believed of a path. */
const LEAST_MTU = 552
/** Headers of IP and TCP with timestamps. */
const HEADERS = 52

type Message = Pick<ForgedError, 'type' | 'code' | 'mtu'>
const ERRORS: Readonly<Record<string, Message>> = {
  'net unreachable': { type: 3, code: 0 },
  'host unreachable': { type: 3, code: 1 },
  'protocol unreachable': { type: 3, code: 2 },
  'port unreachable': { type: 3, code: 3 },
  'source route failed': { type: 3, code: 5 },
  'prohibited by the administrator': { type: 3, code: 13 },
  'time exceeded': { type: 11, code: 0 },
  'parameter problem': { type: 12, code: 0 },
}
const TOO_BIG: Readonly<Record<string, Message>> = {
  'fragmentation needed': { type: 3, code: 4, mtu: NARROW_MTU },
  'fragmentation needed, to next to nothing': { type: 3, code: 4, mtu: 68 },
  'fragmentation needed, by a router that does not say to what': { type: 3, code: 4, mtu: 0 },
}
const TIMES = 20

const needed = ['root', 'tun', 'ip', 'curl', 'socat', 'nft', 'tcpdump', 'scapy'] as const

t.test('forged ICMP errors', { skip: oracle(...needed) }, async (t) => {
  const before = packetsInUse()
  const siege = await besieged(t)
  const { node, kernel } = siege
  const enemy = await attacker(t, kernel)

  const [port = 0] = siege.ports
  const download = [...node.top.stream.list()].find(({ remote }) => remote?.port === port) as Connection
  const { seq } = await enemy.learn(80)
  for (const [what, message] of Object.entries({ ...ERRORS, ...TOO_BIG })) {
    const counted = dropped(node, 'ipv4', 'icmpQuote')
    for (const away of [FAR, -FAR]) {
      await enemy.icmp({ ...message, sport: 80, dport: port, seq: seq + away, times: TIMES })
    }
    await until(() => dropped(node, 'ipv4', 'icmpQuote') === counted + 2 * TIMES, `${what}: dropped, and counted`)
    t.equal(download.info().maxSegment, FULL_MSS, `${what}, about nothing in flight, narrows nothing`)
    t.equal(download.state, 'ESTABLISHED', 'ends nothing')
  }

  await kernel.start(/listening/, 'socat', '-d', '-d', `TCP4-LISTEN:${SINK}`, 'SYSTEM:sha256sum')
  const told: string[] = []
  const address = parseAddress(THEIRS)
  const victim = node.top.stream.connect({ address, port: SINK }, { softError: (_, { code }) => void told.push(code) })
  await until(() => victim.state === 'ESTABLISHED', 'the victim is connected')
  await deafen(kernel)
  const octets = await written(OCTETS)
  t.equal(victim.write(octets), OCTETS)
  const outstanding = await enemy.learn(victim.local.port)
  const about = { sport: victim.local.port, dport: SINK, seq: outstanding.seq }
  for (const [what, message] of Object.entries(ERRORS)) {
    const { length } = told
    await enemy.icmp({ ...message, ...about })
    await until(() => told.length > length, `${what}, about what is in flight, is told`)
    t.equal(victim.state, 'ESTABLISHED', `${what}, about what is in flight, ends nothing`)
  }
  await enemy.icmp({ ...about, type: 3, code: 4, mtu: NARROW_MTU })
  await until(() => victim.info().maxSegment === NARROW_MTU - HEADERS, 'a narrower path is believed')
  await enemy.icmp({ ...about, type: 3, code: 4, mtu: 68 })
  await wait(100)
  t.ok(victim.info().maxSegment >= LEAST_MTU - HEADERS, `but not down to nothing: ${victim.info().maxSegment}`)

  await kernel.run('nft', 'delete', 'table', 'netdev', 'siege')
  victim.shutdown('write')
  const answer = new Uint8Array(64)
  await until(() => victim.readableOctets >= answer.length, 'the sink has all of it')
  victim.read(answer)
  const { hash } = await received(Readable.from([octets]))
  t.equal(Buffer.from(answer).toString(), hash, 'what has arrived is what was sent')
  victim.close()
  await siege.relieve()
  t.equal(packetsInUse(), before, 'no packet is left')
})

/** The kernel hears no more of what is sent to the sink. */
async function deafen(kernel: Namespace): Promise<void> {
  const rules = `table netdev siege {
    chain in {
      type filter hook ingress device x0 priority 0
      tcp dport ${SINK} drop
    }
  }`
  const { code, output } = await kernel.feed(Readable.from([rules]), 'nft', '-f', '-')
  if (code !== 0) throw new Error(output)
}

async function written(length: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of payload((octets) => octets < length).stream) chunks.push(chunk)
  return Buffer.concat(chunks).subarray(0, length)
}
