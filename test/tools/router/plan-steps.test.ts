/** Which steps a change of the file comes to, and in which order. */
import t from 'tap'
import { configOf, type RouterFile } from '../../../tools/router/config.ts'
import { describeStep, planned } from '../../../tools/router/plan.ts'

const stateOf = (links: RouterFile['links'], rest: Partial<RouterFile> = {}) =>
  configOf({
    ...{ name: 'R', routes: [], clampMss: false, reversePath: 'off', faults: false, hosts: {}, ...rest },
    links,
  }).state
const steps = (...[old, wanted]: [ReturnType<typeof stateOf>, ReturnType<typeof stateOf>]) =>
  planned(old, wanted).map(describeStep)

const lan = { link: 'udp:1', addresses: ['10.0.1.1/24'] }
const wan = { link: 'udp:2', addresses: ['10.0.2.1/24'] }

t.test('DHCP begins anew with the addresses of its link, which it is told of', async (t) => {
  const served = { ...lan, dhcp: { pool: ['10.0.1.100', '10.0.1.199'] } }
  t.strictSame(steps(stateOf({ lan: served, wan }), stateOf({ lan: { ...served, addresses: ['10.0.1.2/24'] }, wan })), [
    '- DHCP server on lan',
    '- address 10.0.1.1/24 on lan',
    '+ address 10.0.1.2/24 on lan',
    '+ DHCP server on lan',
  ])
  t.strictSame(
    steps(stateOf({ lan: served, wan }), stateOf({ lan: served, wan: { ...wan, addresses: [] } })),
    ['- address 10.0.2.1/24 on wan'],
    'those of others are none of its business',
  )
})

t.test(
  'services end before what they stand on goes, but for those that see by themselves what becomes of it',
  async (t) => {
    const babel = { interfaces: { lan: {}, wan: {} } }
    const route = { prefix: '10.9.0.0/16', via: '10.0.2.9', link: 'wan', metric: 0, action: 'forward' } as const
    const served = { ...wan, dhcp: { pool: ['10.0.2.100', '10.0.2.199'] } }
    t.strictSame(
      steps(
        stateOf({ lan, wan: served }, { babel, routes: [route] }),
        stateOf({ lan, wan: { ...served, link: 'udp:3' } }, { babel }),
      ),
      [
        '- DHCP server on wan',
        '- route 10.9.0.0/16 via 10.0.2.9 on wan',
        '- address 10.0.2.1/24 on wan',
        '- link wan: udp:2',
        '+ link wan: udp:3',
        '+ address 10.0.2.1/24 on wan',
        '+ DHCP server on wan',
      ],
    )
  },
)

t.test('what differs of Babel is told to the one that runs', async (t) => {
  const key = (key: string) => ({ algorithm: 'blake2s', key }) as const
  const of = (more: object, wan: object) =>
    stateOf({ lan, wan: { ...wanLink } }, { babel: { interfaces: { lan: {}, wan }, ...more } })
  const wanLink = { link: 'udp:2', addresses: [] }
  const deny = [{ prefix: '10.0.0.0/8', action: 'deny' }] as const
  const old = of({ keys: [key('11')], announce: ['10.7.0.0/16', '10.8.0.0/16'] }, { keys: [key('22')], rxcost: 96 })
  for (const [wanted, there, back] of [
    [
      of({ keys: [key('11'), key('33')], announce: ['10.7.0.0/16', '10.8.0.0/16'] }, { keys: [key('22')], rxcost: 96 }),
      'keys of lan',
    ],
    [of({ keys: [key('44')], announce: ['10.7.0.0/16', '10.8.0.0/16'] }, { rxcost: 96 }), 'keys of lan, wan'],
    [
      of({ announce: ['10.7.0.0/16', '10.9.0.0/16'] }, { keys: [], rxcost: 300, helloInterval: '1s' }),
      'announce +10.9.0.0/16 -10.8.0.0/16; rxcost of wan 96 → 300; helloInterval of wan default → 1s; keys of lan, wan',
      'announce +10.8.0.0/16 -10.9.0.0/16; rxcost of wan 300 → 96; helloInterval of wan 1s → default; keys of lan, wan',
    ],
    [
      of(
        {
          keys: [key('11')],
          announce: ['10.7.0.0/16', '10.8.0.0/16'],
          redistribute: deny,
          filters: { in: deny, out: [] },
        },
        { keys: [key('22')], rxcost: 96 },
      ),
      'redistribute; filters.in',
    ],
    [
      of({ keys: [key('11')], announce: ['10.8.0.0/16', '10.7.0.0/16'] }, { keys: [key('22')], rxcost: 96 }),
      'nothing but how it is written',
    ],
  ] as const) {
    t.strictSame(steps(old, wanted), [`~ Babel: ${there}`])
    t.strictSame(steps(wanted, old), [`~ Babel: ${back ?? there}`], 'and back')
  }
  const alone = stateOf({ lan, wan: wanLink }, { babel: { interfaces: { lan: {} }, metric: 9 } })
  t.strictSame(steps(alone, stateOf({ lan }, { babel: { interfaces: { lan: {} } } })), [
    '- link wan: udp:2',
    '~ Babel: metric 9 → default',
  ])
  t.strictSame(steps(alone, stateOf({ lan, wan: wanLink }, { babel: { interfaces: { wan: {} }, metric: 9 } })), [
    '~ Babel: links +wan -lan',
  ])
})

t.test('Babel begins anew for another router-id alone, and RIP for other versions', async (t) => {
  const babel = (routerId: string) => stateOf({ lan }, { babel: { interfaces: { lan: {} }, routerId } })
  t.strictSame(steps(babel('0000000000000001'), babel('0000000000000002')), ['- Babel on lan', '+ Babel on lan'])
  const rip = (more: object) => stateOf({ lan }, { rip: { interfaces: { lan: {} }, ...more } })
  t.strictSame(steps(rip({}), rip({ versions: ['rip2'] })), ['- RIP on lan', '+ RIP on lan'])
  t.strictSame(steps(rip({}), rip({ timeout: '60s', interfaces: { lan: { cost: 3, passive: true } } })), [
    '~ RIP: timeout default → 60s; cost of lan default → 3; passive of lan default → true',
  ])
})

t.test('a link cannot be made one of faults, nor PPP be told another address', async (t) => {
  t.strictSame(steps(stateOf({ lan }), stateOf({ lan }, { faults: true })), [
    '- address 10.0.1.1/24 on lan',
    '- link lan: udp:1',
    '+ link lan: udp:1',
    '+ address 10.0.1.1/24 on lan',
  ])
  const ppp = (address: string) => stateOf({ ser: { link: 'ppp:/dev/x', addresses: [address] } })
  t.strictSame(steps(ppp('10.0.3.1/32'), ppp('10.0.3.2/32')), [
    '- address 10.0.3.1/32 on ser',
    '- link ser: ppp:/dev/x',
    '+ link ser: ppp:/dev/x',
    '+ address 10.0.3.2/32 on ser',
  ])
})

t.test('rules come before links, but a translation ends after them, with its sessions', async (t) => {
  const policy = { rules: [{ in: 'wan', action: 'deny' as const }] }
  t.strictSame(steps(stateOf({ lan }, { nat: { link: 'lan' } }), stateOf({ lan, wan }, { policy })), [
    '~ policy\n  + deny in wan\n  + default allow',
    '+ link wan: udp:2',
    '~ nat\n  - out of lan',
    '+ address 10.0.2.1/24 on wan',
  ])
})
