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
