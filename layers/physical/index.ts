/** The physical tier, as far as it needs nothing but memory: it runs anywhere. `netstrata/physical/node` has the rest. */
export {
  type Cable,
  type CableControl,
  type CableDirection,
  type CableDrop,
  type CableEnd,
  type CableOptions,
  cable,
} from './cable.ts'
export type { Cut } from './cut.ts'
export { type Hub, type HubControl, type HubDrop, type HubOptions, type HubPort, hub } from './hub.ts'
export {
  type Bursts,
  type GilbertElliott,
  type ImpairControl,
  type ImpairCounts,
  type ImpairDrop,
  type ImpairLayer,
  type Impairment,
  type ImpairOptions,
  impair,
} from './impair/impair.ts'
export type { LineOptions } from './line.ts'
export { type LoopbackDrop, type LoopbackOptions, loopback } from './loopback.ts'
export type { MediumOptions } from './medium.ts'
export {
  type LineCounts,
  type LineNoise,
  type SerialLine,
  type SerialLineControl,
  type SerialLineDrop,
  type SerialLineEnd,
  type SerialLineOptions,
  serialLine,
} from './serial-line.ts'
export * from './service.ts'
