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
  isNewExpression,
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
  `ok notOk pass fail equal not type same notSame strictSame strictNotSame has notHas hasStrict notHasStrict match notMatch
   matchOnly notMatchOnly matchStrict notMatchStrict matchOnlyStrict notMatchOnlyStrict hasProp hasOwnProp hasProps
   hasOwnProps hasOwnPropsOnly throws doesNotThrow rejects resolves resolveMatch emits error matchSnapshot
   resolveMatchSnapshot`.split(/\s+/),
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
  const name = testMethod(call.expression)
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

/** An assertion is called somewhere inside, or the test is handed on: to a suite, `fn(t)`, `new Script(t)`, `fn({ t })`. */
function asserts(node: Node): boolean {
  let found = false
  walk(node, (inner) => {
    if (isCallExpression(inner) && ASSERTIONS.has(testMethod(inner.expression))) found = true
    if ((isCallExpression(inner) || isNewExpression(inner)) && inner.arguments?.some(handsTestOver)) found = true
    return !found
  })
  return found
}

/** 'equal' of `t.equal`; '' for what is no method of a test. Tests are called `t` throughout. */
function testMethod(callee: Node): string {
  const ofTest = isPropertyAccessExpression(callee) && isTest(callee.expression)
  return ofTest ? callee.name.text : ''
}

function isTest(node: Node): boolean {
  return isIdentifier(node) && node.text === 't'
}

function handsTestOver(argument: Node): boolean {
  if (isTest(argument)) return true
  if (!isObjectLiteralExpression(argument)) return false
  return argument.properties.some((property) => {
    if (isShorthandPropertyAssignment(property)) return isTest(property.name)
    return isPropertyAssignment(property) && isTest(property.initializer)
  })
}

function isFunction(node: Node): boolean {
  return isArrowFunction(node) || isFunctionExpression(node)
}

function isEmptyText(node: Node): boolean {
  return (isStringLiteral(node) || isNoSubstitutionTemplateLiteral(node)) && node.text.trim() === ''
}
