/** All rules on one file. */
import { isAwaitExpression, type Node, SyntaxKind } from 'typescript/unstable/ast'
import { ambientFault, mustNotWait } from './ambient.ts'
import { globals } from './globals.ts'
import { importFault, placeFault } from './imports.ts'
import type { Source } from './project.ts'
import { references } from './references.ts'
import { testFaults } from './tests.ts'
import { lineOf, walk } from './walk.ts'

/** A file is one idea; longer than this, it is several. */
const MOST_LINES = 450

export interface Fault {
  readonly node: Node
  readonly text: string
}

/** Everything that is wrong with a file, as 'src/kernel/packet.ts:12 may not import node:fs: …'. */
export function faults(source: Source): string[] {
  const found = [...lengthFaults(source), ...importFaults(source), ...ambientFaults(source), ...waitFaults(source)]
  if (source.path.startsWith('test/')) found.push(...testFaults(source))
  return found.map(({ node, text }) => `${source.path}:${lineOf(source.file, node)} ${text}`)
}

function lengthFaults({ file }: Source): Fault[] {
  const lines = file.text.split('\n').length - (file.text.endsWith('\n') ? 1 : 0)
  return lines > MOST_LINES ? [{ node: file, text: `has ${lines} lines, more than ${MOST_LINES}` }] : []
}

function importFaults(source: Source): Fault[] {
  const place = fault(source.file, placeFault(source.path))
  return [...place, ...references(source).flatMap(({ target, node }) => fault(node, importFault(source.path, target)))]
}

function ambientFaults(source: Source): Fault[] {
  return globals(source).flatMap((use) => fault(use.node, ambientFault(source.path, use)))
}

function waitFaults({ path, file }: Source): Fault[] {
  const found: Fault[] = []
  if (!mustNotWait(path)) return found
  walk(file, (node) => {
    if (node.kind === SyntaxKind.AsyncKeyword || isAwaitExpression(node)) {
      found.push({ node, text: 'waits: below the sockets API there are no promises' })
    }
  })
  return found
}

function fault(node: Node, text: string | undefined): Fault[] {
  return text === undefined ? [] : [{ node, text }]
}
