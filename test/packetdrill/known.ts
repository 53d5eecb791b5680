/**
 * Scripts of the suites that are known not to pass, by the end of their path, and why that is right or accepted: the RFC
 * says otherwise, or the script shows an inner matter of Linux. One that passes all the same is a failure too: take it out.
 */
export const KNOWN: ReadonlyMap<string, string> = new Map([
  [
    'rcv-rst-close-wait-right-edge-secure-ipv4.pkt',
    'A RST at 65699 octets beyond rcv.nxt, on a connection without window scaling, where no window reaches beyond 65535: ' +
      'outside of it a RST is dropped in silence (RFC 5961 §3.2 (1), RFC 9293 §3.10.7.4). The script wants a challenge ' +
      'ACK: Linux and FreeBSD keep a window rounded up to full segments, more than the header can say.',
  ],
  [
    'blocking-write.pkt',
    'When a blocked write() goes on depends on how Linux counts the memory of a queued segment (truesize, not octets).',
  ],
  [
    'slow-start-after-idle.pkt',
    'PSH in the middle of a write, at half the congestion window: where Linux ends a super-segment (tcp_min_tso_segs), ' +
      'not where the data asks for it (RFC 9293 §3.9.1 leaves it to the sender).',
  ],
])

/** Why a script need not pass; undefined when it must. */
export function knownReason(path: string): string | undefined {
  for (const [end, reason] of KNOWN) if (path.endsWith(`/${end}`)) return reason
  return undefined
}
