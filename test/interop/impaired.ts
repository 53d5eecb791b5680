/**
 * Transfers through an impairing link, one cell of the product
 *
 *   loss 0, 1, 5 % × delay 0, 10, 50 ms × plain, reordering, duplication, corruption × download, upload × medium
 *
 * Each cell moves what ten seconds allow, at least 200 KB and until the link has done its worst, between an HTTP server on our stack and the kernel's curl;
 * what has arrived must be what was sent, by its hash. CI runs some cells, `npm run interop -- --all` every one.
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type t from 'tap'
import { type ImpairOptions, impair, ms } from '../../src/index.ts'
import { packetsInUse, poisonReleased } from '../../src/kernel/packet.ts'
import { type Cleaning, oracle } from './helpers.ts'
import { payload, type Received, received, type Sending } from './payload.ts'
import { type Medium, OURS, type Stand, stand, THEIRS } from './stand.ts'

type Kind = 'plain' | 'reordering' | 'duplication' | 'corruption'
type Way = 'download' | 'upload'

interface Cell {
  readonly loss: number
  readonly delayMs: number
  readonly kind: Kind
  readonly way: Way
}

const KINDS: Readonly<Record<Kind, ImpairOptions>> = {
  plain: {},
  reordering: { reordering: 0.02 },
  duplication: { duplication: 0.02 },
  corruption: { corruption: 0.01 },
}

/** What the link counts of it. */
const COUNTS = {
  plain: undefined,
  reordering: 'reordered',
  duplication: 'duplicated',
  corruption: 'corrupted',
} as const

/** The named cells of CI: each value of each dimension, and the hardest corners, over all media. */
const NAMED: Readonly<Record<Medium, readonly string[]>> = {
  tap: [
    'loss 1 % delay 10 ms plain download',
    'loss 5 % delay 50 ms reordering upload',
    'loss 0 % delay 0 ms corruption download',
    'loss 0 % delay 10 ms duplication upload',
  ],
  'tap+vnet': [
    'loss 5 % delay 50 ms corruption download',
    'loss 1 % delay 0 ms reordering upload',
    'loss 0 % delay 50 ms reordering download',
    'loss 1 % delay 50 ms plain upload',
  ],
  vxlan: [
    'loss 5 % delay 10 ms duplication download',
    'loss 0 % delay 10 ms reordering upload',
    'loss 1 % delay 10 ms corruption upload',
    'loss 5 % delay 0 ms plain download',
  ],
}

const SECONDS = 10
const LEAST_OCTETS = 200_000
/** Small buffers, so that what waits in them when the time is up is soon through. */
const BUFFER_OCTETS = 131_072
/** Cells that run beside each other: most of their time is waiting. */
const BESIDE = 4

type Tap = typeof t

/** Runs the cells of a medium as tests: the named ones, or all. */
export function runCells(t: Tap, medium: Medium): void {
  poisonReleased(true)
  t.setTimeout(900_000)
  const all = process.env.NETSTRATA_INTEROP === 'all'
  const chosen = all ? [...product()] : [...product()].filter((cell) => NAMED[medium].includes(nameOf(cell)))
  t.equal(chosen.length, all ? 72 : NAMED[medium].length, 'every cell there is a name for')
  t.jobs = BESIDE
  const skip = oracle('root', 'tun', 'ip', 'curl', 'ping', 'bridge', 'ethtool')
  const cells = chosen.map((cell) =>
    t.test(`${medium}, ${nameOf(cell)}`, { skip, buffered: true }, async (t) => {
      const octets = await transfer(t, medium, cell)
      t.ok(octets >= LEAST_OCTETS, `${octets} octets`)
    }),
  )
  void Promise.all(cells).then(() => t.equal(packetsInUse(), 0, 'no packet is left'))
}

function* product(): Generator<Cell> {
  for (const loss of [0, 0.01, 0.05])
    for (const delayMs of [0, 10, 50])
      for (const kind of Object.keys(KINDS) as Kind[])
        for (const way of ['download', 'upload'] as const) yield { loss, delayMs, kind, way }
}

function nameOf({ loss, delayMs, kind, way }: Cell): string {
  return `loss ${loss * 100} % delay ${delayMs} ms ${kind} ${way}`
}

type Test = Cleaning & Pick<typeof t, 'equal' | 'ok' | 'same' | 'comment'>

async function transfer(t: Test, medium: Medium, cell: Cell): Promise<number> {
  const link = impair()
  const place = await stand(t, medium, { impairment: link, tcp: { connection: { sendBuffer: BUFFER_OCTETS } } })
  const { node, kernel } = place
  await kernel.run('sysctl', '-q', '-w', `net.ipv4.tcp_wmem=4096 16384 ${BUFFER_OCTETS}`)
  // Resolved before the link gets worse: nothing protects ARP against corruption.
  await node.icmp.ping(THEIRS)
  const { loss, delayMs, kind, way } = cell
  link.link.set({ loss, delay: ms(delayMs), ...KINDS[kind] })
  const { down, up } = link.link
  const met = (): number => {
    const count = COUNTS[kind]
    return count === undefined ? 1 : down[count] + up[count]
  }
  const source = (): Sending => {
    const end = Date.now() + SECONDS * 1000
    return payload((octets) => Date.now() < end || octets < LEAST_OCTETS || met() === 0)
  }
  const { sent, arrived } = way === 'download' ? await download(t, place, source) : await upload(t, place, source)
  t.same(arrived, sent, 'what has arrived is what was sent')
  t.comment(`${nameOf(cell)}: ${arrived.octets} octets`)
  t.ok(met() > 0, `${met()} times ${kind}`)
  await node.close()
  return arrived.octets
}

interface Moved {
  readonly sent: Received
  readonly arrived: Received
}

async function download(t: Test, { node, kernel }: Stand, source: () => Sending): Promise<Moved> {
  let sending: Sending | undefined
  const server = createServer((_request, response) => {
    sending = source()
    sending.stream.pipe(response)
  })
  await once(node.net.attach(server).listen(80), 'listening')
  const command = `curl -sS -m 100 http://${OURS}/ | tee >(wc -c >&2) | sha256sum`
  const { code, output } = await kernel.run('bash', '-o', 'pipefail', '-c', command)
  t.equal(code, 0, output)
  const hash = /[0-9a-f]{64}/.exec(output)?.[0] ?? output
  const octets = Number(/^\d+$/m.exec(output)?.[0])
  return { sent: sending?.sent() ?? { octets: 0, hash: '' }, arrived: { octets, hash } }
}

async function upload(t: Test, { node, kernel }: Stand, source: () => Sending): Promise<Moved> {
  let arrived: Received | undefined
  const server = createServer(async (request, response) => {
    arrived = await received(request)
    response.end()
  })
  await once(node.net.attach(server).listen(80), 'listening')
  const sending = source()
  const { code, output } = await kernel.feed(sending.stream, 'curl', '-sS', '-m', '100', '-T', '-', `http://${OURS}/`)
  t.equal(code, 0, output)
  return { sent: sending.sent(), arrived: arrived ?? { octets: 0, hash: '' } }
}
