/** Messages of Neighbour Discovery as octets, written here once more, so that the codec is not its own judge. */
import { parseAddress } from '../../../../../src/kernel/address.ts'

export const word = (n: number): number[] => [n >>> 24, (n >>> 16) & 255, (n >>> 8) & 255, n & 255]
export const half = (n: number): number[] => [n >>> 8, n & 255]

/** '::1' as 16 octets. */
export function address(text: string): number[] {
  const { w0, w1, w2, w3 } = parseAddress(text)
  return [w0, w1, w2, w3].flatMap(word)
}

/** A link address option (1: source, 2: target) of station n. */
export const at = (type: 1 | 2, n: number): number[] => [type, 1, 2, 0, 0, 0, 0, n]

export const rs = (...options: number[][]): number[] => [133, 0, 0, 0, ...word(0), ...options.flat()]

export const ns = (target: string, ...options: number[][]): number[] => [
  ...[135, 0, 0, 0],
  ...word(0),
  ...address(target),
  ...options.flat(),
]

/** @param flags 'R', 'S', 'O' in any combination. */
export const na = (target: string, flags: string, ...options: number[][]): number[] => {
  const bits = (flags.includes('R') ? 128 : 0) | (flags.includes('S') ? 64 : 0) | (flags.includes('O') ? 32 : 0)
  return [136, 0, 0, 0, bits, 0, 0, 0, ...address(target), ...options.flat()]
}

/** @param flags the octet of M, O and preference. */
export const ra = (lifetime: number, flags: number, hopLimit: number, ...options: number[][]): number[] => [
  ...[134, 0, 0, 0, hopLimit, flags],
  ...half(lifetime),
  ...word(0),
  ...word(0),
  ...options.flat(),
]

/** @param target the better first hop. */
export const redirect = (target = 'fe80::9', destination = '2001:db8::9', ...options: number[][]): number[] => [
  ...[137, 0, 0, 0],
  ...word(0),
  ...address(target),
  ...address(destination),
  ...options.flat(),
]

/** @param flags 0x80 on link, 0x40 autonomous. */
export const prefix = (text: string, length: number, flags: number, valid: number, preferred: number): number[] => [
  ...[3, 4, length, flags],
  ...word(valid),
  ...word(preferred),
  ...word(0),
  ...address(text),
]

export const mtu = (octets: number): number[] => [5, 1, 0, 0, ...word(octets)]

export const servers = (lifetime: number, ...texts: string[]): number[] => [
  ...[25, 1 + 2 * texts.length, 0, 0],
  ...word(lifetime),
  ...texts.flatMap(address),
]

/** @param names of one domain or several, as they are encoded. */
export function domains(lifetime: number, names: readonly number[]): number[] {
  const units = 1 + Math.ceil(names.length / 8)
  const padding = new Array<number>(units * 8 - 8 - names.length).fill(0)
  return [31, units, 0, 0, ...word(lifetime), ...names, ...padding]
}

/** 'example.net' as labels. */
export const labels = (name: string): number[] => [
  ...name.split('.').flatMap((label) => [label.length, ...Buffer.from(label)]),
  0,
]

/** @param preference 0 medium, 1 high, 2 reserved, 3 low. */
export const route = (text: string, length: number, preference: number, lifetime: number): number[] => {
  const octets = Math.ceil(length / 64) * 8
  return [24, 1 + octets / 8, length, preference << 3, ...word(lifetime), ...address(text).slice(0, octets)]
}
