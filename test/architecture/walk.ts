/** Helpers for reading syntax trees. */
import type { Node, SourceFile } from 'typescript/unstable/ast'

/** Calls `visit` for every node below `top`, parents first; a visit that returns false leaves its children out. */
export function walk(top: Node, visit: (node: Node) => unknown): void {
  top.forEachChild((node) => {
    if (visit(node) !== false) walk(node, visit)
    return undefined
  })
}

/** The line a node begins on, from 1. */
export function lineOf(file: SourceFile, node: Node): number {
  const position = node.getStart(file)
  let line = 0
  for (const start of file.getLineStarts()) {
    if (start > position) break
    line++
  }
  return Math.max(line, 1)
}
