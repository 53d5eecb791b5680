/** From the octets of a captured packet to its layers. */
import type { CaptureRecord } from '../../src/capture/reader.ts'
import type { Flows } from './flows.ts'
import { type Decoder, type DumpLayer, data } from './model.ts'
import { ethernet, etherTypeDecoder } from './protocols/ethernet.ts'
import { ax25, kiss, lapb } from './protocols/hdlc.ts'
import { ipv4 } from './protocols/ipv4.ts'
import { ip, ipv6 } from './protocols/ipv6.ts'
import { ppp } from './protocols/ppp.ts'

/** LINKTYPE_ values with a decoder. */
const LINKTYPES: ReadonlyMap<number, (fcsOctets: number) => Decoder> = new Map<number, (fcsOctets: number) => Decoder>([
  [1, ethernet],
  [3, () => ax25(etherTypeDecoder)],
  [9, ppp],
  [50, ppp],
  [101, () => ip],
  [147, lapb(false)],
  [148, lapb(true)],
  [202, () => kiss(ax25(etherTypeDecoder))],
  [228, () => ipv4],
  [229, () => ipv6],
])

/** Tunnels within tunnels end here. */
const MAX_LAYERS = 32

/**
 * The packet of a capture as its layers, outermost first. Never throws; what is wrong stands in `faults`.
 * @param flows learns of connections, and makes their sequence numbers relative.
 */
export function decode(record: CaptureRecord, flows?: Flows): DumpLayer[] {
  const { octets } = record
  const decoder = LINKTYPES.get(record.interface.linkType)?.(record.interface.fcsOctets) ?? data
  const layers: DumpLayer[] = []
  let next: { protocol: Decoder; scope: Parameters<Decoder>[0] } | undefined = {
    protocol: decoder,
    scope: {
      octets,
      view: new DataView(octets.buffer, octets.byteOffset, octets.byteLength),
      start: 0,
      end: octets.length,
      cut: record.wireLength > octets.length,
      flows,
    },
  }
  while (next !== undefined && layers.length < MAX_LAYERS) {
    const decoded = next.protocol(next.scope)
    // An empty remainder is no layer, unless nothing else was found.
    if (decoded.layer.octets > 0 || layers.length === 0) layers.push(decoded.layer)
    next = decoded.next
  }
  return layers
}
