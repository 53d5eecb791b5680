/** Why a script does not pass. */

/** What happened is not what the script says. `line` is the script's, 1-based; 0 where it concerns the whole. */
export class Failure extends Error {
  readonly line: number

  constructor(line: number, message: string) {
    super(message)
    this.line = line
  }
}

/** The script asks for something that is not part of this interpreter or not of the stack's public API. */
export class Unsupported extends Failure {
  constructor(line: number, what: string) {
    super(line, `unsupported: ${what}`)
  }
}
