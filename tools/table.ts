/** Rows under headings, for people. */

export type Row = Readonly<Record<string, string | number>>

/** Between two columns. */
const GAP = 2

/**
 * Lays out a table, each column as wide as it needs to be. Where that is more than a line has, the widest columns give way: a cell too long for
 * its own has the rest of its row below it.
 * @param columns names of the cells, in order; in capitals they are the headings.
 * @param width of a line, in characters; Infinity leaves each row on one.
 * @returns the headings, then each row, which may be of several lines.
 */
export function layTable(columns: readonly string[], rows: readonly Row[], width: number): string[] {
  const lines = [
    columns.map((column) => column.toUpperCase()),
    ...rows.map((row) => columns.map((column) => String(row[column] ?? ''))),
  ]
  const starts = startsOf(fit(lines, width))
  return lines.map((cells) => lay(cells, starts))
}

const startsOf = (widths: readonly number[]): number[] =>
  widths.map((_, column) => widths.slice(0, column).reduce((sum, each) => sum + each + GAP, 0))

/** The widths of the columns of lines, whose first are the headings: the least that a column has. */
function fit(lines: readonly (readonly string[])[], width: number): number[] {
  const lengths = (lines[0] ?? []).map((_, column) => lines.map((cells) => (cells[column] ?? '').length))
  const widths = lengths.map((column) => Math.max(...column))
  for (let over = widths.reduce((sum, each) => sum + each + GAP, -GAP) - width; over > 0; ) {
    const column = widestOf(widths, lengths)
    if (column < 0) break
    const was = widths[column] ?? 0
    const less = Math.max(...(lengths[column] ?? []).filter((length) => length < was))
    widths[column] = less
    over -= was - less
  }
  return widths
}

/** @returns the widest column that is wider than its heading; -1 when there is none. */
function widestOf(widths: readonly number[], lengths: readonly (readonly number[])[]): number {
  let widest = -1
  for (const [column, width] of widths.entries())
    if (width > (lengths[column]?.[0] ?? 0) && width > (widths[widest] ?? 0)) widest = column
  return widest
}

function lay(cells: readonly string[], starts: readonly number[]): string {
  let line = ''
  let end = -GAP
  for (const [column, text] of cells.entries()) {
    if (text === '') continue
    const start = starts[column] ?? 0
    line += end + GAP > start ? `\n${' '.repeat(start)}` : ' '.repeat(start - Math.max(end, 0))
    line += text
    end = start + text.length
  }
  return line
}
