/**
 * What mutated frames do not bring about in the links of the data link tier: every reason they have, by a frame or call
 * each.
 */
import { bridge } from '../../layers/datalink/ethernet/bridge.ts'
import { type FramingOptions, framing } from '../../layers/datalink/framing/framing.ts'
import { ax25 } from '../../layers/datalink/hdlc/ax25.ts'
import { parseCall } from '../../layers/datalink/hdlc/ax25-address.ts'
import { lapb } from '../../layers/datalink/hdlc/lapb.ts'
import { llc2 } from '../../layers/datalink/hdlc/llc2.ts'
import type { RecordConnection, RecordHandler } from '../../layers/datalink/hdlc/records.ts'
import { ppp } from '../../layers/datalink/ppp/ppp.ts'
import { ETHERTYPE, type LinkAddress, LinkAddressing } from '../../layers/datalink/service.ts'
import type { PhysicalService } from '../../layers/physical/service.ts'
import { beside, cable, ethernet, ms, Simulation, seconds, stack } from '../../src/index.ts'
import { framedLine } from '../layers/datalink/framing/line.ts'
import { stationOver } from '../layers/datalink/stations.ts'
import type { Tally } from './tally.ts'
import { packetFor } from './zeros.ts'

/** How the peer of a station speaks: a control field and information, as a command. */
type Say = (control: readonly number[], info?: readonly number[]) => void

/** The peer's frames of modulo 128 behind a set-up. */
const SABME = [0x7f]
const DISC = [0x53]
const I = (ns: number, nr = 0): number[] => [ns << 1, nr << 1]
const RR = (nr: number): number[] => [0x01, nr << 1]
const REJ = (nr: number): number[] => [0x09, nr << 1]

/**
 * Every reason of the machine that its peer or its user can bring about. @param send a packet of octets by the link.
 */
async function machineCorners(
  say: Say,
  send: (octets: number) => void,
  n1: number,
  run: (duration: number) => Promise<void>,
): Promise<void> {
  say([]) // truncated
  say(RR(0)) // unexpected
  say(SABME)
  say([0x01]) // truncated, where no control field at all is the framing's to drop
  say(I(0), [0])
  say(I(0), [0]) // duplicate
  say(I(3), [0]) // outOfSequence
  send(10)
  say(REJ(0))
  say(REJ(0)) // repeatedReject
  say(SABME) // reset
  for (const wrong of [[0x33], RR(1)]) {
    say(wrong) // badControl, invalidNr
    say(SABME)
  }
  say(RR(0), [1]) // unwantedInformation
  say(SABME)
  say(I(0), new Array(n1 + 2).fill(0)) // tooLong
  say(SABME)
  say(RR(0))
  for (let i = 0; i < 200; i++) send(10) // queueFull
  send(n1 + 100) // tooLongToSend
  say(DISC) // linkDown
  await run(seconds(1))
}

async function lapbCorner(tally: Tally): Promise<void> {
  const n1 = 100
  const { sim, link, arrive } = stationOver('frames', lapb({ role: 'dte', fcs: 'none', n1 }))
  await sim.run(ms(1))
  const say: Say = (control, info = []) => arrive(Uint8Array.of(0x03, ...control, ...info))
  const response = (...octets: number[]): void => arrive(Uint8Array.of(0x01, ...octets))
  response(0x7f) // sameRole
  response(0x73)
  arrive(Uint8Array.of(0x55, 0x01)) // badAddress
  say(I(0), [0xc0, 0x21, 1]) // badProtocol
  say(I(1), [0x00, 0x57, 0x60]) // unknownProtocol
  say(DISC)
  await machineCorners(
    say,
    (octets) => void link.send(packetFor(link, octets), toIpv4(1)),
    n1,
    (time) => sim.run(time),
  )
  await ended(tally, sim)
}

const MAC = [2, 0, 0, 0, 0, 1]
const PEER = [2, 0, 0, 0, 0, 2]
const ALL = [255, 255, 255, 255, 255, 255]
const PEER_ADDRESS: LinkAddress = 0x0200_0000_0002

function toIpv4(peer: LinkAddress): LinkAddressing {
  const to = new LinkAddressing()
  to.peer = peer
  to.protocol = ETHERTYPE.ipv4
  return to
}

/** A user of records who reads none. */
const SLOW: RecordHandler = {
  receive: (_connection, packet) => packet.release(),
  up: (connection: RecordConnection) => connection.pause(),
}

async function llc2Corner(tally: Tally): Promise<void> {
  const n1 = 100
  const { sim, link, arrive } = stationOver('ethernet', (below, env) =>
    llc2({ n1, connections: 2, receiveQueue: 2 })(ethernet({ address: '02:00:00:00:00:01' })(below, env), env),
  )
  const frame = (to: readonly number[], ...llc: number[]): void =>
    arrive(Uint8Array.of(...to, ...PEER, llc.length >> 8, llc.length & 255, ...llc))
  const say: Say = (control, info = []) => frame(MAC, 0xaa, 0xaa, ...control, ...info)
  arrive(Uint8Array.of(...MAC, ...PEER, 0x88, 0x08, 0, 1, 0xff, 0xff)) // macControl of Ethernet, which has no PAUSE here
  frame(MAC, 0x20, 0x42, 0x01, 0x01) // unknownSap
  frame(MAC, 0xaa, 0xaa, 0x03, 1, 2, 3, 8, 0) // badSnap
  frame(MAC, 0xaa, 0xaa, 0x03, 0, 0, 0, 8, 0) // unknownProtocol
  frame(MAC, 0xaa, 0xab, 0xe3) // answer
  frame(ALL, 0xaa, 0xaa, 0x7f) // groupConnection
  await machineCorners(
    say,
    (octets) => void link.send(packetFor(link, octets), toIpv4(PEER_ADDRESS)),
    n1,
    (time) => sim.run(time),
  )
  link.accept(0x20, () => SLOW)
  frame(MAC, 0x20, 0x42, ...SABME)
  for (let ns = 0; ns < 4; ns++) frame(MAC, 0x20, 0x42, ...I(ns), 1) // busy
  for (let peer = 3; peer < 6; peer++) link.send(packetFor(link, 10), toIpv4(peer)) // tooManyConnections
  await ended(tally, sim)
}

const call = (text: string, flags: number): number[] => [
  ...[...text.padEnd(6)].map((c) => c.charCodeAt(0) << 1),
  0x60 | flags,
]

async function ax25Corner(tally: Tally): Promise<void> {
  const n1 = 100
  const options = { call: 'NODEA', n1, modulus: 128, connections: 2, receiveQueue: 2, k: 8 } as const
  const { sim, link, arrive } = stationOver('octets', ax25({ ...options, smack: false }))
  const raw = (...octets: number[]): void => arrive(Uint8Array.of(0xc0, 0, ...octets, 0xc0))
  const frame = (to: string, from: string, ...rest: number[]): void => raw(...call(to, 0x80), ...call(from, 1), ...rest)
  const say: Say = (control, info = []) => frame('NODEA', 'NODEB', ...control, ...info)
  arrive(Uint8Array.of(0xc0, 1, 1, 0xc0)) // notData
  raw(...new Array(14).fill(0xff), 0x3f) // badAddress
  frame('NODEC', 'NODEB', 0x3f) // otherHost
  raw(...call('NODEA', 0x80), ...call('NODEB', 0), ...call('RELAY', 1), 0x3f) // toBeRepeated
  say([0xaf], [0x82, 0x80, 0, 9]) // badXid
  say([0x03], [0x55, 1]) // badProtocol
  say([0x03], [0xf0, 1]) // noListener
  say([0x03], [0xcc, 1]) // unknownProtocol
  say(SABME)
  say(I(0), [0x08, 0x02, 1]) // badSegment: not the first
  say(DISC)
  const peer = parseCall('NODEB')
  await machineCorners(
    say,
    (octets) => void link.send(packetFor(link, octets), toIpv4(peer)),
    n1,
    (time) => sim.run(time),
  )
  link.accept(() => SLOW)
  frame('NODEA', 'NODEC', ...SABME)
  for (let ns = 0; ns < 4; ns++) frame('NODEA', 'NODEC', ...I(ns), 0xf0, 1) // busy
  for (const other of ['ONE', 'TWO', 'THREE']) link.send(packetFor(link, 10), toIpv4(parseCall(other))) // tooManyConnections
  await ended(tally, sim)
}

async function pppCorner(tally: Tally): Promise<void> {
  const sim = new Simulation({ seed: 1 })
  const [a, b] = cable({ medium: 'frames' })
  const near = sim.boot('A', stack(a, ppp({ address: '10.0.0.1', ipv6: false }))).top
  const far = sim.boot('B', stack(b, ppp())).top
  const to = toIpv4(0)
  near.send(packetFor(near, 10), to) // notOpen
  await sim.run(seconds(1)) // unknownProtocol: IPv6CP
  far.send(packetFor(far, 10), to) // noUser
  near.send(packetFor(near, 2000), to) // tooLong
  to.protocol = ETHERTYPE.arp
  near.send(packetFor(near, 10), to) // notIp
  await ended(tally, sim)
  const alone = stationOver('frames', ppp({ fcs: 'none' }))
  await alone.sim.run(ms(1))
  alone.arrive(Uint8Array.of(0xff, 0x03)) // truncated
  alone.arrive(Uint8Array.of(0xff, 0x03, 0xc0, 0x21, 9, 1)) // badControl
  await ended(tally, alone.sim)
}

async function bridgeCorner(tally: Tally): Promise<void> {
  const sim = new Simulation({ seed: 1 })
  const [one, two, three] = [cable(), cable({ medium: 'ethernet' }), cable()]
  const media = beside({ one: one[0], two: two[0], three: three[0] })
  const { top } = sim.boot('bridge', stack(media, bridge({ stormLimit: 10, pause: true })))
  const station = sim.boot('one', stack(one[1], ethernet({ address: '02:00:00:00:00:01', pause: true }))).top
  const plain = sim.boot('two', two[1]).top
  const withFcs = sim.boot('three', three[1]).top
  const frame = (to: readonly number[], from: readonly number[], medium: PhysicalService = plain): void => {
    const packet = packetFor(medium, 64)
    packet.octets.set([...to, ...from, 8, 0], packet.start)
    medium.send(packet, undefined)
  }
  station.send(packetFor(station, 46), toIpv4(PEER_ADDRESS)) // is heard
  top.send(packetFor(top, 3000), undefined) // tooLong
  plain.send(packetFor(plain, 5), undefined) // truncated
  frame(ALL, PEER, withFcs) // fcs: there is none behind it
  frame(MAC, ALL) // groupSource
  frame([1, 0x80, 0xc2, 0, 0, 0], PEER) // reserved
  frame(PEER, PEER) // sameSide
  for (let i = 0; i < 20; i++) frame(ALL, PEER) // storm; noUser
  await sim.run(ms(10))
  station.hold()
  await sim.run(ms(1))
  for (let i = 0; i < 200; i++) frame(MAC, PEER) // queueFull
  await ended(tally, sim)
}

/** Every transparency, as far as it has the reason. */
async function framingCorner(tally: Tally): Promise<void> {
  const wrong: readonly [FramingOptions, readonly (readonly number[])[]][] = [
    [
      { longest: 8, shortest: 2, fcs: 'fcs16' },
      [
        [0x00, 0x01], // garbage
        [0x7e, 0x61, 0x62, 0x63, 0x7d, 0x7e], // aborted
        [0x7e, 0x61, 0x7d, 0x7d, 0x61, 0x7e], // badEscape
        [0x7e, ...new Array<number>(20).fill(0x61), 0x7e], // tooLong
        [0x7e, 0x61, 0x7e], // runt
        [0x7e, 0x61, 0x62, 0x63, 0x64, 0x7e], // fcs
      ],
    ],
    [{ longest: 8, fcs: 'none', transparency: 'bits' }, [[0x7e, 0x61, 0x06, 0xbf, 0x3f]]], // notOctets
  ]
  for (const [options, runs] of wrong) {
    const { framing, arrive, close } = framedLine(options)
    tally.add([framing.boundary])
    for (const run of runs) arrive(Uint8Array.from(run))
    await close()
  }
  // noUser: the framing alone.
  const sim = new Simulation({ seed: 1 })
  const [a, b] = cable({ medium: 'frames' })
  sim.boot('A', (env) => framing(a(env), env, { longest: 100, fcs: 'none' }))
  const other = sim.boot('B', b).top
  other.send(packetFor(other, 10), undefined)
  await sim.run(ms(1))
  await ended(tally, sim)
}

async function ended(tally: Tally, sim: Simulation): Promise<void> {
  // The double below a station drops nothing.
  for (const { boundaries } of sim.nodes.values()) tally.add(boundaries.filter(({ name }) => !name.endsWith('/double')))
  await sim.run(seconds(1))
  await sim.close()
}

/** Every corner of the links. @throws what a layer throws: nothing should. */
export async function linkCorners(tally: Tally): Promise<void> {
  for (const corner of [lapbCorner, llc2Corner, ax25Corner, pppCorner, bridgeCorner, framingCorner]) await corner(tally)
}
