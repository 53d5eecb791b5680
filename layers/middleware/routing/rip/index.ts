/** RIPv2 (RFC 2453) and RIPng (RFC 2080): the oldest of routing protocols, for small networks and for teaching. */
export type { RipInterface, RipOptions } from './options.ts'
export type { RipVersion } from './pdu.ts'
export { type RipControl, type RipDrop, type RipNeighbour, type RipRoute, rip } from './rip.ts'
