/**
 * Fragments of IPv6 (RFC 8200 §4.5), as reassembly sees them: a packet's data begins with its fragment header, and its
 * IPv6 header is at `networkStart`; what is between them is repeated in every fragment, and the first one's counts.
 */
import { seconds } from '../../../src/kernel/clock.ts'
import { Packet } from '../../../src/kernel/packet.ts'
import type { FragmentFault, FragmentForm } from '../reassembly.ts'
import { Chain } from './chain.ts'
import * as header from './header.ts'

const chain = new Chain()

const lengthOf = ({ start, end }: Packet): number => end - start - header.FRAGMENT_OCTETS

export const IPV6_FRAGMENTS: FragmentForm = {
  life: seconds(60),
  identify({ view, start, networkStart }, identity) {
    header.readSource(view, networkStart, identity.source)
    header.readDestination(view, networkStart, identity.destination)
    identity.which = header.identification(view, start)
  },
  offset: ({ view, start }) => header.fragmentOffset(view, start),
  length: lengthOf,
  more: ({ view, start }) => header.moreFragments(view, start),
  fault: faultOf,
  join,
}

/** Octets of the headers before the fragment header, without the IPv6 header: they count as payload. */
const extensionsOf = ({ start, networkStart }: Packet): number => start - networkStart - header.HEADER_OCTETS

function faultOf(packet: Packet): FragmentFault | undefined {
  const { view, start } = packet
  const length = lengthOf(packet)
  if (length === 0 || (header.moreFragments(view, start) && length % 8 !== 0)) return 'badFragment'
  const end = header.fragmentOffset(view, start) + length
  return extensionsOf(packet) + end > header.LONGEST_PAYLOAD_OCTETS ? 'badFragment' : undefined
}

function join(fragments: readonly Packet[], total: number): Packet | undefined {
  const first = fragments[0] as Packet
  const { octets, view, start, networkStart } = first
  const extensions = extensionsOf(first)
  if (extensions + total > header.LONGEST_PAYLOAD_OCTETS) return undefined
  const headers = header.HEADER_OCTETS + extensions
  const whole = Packet.take(networkStart - first.base, headers + total)
  const at = whole.put(headers)
  octets.copyWithin(at, networkStart, start)
  for (const fragment of fragments) {
    const length = lengthOf(fragment)
    octets.copyWithin(whole.put(length), fragment.end - length, fragment.end)
  }
  // The header before names what comes now: the walk to it was possible when the fragment came, so it is again.
  chain.walk(view, networkStart, first.end, false)
  view.setUint8(at + chain.namedAt - networkStart, view.getUint8(start))
  view.setUint16(at + header.PAYLOAD_LENGTH_AT, extensions + total)
  whole.networkStart = at
  return whole
}
