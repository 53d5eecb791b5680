/**
 * Whose packets to a group are wanted: of some sources alone ('include'), or of all but some ('exclude'); and what several such
 * wishes come to together (RFC 3376 §3.2, RFC 3810 §4.2).
 */
import type { IpAddress } from '../../../src/kernel/address.ts'

export interface SourceFilter {
  readonly mode: 'include' | 'exclude'
  /** Without doubles. */
  readonly sources: readonly IpAddress[]
}

/** Everybody, as a plain join asks for. */
export const EVERYBODY: SourceFilter = Object.freeze({ mode: 'exclude', sources: Object.freeze([]) })
/** Nobody: not a member. */
export const NOBODY: SourceFilter = Object.freeze({ mode: 'include', sources: Object.freeze([]) })

export function has(sources: readonly IpAddress[], source: IpAddress): boolean {
  for (const one of sources) if (one.equals(source)) return true
  return false
}

/** Does the filter let through what `source` sends? */
export const lets = ({ mode, sources }: SourceFilter, source: IpAddress): boolean =>
  has(sources, source) === (mode === 'include')

/** Sources of `a` that are not in `b`. */
export const without = (a: readonly IpAddress[], b: readonly IpAddress[]): IpAddress[] =>
  a.filter((one) => !has(b, one))

/** Nobody at all: a member in name only. */
export const isNobody = ({ mode, sources }: SourceFilter): boolean => mode === 'include' && sources.length === 0

/** What lets through whatever any of the filters does. */
export function together(filters: readonly SourceFilter[]): SourceFilter {
  const included = filters.filter(({ mode }) => mode === 'include').flatMap(({ sources }) => sources)
  const excluding = filters.filter(({ mode }) => mode === 'exclude')
  const [first, ...others] = excluding
  if (first === undefined) return { mode: 'include', sources: distinct(included) }
  const byAll = first.sources.filter((source) => others.every(({ sources }) => has(sources, source)))
  return { mode: 'exclude', sources: without(byAll, included) }
}

function distinct(sources: readonly IpAddress[]): IpAddress[] {
  const seen: IpAddress[] = []
  for (const source of sources) if (!has(seen, source)) seen.push(source)
  return seen
}
