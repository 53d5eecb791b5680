/** Snippets of code: their names, of which those of TCP_INFO are asked of the connection under test. */
import type { Connection } from '../../../src/index.ts'
import { Failure, Unsupported } from '../failure.ts'
import { TCP_INFO_CONSTANTS, tcpInfo } from '../linux/tcp-info.ts'
import { runSnippet } from '../python/run.ts'
import type { PythonValue, Scope } from '../python/values.ts'

export class Snippets implements Scope {
  private readonly variables = new Map<string, PythonValue>()
  private readonly connection: () => Connection | undefined
  readonly print: (text: string) => void
  private line = 0

  constructor(connection: () => Connection | undefined, print: (text: string) => void) {
    this.connection = connection
    this.print = print
  }

  /** @throws Failure — an assertion does not hold. */
  run(text: string, line: number): void {
    this.line = line
    runSnippet(text, line, this)
  }

  lookup(name: string): PythonValue {
    const known = this.variables.get(name) ?? TCP_INFO_CONSTANTS.get(name)
    if (known !== undefined) return known
    const connection = this.connection()
    if (connection === undefined) throw new Failure(this.line, `${name}: there is no connection to ask`)
    const figure = tcpInfo(connection, name)
    if (figure === undefined) throw new Unsupported(this.line, `${name}, which the connection's info() does not tell`)
    return figure
  }

  assign(name: string, value: PythonValue): void {
    this.variables.set(name, value)
  }
}
