/** Arithmetic modulo 2^32, as sequence numbers and timestamps need it (RFC 9293 §3.4). All values are int32 (`| 0`). */

/** a - b as a signed distance; right while the two are less than 2^31 apart. */
export const distance = (a: number, b: number): number => (a - b) | 0
export const before = (a: number, b: number): boolean => ((a - b) | 0) < 0
export const beforeOrAt = (a: number, b: number): boolean => ((a - b) | 0) <= 0
export const after = (a: number, b: number): boolean => ((a - b) | 0) > 0
export const afterOrAt = (a: number, b: number): boolean => ((a - b) | 0) >= 0
/** The later of two. */
export const latest = (a: number, b: number): number => (((a - b) | 0) >= 0 ? a : b)
/** The earlier of two. */
export const earliest = (a: number, b: number): number => (((a - b) | 0) <= 0 ? a : b)
