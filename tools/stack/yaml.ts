/** YAML files that are held against a schema: everything that is wrong is told at once, with its line and column. */
import { readFileSync } from 'node:fs'
import { isNode, LineCounter, parseDocument } from 'yaml'
import type { z } from 'zod'
import { CommandError, EXIT } from '../exit.ts'
import { unreadable } from '../unreadable.ts'

/** What is wrong with a value. */
export interface Problem {
  /** Keys and indices that lead to the value. */
  readonly path: readonly PropertyKey[]
  /** Where to point at; by itself at the value. */
  readonly at?: readonly PropertyKey[]
  readonly message: string
}

/**
 * Reads a file and holds it against a schema.
 * @param check finds what contradicts itself in a value that has the right shape.
 * @throws CommandError exit 3 — with `FILE:LINE:COLUMN` in front of what is wrong; all errors, one a line.
 */
export function readYaml<Schema extends z.ZodType>(
  path: string,
  schema: Schema,
  check: (value: z.output<Schema>) => readonly Problem[] = () => [],
): z.output<Schema> {
  const lines = new LineCounter()
  const document = parseDocument(textOf(path), { lineCounter: lines, prettyErrors: false })
  const [broken] = document.errors
  if (broken !== undefined) throw configError(`${place(path, lines, broken.pos[0])}: ${broken.message}`)
  const value: unknown = document.toJS()
  const result = schema.safeParse(value)
  const problems = result.success ? check(result.data) : misshapen(result.error.issues.map(meant), value, schema, check)
  if (!result.success || problems.length > 0) {
    const told = problems
      .map(({ path: keys, at = keys, message }) => {
        const where = keys.join('.')
        return { offset: offsetOf(document, at), text: `${where === '' ? '' : `${where}: `}${message}` }
      })
      .sort((a, b) => a.offset - b.offset)
      .map(({ offset, text }) => `${place(path, lines, offset)}: ${text}`)
    throw configError(told.join('\n'))
  }
  return result.data
}

/** What is wrong with a shape; where that is unknown keys alone, also what contradicts itself in the rest. */
function misshapen<Schema extends z.ZodType>(
  issues: readonly z.core.$ZodIssue[],
  value: unknown,
  schema: Schema,
  check: (value: z.output<Schema>) => readonly Problem[],
): readonly Problem[] {
  const problems = issues.flatMap((issue) => problemsOf(issue, value))
  for (const issue of issues) if (issue.code !== 'unrecognized_keys' || !removeKeys(value, issue)) return problems
  const known = schema.safeParse(value)
  return known.success ? [...problems, ...check(known.data)] : problems
}

/** @returns whether the map was found. */
function removeKeys(value: unknown, { path, keys }: z.core.$ZodIssueUnrecognizedKeys): boolean {
  const map = valueAt(value, path)
  if (!isMap(map)) return false
  for (const key of keys) delete map[key]
  return true
}

/** @returns undefined — nothing leads there. */
function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let found = value
  for (const key of path) found = isMap(found) ? found[key] : undefined
  return found
}

const isMap = (value: unknown): value is Record<PropertyKey, unknown> => typeof value === 'object' && value !== null

/** Of alternatives, what is wrong with the one that the value is of the type of. */
function meant(issue: z.core.$ZodIssue): z.core.$ZodIssue {
  if (issue.code !== 'invalid_union') return issue
  const own = issue.errors.find(([first]) => first?.code !== 'invalid_type' || first.path.length > 0)?.[0]
  return own === undefined ? issue : meant({ ...own, path: [...issue.path, ...own.path] })
}

/** Types of values as a file has them. */
const TYPES: Readonly<Record<string, string>> = {
  array: 'a list such as [a, b]',
  boolean: 'true or false',
  number: 'a number',
  object: 'a map such as { key: value }',
  record: 'a map such as { key: value }',
  string: 'text',
}

/** Of which type the value should be, where that is the trouble. */
function typesOf(issue: z.core.$ZodIssue): string[] {
  if (issue.code === 'invalid_type') return [TYPES[issue.expected] ?? issue.expected]
  return issue.code === 'invalid_union' ? issue.errors.flatMap(([first]) => (first ? typesOf(first) : [])) : []
}

/** An unknown key stands at the key itself, not at the map that should not have it. */
function problemsOf(issue: z.core.$ZodIssue, whole: unknown): Problem[] {
  const { path, message } = issue
  const type = typesOf(issue).join(', or ')
  if (type !== '')
    return [{ path, message: `${valueAt(whole, path) === undefined ? 'missing: it is' : 'not'} ${type}` }]
  if (issue.code !== 'unrecognized_keys') return [{ path, message }]
  return issue.keys.map((key) => ({ path, at: [...path, key], message: `unknown key "${key}"` }))
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw configError(unreadable(path, error).message)
  }
}

/** Where the value of a path begins; that of the nearest parent where the path itself is missing. */
function offsetOf(document: ReturnType<typeof parseDocument>, path: readonly PropertyKey[]): number {
  for (let length = path.length; length >= 0; length--) {
    const node: unknown = length === 0 ? document.contents : document.getIn(path.slice(0, length), true)
    if (isNode(node) && node.range) return node.range[0]
  }
  return 0
}

function place(path: string, lines: LineCounter, offset: number): string {
  const { line, col } = lines.linePos(offset)
  return `${path}:${line}:${col}`
}

const configError = (message: string): CommandError => new CommandError(message, EXIT.configuration, 'ERR_CONFIG')
