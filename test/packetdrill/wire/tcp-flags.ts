/** Bits of the TCP header's flags (RFC 9293 §3.1), AE of Accurate ECN (RFC 9768) included. */
export const FLAG = {
  fin: 0x01,
  syn: 0x02,
  rst: 0x04,
  psh: 0x08,
  ack: 0x10,
  urg: 0x20,
  ece: 0x40,
  cwr: 0x80,
  ae: 0x100,
} as const

const LETTERS: readonly (readonly [number, string])[] = [
  [FLAG.fin, 'F'],
  [FLAG.syn, 'S'],
  [FLAG.rst, 'R'],
  [FLAG.psh, 'P'],
  [FLAG.urg, 'U'],
  [FLAG.ece, 'E'],
  [FLAG.cwr, 'W'],
  [FLAG.ae, 'A'],
  [FLAG.ack, '.'],
]

/** As scripts write them: 'S.', 'P.', or '-' for none; reserved bits, which no script has, as numbers. */
export function formatFlags(flags: number): string {
  const reserved = flags & ~0x1ff
  const letters = LETTERS.map(([bit, letter]) => (flags & bit ? letter : '')).join('') || '-'
  return reserved === 0 ? letters : `${letters}+0x${reserved.toString(16)}`
}
