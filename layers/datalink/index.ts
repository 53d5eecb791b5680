/** The data link tier: what moves packets between the stations of one link. */
export { type DirectDrop, direct } from './direct.ts'
export {
  type BridgeDrop,
  type BridgedMedia,
  type BridgedPort,
  type BridgedStation,
  type BridgeOptions,
  type BridgeService,
  bridge,
} from './ethernet/bridge.ts'
export { type EthernetDrop, type EthernetOptions, type EthernetService, ethernet } from './ethernet/ethernet.ts'
export type { PauseOption } from './ethernet/pause.ts'
export type { AbmOptions, Recovery } from './hdlc/abm/variant.ts'
export { type Ax25Drop, type Ax25Options, type Ax25Service, ax25, bpq, type KissOptions } from './hdlc/ax25.ts'
export { formatCall, parseCall } from './hdlc/ax25-address.ts'
export { type LapbDrop, type LapbOptions, lapb } from './hdlc/lapb.ts'
export { type Llc2Drop, type Llc2Options, type Llc2Service, llc2 } from './hdlc/llc2.ts'
export type { RecordConnection, RecordHandler } from './hdlc/records.ts'
export { type PppDrop, type PppOptions, type PppService, ppp } from './ppp/ppp.ts'
export * from './service.ts'
