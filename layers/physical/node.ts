/** The whole physical tier: what `netstrata/physical` has, and the media of a real machine. Needs Node. */
export * from './index.ts'
export { type LengthPrefixDrop, type LengthPrefixOptions, lengthPrefix } from './octets/length-prefix.ts'
export type { OctetDrop, OctetPortOptions } from './octets/port.ts'
export { type SerialOptions, serial } from './octets/serial.ts'
export { type OctetStream, type StreamOptions, stream } from './octets/stream.ts'
export {
  ETHERIP_PROTOCOL,
  type RawIpDrop,
  type RawIpOptions,
  type RawSocket,
  type RawSocketModule,
  rawIp,
} from './raw-ip.ts'
export type { DeviceOptions, DeviceService } from './tap-device.ts'
export { tapDevice } from './tap-device.ts'
export { tunDevice } from './tun-device.ts'
export type { TunDropReason } from './tun-port.ts'
export { GENEVE_PORT } from './udp-tunnel/geneve.ts'
export { L2TP_PORT, type L2tpv3Options } from './udp-tunnel/l2tpv3.ts'
export {
  type EngineKind,
  type UdpTunnelCodec,
  type UdpTunnelDrop,
  type UdpTunnelEndpoint,
  type UdpTunnelOptions,
  type UdpTunnelService,
  udpTunnel,
} from './udp-tunnel/udp-tunnel.ts'
export { VXLAN_PORT } from './udp-tunnel/vxlan.ts'
