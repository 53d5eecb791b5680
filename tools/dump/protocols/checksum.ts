/** Checks of Internet checksums for the dump tool: over the captured octets, not the stack's memory. */
import { fold, sumOctets } from '../../../src/kernel/checksum.ts'
import type { Scope } from '../model.ts'

/** @returns what is wrong with the checksum over [start, end), or undefined when it is right. */
export function checksumFault(scope: Scope, start: number, end: number, partial = 0): string | undefined {
  return fold(sumOctets(scope.octets, start, end - start, partial)) === 0xffff ? undefined : 'bad checksum'
}

/** The pseudo-header's share (RFC 9293 §3.1), or undefined when the network header is not known. */
export function pseudoHeader(scope: Scope, protocol: number): number | undefined {
  const { source, destination } = scope
  if (source === undefined || destination === undefined) return undefined
  const halves = (word: number): number => (word >>> 16) + (word & 0xffff)
  return halves(source) + halves(destination) + protocol + (scope.end - scope.start)
}
