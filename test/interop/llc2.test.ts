/**
 * LLC type 2 with Linux's, in User-mode Linux on an Ethernet in UDP: it gets a megabyte, without loss and with some in both
 * directions, and echoes one without loss; tshark reads every frame. With loss the echo stops for good: Linux leaves out a
 * record that it has acknowledged, while the N(S) of what it sends have no gap.
 */
import { spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { type Llc2Service, llc2 } from '../../layers/datalink/hdlc/llc2.ts'
import type { RecordConnection } from '../../layers/datalink/hdlc/records.ts'
import { boot, ethernet, impair, stack, udpTunnel } from '../../src/index.ts'
import { parseMac } from '../../src/kernel/address.ts'
import { ms } from '../../src/kernel/clock.ts'
import { Packet, packetsInUse } from '../../src/kernel/packet.ts'
import { type Cleaning, oracle } from './helpers.ts'
import { dissect } from './tshark.ts'

t.setTimeout(300_000)

const OCTETS = 1_048_576
const RECORD_OCTETS = 1000
/** Octets to be echoed under way at the most: with the whole window Linux sent no RNR, and reset the connection. */
const AHEAD = 8000
/** Of Linux: what echoes, and what only counts. */
const ECHO = 0x70
const SINK = 0x72
const KERNEL = parseMac('02:00:00:00:00:01')
const MODULES = '/usr/lib/uml/modules'
const GUEST = fileURLToPath(new URL('guest/uml-llc', import.meta.url))

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
const octetAt = (i: number): number => (Math.imul(i, 2_654_435_761) >>> 13) & 0xff
const SUM = Array.from({ length: OCTETS }, (_, i) => octetAt(i)).reduce((sum, octet) => sum + octet, 0)
const MISSING = oracle('linux.uml', 'tshark', 'root')

/** A UDP port nobody has at the moment. */
function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4').bind(0, '127.0.0.1', () => {
      const { port } = socket.address()
      socket.close(() => resolve(port))
    })
  })
}

/** Boots Linux at the other end of a tunnel. @returns what it has printed so far. */
function linux(t: Cleaning, dir: string, theirs: number, ours: number): () => string {
  mkdirSync(join(dir, 'lib/modules'), { recursive: true })
  for (const version of readdirSync(MODULES)) symlinkSync(join(MODULES, version), join(dir, 'lib/modules', version))
  const tunnel = `transport=l2tpv3,udp=1,src=127.0.0.1,dst=127.0.0.1,srcport=${theirs},dstport=${ours}`
  const uml = spawn(
    'linux.uml',
    [
      ...['mem=128M', 'rootfstype=hostfs', 'rootflags=/', 'ro', `init=${GUEST}`, `modules=${dir}`],
      ...[`umid=netstrata-llc${process.pid}`, 'con=null', 'con0=null,fd:1', 'ssl=null'],
      `vec0:${tunnel},tx_session=0x11,rx_session=0x22,mac=02:00:00:00:00:01`,
    ],
    // A group of its own: all of its processes end with it.
    {
      env: { ...process.env, HOME: dir, TMPDIR: dir },
      stdio: ['ignore', 'pipe', 'ignore'],
      detached: true,
    },
  )
  t.teardown(() => process.kill(-(uml.pid as number), 'SIGKILL'))
  let printed = ''
  uml.stdout.on('data', (chunk: Buffer) => (printed += chunk.toString()))
  return () => printed
}

interface Outcome {
  /** Octets that came back as they were sent. */
  readonly right: number
  readonly downs: readonly string[]
  readonly ms: number
}

/** Sends a megabyte, and compares what comes back of it. Tries to connect until the other end is there. */
function talk(link: Llc2Service, sap: number): Promise<Outcome> {
  const downs: string[] = []
  let sent = 0
  let right = 0
  let started = 0
  let attempts = 0
  return new Promise((resolve) => {
    const send = (connection: RecordConnection): void => {
      const limit = sap === ECHO ? Math.min(OCTETS, right + AHEAD) : OCTETS
      for (let open = true; open && sent < limit; ) {
        const length = Math.min(RECORD_OCTETS, OCTETS - sent)
        const packet = Packet.take(connection.headroom, length + connection.tailroom)
        for (let at = packet.put(length); at < packet.end; at++) packet.octets[at] = octetAt(sent++)
        open = connection.send(packet)
      }
    }
    const closeWhenIdle = (connection: RecordConnection): void => {
      if (sent === OCTETS && connection.idle) connection.close()
      else if (connection.isUp) setTimeout(closeWhenIdle, 20, connection)
    }
    const open = (): RecordConnection =>
      link.open(KERNEL, sap, 0x74, {
        up(connection) {
          started = performance.now()
          send(connection)
          if (sap === SINK) closeWhenIdle(connection)
        },
        ready: send,
        down(_connection, reason) {
          if (started === 0 && attempts++ < 60) setTimeout(open, 250)
          else {
            downs.push(reason)
            resolve({ right, downs, ms: performance.now() - started })
          }
        },
        receive(connection, packet) {
          for (let at = packet.start; at < packet.end; at++) if (packet.octets[at] === octetAt(right)) right++
          packet.release()
          if (right === OCTETS) connection.close()
          else send(connection)
        },
      })
    open()
  })
}

type Frames = Awaited<ReturnType<typeof dissect>>

async function withKernel(
  t: Cleaning,
  loss: number,
  sap: number,
): Promise<Outcome & { frames: Frames; counts: string; printed: string }> {
  const dir = mkdtempSync(join(tmpdir(), 'netstrata-llc-'))
  t.teardown(() => rmSync(dir, { recursive: true }))
  const [ours, theirs] = [await freePort(), await freePort()]
  const printed = linux(t, dir, theirs, ours)
  const line = udpTunnel({
    local: { host: '127.0.0.1', port: ours },
    peers: [{ host: '127.0.0.1', port: theirs }],
    codec: 'l2tpv3',
    l2tpv3: { session: 0x11, peerSession: 0x22 },
  })
  const node = await boot(
    stack(line, impair({ loss }), ethernet({ address: '02:00:00:00:00:02' }), llc2({ t1: ms(200), n2: 20 })),
    'A',
  )
  const path = join(dir, 'llc.pcapng')
  const capture = node.capture(path)
  const outcome = await Promise.race([
    talk(node.top, sap),
    sleep(60_000).then(() => ({ right: -1, downs: ['timeout'], ms: 0 })),
  ])
  const counts = node.boundaries
    .map(({ name, drops }) => `${name}: ${[...drops].filter(([, n]) => n > 0).join(' ')}`)
    .join('; ')
  for (let i = 0; sap === SINK && i < 100 && !/got /.test(printed()); i++) await sleep(20)
  await node.close()
  await capture
  const frames = await dissect(path, ['_ws.malformed', 'llc.control', 'llc.control.n_r', 'frame.protocols'])
  return { ...outcome, frames, counts, printed: printed() }
}

function isClean(t: Test, frames: Frames, least: number): void {
  t.ok(frames.length > least, `${frames.length} frames`)
  t.strictSame(
    frames.filter((frame) => frame['_ws.malformed']?.length),
    [],
  )
  t.ok(frames.filter((frame) => frame['frame.protocols']?.[0]?.includes('llc')).length > least)
}

for (const loss of [0, 0.01, 0.05]) {
  t.test(`a megabyte to Linux, ${loss * 100} % lost`, { skip: MISSING }, async (t) => {
    const before = packetsInUse()
    const { printed, downs, ms: took, frames, counts } = await withKernel(t, loss, SINK)
    t.match(printed, `got ${OCTETS} ${SUM}`, counts)
    t.strictSame(downs, ['released'])
    t.comment(`${Math.round(took)} ms; ${counts}`)
    isClean(t, frames, 1048)
    t.equal(packetsInUse(), before)
  })
}

t.test('a megabyte to Linux and back', { skip: MISSING }, async (t) => {
  const before = packetsInUse()
  const { right, downs, ms: took, frames, counts } = await withKernel(t, 0, ECHO)
  t.equal(right, OCTETS, counts)
  t.strictSame(downs, ['released'])
  t.comment(`${Math.round(took)} ms; ${counts}`)
  isClean(t, frames, 1700)
  t.equal(packetsInUse(), before)
})
