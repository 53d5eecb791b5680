/** The figures for people. */
import { type Line, reached } from './harness.ts'

const WIDTHS = [11, 36, 10, 14, 10, 7, 9] as const

const columns = (...texts: readonly string[]): string =>
  texts.map((text, i) => (i < 2 ? text.padEnd(WIDTHS[i] as number) : text.padStart(WIDTHS[i] ?? 0))).join(' ')

export const HEAD: string = columns('bench', 'metric', 'ours', 'unit', 'peer', 'ratio', 'gate')

/** One figure as a line. */
export function row(line: Line): string {
  if ('skipped' in line) return `${columns(line.bench, line.metric)} skipped: ${line.skipped}`
  const { bench, metric, value, unit, peerValue, ratio, target, atMost, peer, spread } = line
  const gate = target === 0 ? '' : `${atMost ? '≤' : '≥'} ${target}`
  const values = columns(bench, metric, String(value), unit, String(peerValue), String(ratio), gate)
  const verdict = target === 0 ? '' : reached(line) ? 'reached' : 'MISSED'
  return `${values} ${verdict.padEnd(7)} (${peer}${spread === undefined ? '' : `; ${spread.join(' to ')}`})`
}
