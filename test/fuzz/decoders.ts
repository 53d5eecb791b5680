/**
 * Every decoder by itself, and the machines that keep what strangers say: any octets, any text. A decoder may refuse, by
 * its result or by the error it documents; anything else it throws ends the run. A machine must keep to its bounds.
 */

import pc from 'picocolors'
import * as ethernetFrame from '../../layers/datalink/ethernet/frame.ts'
import * as arpPacket from '../../layers/network/ipv4/arp-packet.ts'
import * as ipv4Header from '../../layers/network/ipv4/header.ts'
import { explain } from '../../layers/network/ipv4/icmp-message.ts'
import { IPV4_FRAGMENTS } from '../../layers/network/ipv4/reassembly.ts'
import { NeighbourCache } from '../../layers/network/neighbour-cache.ts'
import { PathMtu } from '../../layers/network/path-mtu.ts'
import { Reassembly } from '../../layers/network/reassembly.ts'
import { ErrorReport } from '../../layers/network/service.ts'
import { pullVnetHeader, pushVnetHeader } from '../../layers/physical/tun-vnet-header.ts'
import type { Codec } from '../../layers/physical/udp-tunnel/codec.ts'
import { geneve } from '../../layers/physical/udp-tunnel/geneve.ts'
import { l2tpv3 } from '../../layers/physical/udp-tunnel/l2tpv3.ts'
import { vxlan } from '../../layers/physical/udp-tunnel/vxlan.ts'
import { decode as decodeSegment, Segment } from '../../layers/transport/tcp/segment.ts'
import * as udpHeader from '../../layers/transport/udp/header.ts'
import { CaptureReader, IpAddress, ms, parseMac, seconds } from '../../src/index.ts'
import { tryParseAddress, tryParseIpv4 } from '../../src/kernel/address.ts'
import type { Encapsulation } from '../../src/kernel/boundary.ts'
import { NetError } from '../../src/kernel/errors.ts'
import { MacTable } from '../../src/kernel/mac-table.ts'
import { Packet, packetsInUse } from '../../src/kernel/packet.ts'
import { below, type Random } from '../../src/kernel/random.ts'
import { decodeFrame } from '../../src/testing/frames.ts'
import { decode as dump } from '../../tools/dump/decode.ts'
import { line, relativeTime, tree } from '../../tools/dump/render.ts'
import { LinkSpecError, parseLinkSpec } from '../../tools/stack/link-spec.ts'
import { repair, withFcs } from './frames.ts'
import { extensionHeaders, ipv6Reassembly } from './ipv6.ts'
import { balancedMode, framing, pppSession } from './links.ts'
import { Mutator } from './mutate.ts'
import { Peer } from './peer.ts'
import { babelNeighbour, ripNeighbour } from './routing.ts'
import { address, chance } from './stand.ts'

/** What became of the inputs of one decoder. */
export interface Outcome {
  readonly name: string
  readonly inputs: number
  /** Refused, or of no consequence to a machine. */
  readonly refused: number
}

/** @returns whether the input was accepted. */
type Decoder = (octets: Uint8Array, random: Random) => boolean

const ENCAPSULATIONS: readonly Encapsulation[] = [
  'ethernet+fcs',
  'ethernet',
  'ip',
  'ppp+fcs16',
  'lapb8+fcs16',
  'lapb128+fcs16',
  'ax25+kiss',
  'link',
  'transport',
  'octets',
]
/** Link types of captures (draft-ietf-opsawg-pcaplinktype): Ethernet, raw IP, IPv4, PPP, LAPB's two, and one that is unknown. */
const LINK_TYPES = [1, 101, 228, 50, 147, 148, 202, 149]
const SOURCE = IpAddress.ipv4(address('10.0.1.2'))
const DESTINATION = IpAddress.ipv4(address('10.0.1.1'))
const colors = pc.createColors(false)

/** Runs `inputs` mutated inputs through each decoder. @throws what a decoder throws, or an Error: a bound was passed. */
export function fuzzDecoders(seed: number, inputs: number, beat: () => void = () => {}): Outcome[] {
  const outcomes: Outcome[] = []
  for (const [name, make] of Object.entries(DECODERS)) {
    const random = chance(seed, `decoder ${name}`)
    const decoder = make(random)
    const source = sourceOf(random)
    const before = packetsInUse()
    let refused = 0
    for (let i = 0; i < inputs; i++) {
      beat()
      if (!decoder(source(), random)) refused++
    }
    decoder(new Uint8Array(0), random)
    for (const cleanup of CLEANUPS.splice(0)) cleanup()
    if (packetsInUse() !== before) throw new Error(`${name} has lost ${packetsInUse() - before} packets`)
    outcomes.push({ name, inputs, refused })
  }
  return outcomes
}

const CLEANUPS: (() => void)[] = []

/** Ethernet frames of every kind, four in five mutated, half of them repaired after that. */
function sourceOf(random: Random): () => Uint8Array {
  const peer = new Peer(random, {
    framing: 'frames',
    node: DESTINATION.w3,
    stations: Array.from({ length: 8 }, (_, i) => SOURCE.w3 + i),
    beyond: [address('10.66.0.1')],
    intercepted: [address('10.9.0.1')],
    listeners: [7, 80],
    datagramPorts: [53],
    victim: [DESTINATION.w3, 1, SOURCE.w3, 2],
  })
  const mutator = new Mutator(random, [SOURCE.w3, DESTINATION.w3, -1, 0], [7, 53, 0])
  return () => {
    const frames = peer.next()
    let frame = frames[below(random, frames.length)] as Uint8Array
    repair(frame, 'frames')
    if (below(random, 5) > 0) frame = mutator.mutate(frame, 'frames')
    if (below(random, 2) === 0) repair(frame, 'frames')
    return frame
  }
}

/** Runs on the octets in a packet, from `offset` on. */
function inPacket(octets: Uint8Array, offset: number, use: (packet: Packet) => boolean): boolean {
  const packet = Packet.take(64, octets.length + 64)
  try {
    packet.append(octets.subarray(Math.min(offset, octets.length)))
    packet.networkStart = packet.start
    return use(packet)
  } finally {
    packet.release()
  }
}

/** The codec of a tunnel on a good header, half of the time with one octet of it changed, and any octets behind it. */
function encapsulated(codec: Codec, good: readonly number[]): Decoder {
  return (octets, random) => {
    const header = Uint8Array.from(good)
    if (below(random, 2) === 0) header[below(random, header.length)] = below(random, 256)
    const datagram = Uint8Array.from([...header, ...octets]).subarray(0, below(random, 40))
    return inPacket(datagram, 0, (packet) => codec.pull(packet) === undefined)
  }
}

const DECODERS: Readonly<Record<string, (random: Random) => Decoder>> = {
  ethernet: () => (octets, random) =>
    inPacket(below(random, 2) === 0 ? withFcs(octets) : octets, 0, (packet) => {
      return ethernetFrame.fault(packet, true) === undefined
    }),
  arp: () => (octets) =>
    inPacket(octets, 14, (packet) => {
      if (arpPacket.fault(packet) !== undefined) return false
      return arpPacket.sha(packet) + arpPacket.tha(packet) >= 0
    }),
  'ipv4 header': () => (octets, random) => inPacket(octets, 14 * below(random, 2), ipv4),
  'icmp quote': () => (octets, random) =>
    inPacket(octets, 34, (packet) => {
      const report = new ErrorReport()
      return packet.length >= 8 && explain(report, packet.octets[packet.start] as number, below(random, 256))
    }),
  'udp header': () => (octets) =>
    inPacket(octets, 34, (packet) => udpHeader.fault(packet, SOURCE, DESTINATION) === undefined),
  'tcp header': () => {
    const seg = new Segment()
    return (octets) =>
      inPacket(octets, 34, (packet) => {
        if (decodeSegment(packet, seg) !== undefined) return false
        if (seg.length < 0 || seg.length > packet.length) throw new Error('a length that cannot be')
        return true
      })
  },
  vxlan: () => encapsulated(vxlan(1), [8, 0, 0, 0, 0, 0, 1, 0]),
  geneve: () => encapsulated(geneve(1), [1, 0, 0x65, 0x58, 0, 0, 1, 0]),
  l2tpv3: () => encapsulated(l2tpv3({ session: 1, peerSession: 2 }), [0, 3, 0, 0, 0, 0, 0, 1]),
  framing,
  'balanced mode': balancedMode,
  'PPP session': pppSession,
  'vnet header': () => (octets, random) => {
    const medium = below(random, 2) === 0 ? 'ethernet' : 'ip'
    return inPacket(octets, 0, (packet) => {
      packet.octets[packet.start] = below(random, 4)
      packet.octets[packet.start + 1] = below(random, 6)
      if (!pullVnetHeader(packet, medium)) return false
      // What we were told may be handed on in the same way.
      if (packet.start > packet.end) throw new Error('a packet of negative length')
      pushVnetHeader(packet, medium)
      return true
    })
  },
  reassembly,
  'extension headers': extensionHeaders,
  'reassembly of IPv6': (random) => ipv6Reassembly(random, (cleanup) => CLEANUPS.push(cleanup)),
  'path MTU': pathMtu,
  neighbours,
  'MAC table': macTable,
  Babel: babelNeighbour,
  RIP: ripNeighbour,
  capture,
  dump: () => (octets, random) => {
    const linkType = LINK_TYPES[below(random, LINK_TYPES.length)] as number
    const source = { name: 'x', linkType, fcsOctets: below(random, 2) * 4 }
    const layers = dump({
      interface: source,
      seconds: 1,
      nanoseconds: 0,
      octets,
      wireLength: octets.length + below(random, 2) * 100,
      direction: undefined,
      comments: [],
    })
    const text = line(
      {
        interface: source,
        seconds: 1,
        nanoseconds: 0,
        octets,
        wireLength: octets.length,
        direction: undefined,
        comments: [],
      },
      layers,
      relativeTime(),
      colors,
    )
    return text.length > 0 && tree(layers, colors).length > 0
  },
  'test frames': () => (octets, random) =>
    decodeFrame(octets, ENCAPSULATIONS[below(random, ENCAPSULATIONS.length)] as Encapsulation).fault === undefined,
  addresses: () => (_octets, random) => {
    const text = scribble(random, ADDRESSES, '0123456789abcdef:./%- ')
    tryParseIpv4(text)
    return tryParseAddress(text) !== undefined || refusedBy(() => parseMac(text), isTypeError)
  },
  'link specification': () => (_octets, random) => {
    const text = scribble(random, LINKS, 'abtunp:,=.0123456789%msk[]/')
    return refusedBy(
      () => parseLinkSpec(text),
      (error) => error instanceof LinkSpecError,
    )
  },
}

function ipv4(packet: Packet): boolean {
  const { view, octets, start } = packet
  if (packet.length < 20) return false
  const header = ipv4Header.headerOctets(view, start)
  if (header < 20 || header > packet.length || ipv4Header.optionsFault(view, start) !== undefined) return false
  const room = packet.put(60)
  const copied = ipv4Header.copyHeader(octets, view, start, room)
  if (copied > header || copied % 4 !== 0) throw new Error(`a header of ${header} octets became one of ${copied}`)
  if (ipv4Header.optionsFault(view, room) !== undefined) throw new Error('copied options have a fault')
  return true
}

function reassembly(random: Random): Decoder {
  const limits = { octets: 65_536, datagrams: 32 }
  let whole = 0
  const machine = new Reassembly(IPV4_FRAGMENTS, (packet) => packet.release(), limits)
  let now = 0
  CLEANUPS.push(() => machine.clear())
  return (octets) => {
    now += below(random, ms(20))
    machine.expire(now)
    for (let old = machine.output(); old !== undefined; old = machine.output()) old.release()
    const packet = Packet.take(64, octets.length)
    packet.append(octets.subarray(Math.min(octets.length, 14)))
    const header = packet.length < 20 ? 0 : ipv4Header.headerOctets(packet.view, packet.start)
    if (header < 20 || header > packet.length) {
      packet.release()
      return false
    }
    if (below(random, 4) > 0) makeFragment(packet, header, random)
    const done = machine.input(packet, now)
    if (machine.memory > limits.octets || machine.size > limits.datagrams) throw new Error('reassembly is unbounded')
    if (done === undefined) return false
    whole++
    if (done.length > 65_535) throw new Error('a datagram that cannot be')
    done.release()
    return whole > 0
  }
}

/** Most frames are whole datagrams: turns one into a fragment, from one of eight sources. */
function makeFragment(packet: Packet, header: number, random: Random): void {
  const { view, start } = packet
  packet.trim(header + ((packet.length - header) & ~7))
  view.setUint16(start + 4, below(random, 256))
  view.setUint16(start + 6, below(random, 2) * ipv4Header.MF + below(random, 200))
  view.setInt32(start + 12, SOURCE.w3 + below(random, 8))
}

function pathMtu(random: Random): Decoder {
  const machine = new PathMtu(ipv4Header.NARROWEST_PATH, 64)
  let now = 0
  return () => {
    now += below(random, seconds(1))
    machine.expire(now)
    const learnt = machine.report(below(random, 4096), below(random, 2000), below(random, 65_536), 1500, now)
    if (machine.size > 64) throw new Error('path MTU is unbounded')
    if (learnt > 1500) throw new Error('a path became wider')
    return learnt !== 0
  }
}

function neighbours(random: Random): Decoder {
  const cache = new NeighbourCache({ entries: 32, waiting: 4, waitingInAll: 16 }, random)
  const give = (packet: Packet | undefined): boolean => {
    packet?.release()
    return packet !== undefined
  }
  const drain = (): void => {
    while (cache.output() !== undefined) {}
    while (give(cache.take()) || give(cache.takeOverflow()) || give(cache.takeUndeliverable())) {}
  }
  let now = 0
  CLEANUPS.push(() => {
    cache.clear(now)
    drain()
  })
  return () => {
    now += below(random, seconds(1))
    if (cache.deadline <= now) cache.expire(now)
    const who = IpAddress.ipv4(below(random, 200))
    const before = packetsInUse()
    let known = false
    if (below(random, 2) === 0)
      known = cache.learn(who, below(random, 2 ** 31), below(random, 2) === 0, below(random, 2) === 0, now)
    else {
      const packet = Packet.take(0, 10)
      known = cache.offer(who, packet, now) !== -1
      if (known) packet.release()
    }
    drain()
    if (cache.list().length > 32 || packetsInUse() - before > 20) throw new Error('the neighbour cache is unbounded')
    return known
  }
}

function macTable(random: Random): Decoder {
  const table = new MacTable(64, seconds(300), random.uint32())
  let now = 0
  return () => {
    now += below(random, seconds(1))
    const high = below(random, 65_536)
    const low = random.uint32() | 0
    table.learn(high, low, below(random, 8), now)
    if (table.size(now) > table.capacity) throw new Error('the MAC table is unbounded')
    if (table.lookUp(high, low, now) < 0) throw new Error('a station that was just heard is not known')
    return table.lookUp(low & 0xffff, high, now) >= 0
  }
}

/** A capture in pieces, and what is wrong with it in any of them. */
function capture(): Decoder {
  return (octets, random) => {
    const file = captureOf(octets, below(random, 2) === 0)
    for (let changes = below(random, 4); changes > 0; changes--) {
      const edges = [0, 1, 4, 11, 12, 0x7f, 0x80, 0xff]
      file[below(random, file.length)] = edges[below(random, edges.length)] as number
    }
    const reader = new CaptureReader()
    return refusedBy(
      () => {
        const cut = below(random, file.length + 1)
        reader.push(file.subarray(0, cut))
        reader.push(file.subarray(cut, below(random, 8) === 0 ? cut + below(random, file.length - cut + 1) : undefined))
        reader.end()
      },
      (error) => NetError.is(error) && error.code === 'EINVAL',
    )
  }
}

/** A section, an interface with options, and one packet. */
function captureOf(octets: Uint8Array, little: boolean): Uint8Array {
  const padded = (octets.length + 3) & ~3
  const lengths = [28, 32, 32 + padded]
  const file = new Uint8Array(lengths.reduce((a, b) => a + b))
  const view = new DataView(file.buffer)
  const words = (at: number, values: readonly number[]) =>
    values.forEach((word, i) => {
      view.setUint32(at + 4 * i, word, little)
    })
  words(0, [0x0a0d0d0a, 28, 0x1a2b3c4d, 0x0001_0000, 0xffff_ffff, 0xffff_ffff, 28])
  words(28, [1, 32, 1, 0, 0x0009_0001, 0x0900_0000, 0, 32])
  view.setUint16(44, 9, little)
  view.setUint16(46, 1, little)
  view.setUint8(48, 9)
  words(60, [6, 32 + padded, 0, 0, 1, octets.length, octets.length])
  file.set(octets, 88)
  words(88 + padded, [32 + padded])
  return file
}

const ADDRESSES = [
  '10.0.0.1',
  '255.255.255.255',
  '::1',
  'fe80::1%eth0',
  '::ffff:10.0.0.1',
  '2001:db8::/32',
  '02:00:00:00:00:01',
]
const LINKS = [
  'eth0=tap:tap0,netns=a,vnet-hdr,mtu=1500',
  'tun:tun0,loss=1%,delay=20ms,rate=10mbit',
  'udp:127.0.0.1:7000,peer=127.0.0.1:7001,codec=vxlan,vni=7',
  'udp:[::1]:7000,peer=[::1]:1,codec=raw,mac=02:00:00:00:00:01,jitter=5us,reorder=0.5',
]

/** A good text with a few characters changed, left out, or put in twice. */
function scribble(random: Random, texts: readonly string[], alphabet: string): string {
  let text = texts[below(random, texts.length)] as string
  for (let changes = below(random, 4); changes > 0; changes--) {
    const at = below(random, text.length + 1)
    const length = below(random, 4)
    const put = length === 3 ? text.slice(at, at + 8) : alphabet.charAt(below(random, alphabet.length))
    text = text.slice(0, at) + put + text.slice(at + length)
  }
  return text
}

/** @returns whether it was done without an error. @throws an error it must not fail with. */
function refusedBy(action: () => unknown, expected: (error: unknown) => boolean): boolean {
  try {
    action()
    return true
  } catch (error) {
    if (!expected(error)) throw error
    return false
  }
}

const isTypeError = (error: unknown): boolean => error instanceof TypeError && 'code' in error
