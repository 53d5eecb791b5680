/** Where the parser is in the tokens. */
import { Failure } from '../failure.ts'
import type { Token, TokenKind } from './lexer.ts'

export class Cursor {
  private readonly tokens: readonly Token[]
  private at = 0

  constructor(tokens: readonly Token[]) {
    this.tokens = tokens
  }

  /** The token `ahead` of the next one. */
  peek(ahead = 0): Token {
    return this.tokens[Math.min(this.at + ahead, this.tokens.length - 1)] as Token
  }

  /** The tokens not taken yet. */
  rest(): readonly Token[] {
    return this.tokens.slice(this.at)
  }

  next(): Token {
    const token = this.peek()
    this.at++
    return token
  }

  is(kind: TokenKind): boolean {
    return this.peek().kind === kind
  }

  /** Is the next token this sign or word? */
  sees(text: string): boolean {
    const { kind, text: seen } = this.peek()
    return (kind === 'sign' || kind === 'word') && seen === text
  }

  /** Passes this sign or word if it comes next. @returns whether it did. */
  skip(text: string): boolean {
    if (!this.sees(text)) return false
    this.at++
    return true
  }

  /** @throws Failure — something else comes next. */
  expect(text: string): void {
    if (!this.skip(text)) throw this.error(text)
  }

  take(kind: TokenKind, what: string): Token {
    if (!this.is(kind)) throw this.error(what)
    return this.next()
  }

  /** An integer from `least` to `most`. */
  integer(what: string, least = 0, most = 0xffff_ffff): number {
    const { text } = this.take('integer', what)
    const value = Number(text)
    if (value < least || value > most) throw this.error(`${what} from ${least} to ${most}`, text)
    return value
  }

  error(expected: string, got: string = this.peek().text): Failure {
    return new Failure(this.peek().line, `syntax: expected ${expected}, got ${got.split('\n')[0]}`)
  }
}
