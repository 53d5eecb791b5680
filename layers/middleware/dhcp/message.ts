/**
 * DHCP messages (RFC 2131 §2, options by RFC 2132): a frame of BOOTP, and behind it options, each a code, a length and that many
 * octets.
 *
 *   0   1      2     3     4    8     10     12      16      20      24      28        44       108      236      240
 *   ├op─┼htype─┼hlen─┼hops─┼xid─┼secs─┼flags─┼ciaddr─┼yiaddr─┼siaddr─┼giaddr─┼chaddr───┼sname───┼file────┼─cookie─┼ options … 255
 *
 * IPv4 addresses are int32 words. Of hardware there is Ethernet alone.
 */
import type { MacAddress } from '../../../src/kernel/address.ts'

/** What a message is (option 53). */
export const TYPE = {
  discover: 1,
  offer: 2,
  request: 3,
  decline: 4,
  ack: 5,
  nak: 6,
  release: 7,
  inform: 8,
} as const
export type MessageType = (typeof TYPE)[keyof typeof TYPE]

/** Codes of options (RFC 2132; 3442 for classless routes, 3046 for what relays add). */
export const OPTION = {
  pad: 0,
  subnetMask: 1,
  routers: 3,
  nameServers: 6,
  hostName: 12,
  domainName: 15,
  mtu: 26,
  requestedAddress: 50,
  leaseTime: 51,
  overload: 52,
  type: 53,
  server: 54,
  parameters: 55,
  message: 56,
  largestMessage: 57,
  renewalTime: 58,
  rebindingTime: 59,
  clientId: 61,
  relayAgent: 82,
  classlessRoutes: 121,
  end: 255,
} as const

export const SERVER_PORT = 67
export const CLIENT_PORT = 68

/** A message, as either side makes or reads it. */
export interface Message {
  readonly reply: boolean
  readonly type: MessageType
  /** Chosen by the client, and returned in every answer: uint32. */
  readonly xid: number
  /** Seconds since the client began. */
  readonly secs: number
  /** The client cannot take unicasts yet. */
  readonly broadcast: boolean
  /** The client's address, where it has one that it answers for. */
  readonly ciaddr: number
  /** What the server gives. */
  readonly yiaddr: number
  /** The relay it came by; 0 for none. */
  readonly giaddr: number
  readonly chaddr: MacAddress
  /** All others by their codes; the octets of options that come more than once are joined (RFC 3396). */
  readonly options: ReadonlyMap<number, Uint8Array>
}

/** Why octets are no message. */
export type MessageFault = 'truncated' | 'badHardware' | 'badCookie' | 'badOption' | 'noType'

const REQUEST = 1
const REPLY = 2
const ETHERNET = 1
const MAC_OCTETS = 6
const BROADCAST_FLAG = 0x8000
const COOKIE = 0x6382_5363
const SNAME = 44
const FILE = 108
const COOKIE_AT = 236
const OPTIONS_AT = 240
/** What relays and hosts of BOOTP take for granted (RFC 1542 §2.1), and no DHCP host may refuse more than (RFC 2131 §2). */
const SHORTEST_OCTETS = 300
/** The longest value in one option. */
const LONGEST_VALUE_OCTETS = 255

/** @returns the octets of a message, 300 at least. */
export function encode(message: Message): Uint8Array {
  const parts = [...message.options].flatMap(([code, value]) => pieces(code, value))
  const optionOctets = parts.reduce((sum, part) => sum + part.length + 2, 0)
  const octets = new Uint8Array(Math.max(SHORTEST_OCTETS, OPTIONS_AT + 3 + optionOctets + 1))
  const view = new DataView(octets.buffer)
  octets.set([message.reply ? REPLY : REQUEST, ETHERNET, MAC_OCTETS])
  view.setUint32(4, message.xid)
  view.setUint16(8, Math.min(message.secs, 0xffff))
  view.setUint16(10, message.broadcast ? BROADCAST_FLAG : 0)
  view.setInt32(12, message.ciaddr)
  view.setInt32(16, message.yiaddr)
  view.setInt32(24, message.giaddr)
  view.setUint16(28, Math.floor(message.chaddr / 0x1_0000_0000))
  view.setUint32(30, message.chaddr % 0x1_0000_0000)
  view.setUint32(COOKIE_AT, COOKIE)
  octets.set([OPTION.type, 1, message.type], OPTIONS_AT)
  let at = OPTIONS_AT + 3
  for (const { code, value } of parts) {
    octets.set([code, value.length], at)
    octets.set(value, at + 2)
    at += 2 + value.length
  }
  octets[at] = OPTION.end
  return octets
}

interface Piece {
  readonly code: number
  readonly value: Uint8Array
  readonly length: number
}

/** A value of more than 255 octets is several options of its code (RFC 3396 §5). */
function pieces(code: number, value: Uint8Array): Piece[] {
  const cut: Piece[] = []
  for (let at = 0; at === 0 || at < value.length; at += LONGEST_VALUE_OCTETS) {
    const part = value.subarray(at, at + LONGEST_VALUE_OCTETS)
    cut.push({ code, value: part, length: part.length })
  }
  return cut
}

/** Reads a message; nothing of it refers to `octets` afterwards. @returns why it is none. */
export function decode(octets: Uint8Array): Message | MessageFault {
  if (octets.length < OPTIONS_AT) return 'truncated'
  const view = new DataView(octets.buffer, octets.byteOffset, octets.length)
  const op = octets[0]
  if ((op !== REQUEST && op !== REPLY) || octets[1] !== ETHERNET || octets[2] !== MAC_OCTETS) return 'badHardware'
  if (view.getUint32(COOKIE_AT) !== COOKIE) return 'badCookie'
  const options = readOptions(octets)
  if (options === undefined) return 'badOption'
  const type = options.get(OPTION.type)
  if (type?.length !== 1 || !isType(type[0] as number)) return 'noType'
  options.delete(OPTION.type)
  return {
    reply: op === REPLY,
    type: type[0] as MessageType,
    xid: view.getUint32(4),
    secs: view.getUint16(8),
    broadcast: (view.getUint16(10) & BROADCAST_FLAG) !== 0,
    ciaddr: view.getInt32(12),
    yiaddr: view.getInt32(16),
    giaddr: view.getInt32(24),
    chaddr: view.getUint16(28) * 0x1_0000_0000 + view.getUint32(30),
    options,
  }
}

const isType = (type: number): boolean => type >= TYPE.discover && type <= TYPE.inform

/** The options behind the cookie, and where option 52 says so in the fields for names (RFC 2131 §4.1). */
function readOptions(octets: Uint8Array): Map<number, Uint8Array> | undefined {
  const options = new Map<number, Uint8Array>()
  if (!readField(octets.subarray(OPTIONS_AT), options)) return undefined
  const overload = options.get(OPTION.overload)?.[0] ?? 0
  if ((overload & 1) !== 0 && !readField(octets.subarray(FILE, COOKIE_AT), options)) return undefined
  if ((overload & 2) !== 0 && !readField(octets.subarray(SNAME, FILE), options)) return undefined
  options.delete(OPTION.overload)
  return options
}

/** @returns false when an option reaches beyond its field. */
function readField(field: Uint8Array, options: Map<number, Uint8Array>): boolean {
  for (let at = 0; at < field.length; ) {
    const code = field[at++] as number
    if (code === OPTION.end) return true
    if (code === OPTION.pad) continue
    const length = field[at++]
    if (length === undefined || at + length > field.length) return false
    const value = field.slice(at, at + length)
    const before = options.get(code)
    options.set(code, before === undefined ? value : joined(before, value))
    at += length
  }
  return true
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length)
  both.set(a)
  both.set(b, a.length)
  return both
}
