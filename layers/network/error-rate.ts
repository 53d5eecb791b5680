/** How many ICMP errors a node sends, whichever the family (RFC 1812 §4.3.2.8, RFC 4443 §2.4 (f)). */
import { inRange } from '../../src/kernel/errors.ts'
import { TokenBucket } from '../../src/kernel/token-bucket.ts'

/** How many errors are sent. */
export interface ErrorRate {
  /** Errors a second, 0 to 10^9. Default 1000; 0 sends none. */
  readonly perSecond?: number | undefined
  /** Errors at once, 0 to 10^9. Default 50; 0 sends none. */
  readonly burst?: number | undefined
}

/** @throws RangeError ERR_OUT_OF_RANGE, TypeError ERR_INVALID_ARG_TYPE — see `ErrorRate`. */
export function checkErrors({ perSecond, burst }: ErrorRate): void {
  if (perSecond !== undefined) inRange('errors.perSecond', perSecond, 0, 1e9)
  if (burst !== undefined) inRange('errors.burst', burst, 0, 1e9)
}

/** The bucket that an `ErrorRate` describes. */
export function errorBucket({ perSecond = 1000, burst = 50 }: ErrorRate): TokenBucket {
  return new TokenBucket(perSecond, burst)
}
