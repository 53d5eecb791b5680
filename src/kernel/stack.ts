/** Composition: layers in series, and services side by side. */
import { type Env, scoped } from './env.ts'
import type { Blueprint, Layer } from './layer.ts'

/** Stacks layers bottom-up. Each must accept what the one before it provides, or it does not compile. */
export function stack<A>(a: Blueprint<A>): Blueprint<A>
export function stack<A, B>(a: Blueprint<A>, b: Layer<A, B>): Blueprint<B>
export function stack<A, B, C>(a: Blueprint<A>, b: Layer<A, B>, c: Layer<B, C>): Blueprint<C>
export function stack<A, B, C, D>(a: Blueprint<A>, b: Layer<A, B>, c: Layer<B, C>, d: Layer<C, D>): Blueprint<D>
export function stack<A, B, C, D, E>(
  a: Blueprint<A>,
  b: Layer<A, B>,
  c: Layer<B, C>,
  d: Layer<C, D>,
  e: Layer<D, E>,
): Blueprint<E>
export function stack<A, B, C, D, E, F>(
  a: Blueprint<A>,
  b: Layer<A, B>,
  c: Layer<B, C>,
  d: Layer<C, D>,
  e: Layer<D, E>,
  f: Layer<E, F>,
): Blueprint<F>
export function stack<A, B, C, D, E, F, G>(
  a: Blueprint<A>,
  b: Layer<A, B>,
  c: Layer<B, C>,
  d: Layer<C, D>,
  e: Layer<D, E>,
  f: Layer<E, F>,
  g: Layer<F, G>,
): Blueprint<G>
export function stack(base: Blueprint<unknown>, ...layers: Layer<never, unknown>[]): Blueprint<unknown> {
  return (env: Env) => layers.reduce<unknown>((below, layer) => layer(below as never, env), base(env))
}

/** What `beside` makes: services by name, for a layer that stands on several (a router's links). */
export type Beside<Parts extends Readonly<Record<string, Blueprint<unknown>>>> = {
  readonly [Name in keyof Parts]: Parts[Name] extends Blueprint<infer Top> ? Top : never
}

/** Several stacks side by side under names, which also appear in the names of their boundaries: `R/eth1/ethernet`. */
export function beside<const Parts extends Readonly<Record<string, Blueprint<unknown>>>>(
  parts: Parts,
): Blueprint<Beside<Parts>> {
  return (env) =>
    Object.fromEntries(Object.entries(parts).map(([name, part]) => [name, part(scoped(env, name))])) as Beside<Parts>
}
