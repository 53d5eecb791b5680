/**
 * LLC type 2 with Linux's, in User-mode Linux on an Ethernet in UDP: a megabyte there, from there, and echoed, without loss
 * and with some in both directions; tshark reads every frame.
 *
 * Linux loses what a program writes while it waits for a frame to be sent again: in its state REJ no transition takes
 * data (`llc_reject_state_transitions` ends before those that would, `llc_qualify_conn_ev` finds none, `llc_conn_service`
 * calls that success), and `llc_ui_sendmsg` counts it as sent. One test shows that. With a window of one, no frame comes
 * out of sequence, Linux never gets there, and the echo is whole.
 *
 * Linux falls silent for good where the first of the frames is lost that it sends again after a poll: `llc_conn_ac_upd_nr_received`
 * starts its timer only when something is acknowledged. What Linux sends loses each hundredth frame, and so never one twice.
 */
import { spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { mkdirSync, readdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { type Llc2Service, llc2 } from '../../layers/datalink/hdlc/llc2.ts'
import type { RecordConnection } from '../../layers/datalink/hdlc/records.ts'
import { boot, ethernet, type ImpairOptions, impair, stack, udpTunnel } from '../../src/index.ts'
import { parseMac } from '../../src/kernel/address.ts'
import { ms } from '../../src/kernel/clock.ts'
import { Packet, packetsInUse } from '../../src/kernel/packet.ts'
import { type Cleaning, oracle } from './helpers.ts'
import { folder } from './payload.ts'
import { dissect } from './tshark.ts'

t.setTimeout(300_000)

const OCTETS = 1_048_576
const RECORD_OCTETS = 1000
/** Octets to be echoed under way at the most: with the whole window Linux sent no RNR, and reset the connection. */
const AHEAD = 8000
/** Silence for as long means that nothing more will come: longer than any timer of Linux's. */
const STALL_MS = 5000
const LIMIT_MS = 60_000
/** SAPs of Linux: what echoes, what only counts, what sends a megabyte. */
const ECHO = 0x70
const SINK = 0x72
const SOURCE = 0x76
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

/** The one User-mode Linux of these tests, at the other end of a tunnel. */
interface Guest {
  readonly ours: number
  readonly theirs: number
  /** What it has printed so far. */
  printed(): string
}

async function linux(): Promise<Guest> {
  const dir = folder(t)
  mkdirSync(join(dir, 'lib/modules'), { recursive: true })
  for (const version of readdirSync(MODULES)) symlinkSync(join(MODULES, version), join(dir, 'lib/modules', version))
  const [ours, theirs] = [await freePort(), await freePort()]
  const tunnel = `transport=l2tpv3,udp=1,src=127.0.0.1,dst=127.0.0.1,srcport=${theirs},dstport=${ours}`
  const uml = spawn(
    'linux.uml',
    [
      ...['mem=128M', 'rootfstype=hostfs', 'rootflags=/', 'ro', `init=${GUEST}`, `modules=${dir}`, `octets=${OCTETS}`],
      ...[`umid=netstrata-llc${process.pid}`, 'con=null', 'con0=null,fd:1', 'ssl=null'],
      `vec0:${tunnel},tx_session=0x11,rx_session=0x22,mac=02:00:00:00:00:01`,
    ],
    // A group of its own: all of its processes end with it.
    { env: { ...process.env, HOME: dir, TMPDIR: dir }, stdio: ['ignore', 'pipe', 'ignore'], detached: true },
  )
  t.teardown(() => process.kill(-(uml.pid as number), 'SIGKILL'))
  let printed = ''
  uml.stdout.on('data', (chunk: Buffer) => (printed += chunk.toString()))
  return { ours, theirs, printed: () => printed }
}

interface Outcome {
  /** Octets that came as they should, up to the first that did not. */
  readonly right: number
  readonly downs: readonly string[]
  readonly ms: number
}

/**
 * Sends a megabyte, compares what comes. Tries to connect until the other end is there, gives up when nothing comes any more.
 * @param ahead octets to be echoed under way at the most.
 */
function talk(link: Llc2Service, sap: number, ahead: number): Promise<Outcome> {
  const downs: string[] = []
  let sent = 0
  let right = 0
  let started = 0
  let attempts = 0
  let stall: NodeJS.Timeout | undefined
  let limit: NodeJS.Timeout | undefined
  return new Promise((resolve) => {
    const send = (connection: RecordConnection): void => {
      const limit = sap === SOURCE ? 0 : sap === ECHO ? Math.min(OCTETS, right + ahead) : OCTETS
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
    const watch = (connection: RecordConnection): void => {
      clearTimeout(stall)
      if (sap !== SINK) stall = setTimeout(() => connection.close(), STALL_MS)
    }
    const end = (): void => {
      clearTimeout(stall)
      clearTimeout(limit)
      resolve({ right, downs, ms: performance.now() - started })
    }
    limit = setTimeout(end, LIMIT_MS)
    const open = (): RecordConnection =>
      link.open(KERNEL, sap, 0x74, {
        up(connection) {
          started = performance.now()
          watch(connection)
          send(connection)
          if (sap === SINK) closeWhenIdle(connection)
        },
        ready: send,
        down(_connection, reason) {
          if (started === 0 && attempts++ < 60) setTimeout(open, 250)
          else {
            downs.push(reason)
            end()
          }
        },
        receive(connection, packet) {
          for (let at = packet.start; at < packet.end; at++) if (packet.octets[at] === octetAt(right)) right++
          packet.release()
          watch(connection)
          if (right === OCTETS) connection.close()
          else send(connection)
        },
      })
    open()
  })
}

let booted: Promise<Guest> | undefined

function guest(): Promise<Guest> {
  booted ??= linux()
  return booted
}

type Frames = Awaited<ReturnType<typeof dissect>>

async function withKernel(
  t: Cleaning,
  losses: ImpairOptions,
  sap: number,
  k = 32,
): Promise<Outcome & { frames: Frames; counts: string; printed: string }> {
  const { ours, theirs, printed } = await guest()
  const before = printed().length
  const line = udpTunnel({
    local: { host: '127.0.0.1', port: ours },
    peers: [{ host: '127.0.0.1', port: theirs }],
    codec: 'l2tpv3',
    l2tpv3: { session: 0x11, peerSession: 0x22 },
  })
  const node = await boot(
    stack(line, impair(losses), ethernet({ address: '02:00:00:00:00:02' }), llc2({ t1: ms(200), n2: 20, k })),
    'A',
  )
  const path = join(folder(t), 'llc.pcapng')
  const capture = node.capture(path)
  const outcome = await talk(node.top, sap, Math.min(AHEAD, k * RECORD_OCTETS))
  const counts = node.boundaries
    .map(({ name, drops }) => `${name}: ${[...drops].filter(([, n]) => n > 0).join(' ')}`)
    .join('; ')
  for (let i = 0; sap !== SOURCE && i < 100 && !/got |wrote /.test(printed().slice(before)); i++) await sleep(20)
  await node.close()
  await capture
  const frames = await dissect(path, ['_ws.malformed', 'llc.control', 'llc.control.n_r', 'frame.protocols'])
  return { ...outcome, frames, counts, printed: printed().slice(before) }
}

function isClean(t: Test, frames: Frames, least: number): void {
  t.ok(frames.length > least, `${frames.length} frames`)
  t.strictSame(
    frames.filter((frame) => frame['_ws.malformed']?.length),
    [],
  )
  t.ok(frames.filter((frame) => frame['frame.protocols']?.[0]?.includes('llc')).length > least)
}

/** A transfer that must be whole, and be released in order. */
function whole(name: string, losses: ImpairOptions, sap: number, k?: number): void {
  t.test(name, { skip: MISSING }, async (t) => {
    const before = packetsInUse()
    const { right, printed, downs, ms: took, frames, counts } = await withKernel(t, losses, sap, k)
    if (sap === SINK) t.match(printed, `got ${OCTETS} ${SUM}`, counts)
    else t.equal(right, OCTETS, counts)
    t.strictSame(downs, ['released'])
    t.comment(`${Math.round(took)} ms; ${counts}`)
    isClean(t, frames, OCTETS / 1500)
    t.equal(packetsInUse(), before)
  })
}

const EACH_HUNDREDTH: ImpairOptions = { dropIf: (index) => index % 100 === 50 }

whole('a megabyte to Linux, 1 % lost', { loss: 0.01 }, SINK)
whole('a megabyte to Linux, 5 % lost', { loss: 0.05 }, SINK)
whole('a megabyte from Linux, 1 % lost', EACH_HUNDREDTH, SOURCE)
whole('a megabyte to Linux and back', {}, ECHO)
whole('a megabyte to Linux and back, 1 % lost, one frame at a time', EACH_HUNDREDTH, ECHO, 1)

t.test(
  'what Linux takes from a program while it waits for a frame again, it never sends',
  { skip: MISSING },
  async (t) => {
    const { right, printed, counts } = await withKernel(t, { loss: 0.05 }, ECHO)
    const [, read, written] = /read (\d+) wrote (\d+)/.exec(printed) ?? []
    t.comment(`of ${written} octets that were written ${right} came; ${counts}`)
    t.equal(read, written, 'its program has echoed all it got')
    t.ok(Number(written) > right, 'if not, Linux has been mended: test an echo at 5 % with the whole window')
  },
)
