/** Script text to tokens; comments and white space are gone, every token knows its line. */
import { Failure } from '../failure.ts'

export type TokenKind =
  /** `--name`, without the dashes. */
  | 'option'
  | 'float'
  | 'integer'
  | 'hex'
  | 'word'
  | 'address'
  /** "quoted", without the quotes. */
  | 'string'
  /** `quoted`, for the shell. */
  | 'shell'
  /** %{ Python }% */
  | 'code'
  /** `...` */
  | 'ellipsis'
  /** One character. */
  | 'sign'
  | 'end'

export interface Token {
  readonly kind: TokenKind
  readonly text: string
  readonly line: number
  /** The token before touches this one. */
  readonly glued: boolean
}

/** Of two that match equally long, the first is meant; a longer match wins, as `1a` is a word. */
const KINDS: readonly (readonly [kind: TokenKind | 'blank', pattern: RegExp])[] = [
  ['blank', /\s+|\/\/[^\n]*|\/\*.*?\*\//sy],
  ['code', /%\{.*?\}%/sy],
  ['shell', /`(?:\\.|[^`\\])*`/sy],
  ['string', /"(?:\\.|[^"\\])*"/sy],
  ['ellipsis', /\.\.\./y],
  ['option', /--[A-Za-z0-9_]+/y],
  ['address', /\d+\.\d+\.\d+\.\d+/y],
  ['float', /-?\d*\.\d+/y],
  ['hex', /0x[0-9a-fA-F]+/y],
  ['integer', /-?\d+/y],
  ['word', /[A-Za-z0-9_]+/y],
  ['sign', /\S/y],
]

const TRIM: Partial<Record<TokenKind, readonly [before: number, after: number]>> = {
  code: [2, 2],
  shell: [1, 1],
  string: [1, 1],
  option: [2, 0],
}

/** @returns the tokens, of which the last is 'end'. @throws Failure — a quote or snippet that does not end. */
export function tokenize(text: string): Token[] {
  const tokens: Token[] = []
  let line = 1
  let glued = false
  for (let at = 0; at < text.length; ) {
    const [kind, found] = longest(text, at)
    if (kind === 'sign' && (found === '"' || found === '`')) throw new Failure(line, `syntax: ${found} without its end`)
    if (kind !== 'blank') {
      const [before, after] = TRIM[kind] ?? [0, 0]
      tokens.push({ kind, text: found.slice(before, found.length - after), line, glued })
    }
    glued = kind !== 'blank'
    line += found.split('\n').length - 1
    at += found.length
  }
  tokens.push({ kind: 'end', text: 'the end of the script', line, glued: false })
  return tokens
}

function longest(text: string, at: number): readonly [TokenKind | 'blank', string] {
  let best: readonly [TokenKind | 'blank', string] = ['sign', '']
  for (const [kind, pattern] of KINDS) {
    pattern.lastIndex = at
    const found = pattern.exec(text)?.[0] ?? ''
    if (found.length > best[1].length) best = [kind, found]
  }
  return best
}
