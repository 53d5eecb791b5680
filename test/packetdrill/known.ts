/**
 * Scripts of the suites that are known not to pass, by the end of their path, and why that is right or accepted: the RFC
 * says otherwise, or the script shows an inner matter of Linux. One that passes all the same is a failure too: take it out.
 */
export const KNOWN: ReadonlyMap<string, string> = new Map([
  [
    'blocking-write.pkt',
    'When a blocked write() goes on depends on how Linux counts the memory of a queued segment (truesize, not octets).',
  ],
  [
    'fr-4pkt-fack-last-mss.pkt',
    'The RACK reordering timer 40 ms after a SACK, with a round trip of 100 ms: a quarter of it (RFC 8985 §6.2 step 4), ' +
      'rounded up by the timer of a kernel with 250 Hz. Other scripts of the suite want 27 ms in the same situation.',
  ],
  [
    'cubic-bulk-166k.pkt',
    'Round trips grow with each flight. By HyStart++ slow start is slowed down once eight of a round show it, at 32 segments ' +
      '(RFC 9406 §4.2); the script wants the older HyStart of Linux as long as it missed the first rounds: 48.',
  ],
  ['cubic-bulk-166k-idle-restart.pkt', 'The same.'],
])

/** Why a script need not pass; undefined when it must. */
export function knownReason(path: string): string | undefined {
  for (const [end, reason] of KNOWN) if (path.endsWith(`/${end}`)) return reason
  return undefined
}
