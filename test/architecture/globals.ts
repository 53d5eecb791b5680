/** The names a file uses without having declared or imported them. */
import {
  type Identifier,
  isBindingElement,
  isBreakOrContinueStatement,
  isClassDeclaration,
  isClassExpression,
  isExportDeclaration,
  isExpressionWithTypeArguments,
  isHeritageClause,
  isIdentifier,
  isImportAttributes,
  isImportDeclaration,
  isInterfaceDeclaration,
  isLabeledStatement,
  isMetaProperty,
  isParameterDeclaration,
  isPropertyAccessExpression,
  isShorthandPropertyAssignment,
  isTypeAliasDeclaration,
  isTypeNode,
  type Node,
  type SourceFile,
  SyntaxKind,
} from 'typescript/unstable/ast'
import type { Symbol as TypeScriptSymbol } from 'typescript/unstable/sync'
import type { Source } from './project.ts'
import { walk } from './walk.ts'

export interface GlobalUse {
  readonly name: string
  readonly node: Identifier
}

/**
 * Values from outside the file: the global object's, wherever the types for them come from. A name that the file only
 * declares to exist (`declare const process: …`) is one of them.
 */
export function globals({ file, checker }: Source): GlobalUse[] {
  const used: Identifier[] = []
  const shorthand: Identifier[] = []
  const ambient = new Map<string, Identifier>()
  walk(file, (node) => {
    if (isTypeOnly(node)) return false
    if (isIdentifier(node) && isValue(node)) (isShorthandPropertyAssignment(node.parent) ? shorthand : used).push(node)
    if (isIdentifier(node) && isAmbient(node)) ambient.set(node.text, node)
    return true
  })
  const symbols = used.length === 0 ? [] : checker.getSymbolAtLocation(used)
  const named = [
    ...used.filter((_, i) => isOutside(symbols[i], file)),
    ...shorthand.filter((node) => isOutside(checker.getShorthandAssignmentValueSymbol(node.parent), file)),
    ...ambient.values(),
  ]
  return named.map((node) => ({ name: node.text, node }))
}

/** Declared nowhere in the file (an import is a declaration): it comes from a library, or from another file's globals. */
function isOutside(symbol: TypeScriptSymbol | undefined, file: SourceFile): boolean {
  return symbol === undefined || symbol.declarations.every(({ path }) => path !== file.path)
}

function isTypeOnly(node: Node): boolean {
  if (isInterfaceDeclaration(node) || isTypeAliasDeclaration(node)) return true
  if (isImportDeclaration(node) || isExportDeclaration(node) || isImportAttributes(node)) return true
  if (isHeritageClause(node)) return node.token === SyntaxKind.ImplementsKeyword
  // What a class extends is a value, though its syntax is that of a type.
  if (isExpressionWithTypeArguments(node)) return !isExtended(node)
  return isTypeNode(node)
}

function isExtended(node: Node): boolean {
  const owner = node.parent.parent
  return isHeritageClause(node.parent) && (isClassDeclaration(owner) || isClassExpression(owner))
}

/** Not the name of a property, of a label, or of what is being declared. */
function isValue(node: Identifier): boolean {
  const parent = node.parent
  if (isPropertyAccessExpression(parent)) return parent.expression === node
  if (isBindingElement(parent)) return parent.initializer === node
  if (isShorthandPropertyAssignment(parent)) return true
  if (isMetaProperty(parent) || isLabeledStatement(parent) || isBreakOrContinueStatement(parent)) return false
  return !('name' in parent && parent.name === node)
}

function isAmbient(node: Identifier): boolean {
  const declaration = node.parent
  if (!('name' in declaration) || declaration.name !== node || isParameterDeclaration(declaration)) return false
  for (let at: Node = declaration; at.kind !== SyntaxKind.SourceFile; at = at.parent) {
    if (isClassDeclaration(at) && at !== declaration) return false // a declared field is no global
    const modifiers = 'modifiers' in at ? (at.modifiers as readonly Node[] | undefined) : undefined
    if (modifiers?.some(({ kind }) => kind === SyntaxKind.DeclareKeyword))
      return at.kind !== SyntaxKind.PropertyDeclaration
  }
  return false
}
