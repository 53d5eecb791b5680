/** The network tier: packets to any address, over whichever link leads there. */
export type { ErrorRate } from './error-rate.ts'
export {
  type Assigned,
  type Family,
  type FamilyBlueprint,
  type FamilyContext,
  type Port,
  type Refusal,
  UNNAMED_LINK,
} from './family.ts'
export { ip, type Links } from './ip.ts'
export type { ArpOptions } from './ipv4/arp.ts'
export { type Ipv4Options, ipv4 } from './ipv4/ipv4.ts'
export type {
  AdvertisedPrefix,
  AdvertisedRoute,
  AdvertiseOptions,
  DiscoveryOptions,
  RouterPreference,
} from './ipv6/discovery.ts'
export { ipv6 } from './ipv6/ipv6.ts'
export type { AdvertiseOf, InterfaceIdentifier, Ipv6Options } from './ipv6/options.ts'
export type { NeighbourOptions, NeighbourSnapshot, NeighbourState } from './neighbours.ts'
export { type PolicyTest, type SamplePacket, testPolicy } from './policy/sample.ts'
export type { ReassemblyLimits } from './reassembly.ts'
export * from './service.ts'
