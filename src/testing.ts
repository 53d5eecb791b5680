/**
 * netstrata/testing: networks for tests, what their links carried, and whether anything was left behind. It needs no test
 * runner: what fails throws an AssertionError.
 */

export { poisonReleased } from './kernel/packet.ts'
export type { Partition } from './runtime/partitions.ts'
export { Fingerprint, type TraceListener } from './runtime/trace.ts'
export {
  type ArpView,
  decodeFrame,
  describeFrame,
  type EthernetView,
  type Frame,
  type IcmpView,
  type IpView,
  type TcpView,
  type UdpView,
} from './testing/frames.ts'
export { type LeakCheck, leakCheck } from './testing/leak-check.ts'
export {
  type Luck,
  type NamesOf,
  type Network,
  type NetworkLink,
  type NetworkOptions,
  network,
  type TestLink,
  type TestNode,
} from './testing/network.ts'
export {
  type FramePattern,
  matches,
  type Pattern,
  type Recordable,
  type Recorder,
  type RecordOptions,
  record,
} from './testing/recorder.ts'
export type { LinkPlan } from './testing/topology.ts'
