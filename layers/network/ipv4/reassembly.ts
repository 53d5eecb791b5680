/** Fragments of IPv4 (RFC 791 §3.2), as reassembly sees them: a packet's data begins with its IP header. */
import { seconds } from '../../../src/kernel/clock.ts'
import { Packet } from '../../../src/kernel/packet.ts'
import type { FragmentFault, FragmentForm } from '../reassembly.ts'
import { PROTOCOL } from '../service.ts'
import * as header from './header.ts'

const lengthOf = (packet: Packet): number => packet.length - header.headerOctets(packet.view, packet.start)

export const IPV4_FRAGMENTS: FragmentForm = {
  /** Our choice within RFC 1122 §3.3.2, Linux's too. */
  life: seconds(30),
  identify({ view, start }, identity) {
    identity.source.setIpv4(header.source(view, start))
    identity.destination.setIpv4(header.destination(view, start))
    identity.which = (header.protocol(view, start) << 16) | header.identification(view, start)
  },
  offset: ({ view, start }) => header.fragmentOffset(view, start),
  length: lengthOf,
  more: ({ view, start }) => header.moreFragments(view, start),
  fault: faultOf,
  join,
}

function join(fragments: readonly Packet[], total: number): Packet | undefined {
  const first = fragments[0] as Packet
  const octets = header.headerOctets(first.view, first.start)
  if (octets + total > header.LONGEST_DATAGRAM_OCTETS) return undefined
  const whole = Packet.take(first.start - first.base, octets + total)
  const start = whole.put(octets)
  whole.octets.copyWithin(start, first.start, first.start + octets)
  for (const fragment of fragments) {
    const length = lengthOf(fragment)
    whole.octets.copyWithin(whole.put(length), fragment.end - length, fragment.end)
  }
  header.rewrite(whole.view, start, octets + total, 0)
  whole.networkStart = start
  return whole
}

function faultOf(packet: Packet): FragmentFault | undefined {
  const { view, start } = packet
  const offset = header.fragmentOffset(view, start)
  const length = lengthOf(packet)
  if (length === 0 || (header.moreFragments(view, start) && length % 8 !== 0)) return 'badFragment'
  // The whole must itself be a datagram, with the header that we have here at least.
  if (offset + length + header.headerOctets(view, start) > header.LONGEST_DATAGRAM_OCTETS) return 'badFragment'
  return offset === 8 && header.protocol(view, start) === PROTOCOL.tcp ? 'tinyFragment' : undefined
}
