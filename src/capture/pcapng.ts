/**
 * pcapng blocks as we write them (draft-ietf-opsawg-pcapng): one section, one interface per boundary, enhanced packet
 * blocks with nanosecond times, direction and comments. All fields little-endian.
 *
 *   ┌ type 4 ┬ total length 4 ┬ body, padded to 4 ┬ options ┬ total length 4 ┐
 */

/**
 * Link-layer header types (LINKTYPE_…) of the encapsulations we write. LAPB has none that readers know without its
 * direction in front, so it takes two of those left to users: USER0 in modulo 8, USER1 in modulo 128.
 */
export const LINKTYPE: {
  readonly ethernet: 1
  readonly pppHdlc: 50
  readonly raw: 101
  readonly lapb8: 147
  readonly lapb128: 148
  readonly ax25Kiss: 202
} = { ethernet: 1, pppHdlc: 50, raw: 101, lapb8: 147, lapb128: 148, ax25Kiss: 202 }

export const BLOCK: { readonly section: 0x0a0d0d0a; readonly interface: 1; readonly packet: 6; readonly simple: 3 } = {
  section: 0x0a0d0d0a,
  interface: 1,
  packet: 6,
  simple: 3,
}

export const BYTE_ORDER_MAGIC = 0x1a2b3c4d

/** Option codes (§3.5, §4.2, §4.3). */
export const OPTION: {
  readonly end: 0
  readonly comment: 1
  readonly userApplication: 4
  readonly interfaceName: 2
  readonly timeResolution: 9
  readonly fcsLength: 13
  readonly packetFlags: 2
} = { end: 0, comment: 1, userApplication: 4, interfaceName: 2, timeResolution: 9, fcsLength: 13, packetFlags: 2 }

const text = new TextEncoder()

/** What one interface of a capture is. */
export interface InterfaceDescription {
  readonly name: string
  readonly linkType: number
  /** 2 or 4 when frames carry their FCS, else 0. */
  readonly fcsOctets: number
}

/** Which way a packet went, seen from the node. */
export type CaptureDirection = 'in' | 'out' | undefined

/** The first block of a file. */
export function sectionHeader(application: string): Uint8Array {
  const body = new Uint8Array(16)
  const view = new DataView(body.buffer)
  view.setUint32(0, BYTE_ORDER_MAGIC, true)
  view.setUint16(4, 1, true)
  // Section length unknown: -1 (§4.1).
  view.setInt32(8, -1, true)
  view.setInt32(12, -1, true)
  return block(BLOCK.section, [body, option(OPTION.userApplication, text.encode(application)), END])
}

export function interfaceDescription(description: InterfaceDescription): Uint8Array {
  const body = new Uint8Array(8)
  new DataView(body.buffer).setUint16(0, description.linkType, true)
  const options = [
    option(OPTION.interfaceName, text.encode(description.name)),
    option(OPTION.timeResolution, Uint8Array.of(9)),
  ]
  if (description.fcsOctets > 0) options.push(option(OPTION.fcsLength, Uint8Array.of(description.fcsOctets)))
  return block(BLOCK.interface, [body, ...options, END])
}

/** An instant since 1970, as whole seconds and the rest. */
export interface WallTime {
  readonly seconds: number
  readonly nanoseconds: number
}

/**
 * @param interfaceId the place of its interface in the file, from 0.
 * @param timeUs microseconds since 1970.
 * @param comments each becomes a comment of the packet.
 */
export function enhancedPacket(
  interfaceId: number,
  timeUs: number,
  octets: Uint8Array,
  direction: CaptureDirection,
  comments: readonly string[],
): Uint8Array {
  const time = { seconds: Math.floor(timeUs / 1_000_000), nanoseconds: (timeUs % 1_000_000) * 1000 }
  return enhancedPacketAt(interfaceId, time, octets, direction, comments, octets.length)
}

/** The same with nanoseconds. @param wireLength octets of the packet on the wire, when it was cut. */
export function enhancedPacketAt(
  interfaceId: number,
  time: WallTime,
  octets: Uint8Array,
  direction: CaptureDirection,
  comments: readonly string[],
  wireLength: number,
): Uint8Array {
  const body = new Uint8Array(20 + octets.length)
  const view = new DataView(body.buffer)
  view.setUint32(0, interfaceId, true)
  const units = BigInt(time.seconds) * 1_000_000_000n + BigInt(time.nanoseconds)
  view.setUint32(4, Number(units >> 32n), true)
  view.setUint32(8, Number(units & 0xffff_ffffn), true)
  view.setUint32(12, octets.length, true)
  view.setUint32(16, wireLength, true)
  body.set(octets, 20)
  const options = comments.map((comment) => option(OPTION.comment, text.encode(comment)))
  if (direction !== undefined) {
    options.push(option(OPTION.packetFlags, Uint8Array.of(direction === 'in' ? 1 : 2, 0, 0, 0)))
  }
  if (options.length > 0) options.push(END)
  return block(BLOCK.packet, [body, ...options])
}

const END = new Uint8Array(4)

function option(code: number, value: Uint8Array): Uint8Array {
  const octets = new Uint8Array(4 + padded(value.length))
  const view = new DataView(octets.buffer)
  view.setUint16(0, code, true)
  view.setUint16(2, value.length, true)
  octets.set(value, 4)
  return octets
}

function block(type: number, parts: readonly Uint8Array[]): Uint8Array {
  const total = parts.reduce((sum, part) => sum + padded(part.length), 12)
  const octets = new Uint8Array(total)
  const view = new DataView(octets.buffer)
  view.setUint32(0, type, true)
  view.setUint32(4, total, true)
  let at = 8
  for (const part of parts) {
    octets.set(part, at)
    at += padded(part.length)
  }
  view.setUint32(at, total, true)
  return octets
}

const padded = (length: number): number => (length + 3) & ~3
