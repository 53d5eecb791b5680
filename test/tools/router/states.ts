/** Arbitrary configurations of routers, without contradictions. */
import fc from 'fast-check'
import { configOf, type FileLink, type RouterFile, type RouterState } from '../../../tools/router/config.ts'
import { contradictions } from '../../../tools/router/contradictions.ts'

const NAMES: readonly string[] = ['lan', 'wan', 'dmz', 'lab']

/** Of the link of number L: networks of links do not overlap. Which addresses, and in which order, is free. */
const ADDRESSES = ['10.L.1.1/24', '10.L.1.2/24', '10.L.2.1/24', '10.L.3.1/32', 'fd00:L::1/64', 'fd00:L::2/64']

const placed = (address: string, name: string): string => address.replace('L', String(NAMES.indexOf(name)))

/** Ports are chosen by the system, so that any two may run at once. */
const link = (name: string) =>
  fc.record({
    link: fc.constantFrom('', ',mtu=1300', ',vni=7').map((options) => `udp:127.0.0.1:0,engine=dgram${options}`),
    advertise: fc.constantFrom(undefined, true as const, { managed: true }),
    autoconfigure: fc.boolean(),
    dhcp: fc
      .constantFrom(undefined, 'client' as const, { pool: ['10.L.1.100', '10.L.1.199'] })
      .map((dhcp) => (typeof dhcp === 'object' ? { pool: dhcp.pool.map((address) => placed(address, name)) } : dhcp)),
    addresses: fc
      .subarray(ADDRESSES)
      .chain((some) => fc.shuffledSubarray(some, { minLength: some.length }))
      .map((some) => some.map((address) => placed(address, name))),
  })

const route = fc.record(
  {
    prefix: fc.constantFrom('fd09::/16', '172.16.0.0/16', '172.16.1.0/24', '172.17.0.9/32', '0.0.0.0/0'),
    via: fc.constantFrom('fd00:1::9', '10.0.1.9', '10.1.2.9', '10.2.1.9'),
    link: fc.constantFrom(...NAMES),
    metric: fc.nat(2),
    action: fc.constantFrom('forward' as const, 'blackhole' as const, 'unreachable' as const),
  },
  { requiredKeys: ['prefix', 'metric', 'action'] },
)

const babel = fc.record({
  interfaces: fc
    .subarray([...NAMES], { minLength: 1 })
    .map((names) => Object.fromEntries(names.map((name) => [name, { helloInterval: '1s' }]))),
  announce: fc.constantFrom(undefined, ['10.99.0.0/16']),
  keys: fc.constantFrom(undefined, [], ...['11', '22'].map((key) => [{ algorithm: 'blake2s' as const, key }])),
})

const rip = fc.record({
  interfaces: fc
    .subarray([...NAMES], { minLength: 1 })
    .map((names) => Object.fromEntries(names.map((name) => [name, { cost: 2 }]))),
  updateInterval: fc.constantFrom(undefined, '5s'),
})

const policy = fc.record(
  {
    default: fc.constantFrom('allow' as const, 'deny' as const),
    rules: fc.array(
      fc.record({
        in: fc.constantFrom(...NAMES),
        protocol: fc.constantFrom('tcp' as const, 'udp' as const),
        action: fc.constantFrom('allow' as const, 'reject' as const),
      }),
      { maxLength: 3 },
    ),
  },
  { requiredKeys: ['rules'] },
)

const nat = fc.record(
  { link: fc.constantFrom(...NAMES), maxSessions: fc.integer({ min: 1, max: 3 }) },
  { requiredKeys: ['link'] },
)

const groups = fc.subarray([
  { group: '239.1.2.3', from: 'lan', to: ['wan'] },
  { group: '239.1.0.0/16', from: 'wan', to: ['lan', 'dmz'] },
  { group: 'ff15::1', from: 'lan', to: ['wan'] },
])

const file: fc.Arbitrary<RouterFile> = fc.record({
  name: fc.constant('R'),
  links: fc
    .subarray([...NAMES], { minLength: 1 })
    .chain((names) => fc.record(Object.fromEntries(names.map((name) => [name, link(name)])))),
  gateway: fc.option(fc.constantFrom('10.0.1.254', '10.1.1.254'), { nil: undefined }),
  routes: fc.array(route, { maxLength: 6 }),
  babel: fc.option(babel, { nil: undefined }),
  rip: fc.option(rip, { nil: undefined }),
  policy: fc.option(policy, { nil: undefined }),
  nat: fc.option(nat, { nil: undefined }),
  groups: fc.option(groups, { nil: undefined }),
  clampMss: fc.constant(false),
  reversePath: fc.constant('off' as const),
  faults: fc.constant(false),
  hosts: fc.constant({}),
})

/** What contradicts itself is taken out, piece by piece. */
function consistent(file: RouterFile): RouterFile {
  const [first] = contradictions(file)
  if (first === undefined) return file
  const [section, index, key] = first.path
  if (section === 'gateway') return consistent({ ...file, gateway: undefined })
  if (section === 'babel' || section === 'rip' || section === 'nat')
    return consistent({ ...file, [section]: undefined })
  if (section === 'links') {
    const name = String(index)
    return consistent({
      ...file,
      links: { ...file.links, [name]: { ...(file.links[name] as FileLink), [String(key)]: undefined } },
    })
  }
  if (section === 'policy') {
    return consistent({ ...file, policy: { rules: (file.policy?.rules ?? []).filter((_, i) => i !== first.path[2]) } })
  }
  if (section === 'groups') return consistent({ ...file, groups: file.groups?.filter((_, i) => i !== index) })
  return consistent({ ...file, routes: file.routes.filter((_, i) => i !== index) })
}

export const states = (): fc.Arbitrary<RouterState> => file.map((some) => configOf(consistent(some)).state)
