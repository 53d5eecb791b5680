/**
 * AX.25 with Linux's, in a virtual machine: over Ethernet (BPQ), at no loss and with some, and over a serial line (KISS with
 * SMACK's CRC) that flips bits. Linux echoes a connection that we set up, and then sets one up to us, to say what it had.
 */
import { connect } from 'node:net'
import { join } from 'node:path'
import { Transform } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { type Ax25Options, type Ax25Service, ax25, bpq, type KissOptions } from '../../layers/datalink/hdlc/ax25.ts'
import { parseCall } from '../../layers/datalink/hdlc/ax25-address.ts'
import {
  boot,
  ethernet,
  impair,
  ip,
  ipv4,
  type Node,
  sockets,
  stack,
  stream,
  tcp,
  udp,
  udpTunnel,
} from '../../src/index.ts'
import { ms, seconds } from '../../src/kernel/clock.ts'
import { packetsInUse } from '../../src/kernel/packet.ts'
import { freePorts } from '../tools/running.ts'
import { oracle } from './helpers.ts'
import { consoleOf, MACHINE_ORACLES, networkCard, startMachine } from './machine.ts'
import { folder } from './payload.ts'
import { echo, sumOf } from './record-echo.ts'
import { dissect, examine } from './tshark.ts'

t.setTimeout(900_000)

const HOST = '127.0.0.1'
const [THEIR_PORT, OUR_PORT] = (await freePorts(2)) as [number, number]
const MEGABYTE = 1_048_576
const LIMIT_MS = 300_000
const AHEAD = 10_000
/**
 * Linux counts a frame as sent after it has sent it: an acknowledgement that is back before then it takes for one of nothing,
 * and resets. It comes to that count late when others have the processor just then.
 */
const DELAY = ms(25)

const STATION = { call: 'NODEC', t1: ms(200), t2: ms(5), n2: 30 }

/** What the peer says over a connection of its own once ours is over. */
function reportTo(link: Ax25Service): Promise<string> {
  return new Promise((resolve) => {
    const end = link.accept(() => ({
      receive(connection, packet) {
        resolve(String.fromCharCode(...packet.bytes()))
        packet.release()
        connection.close()
        end()
      },
    }))
  })
}

const skip = oracle(...MACHINE_ORACLES, 'tshark')

t.test('Linux', { skip }, async (t) => {
  const home = folder(t)
  const netdev =
    `dgram,id=n0,local.type=inet,local.host=${HOST},local.port=${THEIR_PORT},` +
    `remote.type=inet,remote.host=${HOST},remote.port=${OUR_PORT}`
  const serial = join(home, 'serial')
  const machine = await startMachine(t, 'station', [
    ...networkCard(netdev),
    ...['-serial', `unix:${serial},server=on,wait=off`],
  ])
  await consoleOf(machine).next()

  const card = (loss: number, options: Partial<Ax25Options>) =>
    stack(
      udpTunnel({
        local: { host: HOST, port: OUR_PORT },
        peers: [{ host: HOST, port: THEIR_PORT }],
        codec: 'raw',
        mtu: 1500,
      }),
      impair({ loss, delay: DELAY }),
      ethernet(),
      bpq({ ...STATION, ...options }),
    )

  const kiss = (corruption: number, options: Partial<KissOptions>, noise = impair()) => {
    const socket = connect(serial)
    const writable = noisy(corruption)
    writable.pipe(socket)
    noise.link.set({ delay: DELAY, up: { corruption } })
    return stack(stream({ readable: socket, writable }), noise, ax25({ ...STATION, ...options }))
  }

  for (const [loss, options, octets] of [
    [0, { modulus: 128, k: 60 }, MEGABYTE],
    [0.01, { modulus: 128, k: 60 }, MEGABYTE],
    [0.1, { k: 7 }, 30_000],
  ] as const)
    await t.test(`${octets} octets over Ethernet and back, ${loss * 100} % lost each way`, async (t) => {
      const before = packetsInUse()
      const node = await boot(card(loss, options), 'A')
      t.teardown(() => node.close())
      const path = join(home, `${loss}.pcapng`)
      const capture = node.capture(path)
      await arrives(t, node, 'NODEK', octets, 256)
      await node.close()
      await capture
      t.equal(packetsInUse(), before)
      const frames = await dissect(path, ['_ws.malformed', 'ax25.ctl'])
      t.ok(frames.filter((frame) => frame['ax25.ctl']?.length).length > (2 * octets) / 256)
      t.strictSame(
        frames.filter((frame) => frame['_ws.malformed']?.length),
        [],
      )
    })

  for (const [corruption, options, octets] of [
    [0, { modulus: 128, k: 40, t1: seconds(1) }, MEGABYTE],
    // One frame in 250 or so: a run of octets is as long as the emulated port likes.
    [0.0002, { modulus: 128, k: 20, t1: seconds(1) }, MEGABYTE],
    [0.01, { k: 7 }, 20_000],
  ] as const)
    await t.test(`${octets} octets over SMACK and back, ${corruption * 100} % of all runs damaged`, async (t) => {
      const before = packetsInUse()
      const noise = impair()
      const node = await boot(kiss(corruption, options, noise), 'A')
      t.teardown(() => node.close())
      // The longest that Linux sends on such a line. There may be few runs, all of them spared by chance.
      do await arrives(t, node, 'NODEM', octets, 236)
      while (corruption > 0 && noise.link.up.corrupted === 0)
      const frames = node.boundaries.find(({ name }) => name.endsWith('/kiss'))
      const drops = [...(frames?.drops.values() ?? [])].reduce((sum, count) => sum + count, 0)
      t.equal(drops > 0, corruption > 0, 'the CRC finds what is damaged')
      await node.close()
      t.equal(packetsInUse(), before)
    })

  for (const [name, line, network, segments] of [
    ['Ethernet, 1 % lost each way', () => card(0.01, {}), '10.44.0', 0],
    ['Ethernet in segments, 1 % lost each way', () => card(0.01, { mtu: 1500 }), '10.44.0', 100],
    ['SMACK, 1 % of all runs damaged', () => kiss(0.01, {}), '10.45.0', 0],
    // Linux goes on with SMACK, which it has heard on this line.
    ['KISS, after SMACK', () => kiss(0, { smack: false }), '10.45.0', 0],
  ] as const)
    await t.test(`TCP over IPv4 over ${name}`, async (t) => {
      const before = packetsInUse()
      const host = stack(line(), ip(ipv4({ address: `${network}.2/24` })), sockets(tcp(), udp()))
      const node = await boot(host, 'A')
      t.teardown(() => node.close())
      const path = join(home, `${name}.pcapng`)
      const capture = node.capture(path)
      const socket = await node.net.connect({ host: `${network}.1`, port: 7 })
      const sent = Buffer.from(Array.from({ length: 20_000 }, (_, i) => (i * 7) & 255))
      socket.end(sent)
      t.ok((await within(buffer(socket))).equals(sent))
      await node.close()
      await capture
      t.equal(packetsInUse(), before)
      const cut = (await dissect(path, ['ax25.pid'])).filter((frame) => Number(frame['ax25.pid']?.[0]) === 8)
      t.ok(segments === 0 ? cut.length === 0 : cut.length >= segments, `${cut.length} segments`)
      const frames = await examine(path, '-Y', 'not frame.comment contains "dropped by"')
      t.strictSame(
        frames.flatMap(({ faults }) => faults),
        [],
      )
      // Of what goes in segments, it sees the acknowledgments.
      t.ok(
        frames.filter(({ good }) => good.includes('tcp')).length > (segments > 0 ? 10 : 100),
        'tshark finds TCP within',
      )
    })
})

const FEND = 0xc0

/**
 * Flips a bit of some of the runs on their way to Linux, but of no command octet: it takes a frame that has lost the bit which
 * tells of the CRC for one without, and what stands behind it, CRC and all, for data.
 */
function noisy(corruption: number): Transform {
  return new Transform({
    transform(run: Buffer, _encoding, done) {
      if (Math.random() >= corruption) return done(undefined, run)
      const damaged = Buffer.from(run)
      const at = Math.floor(Math.random() * run.length)
      if (at > 0 && run[at] !== FEND && run[at - 1] !== FEND)
        damaged[at] = (run[at] as number) ^ (1 << Math.floor(Math.random() * 8))
      done(undefined, damaged)
    },
  })
}

/** Octets there and back, and what Linux says of them over a connection of its own. */
async function arrives(
  t: Test,
  node: Node<Ax25Service>,
  call: string,
  octets: number,
  recordOctets: number,
): Promise<void> {
  const link = node.top
  const report = reportTo(link)
  const echoed = await within(
    echo((handler) => link.open(parseCall(call), handler), { octets, recordOctets, ahead: AHEAD }),
  )
  const counts = node.boundaries.map(({ name, drops }) => `${name} ${[...drops].filter(([, n]) => n > 0).join(' ')}`)
  t.comment(`${echoed.ms} ms; ${counts.join('; ')}`)
  t.strictSame([echoed.right, echoed.downs], [octets, ['released']])
  t.equal(await within(report), `${octets} ${sumOf(octets)}`)
  // The release of its connection is still under way.
  await sleep(200)
}

function within<T>(promise: Promise<T>): Promise<T> {
  const late = new Promise<never>((_, reject) => setTimeout(reject, LIMIT_MS, new Error('not in time')).unref())
  return Promise.race([promise, late])
}
