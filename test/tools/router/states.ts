/** Arbitrary configurations of routers, without contradictions. */
import fc from 'fast-check'
import { configOf, type RouterFile, type RouterState } from '../../../tools/router/config.ts'
import { contradictions } from '../../../tools/router/contradictions.ts'

const NAMES = ['lan', 'wan', 'dmz', 'lab'] as const

/** Ports are chosen by the system, so that any two may run at once. */
const link = (name: string) =>
  fc.record({
    link: fc.constantFrom('', ',mtu=1300', ',vni=7').map((options) => `udp:127.0.0.1:0,engine=dgram${options}`),
    // Each link has networks of its own, so that they do not overlap; which addresses, and in which order, is free.
    addresses: fc
      .subarray([`1.1/24`, `1.2/24`, `2.1/24`, `3.1/32`])
      .chain((some) =>
        fc
          .shuffledSubarray(some, { minLength: some.length })
          .map((shuffled) => shuffled.map((rest) => `10.${NAMES.indexOf(name as (typeof NAMES)[number])}.${rest}`)),
      ),
  })

const route = fc.record(
  {
    prefix: fc.constantFrom('172.16.0.0/16', '172.16.1.0/24', '172.17.0.9/32', '0.0.0.0/0'),
    via: fc.constantFrom('10.0.1.9', '10.1.2.9', '10.2.1.9'),
    link: fc.constantFrom(...NAMES),
    metric: fc.nat(2),
    action: fc.constantFrom('forward' as const, 'blackhole' as const, 'unreachable' as const),
  },
  { requiredKeys: ['prefix', 'metric', 'action'] },
)

const file: fc.Arbitrary<RouterFile> = fc.record({
  name: fc.constant('R'),
  links: fc
    .subarray([...NAMES], { minLength: 1 })
    .chain((names) => fc.record(Object.fromEntries(names.map((name) => [name, link(name)])))),
  gateway: fc.option(fc.constantFrom('10.0.1.254', '10.1.1.254'), { nil: undefined }),
  routes: fc.array(route, { maxLength: 6 }),
  clampMss: fc.constant(false),
  reversePath: fc.constant('off' as const),
  faults: fc.constant(false),
  hosts: fc.constant({}),
})

/** What contradicts itself is taken out, piece by piece. */
function consistent(file: RouterFile): RouterFile {
  const [first] = contradictions(file)
  if (first === undefined) return file
  const [section, index] = first.path
  if (section === 'gateway') return consistent({ ...file, gateway: undefined })
  return consistent({ ...file, routes: file.routes.filter((_, i) => i !== index) })
}

export const states = (): fc.Arbitrary<RouterState> => file.map((some) => configOf(consistent(some)).state)
