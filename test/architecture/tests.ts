/**
 * Rules for tests. tap passes a file that runs no assertion, and a test that was narrowed with `only` or put aside with
 * `skip` stays unnoticed; here they are faults.
 */
import {
  type CallExpression,
  isArrowFunction,
  isCallExpression,
  isFunctionExpression,
  isIdentifier,
  isNoSubstitutionTemplateLiteral,
  isObjectLiteralExpression,
  isPropertyAccessExpression,
  isPropertyAssignment,
  isShorthandPropertyAssignment,
  isStringLiteral,
  type Node,
  type PropertyAssignment,
  SyntaxKind,
} from 'typescript/unstable/ast'
import type { Fault } from './files.ts'
import type { Source } from './project.ts'
import { walk } from './walk.ts'

/** tap's assertions. */
const ASSERTIONS = new Set(
  `ok notOk pass fail equal not same notSame strictNotSame strict match notMatch has hasStrict notHas notHasStrict
   hasProp hasProps hasOwnProp hasOwnProps matchOnly notMatchOnly matchStrict notMatchStrict matchOnlyStrict
   notMatchOnlyStrict throws doesNotThrow rejects resolves resolveMatch matchSnapshot resolveMatchSnapshot type error
   emits compareValues`
    .split(/\s+/)
    .filter((name) => name !== ''),
)

const PUT_ASIDE = ['only', 'skip', 'todo']

export function testFaults({ path, file }: Source): Fault[] {
  const found: Fault[] = []
  if (path.endsWith('.test.ts') && !asserts(file)) found.push({ node: file, text: 'asserts nothing' })
  walk(file, (node) => {
    if (isCallExpression(node)) found.push(...callFaults(node))
    if (isPropertyAssignment(node) && isOption(node))
      found.push(...optionFaults(node.name.getText(file), node.initializer))
  })
  return found
}

function callFaults(call: CallExpression): Fault[] {
  if (!isPropertyAccessExpression(call.expression)) return []
  const name = call.expression.name.text
  if (name === 'only') return [{ node: call, text: 'narrows the tests with only' }]
  if (name === 'skip' || name === 'todo') {
    const reason = call.arguments.at(-1)
    const explained = call.arguments.length > 0 && reason !== undefined && !isEmptyText(reason) && !isFunction(reason)
    return explained ? [] : [{ node: call, text: `${name}s without a reason` }]
  }
  if (name !== 'test') return []
  const body = call.arguments.find(isFunction)
  return body !== undefined && !asserts(body) ? [{ node: call, text: 'has a test that asserts nothing' }] : []
}

/** `{ skip: true }` as an argument of a call. */
function isOption(node: PropertyAssignment): boolean {
  if (!isIdentifier(node.name) || !PUT_ASIDE.includes(node.name.text)) return false
  return isObjectLiteralExpression(node.parent) && isCallExpression(node.parent.parent)
}

function optionFaults(name: string, value: Node): Fault[] {
  if (value.kind === SyntaxKind.FalseKeyword) return []
  if (name === 'only') return [{ node: value, text: 'narrows the tests with only' }]
  const bare = value.kind === SyntaxKind.TrueKeyword || isEmptyText(value)
  return bare ? [{ node: value, text: `${name}s without a reason` }] : []
}

/** An assertion is called somewhere inside, or something that may assert is handed the test: a suite, `fn(t)`, `{ t }`. */
function asserts(node: Node): boolean {
  let found = false
  walk(node, (inner) => {
    if (!isCallExpression(inner)) return !found
    const callee = inner.expression
    if (isPropertyAccessExpression(callee) && ASSERTIONS.has(callee.name.text)) found = true
    if (inner.arguments.some(handsTestOver)) found = true
    return !found
  })
  return found
}

function handsTestOver(argument: Node): boolean {
  if (isIdentifier(argument)) return argument.text === 't'
  if (!isObjectLiteralExpression(argument)) return false
  return argument.properties.some(
    (property) => isShorthandPropertyAssignment(property) && property.name.getText() === 't',
  )
}

function isFunction(node: Node): boolean {
  return isArrowFunction(node) || isFunctionExpression(node)
}

function isEmptyText(node: Node): boolean {
  return (isStringLiteral(node) || isNoSubstitutionTemplateLiteral(node)) && node.text.trim() === ''
}
