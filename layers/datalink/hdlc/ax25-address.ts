/**
 * Addresses of AX.25 (v2.2 §3.12): a call sign of up to six letters and digits, and a station number (SSID) of 0 to 15.
 * As a link address it is one number: six digits of base 37, then the SSID.
 *
 *   octets   0 … 5                      6
 *            each character << 1        │ C or H │ 1 1 │ SSID │ last │
 */
import { invalidValue } from '../../../src/kernel/errors.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import type { ArpFormat, LinkAddress } from '../service.ts'

/** Octets of an address in a frame. */
export const CALL_OCTETS = 7
const CHARACTERS = 6
const SYMBOLS = ' ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789'
const BASE = SYMBOLS.length
/** The digit of each ASCII character; -1: it may not be in a call sign. */
const DIGITS: Int8Array = Int8Array.from({ length: 128 }, (_, code) => SYMBOLS.indexOf(String.fromCharCode(code)))

/** To everybody who listens. */
export const QST: LinkAddress = parseCall('QST')

/**
 * 'N0CALL' or 'N0CALL-7', in any case.
 * @throws TypeError ERR_INVALID_ARG_VALUE — it is no call sign.
 */
export function parseCall(text: string, name = 'call'): LinkAddress {
  const [, call, ssid = '0'] = /^([A-Z0-9]{1,6})(?:-(\d{1,2}))?$/i.exec(text) ?? []
  if (call === undefined || Number(ssid) > 15) throw invalidValue(name, "a call sign such as 'N0CALL-7'", text)
  let address = 0
  for (const character of call.toUpperCase().padEnd(CHARACTERS)) address = address * BASE + SYMBOLS.indexOf(character)
  return address * 16 + Number(ssid)
}

/** 'N0CALL-7'; without '-0'. */
export function formatCall(address: LinkAddress): string {
  const ssid = address % 16
  let rest = Math.floor(address / 16)
  let call = ''
  for (let i = 0; i < CHARACTERS; i++) {
    call = (SYMBOLS[rest % BASE] as string) + call
    rest = Math.floor(rest / BASE)
  }
  return ssid === 0 ? call.trimEnd() : `${call.trimEnd()}-${ssid}`
}

/** The address at an offset; -1 when it is none. The packet must have CALL_OCTETS there. */
export function callAt(packet: Packet, at: number): LinkAddress {
  const { octets } = packet
  let address = 0
  for (let i = 0; i < CHARACTERS; i++) {
    const octet = octets[at + i] as number
    const digit = (octet & 1) === 1 ? -1 : (DIGITS[octet >> 1] as number)
    if (digit < 0) return -1
    address = address * BASE + digit
  }
  return address * 16 + (((octets[at + CHARACTERS] as number) >> 1) & 15)
}

/** Writes an address. @param flags the bits around the SSID: C or H (0x80), and whether it is the last (1). */
export function putCall(packet: Packet, at: number, address: LinkAddress, flags: number): void {
  const { octets } = packet
  let rest = Math.floor(address / 16)
  for (let i = CHARACTERS - 1; i >= 0; i--) {
    octets[at + i] = SYMBOLS.charCodeAt(rest % BASE) << 1
    rest = Math.floor(rest / BASE)
  }
  octets[at + CHARACTERS] = 0x60 | ((address % 16) << 1) | flags
}

/** Addresses in ARP are those of frames, without flags; IPv4 stands there as its PID (IANA: hardware type 3, AX.25). */
export const AX25_ARP: ArpFormat = Object.freeze({
  hardwareType: 3,
  protocolType: 0xcc,
  addressOctets: CALL_OCTETS,
  read: callAt,
  write(packet: Packet, at: number, address: LinkAddress) {
    if (address === 0) packet.octets.fill(0, at, at + CALL_OCTETS)
    else putCall(packet, at, address, 0)
  },
})
