/**
 * Runs a snippet: assertions, assignments and print, over expressions of one value each.
 *
 *   statement  = 'assert' expression [ ',' expression ] | name [ op ] '=' expression | expression | 'pass'
 *   expression = or [ 'if' or 'else' expression ]
 */
import { Failure, Unsupported } from '../failure.ts'
import { type PythonToken, pythonTokens } from './tokens.ts'
import { BINARY, FUNCTIONS, type PythonValue, pythonText, type Scope, truth } from './values.ts'

/** Binary operators by how tightly they bind, loosest first; comparisons chain, the rest group to the left. */
const LEVELS: readonly (readonly string[])[] = [['|'], ['^'], ['&'], ['<<', '>>'], ['+', '-'], ['*', '/', '//', '%']]
const DIVISIONS: readonly string[] = ['/', '//', '%']
const COMPARISONS = ['==', '!=', '<', '<=', '>', '>=', 'in', 'not', 'is']
const CONSTANTS: Readonly<Record<string, PythonValue>> = { True: true, False: false, None: null }
const STATEMENTS = ['if', 'for', 'while', 'def', 'import', 'from', 'class', 'try', 'with', 'return', 'del', 'global']

/** @throws Failure — an assertion does not hold. Unsupported — it is more Python than this knows. */
export function runSnippet(text: string, line: number, scope: Scope): void {
  new Snippet(pythonTokens(text, line), line, scope).run()
}

class Snippet {
  private readonly tokens: readonly PythonToken[]
  private readonly line: number
  private readonly scope: Scope
  private at = 0
  /** Names that the assertion at hand has asked for, and what they stand for. */
  private readonly asked = new Map<string, PythonValue>()
  /** Within what is not evaluated: the side of `and` or `or` that does not matter. */
  private idle = 0

  constructor(tokens: readonly PythonToken[], line: number, scope: Scope) {
    this.tokens = tokens
    this.line = line
    this.scope = scope
  }

  run(): void {
    while (this.peek().kind !== 'end') {
      if (this.peek().kind === 'newline') this.at++
      else this.statement()
    }
  }

  private statement(): void {
    const { kind, text } = this.peek()
    if (kind === 'name' && STATEMENTS.includes(text)) throw new Unsupported(this.line, `Python's ${text} statement`)
    if (this.skip('pass')) return
    if (this.skip('assert')) this.assertion()
    else if (kind === 'name' && /^(?:[-+*/%&|^]|\/\/|<<|>>)?=$/.test(this.peek(1).text)) this.assignment(text)
    else this.expression()
    if (this.peek().kind !== 'newline' && this.peek().kind !== 'end') throw this.error('the end of a statement')
  }

  private assertion(): void {
    const start = this.at
    this.asked.clear()
    const holds = truth(this.expression())
    const values = [...this.asked].map(([name, value]) => `${name} = ${pythonText(value)}`)
    const source = this.tokens.slice(start, this.at).map(({ kind, text }) => (kind === 'string' ? `'${text}'` : text))
    const message = this.skip(',') ? this.expression() : undefined
    if (holds) return
    const shown = message === undefined ? '' : ` (${pythonText(message)})`
    const where = values.length === 0 ? '' : `, where ${values.join(', ')}`
    throw new Failure(this.line, `assertion failed: ${source.join(' ')}${shown}${where}`)
  }

  private assignment(name: string): void {
    const operator = this.peek(1).text.slice(0, -1)
    this.at += 2
    const value = this.expression()
    this.scope.assign(name, operator === '' ? value : this.binary(operator, this.scope.lookup(name), value))
  }

  private expression(): PythonValue {
    const value = this.disjunction()
    if (!this.skip('if')) return value
    const condition = truth(this.disjunction())
    this.expect('else')
    const other = this.expression()
    return condition ? value : other
  }

  private disjunction(): PythonValue {
    let value = this.conjunction()
    while (this.skip('or')) {
      const other = this.unless(truth(value), () => this.conjunction())
      if (!truth(value)) value = other
    }
    return value
  }

  private conjunction(): PythonValue {
    let value = this.negation()
    while (this.skip('and')) {
      const other = this.unless(!truth(value), () => this.negation())
      if (truth(value)) value = other
    }
    return value
  }

  /** Parses, and evaluates unless `skipped`. */
  private unless(skipped: boolean, parse: () => PythonValue): PythonValue {
    if (skipped) this.idle++
    const value = parse()
    if (skipped) this.idle--
    return value
  }

  private negation(): PythonValue {
    return this.skip('not') ? !truth(this.negation()) : this.comparison()
  }

  private comparison(): PythonValue {
    let left = this.level(0)
    if (!this.comparing()) return left
    let holds = true
    while (this.comparing()) {
      let operator = this.next().text
      if (operator === 'not') operator = `not ${this.next().text}`
      else if (operator === 'is' && this.skip('not')) operator = 'is not'
      const right = this.level(0)
      holds &&= truth(this.binary(operator, left, right))
      left = right
    }
    return holds
  }

  private comparing(): boolean {
    return COMPARISONS.includes(this.peek().text) && this.peek().kind !== 'string'
  }

  private level(depth: number): PythonValue {
    const operators = LEVELS[depth]
    if (operators === undefined) return this.unary()
    let left = this.level(depth + 1)
    while (this.peek().kind === 'sign' && operators.includes(this.peek().text)) {
      const operator = this.next().text
      left = this.binary(operator, left, this.level(depth + 1))
    }
    return left
  }

  private unary(): PythonValue {
    if (this.skip('-')) return -Number(this.unary())
    if (this.skip('+')) return Number(this.unary())
    if (this.skip('~')) return ~Number(this.unary())
    const base = this.atom()
    return this.skip('**') ? this.binary('**', base, this.unary()) : base
  }

  private atom(): PythonValue {
    const { kind, text } = this.next()
    if (kind === 'number') return Number(text)
    if (kind === 'string') return this.peek().kind === 'string' ? text + pythonText(this.atom()) : text
    if (text === '(' || text === '[') return this.sequence(text === '(' ? ')' : ']')
    if (kind !== 'name') throw this.error('a value', text)
    if (Object.hasOwn(CONSTANTS, text)) return CONSTANTS[text] as PythonValue
    if (this.skip('(')) return this.call(text, this.items(')'))
    return this.idle > 0 ? 0 : this.ask(text)
  }

  private ask(name: string): PythonValue {
    const value = this.scope.lookup(name)
    this.asked.set(name, value)
    return value
  }

  /** `(a)` is a; `(a, b)` and `[a]` are sequences. */
  private sequence(close: string): PythonValue {
    const start = this.at
    const items = this.items(close)
    const grouped = close === ')' && items.length === 1 && this.tokens[this.at - 2]?.text !== ','
    return grouped && this.at > start ? (items[0] as PythonValue) : items
  }

  private items(close: string): PythonValue[] {
    const items: PythonValue[] = []
    while (!this.skip(close)) {
      items.push(this.expression())
      if (!this.skip(',') && this.peek().text !== close) throw this.error(close)
    }
    return items
  }

  private call(name: string, args: PythonValue[]): PythonValue {
    if (name === 'print') {
      this.scope.print(args.map(pythonText).join(' '))
      return null
    }
    const apply = Object.hasOwn(FUNCTIONS, name) ? FUNCTIONS[name] : undefined
    if (apply === undefined) throw new Unsupported(this.line, `Python's ${name}()`)
    return apply(...args)
  }

  private binary(operator: string, left: PythonValue, right: PythonValue): PythonValue {
    const apply = BINARY[operator]
    if (apply === undefined) throw this.error('an operator', operator)
    const divides = DIVISIONS.includes(operator) && typeof left !== 'string'
    if (divides && Number(right) === 0 && this.idle === 0) {
      throw new Failure(this.line, 'division by zero in a snippet of code')
    }
    return apply(left, right)
  }

  private peek(ahead = 0): PythonToken {
    return this.tokens[Math.min(this.at + ahead, this.tokens.length - 1)] as PythonToken
  }

  private next(): PythonToken {
    const token = this.peek()
    this.at++
    return token
  }

  private skip(text: string): boolean {
    const token = this.peek()
    if (token.text !== text || token.kind === 'string') return false
    this.at++
    return true
  }

  private expect(text: string): void {
    if (!this.skip(text)) throw this.error(text)
  }

  private error(expected: string, got: string = this.peek().text): Failure {
    return new Failure(this.line, `syntax: expected ${expected}, got ${got} in a snippet of code`)
  }
}
