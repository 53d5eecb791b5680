/**
 * Names of domains in a search domain option: each as labels with their lengths in front, a zero at its end, zeros behind
 * the last (RFC 8106 §5.2, RFC 1035 §3.1). No pointers.
 */
import type { Packet } from '../../../../src/kernel/packet.ts'

/** Octets of a name with its lengths and its zero (RFC 1035 §3.1), and of a label. */
const MOST_NAME_OCTETS = 255
const MOST_LABEL_OCTETS = 63

/** A label as host names have it, with underscores: what may go into a resolver's configuration unharmed. */
const LABEL = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/i

/** @returns whether `name` is of labels of 1 to 63 letters, digits, `_` and inner `-`, and of at most 253 octets. */
export const isDomain = (name: string): boolean =>
  name.length <= MOST_NAME_OCTETS - 2 && name.split('.').every((label) => LABEL.test(label))

/** Octets of a name as it is sent. @param name as `isDomain` likes it. */
export const domainOctets = (name: string): number => name.length + 2

/**
 * The names between two offsets, in lower case; those that `isDomain` does not like are left out.
 * @returns up to `most` of them; undefined when a name does not end, or is too long.
 */
export function domainsIn(view: DataView, from: number, end: number, most: number): string[] | undefined {
  const names: string[] = []
  let at = from
  while (at < end && view.getUint8(at) !== 0 && names.length < most) {
    const first = at
    let name = ''
    for (let octets = view.getUint8(at); octets !== 0; octets = view.getUint8(at)) {
      if (octets > MOST_LABEL_OCTETS || at + octets + 1 >= end || at + octets - first > MOST_NAME_OCTETS - 2) {
        return undefined
      }
      if (name !== '') name += '.'
      for (let i = 1; i <= octets; i++) name += String.fromCharCode(view.getUint8(at + i))
      at += octets + 1
    }
    at++
    if (isDomain(name)) names.push(name.toLowerCase())
  }
  return names
}

/** Writes names from an offset on, as `domainsIn` reads them. @param names as `isDomain` likes them. */
export function writeDomains(packet: Packet, from: number, names: readonly string[]): void {
  let at = from
  for (const name of names) {
    for (const label of name.split('.')) {
      packet.view.setUint8(at++, label.length)
      for (let i = 0; i < label.length; i++) packet.view.setUint8(at++, label.charCodeAt(i))
    }
    packet.view.setUint8(at++, 0)
  }
}
