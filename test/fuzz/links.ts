/** Fuzzed for the links of the HDLC family: the decoders of framing, and a PPP session. */
import { BitDecoder } from '../../layers/datalink/framing/bit-stuffing.ts'
import { OctetDecoder } from '../../layers/datalink/framing/octet-stuffing.ts'
import { PROTOCOL } from '../../layers/datalink/ppp/control.ts'
import { Session } from '../../layers/datalink/ppp/session.ts'
import { seconds } from '../../src/index.ts'
import type { Env } from '../../src/kernel/env.ts'
import { Packet } from '../../src/kernel/packet.ts'
import { below, type Random } from '../../src/kernel/random.ts'

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
