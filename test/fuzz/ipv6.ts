/** Fuzzed for IPv6: the walk over extension headers, and reassembly. */
import { Chain } from '../../layers/network/ipv6/chain.ts'
import * as header from '../../layers/network/ipv6/header.ts'
import { IPV6_FRAGMENTS } from '../../layers/network/ipv6/reassembly.ts'
import { Reassembly } from '../../layers/network/reassembly.ts'
import { ms } from '../../src/index.ts'
import { Packet } from '../../src/kernel/packet.ts'
import { below, type Random } from '../../src/kernel/random.ts'

/** @returns whether the input was accepted. */
type Decoder = (octets: Uint8Array, random: Random) => boolean

/** The headers that are walked, and two at which a walk ends. */
const NEXT = [0, 43, 44, 60, 60, 6, 59] as const

/** A packet with an IPv6 header and as much of a chain as the octets make. */
function withChain(octets: Uint8Array, random: Random): Packet {
  const packet = Packet.take(64, header.HEADER_OCTETS + octets.length)
  const at = packet.put(header.HEADER_OCTETS)
  packet.append(octets)
  packet.octets.fill(0, at, at + header.HEADER_OCTETS)
  packet.view.setUint8(at + header.NEXT_AT, NEXT[below(random, NEXT.length)] as number)
  for (let from = at + header.HEADER_OCTETS; from + 8 <= packet.end && below(random, 8) > 0; ) {
    packet.view.setUint8(from, NEXT[below(random, NEXT.length)] as number)
    if (below(random, 4) > 0) packet.view.setUint8(from + 1, below(random, 3))
    from += (packet.view.getUint8(from + 1) + 1) * 8
  }
  packet.networkStart = at
  return packet
}

/** Ends within the packet, or refuses; strict or not, it ends at the same place. */
export function extensionHeaders(): Decoder {
  const [strict, lenient] = [new Chain(), new Chain()]
  return (octets, random) => {
    const packet = withChain(octets, random)
    const { view, start, end } = packet
    const refused = strict.walk(view, start, end, true)
    const astray = lenient.walk(view, start, end, false)
    const { at, namedAt, code, pointer } = strict
    if (at < start + header.HEADER_OCTETS || at > end || namedAt < start || namedAt >= end) {
      throw new Error('a walk that leaves the packet')
    }
    if (refused !== undefined && code >= 0 && (pointer < start || pointer >= end)) {
      throw new Error('a pointer that leaves the packet')
    }
    if (refused === undefined && (astray !== undefined || lenient.at !== at)) throw new Error('two ways to walk')
    packet.release()
    return refused === undefined
  }
}

/** @param cleanUp told what to do when all is over. */
export function ipv6Reassembly(random: Random, cleanUp: (cleanup: () => void) => void): Decoder {
  const limits = { octets: 65_536, datagrams: 32 }
  const machine = new Reassembly(IPV6_FRAGMENTS, (packet) => packet.release(), limits)
  const chain = new Chain()
  let now = 0
  cleanUp(() => machine.clear())
  return (octets) => {
    now += below(random, ms(20))
    machine.expire(now)
    for (let old = machine.output(); old !== undefined; old = machine.output()) old.release()
    const packet = withChain(octets, random)
    const { view, start, end } = packet
    if (
      chain.walk(view, start, end, false) !== undefined ||
      chain.protocol !== header.NEXT.fragment ||
      chain.at + 8 > end
    ) {
      packet.release()
      return false
    }
    packet.trim(chain.at - start + ((end - chain.at) & ~7))
    view.setInt32(start + header.SOURCE_AT, below(random, 8))
    header.writeFragment(view, chain.at, 6, (below(random, 4) * 16) | below(random, 2), below(random, 256))
    packet.start = chain.at
    const done = machine.input(packet, now)
    if (machine.memory > limits.octets || machine.size > limits.datagrams) throw new Error('reassembly is unbounded')
    if (done === undefined) return false
    if (header.payloadLength(done.view, done.start) + header.HEADER_OCTETS !== done.length)
      throw new Error('a wrong length')
    done.release()
    return true
  }
}
