/** The Internet checksum (RFC 1071), on its own so that the stack's is judged by another. */

/** @param initial what to begin with, such as the sum of a pseudo-header. @returns 0 over data that holds its checksum. */
export function internetChecksum(octets: Uint8Array, initial = 0): number {
  let sum = initial
  for (let i = 0; i < octets.length; i += 2) sum += ((octets[i] as number) << 8) | (octets[i + 1] ?? 0)
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000)
  return ~sum & 0xffff
}
