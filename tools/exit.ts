/** How commands end: exit codes, and the errors that carry them. */

/** Documented exit codes of every command. */
export const EXIT: {
  readonly ok: 0
  readonly failure: 1
  readonly usage: 2
  readonly configuration: 3
  readonly unreachable: 4
  readonly interrupted: 130
} = { ok: 0, failure: 1, usage: 2, configuration: 3, unreachable: 4, interrupted: 130 }

/** Ends the command with `exitCode`; the message is for people and says what to do next. */
export class CommandError extends Error {
  readonly exitCode: number
  /** Machine-readable, for `--json`: a Node code, or 'ERR_USAGE', 'ERR_CONFIG'. */
  readonly code: string

  constructor(message: string, exitCode: number, code: string, cause?: unknown) {
    super(message, cause === undefined ? {} : { cause })
    this.exitCode = exitCode
    this.code = code
  }
}

const UNREACHABLE: ReadonlySet<string | undefined> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
])

/** The exit code of a failure, by its machine-readable code. */
export const exitCodeFor = (code: string | undefined): number =>
  UNREACHABLE.has(code) ? EXIT.unreachable : EXIT.failure

/** The command line makes no sense: exit 2. */
export const usageError = (message: string): CommandError => new CommandError(message, EXIT.usage, 'ERR_USAGE')
