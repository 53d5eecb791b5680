/** The data link tier: what moves packets between the stations of one link. */
export { type DirectDrop, direct } from './direct.ts'
export { type EthernetDrop, type EthernetOptions, ethernet } from './ethernet/ethernet.ts'
export { type PppDrop, type PppOptions, type PppService, ppp } from './ppp/ppp.ts'
export * from './service.ts'
