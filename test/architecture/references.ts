/** Every way in which a file can name another module. */
import { posix } from 'node:path'
import {
  isCallExpression,
  isExportDeclaration,
  isExternalModuleReference,
  isIdentifier,
  isImportDeclaration,
  isImportTypeNode,
  isLiteralTypeNode,
  isMetaProperty,
  isModuleDeclaration,
  isNoSubstitutionTemplateLiteral,
  isPropertyAccessExpression,
  isStringLiteral,
  type Node,
  SyntaxKind,
} from 'typescript/unstable/ast'
import type { Source } from './project.ts'
import { walk } from './walk.ts'

export interface Reference {
  /** A path from the root ('src/kernel/packet.ts'), or a specifier as it stands ('node:fs'); null: computed at run time. */
  readonly target: string | null
  readonly node: Node
}

/** import, export … from, import =, import(), import type, require, import.meta.resolve, /// <reference>, declare module. */
export function references({ path, file }: Source): Reference[] {
  const found: Reference[] = []
  const add = (specifier: Node | undefined, node: Node): void => {
    const literal =
      specifier !== undefined && (isStringLiteral(specifier) || isNoSubstitutionTemplateLiteral(specifier))
    found.push({ target: literal ? resolve(path, specifier.text) : null, node })
  }
  walk(file, (node) => {
    if (isImportDeclaration(node)) add(node.moduleSpecifier, node)
    else if (isExportDeclaration(node) && node.moduleSpecifier !== undefined) add(node.moduleSpecifier, node)
    else if (isExternalModuleReference(node)) add(node.expression, node)
    else if (isImportTypeNode(node)) add(isLiteralTypeNode(node.argument) ? node.argument.literal : undefined, node)
    else if (isModuleDeclaration(node) && isStringLiteral(node.name)) add(node.name, node)
    else if (isCallExpression(node) && loads(node.expression)) add(node.arguments[0], node)
  })
  for (const directive of [...file.referencedFiles, ...file.typeReferenceDirectives, ...file.libReferenceDirectives]) {
    found.push({ target: `/// ${directive.fileName}`, node: file })
  }
  return found
}

/** Does calling this load, or look for, a module? */
function loads(callee: Node): boolean {
  if (callee.kind === SyntaxKind.ImportKeyword) return true
  if (isIdentifier(callee)) return callee.text === 'require'
  // createRequire(…)('koffi')
  if (isCallExpression(callee)) return isIdentifier(callee.expression) && callee.expression.text === 'createRequire'
  if (!isPropertyAccessExpression(callee)) return false
  const name = callee.name.text
  if (name === 'getBuiltinModule' || name === 'require') return true
  if (name !== 'resolve') return false
  const of = callee.expression
  return isMetaProperty(of) || (isIdentifier(of) && of.text === 'require')
}

function resolve(from: string, specifier: string): string {
  return specifier.startsWith('.') ? posix.join(posix.dirname(from), specifier) : specifier
}
