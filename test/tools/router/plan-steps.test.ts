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

t.test('services end before what they stand on goes', async (t) => {
  const babel = { interfaces: { lan: {}, wan: {} } }
  const route = { prefix: '10.9.0.0/16', via: '10.0.2.9', link: 'wan', metric: 0, action: 'forward' } as const
  t.strictSame(
    steps(
      stateOf({ lan, wan }, { babel, routes: [route] }),
      stateOf({ lan, wan: { ...wan, link: 'udp:3' } }, { babel }),
    ),
    [
      '- Babel on lan, wan',
      '- route 10.9.0.0/16 via 10.0.2.9 on wan',
      '- address 10.0.2.1/24 on wan',
      '- link wan: udp:2',
      '+ link wan: udp:3',
      '+ address 10.0.2.1/24 on wan',
      '+ Babel on lan, wan',
    ],
  )
})

t.test('keys of Babel are exchanged, but where a link gets its first ones or loses its last', async (t) => {
  const key = (key: string) => ({ algorithm: 'blake2s', key }) as const
  const of = (more: object, wan: object) =>
    stateOf({ lan, wan: { link: 'udp:2', addresses: [] } }, { babel: { interfaces: { lan: {}, wan }, ...more } })
  const old = of({ keys: [key('11')] }, { keys: [key('22')] })
  const anew = ['- Babel on lan, wan', '+ Babel on lan, wan']
  for (const [wanted, expected] of [
    [of({ keys: [key('11'), key('33')] }, { keys: [key('22')] }), ['~ keys of Babel on lan']],
    [of({ keys: [key('11')] }, { keys: [key('33')] }), ['~ keys of Babel on wan']],
    [of({ keys: [key('44')] }, {}), ['~ keys of Babel on lan, wan']],
    [of({ keys: [key('11')] }, { keys: [] }), anew],
    [of({}, { keys: [key('22')] }), anew],
    [of({ keys: [key('33')], metric: 9 }, { keys: [key('22')] }), anew],
  ] as const) {
    t.strictSame(steps(old, wanted), expected)
    t.strictSame(steps(wanted, old), expected, 'and back')
  }
  const moved = of({ keys: [key('33')] }, { keys: [key('22')] })
  const links = moved.links.map((link) => (link.name === 'wan' ? { ...link, faults: true } : link))
  t.match(
    steps(old, { ...moved, links }),
    [anew[0], /^- link wan/, /^\+ link wan/, anew[1]],
    'with its link it begins anew',
  )
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
