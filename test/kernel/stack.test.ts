import t from 'tap'
import { type Env, scoped } from '../../src/kernel/env.ts'
import type { Layer } from '../../src/kernel/layer.ts'
import { beside, stack } from '../../src/kernel/stack.ts'

/** An env that only keeps names: of boundaries and of streams of chance. */
function naming(): { env: Env; boundaries: string[]; streams: string[] } {
  const boundaries: string[] = []
  const streams: string[] = []
  const env = {
    node: 'R',
    scope: '',
    boundary: (layer: string) => boundaries.push(layer),
    random: (layer: string) => streams.push(layer),
  } as unknown as Env // a double: the rest is not asked for
  return { env, boundaries, streams }
}

const wrap = (name: string): Layer<string, string> => {
  return (below, env) => `${name}@${env.scope}(${below})`
}

t.test('stack applies the layers bottom-up, once for each boot', async (t) => {
  let built = 0
  const base = (env: Env) => {
    built++
    return `base@${env.scope}`
  }
  const blueprint = stack(base, wrap('a'), wrap('b'), wrap('c'), wrap('d'), wrap('e'), wrap('f'))
  t.equal(built, 0, 'nothing runs before it is booted')
  const { env } = naming()
  const expected = 'f@(e@(d@(c@(b@(a@(base@))))))'
  t.equal(blueprint(env), expected)
  t.equal(blueprint(env), expected)
  t.equal(built, 2)
  t.equal(stack(base)(env), 'base@')
})

t.test('beside gives every part its name, and parts of parts theirs', async (t) => {
  const { env, boundaries, streams } = naming()
  const part = (env: Env) => {
    env.boundary('ethernet', 'ethernet', {})
    env.random('ethernet')
    return env.scope
  }
  const top = beside({ eth0: part, vlan: beside({ v1: part, v2: part }) })(env)
  t.same(top, { eth0: 'eth0', vlan: { v1: 'vlan/v1', v2: 'vlan/v2' } })
  const names = ['eth0/ethernet', 'vlan/v1/ethernet', 'vlan/v2/ethernet']
  t.same(boundaries, names)
  t.same(streams, names)
})

t.test('scoped changes names only', async (t) => {
  const { env } = naming()
  const defer = () => {}
  const inner = scoped({ ...env, defer }, 'eth0')
  t.equal(inner.defer, defer)
  t.equal(inner.node, 'R')
})
