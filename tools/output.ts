/** What a command says: data on stdout, messages on stderr, either for people or, with `--json`, one object a line. */
import pc from 'picocolors'
import { NetError } from '../src/kernel/errors.ts'
import type { Colors } from './dump/render.ts'
import { CommandError, exitCodeFor } from './exit.ts'
import { Interrupted } from './interrupt.ts'
import { layTable, type Row } from './table.ts'

export class Output {
  /** Print objects instead of text. */
  readonly json: boolean
  /** For data on stdout; does nothing where the terminal, or NO_COLOR, says so. */
  readonly colors: Colors

  constructor(json: boolean) {
    this.json = json
    this.colors = pc.createColors(!json && pc.isColorSupported && process.stdout.isTTY === true)
  }

  /** One piece of data: `record` with `--json`, else `text`. */
  data(record: object, text: () => string): void {
    process.stdout.write(`${this.json ? JSON.stringify(record) : text()}\n`)
  }

  /**
   * Rows under headings. On a terminal that is narrower than a row, what stands behind a long cell goes below it.
   * @param details lines to stand under each row, further to the right.
   */
  table(columns: readonly string[], rows: readonly Row[], details: readonly (readonly string[])[] = []): void {
    const { isTTY, columns: width } = process.stdout
    const [head = '', ...lines] = layTable(columns, rows, isTTY === true ? width : Number.POSITIVE_INFINITY)
    process.stdout.write(`${this.colors.dim(head)}\n`)
    for (const [i, line] of lines.entries()) {
      process.stdout.write(`${line}\n`)
      for (const detail of details[i] ?? []) process.stdout.write(`        ${detail}\n`)
    }
  }

  /** Something for people to know while the command works. */
  message(text: string): void {
    process.stderr.write(this.json ? `${JSON.stringify({ message: text })}\n` : `${text}\n`)
  }

  /** Why the command fails. @param usage how it is to be used, where that is the trouble. */
  error(error: unknown, usage?: string): void {
    const { message, code } = describe(error)
    const hint = usage === undefined ? '' : `\n${usage}`
    const text = this.json
      ? JSON.stringify({ error: { code, message, ...(usage === undefined ? {} : { usage }) } })
      : `netstrata: ${message}${hint}`
    process.stderr.write(`${text}\n`)
  }
}

/** The exit code an error asks for. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof CommandError || error instanceof Interrupted) return error.exitCode
  return exitCodeFor(codeOf(error))
}

function describe(error: unknown): { message: string; code: string } {
  const code = codeOf(error) ?? 'ERR_FAILED'
  if (code === 'ENOTFOUND' && NetError.is(error)) return { message: unknownName(error.address), code }
  return { message: error instanceof Error ? error.message : String(error), code }
}

/** The error itself says what a program could do; there is no DNS. */
const unknownName = (name = ''): string =>
  `'${name}' is no known name: give an IP address, or 'hosts' in a --config file`

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}
