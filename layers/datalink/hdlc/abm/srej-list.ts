/**
 * The information field of a SREJ that asks for several frames: an octet each, with the number where N(R) stands
 * (ISO 13239 §5.5.3.2; AX.25 v2.2 §4.3.2.4).
 */
import type { Modulus } from './control.ts'

/** What has numbers to ask for. */
interface Asking {
  nextAsk(): number
}

const shiftOf = (modulus: Modulus): number => (modulus === 8 ? 5 : 1)

/** The list, newly allocated. @param count how many numbers to take. */
export function encodeSrejList(asking: Asking, count: number, modulus: Modulus): Uint8Array {
  const list = new Uint8Array(count)
  const shift = shiftOf(modulus)
  for (let i = 0; i < count; i++) list[i] = asking.nextAsk() << shift
  return list
}

/** The number at an offset of a list. */
export function srejNumber(octet: number, modulus: Modulus): number {
  return octet >> shiftOf(modulus)
}
