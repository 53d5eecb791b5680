/** Checks of Internet checksums for the dump tool: over the captured octets, not the stack's memory. */
import { fold, pseudoHeaderIpv4, pseudoHeaderIpv6, sumOctets } from '../../../src/kernel/checksum.ts'
import type { Scope } from '../model.ts'

/** @returns what is wrong with the checksum over [start, end), or undefined when it is right. */
export function checksumFault(scope: Scope, start: number, end: number, partial = 0): string | undefined {
  return fold(sumOctets(scope.octets, start, end - start, partial)) === 0xffff ? undefined : 'bad checksum'
}

/** The pseudo-header's share (RFC 9293 §3.1, RFC 8200 §8.1), or undefined when the network header is not known. */
export function pseudoHeader(scope: Scope, protocol: number): number | undefined {
  const { source, destination } = scope
  if (source === undefined || destination === undefined) return undefined
  const length = scope.end - scope.start
  if (source.isIpv4) return pseudoHeaderIpv4(source.w3, destination.w3, protocol, length)
  return pseudoHeaderIpv6(source, destination, protocol, length)
}
