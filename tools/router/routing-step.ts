/** A routing protocol that goes on by what the file says of it now: one step of a reload. */
import { isDeepStrictEqual } from 'node:util'
import type { BabelControl, RipControl } from '../../src/index.ts'
import { babelOptions, type FileBabel, keysOn } from './babel.ts'
import { type FileRip, ripOptions } from './rip.ts'
import type { RouterService } from './services.ts'

type Routing = Extract<RouterService, { kind: 'Babel' | 'RIP' }>
type File = FileBabel | FileRip

/** Its two ends are of one kind. */
export interface RoutingStep {
  readonly verb: 'change'
  readonly what: 'routing'
  readonly old: Routing
  readonly wanted: Routing
}

/** The steps of those that go on with something changed. What is not the same protocol any more begins anew. */
export function changedRouting(old: readonly RouterService[], wanted: readonly RouterService[]): RoutingStep[] {
  return old.flatMap((one): RoutingStep[] =>
    wanted.flatMap((other) =>
      isRouting(one) && isRouting(other) && isSame(one, other) && !isDeepStrictEqual(one, other)
        ? [{ verb: 'change', what: 'routing', old: one, wanted: other }]
        : [],
    ),
  )
}

const isRouting = (service: RouterService): service is Routing => service.kind === 'Babel' || service.kind === 'RIP'

/** What a protocol is called among others, and which versions it speaks, it cannot change. */
function isSame(old: Routing, wanted: Routing): boolean {
  if (old.kind === 'Babel') return wanted.kind === 'Babel' && old.babel.routerId === wanted.babel.routerId
  return wanted.kind === 'RIP' && isDeepStrictEqual(old.rip.versions, wanted.rip.versions)
}

/** What is so after the step. */
export const afterRouting = (services: readonly RouterService[], { wanted }: RoutingStep): RouterService[] =>
  services.map((service) => (service.kind === wanted.kind ? wanted : service))

/** Those that run. */
export interface RunningRouting {
  readonly babel: BabelControl | undefined
  readonly rip: RipControl | undefined
}

/** Takes a step. It may throw, and has then changed nothing. */
export function takeRoutingStep({ babel, rip }: RunningRouting, { wanted }: RoutingStep): void {
  if (wanted.kind === 'Babel') babel?.reconfigure(babelOptions(wanted.babel))
  else rip?.reconfigure(ripOptions(wanted.rip))
}

/** A step as a line of a diff: '~ Babel: announce +10.9.0.0/16; rxcost of way 96 → 300'. */
export const describeRoutingStep = (step: RoutingStep): string => `~ ${step.wanted.kind}: ${changesOf(step).join('; ')}`

/** A step as an object for people and their programs: nobody's secrets. */
export const shownRoutingStep = (step: RoutingStep): object => ({
  ...{ verb: step.verb, what: step.what, protocol: step.wanted.kind, changes: changesOf(step) },
})

const fileOf = (service: Routing): File => (service.kind === 'Babel' ? service.babel : service.rip)

/** What differs, in words. Of keys and rules, that they do. */
function changesOf(step: RoutingStep): string[] {
  const [old, wanted] = [fileOf(step.old), fileOf(step.wanted)]
  const both = Object.keys(wanted.interfaces).filter((link) => Object.hasOwn(old.interfaces, link))
  const changes = [
    listed('links', Object.keys(old.interfaces), Object.keys(wanted.interfaces)),
    listed('announce', old.announce ?? [], wanted.announce ?? []),
    ruled('redistribute', old.redistribute, wanted.redistribute),
    ruled('filters.in', old.filters?.in, wanted.filters?.in),
    ruled('filters.out', old.filters?.out, wanted.filters?.out),
    ...told('', old, wanted),
    ...both.flatMap((link) => told(` of ${link}`, old.interfaces[link] ?? {}, wanted.interfaces[link] ?? {})),
    step.old.kind === 'Babel' && step.wanted.kind === 'Babel' ? keysText(both, step.old.babel, step.wanted.babel) : '',
  ].filter((change) => change !== '')
  return changes.length === 0 ? ['nothing but how it is written'] : changes
}

/** 'links +lan -way'. */
function listed(name: string, old: readonly string[], wanted: readonly string[]): string {
  const come = wanted.filter((one) => !old.includes(one)).map((one) => ` +${one}`)
  const gone = old.filter((one) => !wanted.includes(one)).map((one) => ` -${one}`)
  return come.length + gone.length === 0 ? '' : `${name}${come.join('')}${gone.join('')}`
}

const ruled = (name: string, old: readonly unknown[] = [], wanted: readonly unknown[] = []): string =>
  isDeepStrictEqual(old, wanted) ? '' : name

/** Values that differ: 'metric 1024 → default'. */
function told(where: string, old: object, wanted: object): string[] {
  const [before, after] = [plain(old), plain(wanted)]
  const names = [...new Set([...before.keys(), ...after.keys()])]
  const value = (values: ReadonlyMap<string, unknown>, name: string): unknown => values.get(name) ?? 'default'
  return names
    .filter((name) => value(before, name) !== value(after, name))
    .map((name) => `${name}${where} ${value(before, name)} → ${value(after, name)}`)
}

const plain = (file: object): Map<string, unknown> =>
  new Map(Object.entries(file).filter(([, value]) => value !== undefined && typeof value !== 'object'))

function keysText(links: readonly string[], old: FileBabel, wanted: FileBabel): string {
  const others = links.filter((link) => !isDeepStrictEqual(keysOn(old, link), keysOn(wanted, link)))
  return others.length === 0 ? '' : `keys of ${others.join(', ')}`
}
