/** The router's file: what it comes to, what contradicts itself, and the schema that is published. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { seconds } from '../../../src/index.ts'
import { babelOptions } from '../../../tools/router/babel.ts'
import { NOTHING, readRouterConfig, routerJsonSchema } from '../../../tools/router/config.ts'
import { describeStep, planned, type Step } from '../../../tools/router/plan.ts'
import { ripOptions } from '../../../tools/router/rip.ts'
import { withoutSecrets } from '../../../tools/stack/link-text.ts'

const folder = mkdtempSync(join(tmpdir(), 'netstrata-router-'))
t.teardown(() => rmSync(folder, { recursive: true }))

function read(text: string): ReturnType<typeof readRouterConfig> {
  const path = join(folder, 'router.yaml')
  writeFileSync(path, text)
  return readRouterConfig(path)
}

t.test('a whole file', async (t) => {
  const { fixture, state } = read(`
name: edge
links:
  lan: { link: 'udp:7000', addresses: [10.0.1.1/24, 10.0.2.1/24] }
  ser: { link: 'ppp:/dev/ttyS0,user=edge,secret=hush,default' }
gateway: 10.0.2.254
routes:
  - { prefix: 10.9.7.1/16, via: 10.0.1.9, metric: 5 }
  - { prefix: 10.66.0.0/16, action: blackhole }
clampMss: true
reversePath: strict
`)
  t.same(fixture, { name: 'edge', ipv6: false, clampMss: true, reversePath: 'strict', hosts: {}, leases: undefined })
  t.same(planned({ links: [], routes: [], services: [] }, state).map(describeStep), [
    '+ link lan: udp:7000',
    '+ link ser: ppp:/dev/ttyS0,user=edge,secret=…,default',
    '+ address 10.0.1.1/24 on lan',
    '+ address 10.0.2.1/24 on lan',
    '+ route 0.0.0.0/0 on ser',
    '+ route 0.0.0.0/0 via 10.0.2.254 on lan',
    '+ route 10.9.0.0/16 via 10.0.1.9 on lan metric 5',
    '+ route 10.66.0.0/16 blackhole',
  ])
  t.equal(withoutSecrets('udp:1,cookie=0badcafe,peer-cookie=00000000'), 'udp:1,cookie=…,peer-cookie=…')
})

const LINKS = `links:
  a: { link: 'udp:127.0.0.1:7000', addresses: [10.0.1.1/24] }
  b: { link: 'udp:127.0.0.1:7001', addresses: [10.0.2.1/24] }
`

t.test('contradictions are told where they show, all at once', async (t) => {
  const wrong: [string, RegExp][] = [
    ['', /1:1: not a map such as /],
    ['links: {}', /:1:8: links: a router needs at least one link/],
    [`${LINKS}gatewy: 10.0.1.2`, /:4:\d+: .*gatewy/],
    [
      "links: { a: { link: 'udp:7000' }, b: { link: 'udp:7000' } }",
      /:1:46: links\.b\.link: UDP port .*7000 .*link 'a'/,
    ],
    ["links: { a: { link: 'tap:t0' }, b: { link: 'tap:t0' } }", /links\.b\.link: the device t0 is taken/],
    [LINKS.replace("7001'", "7001,peer=far.example:7000'"), /:3:\d+: links\.b\.link: .*must be a numeric address/],
    [LINKS.replace("7001'", "7001,delay=9999s'"), /links\.b\.link: .*"delay" is out of range/],
    [LINKS.replace("7001'", "7001,mac=01:00:00:00:00:01'"), /links\.b\.link: .*MAC address of one station/],
    [LINKS.replace('10.0.2.1', '10.0.1.1'), /:3:\d+: links\.b\.addresses\.0: 10\.0\.1\.1 is on the link 'a', too/],
    [LINKS.replace('10.0.2.1/24', '10.0.1.9/28'), /10\.0\.1\.0\/28 overlaps 10\.0\.1\.0\/24 of the link 'a'/],
    [LINKS.replace('10.0.2.1/24', '10.0.2.0/24'), /10\.0\.2\.0\/24 is not one station's address/],
    [`${LINKS}leases: here`, /:4:9: leases: a path from the root/],
    [`${LINKS}gateway: 10.0.3.1`, /:4:10: gateway: 10\.0\.3\.1 is on no network of any link/],
    [`${LINKS}gateway: 10.0.1.1`, /gateway: 10\.0\.1\.1 is this router itself/],
    [`${LINKS}routes: [{ prefix: 10.9.0.0/16 }]`, /routes\.0: a route needs `via`/],
    [`${LINKS}routes: [{ prefix: 10.9.0.0/16, link: c }]`, /routes\.0: there is no link 'c'; there are: a, b/],
    [`${LINKS}routes: [{ prefix: 'fd00::/8', via: 10.0.1.2 }]`, /routes\.0: .*different families/],
    [`${LINKS}routes: [{ prefix: 10.9.0.0/16, link: a, action: blackhole }]`, /routes\.0: a route that is blackhole/],
    [`${LINKS}routes: [{ prefix: 10.9.0.0/16, via: 'fe80::1' }]`, /routes\.0: fe80::1 is on no network/],
    [
      `${LINKS}ipv6: false\nroutes: [{ prefix: 10.9.0.0/16, via: 'fe80::1', link: a }]`,
      /ipv6: there are addresses or routes of IPv6/,
    ],
    [`${LINKS}ipv6: false\nroutes: [{ prefix: '::/0', link: a }]`, /:4:7: ipv6: there are addresses or routes of IPv6/],
    [LINKS.replace("7000'", "7000,mtu=1200'").concat('ipv6: true'), /links\.a\.link: IPv6 needs an mtu of 1280/],
    [
      LINKS.replace('addresses: [10.0.2', 'advertise: { interval: 2s }, addresses: [10.0.2'),
      /:3:\d+: links\.b\.advertise: .*maxInterval/,
    ],
    [LINKS.replace('addresses: [10.0.2', 'advertise: { interval: 2 }, addresses: [10.0.2'), /links\.b\.advertise/],
    [
      LINKS.replace('addresses: [10.0.2', 'advertise: true, autoconfigure: true, addresses: [10.0.2'),
      /:3:\d+: links\.b\.autoconfigure: the router of a link heeds no others/,
    ],
    [
      LINKS.replace('addresses: [10.0.2', 'autoconfigure: true, addresses: [10.0.2').concat('ipv6: false'),
      /:4:7: ipv6: .*advertisements of routers/,
    ],
    [LINKS.replace('10.0.2.1/24', 'ff02::1/64'), /ff02::1\/64 is not one station's address/],
    [LINKS.replace('10.0.2.1/24', 'fd00::1/64').concat('gateway: fe80::1'), /fe80::1 is on no network/],
    [`${LINKS}babel: { interfaces: {} }`, /:4:\d+: babel\.interfaces: Babel needs a link/],
    [`${LINKS}babel: { interfaces: { c: {} } }`, /:4:\d+: babel\.interfaces\.c: there is no link 'c'/],
    [`${LINKS}babel: { interfaces: { a: { helloInterval: 4 } } }`, /babel\.interfaces\.a\.helloInterval/],
    [`${LINKS}babel: { interfaces: { a: { rxcost: 0 } } }`, /:4:8: babel: .*rxcost/],
    [`${LINKS}babel: { interfaces: { a: {} }, keys: [{ algorithm: blake2s, key: abc }] }`, /keys.*two an octet/],
    [`${LINKS}ipv6: false\nbabel: { interfaces: { a: {} } }`, /:4:7: ipv6: .*, Babel or RIPng/],
    [LINKS.replace('udp:127.0.0.1:7001', 'ppp:/dev/x').concat('babel: { interfaces: { b: {} } }'), /b: a link ppp:/],
    [`${LINKS}babel: { interfaces: { a: {} }, redistribute: [{ origin: babel, action: allow }] }`, /"link"\|.*"rip"/],
    [`${LINKS}rip: { interfaces: {} }`, /:4:\d+: rip\.interfaces: RIP needs a link/],
    [`${LINKS}rip: { interfaces: { c: {} } }`, /rip\.interfaces\.c: there is no link 'c'/],
    [`${LINKS}rip: { interfaces: { a: { cost: 16 } } }`, /:4:6: rip: .*cost/],
    [`${LINKS}rip: { interfaces: { a: {} }, timeout: 30 }`, /rip\.timeout/],
    [`${LINKS}rip: { interfaces: { a: {} }, versions: [] }`, /rip\.versions: RIP needs a version/],
    [`${LINKS}rip: { interfaces: { a: {} }, redistribute: [{ origin: rip, action: allow }] }`, /"link"\|.*"babel"/],
    [`${LINKS}ipv6: false\nrip: { interfaces: { a: {} }, versions: [ripng] }`, /:4:7: ipv6: .*, Babel or RIPng/],
    [
      LINKS.replace('udp:127.0.0.1:7001', 'ppp:/dev/x').concat('rip: { interfaces: { b: {} }, versions: [ripng] }'),
      /b: a link ppp: has no IPv6 addresses, by which rip speaks/,
    ],
    [
      `${LINKS}gateway: 10.0.1.2\nroutes:\n  - { prefix: 0.0.0.0/0, via: 10.0.1.2 }`,
      /:6:5: routes\.0: this route is there already/,
    ],
  ]
  for (const [text, message] of wrong) t.throws(() => read(text), { exitCode: 3, code: 'ERR_CONFIG', message }, text)
  const both = `${LINKS.replace('10.0.2.1', '10.0.1.1')}gateway: 10.0.3.1`
  t.throws(() => read(both), { message: /:3:\d+: .*\n.*:4:10: / }, 'in the order of the file')
  const unknown = [
    both.replace('b: {', 'b: { adresses: [],'),
    both.replace('b: {', 'b: { advertise: { intervall: 4s },'),
    both.replace('b: {', 'b: { link: udp:7002, addresses: [] }\n  c: {').replace('c: {', 'c: { mtu: 9, mru: 9,'),
  ]
  for (const text of unknown) {
    const places = [
      /:\d:\d+: links\.[bc](?:\.advertise)?: unknown key/,
      /10\.0\.1\.1 is on the link/,
      /gateway: 10\.0\.3\.1 is on no/,
    ]
    for (const message of places) t.throws(() => read(text), { message }, 'keys that are not known hide nothing')
  }
  t.throws(() => read(`speed: 9\n${LINKS}mtu: 9`), { message: /:1:8: .*"speed"\n.*:5:6: .*"mtu"/ }, 'each at its place')
})

t.test('Babel', async (t) => {
  const { fixture, state } = read(`${LINKS}babel:
  interfaces: { a: { helloInterval: 1s }, b: { type: wireless, keys: [{ algorithm: hmac-sha256, key: 00ff10 }] } }
  redistribute: [{ origin: static, prefix: 10.0.0.0/8, maxLength: 24, action: allow, metric: 64 }]
  filters: { in: [{ prefix: 0.0.0.0/0, maxLength: 0, action: deny }] }
`)
  t.equal(fixture.ipv6, true, 'it speaks by IPv6, whatever it tells of')
  const steps = planned({ links: [], routes: [], services: [] }, state)
  t.equal(steps.map(describeStep).at(-1), '+ Babel on a, b', 'after what it runs on, and without its keys')
  const [service] = state.services
  const options = service?.kind === 'Babel' ? babelOptions(service.babel) : undefined
  t.match(options, {
    interfaces: {
      a: { helloInterval: seconds(1) },
      b: { type: 'wireless', keys: [{ algorithm: 'hmac-sha256', key: Uint8Array.of(0, 255, 16) }] },
    },
    filters: { in: [{ maxLength: 0, action: 'deny' }], out: [] },
  })
})

t.test('RIP', async (t) => {
  const { fixture, state } = read(`${LINKS}rip:
  interfaces: { a: { cost: 3 }, b: { passive: true } }
  redistribute: [{ origin: babel, action: allow, metric: 4 }]
  updateInterval: 5s
`)
  t.equal(fixture.ipv6, false, 'RIPv2 needs none')
  t.equal(read(`${LINKS}rip: { interfaces: { a: {} }, versions: [ripng] }`).fixture.ipv6, true)
  t.equal(planned(NOTHING, state).map(describeStep).at(-1), '+ RIP on a, b')
  const [service] = state.services
  t.same(service?.kind === 'RIP' ? ripOptions(service.rip) : undefined, {
    interfaces: { a: { cost: 3 }, b: { passive: true } },
    redistribute: [{ origin: 'babel', action: 'allow', metric: 4 }],
    updateInterval: seconds(5),
  })
})

t.test('an uplink of IPv6', async (t) => {
  const heeding = LINKS.replace('addresses: [10.0.1', 'autoconfigure: true, addresses: [10.0.1')
  const { fixture, state } = read(
    `${heeding}babel: { interfaces: { b: {} }, redistribute: [{ origin: ra, action: allow }] }`,
  )
  t.equal(fixture.ipv6, true, 'routers there speak of it')
  t.equal(
    planned(NOTHING, state)[0] && describeStep(planned(NOTHING, state)[0] as Step),
    '+ link a: udp:127.0.0.1:7000, autoconfigured',
  )
  const steps = planned(state, read(`${LINKS}ipv6: true\nbabel: { interfaces: { b: {} } }`).state).map(describeStep)
  t.match(
    steps.filter((step) => step.includes(' link ')),
    [/^- link a: .*, autoconfigured$/, /^\+ link a: [^,]*$/],
    'set up again',
  )
})

t.test('what only looks like a contradiction', async (t) => {
  const right = [
    LINKS.replace('10.0.2.1/24', '10.0.1.9/32'),
    LINKS.replace('udp:127.0.0.1:7001', 'ppp:/dev/x').concat('rip: { interfaces: { b: {} } }'),
    `${LINKS}routes:\n  - { prefix: 10.9.0.0/16, via: 10.0.1.2 }\n  - { prefix: 10.9.0.0/16, via: 10.0.2.2 }`,
    `${LINKS}routes: [{ prefix: 10.9.0.0/16, via: 192.0.2.1, link: a }]`,
    `${LINKS}routes: [{ prefix: '::/0', via: 'fe80::1', link: a }]`,
    LINKS.replace(
      'addresses: [10.0.2.1/24]',
      "addresses: ['fd00::1/64'], advertise: { interval: 30s, nameServers: ['fd00::53'] }",
    ),
    "links: { a: { link: 'udp:0' }, b: { link: 'udp:0' } }",
    LINKS.replace('addresses: [10.0.2', 'advertise: true, autoconfigure: false, addresses: [10.0.2'),
  ]
  for (const text of right) t.doesNotThrow(() => read(text), text)
})

t.test('the published schema is that of the program', async (t) => {
  const file = join(dirname(fileURLToPath(import.meta.url)), '../../../docs/router.schema.json')
  const message = 'run npx tsx scripts/router-schema.ts'
  t.equal(readFileSync(file, 'utf8'), `${JSON.stringify(routerJsonSchema(), undefined, 2)}\n`, message)
})
