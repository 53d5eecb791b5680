/**
 * AX.25 with direwolf's, over the sound of two modems: our node speaks KISS to one of them, and sets up a connection with a
 * program of the other, which echoes. Then that one sets up a connection with us.
 */
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { type Ax25Service, ax25, type KissOptions } from '../../layers/datalink/hdlc/ax25.ts'
import { parseCall } from '../../layers/datalink/hdlc/ax25-address.ts'
import { boot, CaptureReader, type Node, stack, stream } from '../../src/index.ts'
import { ms, seconds } from '../../src/kernel/clock.ts'
import { packetsInUse } from '../../src/kernel/packet.ts'
import { decode } from '../../tools/dump/decode.ts'
import { Flows } from '../../tools/dump/flows.ts'
import { agwEcho } from './agw.ts'
import { oracle, until } from './helpers.ts'
import { folder } from './payload.ts'
import { radio } from './radio.ts'
import { echo } from './record-echo.ts'
import { dissect } from './tshark.ts'

t.setTimeout(900_000)

const OCTETS = 20_000
const LIMIT_MS = 240_000
/** A TNC has a queue of its own: what is sent waits there for seconds, so T1 must not follow the round trips measured. */
const STATION = { call: 'NODEC', smack: false, t1: seconds(2), t2: ms(100), n2: 20, adaptive: false }

const skip = oracle('direwolf', 'tshark')

for (const [name, bursts, recordOctets, options] of [
  ['modulo 8', 0, 255, { k: 7 }],
  [
    'modulo 128 and SREJ, in segments, two bursts of noise a second',
    2,
    1000,
    { modulus: 128, k: 16, recovery: 'srej', mtu: 1000 },
  ],
] as const)
  t.test(`${OCTETS} octets there and back: ${name}`, { skip }, async (t) => {
    const before = packetsInUse()
    const [near, far] = await radio(t, bursts)
    const program = await agwEcho(t, far.agwPort, 'NODEA')
    const settings: KissOptions = { ...STATION, ...options }
    const line = stream(connect(near.kissPort, '127.0.0.1'))
    const node: Node<Ax25Service> = await boot(stack(line, ax25(settings)), 'A')
    t.teardown(() => node.close())
    const path = join(folder(t), 'radio.pcapng')
    const capture = node.capture(path)
    const echoed = await inTime(
      echo((handler) => node.top.open(parseCall('NODEA'), handler), {
        octets: OCTETS,
        recordOctets,
        ahead: 8000,
      }),
    )
    const counts = node.boundaries.map(({ name, drops }) => `${name} ${[...drops].filter(([, n]) => n > 0).join(' ')}`)
    t.comment(`${echoed.ms} ms; ${counts.join('; ')}`)
    t.strictSame([echoed.right, echoed.downs], [OCTETS, ['released']])
    await until(() => program.told.some((told) => told.includes('DISCONNECTED')), 'it hears of the end', LIMIT_MS)

    let heard = ''
    node.top.accept(() => ({
      receive(connection, packet) {
        heard += String.fromCharCode(...packet.bytes())
        packet.release()
        if (heard.length === GREETING.length) connection.close()
      },
    }))
    program.call('NODEC', GREETING)
    await until(() => program.told.filter((told) => told.includes('DISCONNECTED')).length === 2, 'all of it', LIMIT_MS)
    t.equal(heard, GREETING, 'over a connection of its own')

    await node.close()
    await capture
    t.equal(packetsInUse(), before)
    t.equal(segmentsIn(path) > 100, recordOctets > 255)
    const frames = await dissect(path, ['_ws.malformed', 'ax25_kiss.cmd', 'ax25.ctl'])
    t.ok(frames.length > (2 * OCTETS) / 255)
    t.ok(frames.every((frame) => frame['ax25_kiss.cmd']?.[0] === '0' && frame['ax25.ctl']?.length === 1))
    t.strictSame(
      frames.filter((frame) => frame['_ws.malformed']?.length),
      [],
    )
  })

/** What it says over a connection of its own: more than a frame. */
const GREETING = 'CQ CQ CQ '.repeat(100)

/** By `dump`: tshark takes every control field for one of modulo 8. */
function segmentsIn(path: string): number {
  const reader = new CaptureReader()
  const flows = new Flows()
  const layers = reader.push(readFileSync(path)).map((record) => decode(record, flows))
  return layers.filter((all) => all.some(({ protocol }) => protocol === 'segment')).length
}

function inTime<T>(promise: Promise<T>): Promise<T> {
  const late = new Promise<never>((_, reject) => setTimeout(reject, LIMIT_MS, new Error('not in time')).unref())
  return Promise.race([promise, late])
}
