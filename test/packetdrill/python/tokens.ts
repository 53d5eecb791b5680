/** The words of a snippet: Python as far as assertions use it. */
import { Failure } from '../failure.ts'

export interface PythonToken {
  readonly kind: 'number' | 'string' | 'name' | 'sign' | 'newline' | 'end'
  readonly text: string
}

const TOKEN =
  /[ \t\r]+|\\\n|#[^\n]*|(?<newline>\n|;)|(?<number>0[xX][0-9a-fA-F]+|\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+)|(?<name>[A-Za-z_]\w*)|(?<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')|(?<sign>\*\*|\/\/|<<|>>|[-+*/%&|^<>=!]=|[-+*/%&|^~<>=()[\],.:])/y

/** @throws Failure — what is no word. */
export function pythonTokens(text: string, line: number): PythonToken[] {
  const tokens: PythonToken[] = []
  let depth = 0
  for (let at = 0; at < text.length; ) {
    TOKEN.lastIndex = at
    const match = TOKEN.exec(text)
    if (match === null) throw new Failure(line, `syntax: ${JSON.stringify(text[at])} in a snippet of code`)
    at += match[0].length
    const token = tokenOf(match)
    if (token === undefined) continue
    if ('(['.includes(token.text)) depth++
    if (')]'.includes(token.text)) depth--
    if (token.kind !== 'newline' || depth === 0) tokens.push(token)
  }
  tokens.push({ kind: 'end', text: 'the end' })
  return tokens
}

function tokenOf({ groups = {} }: RegExpExecArray): PythonToken | undefined {
  const { newline, number, name, string, sign } = groups
  if (newline !== undefined) return { kind: 'newline', text: newline }
  if (number !== undefined) return { kind: 'number', text: number }
  if (name !== undefined) return { kind: 'name', text: name }
  if (string !== undefined) return { kind: 'string', text: string.slice(1, -1).replace(/\\(.)/g, '$1') }
  if (sign !== undefined) return { kind: 'sign', text: sign }
  return undefined
}
