/** Fuzzed for the links of the HDLC family: the decoders of framing, the machine of the balanced mode, and a PPP session. */
import { BitDecoder } from '../../layers/datalink/framing/bit-stuffing.ts'
import { OctetDecoder } from '../../layers/datalink/framing/octet-stuffing.ts'
import { Frame, pullControl } from '../../layers/datalink/hdlc/abm/control.ts'
import { AX25, LAPB, LLC2 } from '../../layers/datalink/hdlc/abm/variant.ts'
import { PROTOCOL } from '../../layers/datalink/ppp/control.ts'
import { Session } from '../../layers/datalink/ppp/session.ts'
import { seconds } from '../../src/index.ts'
import type { Env } from '../../src/kernel/env.ts'
import { Packet } from '../../src/kernel/packet.ts'
import { below, type Random } from '../../src/kernel/random.ts'
import { outputOf, Station } from '../layers/datalink/hdlc/machines.ts'

/** @returns whether the input was accepted. */
type Decoder = (octets: Uint8Array, random: Random) => boolean

const LONGEST_FRAME = 100

/** All transparencies at once, each with a state that goes on from input to input. */
export function framing(): Decoder {
  let frames = 0
  const take = (packet: Packet | null): void => {
    if (packet !== null && packet.length > LONGEST_FRAME) throw new Error('a frame beyond the limit')
    packet?.release()
  }
  const sink = {
    delimited(packet: Packet) {
      frames++
      if (packet.length === 0) throw new Error('an empty frame')
      take(packet)
    },
    undelimited: take,
  }
  const memory = { packet: Packet.take } as unknown as Env
  const decoders = [
    OctetDecoder.hdlc(memory, LONGEST_FRAME, sink, 0x000a_0000),
    OctetDecoder.kiss(memory, LONGEST_FRAME, sink),
    new BitDecoder(memory, LONGEST_FRAME, sink),
  ]
  return (octets, random) => {
    const packet = Packet.take(0, octets.length)
    packet.append(octets)
    const before = frames
    for (const decoder of decoders) decoder.decode(packet)
    // What is held half-way between inputs would be a leak to those who count.
    if (below(random, 2) === 0) for (const decoder of decoders) decoder.decode(packet)
    for (const decoder of decoders) decoder.reset()
    packet.release()
    return frames > before
  }
}

const LONGEST_RECORD = 64
const WINDOW = 7
const QUEUE = 16
/** First octets of I, RR, RNR, REJ, SREJ; SABM, SABME, DISC, UA, DM, FRMR, with P or F. */
const CONTROLS = [0, 2, 4, 0x20, 0x10, 1, 5, 9, 0x0d, 0x21, 0x25, 0x3f, 0x7f, 0x53, 0x73, 0x1f, 0x97]

/** Stations of every variant, which have come anywhere, by what they were told before. */
export function balancedMode(random: Random): Decoder {
  const options = { k: WINDOW, n1: LONGEST_RECORD, n2: 3, queue: QUEUE, receiveQueue: 4 }
  const variants = [
    { variant: LAPB, options: { ...options, modulus: 8 } },
    { variant: LAPB, options },
    { variant: LLC2, options },
    { variant: AX25, options: { ...options, recovery: 'multi-srej' } },
  ] as const
  const stations = variants.map(({ variant, options }) => new Station(variant, options))
  const frame = new Frame()
  let now = 0
  return (octets) => {
    // Also the last input of all, after which nothing may be held.
    if (octets.length === 0) for (const { abm } of stations) abm.clear()
    if (octets.length === 0) return false
    now += below(random, 2_000_000)
    const station = stations[below(random, stations.length)] as Station
    const { abm } = station
    if (below(random, 20) === 0) abm.connect(now)
    if (below(random, 200) === 0) abm.disconnect(now)
    station.offer(station.offered + below(random, 3))
    if (abm.deadline <= now) abm.expire(now)
    // Of most inputs so little is kept that N1 permits it, behind any control field: else nothing would come to stand.
    const some = below(random, 8) === 0 ? octets : octets.slice(0, below(random, 6))
    if (below(random, 8) !== 0) some[0] = CONTROLS[below(random, CONTROLS.length)] as number
    const packet = Packet.take(0, some.length)
    packet.append(some)
    frame.command = below(random, 2) === 0
    const fault = pullControl(packet, abm.modulus, frame)
    if (fault === undefined) abm.input(frame, packet, now)
    else packet.release()
    if (fault === 'badControl') abm.inputUnknown(frame, now)
    let said = 0
    while (outputOf(abm, now) !== undefined)
      if (++said > 2 * (WINDOW + QUEUE)) throw new Error('one frame was answered by more than all there is')
    station.read(below(random, 3))
    // What is kept for the test of transfers would grow without end here.
    for (const log of [station.events, station.notes, station.got]) log.length = 0
    return fault === undefined
  }
}

/** A session that has come anywhere, by what it was told before. */
export function pppSession(random: Random): Decoder {
  const lcp = { mru: 1500, accm: 0, compress: true, demandChap: true, offerChap: true }
  const names = { name: 'fuzz', secret: 'secret', peerName: undefined }
  const protocols = [PROTOCOL.lcp, PROTOCOL.ipcp, PROTOCOL.ipv6cp, PROTOCOL.chap]
  const options = { lcp, names, local: 0x0a00_0001, peer: 0, ipv4: true, ipv6: true, echoInterval: seconds(10) }
  let session = new Session({ ...options, echoFailures: 3 }, random)
  let now = 0
  session.up(now)
  return (given) => {
    const octets = likely(given, random)
    now += below(random, 2_000_000)
    if (session.deadline <= now) session.expire(now)
    const taken = session.input(protocols[below(random, protocols.length)] as number, octets, now)
    let said = 0
    while (session.output() !== undefined) if (++said > 40) throw new Error('one packet was answered by more than 40')
    if (below(random, 500) === 0) {
      session = new Session({ ...options, echoFailures: 3 }, random)
      session.up(now)
    }
    return taken
  }
}

/** Most inputs are control packets whose header is right, of the session's last few identifiers: else few would be read. */
function likely(given: Uint8Array, random: Random): Uint8Array {
  if (given.length < 4 || below(random, 4) === 0) return given
  const octets = Uint8Array.from(given)
  octets[0] = below(random, 13)
  octets[1] = below(random, 4)
  octets[2] = octets.length >> 8
  octets[3] = octets.length & 0xff
  return octets
}
