/** Babel (RFC 8966): a routing protocol for networks of any shape, without loops. */
export type { LinkTraffic, RedistributeRule, RouteRule } from '../service.ts'
export type { BabelKey } from './authenticator.ts'
export { type BabelControl, type BabelDrop, babel } from './babel.ts'
export type { BabelInterface, BabelOptions } from './options.ts'
export type { BabelNeighbour, BabelRoute } from './status.ts'
