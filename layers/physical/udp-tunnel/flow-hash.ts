/**
 * The flow an Ethernet frame belongs to, as a keyed hash of its headers: it chooses the outer source port, so that the
 * network below spreads flows over its paths without reordering any (RFC 7348 §5, "Source Port").
 */
import { type HashKey, keyedHash } from '../../../src/kernel/keyed-hash.ts'
import type { Packet } from '../../../src/kernel/packet.ts'

const ETHERNET_OCTETS = 14
const IPV4_OCTETS = 20
const IPV6_OCTETS = 40
const PROTOCOL_TCP = 6
const PROTOCOL_UDP = 17
/** More fragments, or an offset: only the first fragment has the ports, and all must go the same way. */
const FRAGMENT_BITS = 0x3fff

/** Addresses of both stations, then those of both hosts, then protocol and ports: the words that are hashed. */
const words = new Int32Array(13)

/** @param packet an Ethernet frame. @returns int32 */
export function flowHash(key: HashKey, packet: Packet): number {
  const { view, start } = packet
  words.fill(0)
  words[0] = view.getInt32(start)
  words[1] = view.getInt32(start + 4)
  words[2] = view.getInt32(start + 8)
  const type = view.getUint16(start + 12)
  const network = start + ETHERNET_OCTETS
  if (type === 0x0800 && network + IPV4_OCTETS <= packet.end) ipv4Flow(packet, network)
  else if (type === 0x86dd && network + IPV6_OCTETS <= packet.end) ipv6Flow(packet, network)
  return keyedHash(key, words)
}

function ipv4Flow(packet: Packet, network: number): void {
  const { view } = packet
  words[3] = view.getInt32(network + 12)
  words[4] = view.getInt32(network + 16)
  words[11] = view.getUint8(network + 9)
  if ((view.getUint16(network + 6) & FRAGMENT_BITS) === 0)
    portsFlow(packet, network + (view.getUint8(network) & 15) * 4)
}

function ipv6Flow(packet: Packet, network: number): void {
  for (let i = 0; i < 8; i++) words[3 + i] = packet.view.getInt32(network + 8 + 4 * i)
  words[11] = packet.view.getUint8(network + 6)
  portsFlow(packet, network + IPV6_OCTETS)
}

function portsFlow(packet: Packet, transport: number): void {
  const protocol = words[11]
  if ((protocol === PROTOCOL_TCP || protocol === PROTOCOL_UDP) && transport + 4 <= packet.end)
    words[12] = packet.view.getInt32(transport)
}
