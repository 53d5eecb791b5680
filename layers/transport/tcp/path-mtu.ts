/**
 * How large segments may be: by the peer's MSS, the link and the path, as far as ICMP tells of it (RFC 9293 §3.7.1, RFC 1191) and
 * as far as probes have shown (RFC 4821).
 */
import { optionOctets } from './build.ts'
import { MtuSearch } from './mtu-search.ts'
import { HEADER_OCTETS } from './segment.ts'
import { MIN_MSS } from './settings.ts'
import type { Tcb } from './tcb.ts'

/** Octets of a packet in front of options and data. */
export function headerOctets(tcb: Tcb): number {
  return tcb.networkHeaderOctets + HEADER_OCTETS
}

/** Largest packet by the link and by what routers say of the path. */
export function toldMtu({ path, pathMtu }: Tcb): number {
  return pathMtu > 0 ? Math.min(pathMtu, path.mtu) : path.mtu
}

/** Largest packet of ours: also by the peer's MSS and the application's. It is worth no probe beyond it. */
export function mostMtu(tcb: Tcb): number {
  const { maxSegment } = tcb.options
  const headers = headerOctets(tcb)
  const most = maxSegment > 0 ? Math.min(tcb.peerMss, maxSegment) : tcb.peerMss
  return Math.min(most + headers, toldMtu(tcb))
}

/** Largest packet that is taken to get through to the peer. */
export function currentMtu(tcb: Tcb): number {
  const { search } = tcb
  return search === null || !tcb.options.pathMtuDiscovery ? toldMtu(tcb) : Math.min(search.low, toldMtu(tcb))
}

/** The effective send MSS (RFC 9293 §3.7.1 MUST-16, RFC 6691). Call it when anything has changed that it depends on. */
export function updateMss(tcb: Tcb): void {
  const { settings } = tcb
  const headers = headerOctets(tcb)
  if (settings.mtuProbing === 'always') tcb.search ??= new MtuSearch(settings.baseSegment + headers)
  const most = Math.min(mostMtu(tcb), currentMtu(tcb))
  // Options are part of what a segment may hold (MUST-16): both sides count them against its data. IP options we never send.
  // A tiny value would cost us more than it saves the peer.
  const mss = Math.max(most - headers, MIN_MSS) - optionOctets(tcb)
  if (mss === tcb.mss) return
  tcb.mss = mss
  tcb.sender?.setMss(mss)
}
