/** Snippets of code: their names, of which those of TCP_INFO are asked of the socket under test. */
import { Failure, Unsupported } from '../failure.ts'
import type { LinuxSocket } from '../linux/socket.ts'
import { TCP_INFO_CONSTANTS, tcpInfo } from '../linux/tcp-info.ts'
import { runSnippet } from '../python/run.ts'
import type { PythonValue, Scope } from '../python/values.ts'

export class Snippets implements Scope {
  private readonly variables = new Map<string, PythonValue>()
  private readonly socket: () => LinuxSocket | undefined
  readonly print: (text: string) => void
  private line = 0

  constructor(socket: () => LinuxSocket | undefined, print: (text: string) => void) {
    this.socket = socket
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
    const socket = this.socket()
    const figure = socket && tcpInfo(socket, name)
    if (figure !== undefined) return figure
    if (socket?.connection === undefined) throw new Failure(this.line, `${name}: there is no connection to ask`)
    throw new Unsupported(this.line, `${name}, which the connection's info() does not tell`)
  }

  assign(name: string, value: PythonValue): void {
    this.variables.set(name, value)
  }
}
