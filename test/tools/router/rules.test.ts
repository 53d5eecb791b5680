/** Policy, translation and groups of a router: its file, what a reload makes of them, and the commands that show them. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import {
  boot,
  ethernet,
  ip,
  ipv4,
  type PolicyRule,
  type SamplePacket,
  seconds,
  sockets,
  stack,
  tcp,
  udp,
  udpTunnel,
} from '../../../src/index.ts'
import { policyFindings } from '../../../tools/commands/doctor-checks.ts'
import { natText } from '../../../tools/commands/nat.ts'
import { sampleText } from '../../../tools/commands/policy.ts'
import { ask } from '../../../tools/control/client.ts'
import { nodeMethods } from '../../../tools/control/node-methods.ts'
import { serveControl } from '../../../tools/control/server.ts'
import { program } from '../../../tools/program.ts'
import { type RouterState, readRouterConfig } from '../../../tools/router/config.ts'
import { Daemon } from '../../../tools/router/daemon.ts'
import { daemonLog } from '../../../tools/router/log.ts'
import { daemonStatus, routerMethods } from '../../../tools/router/methods.ts'
import { routerMetrics } from '../../../tools/router/metrics.ts'
import { describeStep, planned } from '../../../tools/router/plan.ts'
import { ruleText } from '../../../tools/router/policy.ts'
import { Router } from '../../../tools/router/router.ts'
import { type NatAnswer, type SampleAnswer, sampleAnswer } from '../../../tools/router/rules-methods.ts'
import { silenced } from '../../../tools/router/silenced.ts'
import { Commands, freePorts } from '../running.ts'

const folder = mkdtempSync(join(tmpdir(), 'netstrata-rules-'))
t.teardown(() => rmSync(folder, { recursive: true }))

function read(text: string): ReturnType<typeof readRouterConfig> {
  const path = join(folder, 'router.yaml')
  writeFileSync(path, text)
  return readRouterConfig(path)
}

const LINKS = `links:
  lan: { link: 'udp:0', addresses: [192.168.0.1/24] }
  wan: { link: 'udp:0', addresses: [203.0.113.1/24] }
`
const NOTHING: RouterState = { links: [], routes: [], services: [] }

/** Counting on two cores that have other things to do. */
t.setTimeout(600_000)

const PACKET = { source: '192.168.0.2', destination: '203.0.113.9', destinationPort: 25 } as const

t.test('a whole file, and the plan of it', async (t) => {
  const { fixture, state } = read(`${LINKS}policy:
  default: deny
  rules:
    - { tcp: established, action: allow }
    - { name: web, hook: [forward], in: lan, out: wan, protocol: tcp, destinationPort: [80, 8000-8080], action: allow }
    - { hook: forward, source: [10.0.0.0/8, 'fd00::/8'], action: rewrite, rewrite: { dscp: 8 } }
nat:
  link: wan
  inside: [192.168.0.0/24]
  forwards: [{ protocol: tcp, port: 8080, to: '192.168.0.2:80' }]
  timeouts: { udp: 30s }
groups:
  - { group: 239.1.2.3, from: wan, to: [lan] }
  - { group: 'ff15::/16', source: '2001:db8::/32', from: lan, to: [wan] }
`)
  t.equal(fixture.ipv6, true, 'a group of IPv6 is routed by a router of IPv6')
  t.same(state.nat, {
    ...{ link: 'wan', inside: ['192.168.0.0/24'], timeouts: { udp: seconds(30) } },
    forwards: [{ protocol: 'tcp', port: 8080, to: '192.168.0.2:80' }],
  })
  t.same(planned(NOTHING, state).map(describeStep), [
    `~ policy
  + allow established
  + web: allow forward in lan out wan tcp to port 80|8000-8080
  + rewrite dscp 8 forward from 10.0.0.0/8|fd00::/8
  + default deny`,
    `~ nat
  + out of wan for 192.168.0.0/24
  + forward tcp 8080 to 192.168.0.2:80
  + timeouts {"udp":30000000}`,
    `~ groups
  + 239.1.2.3 from wan to lan
  + ff15::/16 of 2001:db8::/32 from lan to wan`,
    ...['+ link lan: udp:0', '+ link wan: udp:0', '+ address 192.168.0.1/24 on lan', '+ address 203.0.113.1/24 on wan'],
  ])
})

t.test('the file of the document', async (t) => {
  const page = readFileSync(new URL('../../../docs/router.md', import.meta.url), 'utf8')
  const [, text = ''] = /## Policy, translation, groups[\s\S]*?```yaml\n([\s\S]*?)```/.exec(page) ?? []
  const { policy } = read(text).state
  if (policy === undefined) throw new Error('no policy')
  const verdict = (more: Partial<SamplePacket>) => sampleAnswer(policy, { ...PACKET, ...more }).rule
  t.equal(verdict({ in: 'lan', out: 'wan' }), 'no-mail')
  t.equal(verdict({ in: 'lan', out: 'wan', destinationPort: 443 }), 'out')
  t.equal(verdict({ in: 'wan', destination: '192.168.0.2', destinationPort: 80 }), 'web')
  t.equal(verdict({ in: 'wan', destination: '192.168.0.2', destinationPort: 22 }), undefined)
  t.equal(verdict({ in: 'wan', destination: '192.168.0.2', destinationPort: 22, answer: true }), 'answers')
})

t.test('contradictions are told where they show', async (t) => {
  const rules = (...texts: string[]) => `${LINKS}policy:\n  rules:\n${texts.map((text) => `    - ${text}\n`).join('')}`
  const wrong: [string, RegExp][] = [
    [rules('{ action: drop }'), /:6:\d+: policy\.rules\.0\.action: /],
    [rules('{ action: allow, port: 80 }'), /:6:\d+: policy\.rules\.0.*port/],
    [rules('{ in: lan, action: allow }', '{ in: dmz, action: allow }'), /:7:13: policy\.rules\.1\.in: .*no link 'dmz'/],
    [rules('{ source: 10.0.0.0/33, action: allow }'), /:6:17: policy\.rules\.0\.source: not an address or a prefix/],
    [
      rules("{ source: 'fd00::/8', action: allow }"),
      /:6:17: policy\.rules\.0\.source: fd00::\/8 is of IPv6, .*`ipv6: true`/,
    ],
    [rules("{ destination: [10.0.0.0/8, 'fd00::/8'], action: deny }"), /:6:35: policy\.rules\.0\.destination\.1: /],
    [rules('{ protocol: icmpv6, action: allow }'), /:6:19: policy\.rules\.0\.protocol: icmpv6 is of IPv6, /],
    [rules('{ protocol: [icmp, 58], action: allow }'), /:6:26: policy\.rules\.0\.protocol\.1: 58 is of IPv6, /],
    [
      rules("{ hook: forward, action: rewrite, rewrite: { destination: 'fd00::1' } }"),
      /:6:65: policy\.rules\.0\.rewrite\.destination: fd00::1 is of IPv6, /,
    ],
    [
      rules('{ source: 10.0.0.0/8, protocol: icmpv6, action: allow }'),
      /:6:39: policy\.rules\.0\.protocol: .*'icmpv6' with those of IPv6/,
    ],
    [rules('{ destinationPort: 90-80, action: allow }'), /:6:26: policy\.rules\.0\.destinationPort: .*6000-6063/],
    [
      rules('{ protocol: icmp, destinationPort: 80, action: allow }'),
      /:6:19: policy\.rules\.0\.protocol: .*with ports/,
    ],
    [rules('{ action: rewrite }'), /policy\.rules\.0\.rewrite: .*given with the action/],
    [
      rules('{ hook: input, action: rewrite, rewrite: { destination: 10.0.0.1 } }'),
      /policy\.rules\.0\.hook: .*'forward' where the destination is changed/,
    ],
    [rules('{ answer: true, action: allow }'), /:6:17: policy\.rules\.0\.answer: there are no answers without `nat`/],
    [
      rules('{ name: a, in: lan, action: deny }', '{ name: a, action: deny }'),
      /:7:15: policy\.rules\.1\.name: another/,
    ],
    [rules('{ name: "2", in: lan, action: deny }', '{ action: deny }'), /:7:7: policy\.rules\.1\.name: .*called '2'/],
    [rules('{ name: default, action: deny }'), /policy\.rules\.0\.name: 'default' is what/],
    [rules('{ action: deny }', '{ in: lan, action: allow }'), /:6:7: policy\.rules\.0: .*never reached/],
    [`${LINKS}nat: { link: dsl }`, /:4:14: nat\.link: there is no link 'dsl'/],
    [`${LINKS}nat: { link: wan, inside: ['fd00::/8'] }`, /:4:28: nat\.inside\.0: .*IPv4 prefix/],
    [
      `${LINKS}nat: { link: wan, forwards: [{ protocol: tcp, port: 80, to: '192.168.0.2:0' }] }`,
      /:4:61: nat\.forwards\.0\.to: .*with or without a port/,
    ],
    [
      `${LINKS}nat: { link: wan, reserved: [22], forwards: [{ protocol: tcp, port: 22, to: 192.168.0.2 }] }`,
      /nat\.forwards\.0\.port: port 22 is reserved/,
    ],
    [`${LINKS}nat: { link: wan, timeouts: { udp: 10ms } }`, /nat\.timeouts\.udp: .*out of range/],
    [`${LINKS}nat: { link: wan, maxSessions: 0 }`, /:4:32: nat\.maxSessions: .*out of range/],
    [LINKS.replace(', addresses: [203.0.113.1/24]', '').concat('nat: { link: wan }'), /nat\.link: .*no IPv4 address/],
    [`${LINKS}groups: [{ group: 239.1.2.3, from: wan, to: [dmz] }]`, /:4:10: groups\.0: there is no link 'dmz'/],
    [`${LINKS}groups: [{ group: 10.1.2.3, from: wan, to: [lan] }]`, /groups\.0: .*groups of this family/],
    [`${LINKS}groups: [{ group: 239.1.2.3, from: wan, to: [wan] }]`, /groups\.0: .*links other than 'wan'/],
    [`${LINKS}groups: [{ group: 224.0.0.251, from: wan, to: [lan] }]`, /groups\.0: .*stays on its link/],
    [`${LINKS}groups: [{ group: 'ff02::fb', from: wan, to: [lan] }]`, /groups\.0: .*stays on its link/],
    [`${LINKS}groups: [{ group: 239.1.2.3, source: 'fd00::/8', from: wan, to: [lan] }]`, /groups\.0: .*families/],
    [
      `${LINKS}groups:\n  - { group: 239.1.2.3, from: wan, to: [lan] }\n  - { group: 239.1.2.3, from: wan, to: [lan] }`,
      /:6:5: groups\.1: another route before it takes all of this/,
    ],
    [`${LINKS}ipv6: false\ngroups: [{ group: 'ff15::1', from: wan, to: [lan] }]`, /:4:7: ipv6: /],
  ]
  for (const [text, message] of wrong) t.throws(() => read(text), { exitCode: 3, code: 'ERR_CONFIG', message }, text)
  const right = [
    rules("{ source: 'fd00::/8', protocol: icmpv6, action: allow }").concat('ipv6: true'),
    rules('{ destination: 203.0.113.8, action: deny }', '{ action: allow }'),
    LINKS.replace('addresses: [203.0.113.1/24]', 'dhcp: client').concat('nat: { link: wan }'),
    `${LINKS}groups: [{ group: 239.1.2.3, from: wan, to: [lan] }, { group: 239.1.2.3, from: lan, to: [wan] }]`,
  ]
  for (const text of right) t.doesNotThrow(() => read(text), text)
})

t.test('rules in words', async (t) => {
  const texts: [PolicyRule, string][] = [
    [{ action: 'deny' }, 'deny'],
    [{ action: 'reject', hook: ['input', 'output'], in: 'a', icmpType: [8, 13] }, 'reject input|output in a type 8|13'],
    [
      { action: 'allow', source: '10.0.0.0/8', sourcePort: 53, answer: false },
      'allow from 10.0.0.0/8 port 53 no answer',
    ],
    [
      { action: 'rewrite', rewrite: { destination: '10.0.0.1', destinationPort: 80 }, protocol: 6 },
      'rewrite destination 10.0.0.1, destinationPort 80 6',
    ],
  ]
  for (const [rule, text] of texts) t.equal(ruleText(rule), text)
})

t.test('a reload tells what differs, and does not undo what it need not', async (t) => {
  const first = read(`${LINKS}policy:
  rules: [{ name: a, in: lan, action: deny }, { name: b, in: wan, action: allow }]
nat: { link: wan }`).state
  const then = read(`${LINKS}  dmz: { link: 'udp:0', addresses: [10.0.0.1/24] }
policy:
  default: reject
  rules: [{ name: b, in: wan, action: allow }, { name: a, in: lan, action: allow }]
nat: { link: wan, maxSessions: 9 }`).state
  t.same(planned(first, then).map(describeStep), [
    '~ policy\n  - a: deny in lan\n  - default allow\n  + a: allow in lan\n  + default reject',
    '+ link dmz: udp:0',
    '~ nat\n  + maxSessions 9',
    '+ address 10.0.0.1/24 on dmz',
  ])
  const swapped = { ...first, policy: { rules: [...(first.policy?.rules ?? [])].reverse() } }
  t.same(planned(first, swapped).map(describeStep), ['~ policy\n  in another order'])
  const moved = { ...first, nat: { link: 'lan' } }
  t.same(planned(first, moved).map(describeStep), ['~ nat\n  - out of wan\n  + out of lan'])
  t.same(planned(first, first), [])
})

/** A router between a host inside and a server outside, over UDP on loopback. */
async function world(more: string) {
  const [lan, a, wan, s] = (await freePorts(4)) as [number, number, number, number]
  const host = (name: string, own: number, peer: number, address: string, gateway: string) =>
    boot(
      stack(
        udpTunnel({ local: { host: '127.0.0.1', port: own }, peers: [{ host: '127.0.0.1', port: peer }] }),
        ethernet(),
        ip(ipv4({ address, gateway })),
        sockets(tcp(), udp()),
      ),
      name,
    )
  const text = `name: held
links:
  lan: { link: 'udp:127.0.0.1:${lan},peer=127.0.0.1:${a}', addresses: [192.168.0.1/24] }
  wan: { link: 'udp:127.0.0.1:${wan},peer=127.0.0.1:${s}', addresses: [203.0.113.1/24] }
`
  const inside = await host('A', a, lan, '192.168.0.2/24', '192.168.0.1')
  const outside = await host('S', s, wan, '203.0.113.2/24', '203.0.113.1')
  t.teardown(() => Promise.all([inside.close(), outside.close()]))
  outside.net.createServer((socket) => socket.on('data', (data) => socket.write(data))).listen(80)
  return { inside, outside, text: `${text}${more}` }
}

const RULES = `policy:
  default: deny
  rules:
    - { answer: true, action: allow }
    - { name: out, hook: forward, in: lan, out: wan, action: allow }
    - { name: own, hook: [input, output], action: allow }
nat: { link: wan, inside: [192.168.0.0/24] }
`

async function comes(holds: () => boolean): Promise<void> {
  while (!holds()) await sleep(10)
}

t.test(
  'a reload that fails leaves policy and sessions; one that works leaves sessions',
  { timeout: 120_000 },
  async (t) => {
    const { inside, text } = await world(RULES)
    const { fixture, state } = read(text)
    await using router = await Router.start({ fixture, state })
    const { network } = router.node.top
    let echoed = ''
    const client = inside.net.connect(80, '203.0.113.2').on('data', (data: Buffer) => (echoed += data))
    client.write('one ')
    await comes(() => echoed === 'one ')
    const sessions = () => network.translationSessions(9).map(({ endsIn: _endsIn, ...session }) => session)
    const before = sessions()
    t.match(before, [{ protocol: 'tcp', inside: /^192\.168\.0\.2:/, remote: '203.0.113.2:80' }])
    const met = () => network.policy().map(({ name, packets }) => `${name} ${packets > 0}`)
    const rules = met()
    t.same(rules, ['1 true', 'out true', 'own false', 'default false'])

    const closed = read(
      text
        .replace(', out: wan, action: allow', ', out: wan, action: deny')
        .replace('inside:', 'maxSessions: 9, inside:'),
    )
    const device = read(
      `${text.replace('links:', "links:\n  tap: { link: 'tap:none0,netns=absent' }")}`,
    ).state.links.slice(0, 1)
    await t.rejects(router.reload({ ...closed.state, links: [...device, ...closed.state.links] }), {
      message: /nothing was changed/,
    })
    t.same(router.state, state)
    t.same(sessions(), before, 'no session has ended')
    t.equal(network.translation()?.maxSessions, 65_536)
    client.write('two ')
    await comes(() => echoed === 'one two ')

    await router.reload({ ...closed.state, nat: state.nat })
    t.same(sessions(), before)
    t.match(network.policy(), [{ name: '1' }, { name: 'out', action: 'deny', packets: 0 }, {}, {}])
    client.write('three ')
    await comes(() => (network.policy()[1]?.packets ?? 0) > 0)
    t.equal(echoed, 'one two ', 'what a session carries is held against the new rules')
    await router.reload(state)
    await comes(() => echoed === 'one two three ')
    client.destroy()
  },
)

t.test('the commands', async (t) => {
  const commands = new Commands(t)
  process.env.XDG_RUNTIME_DIR = commands.folder
  const { inside, outside, text } = await world(`${RULES}groups: [{ group: 239.1.2.3, from: wan, to: [lan] }]\n`)
  const file = join(commands.folder, 'held.yaml')
  writeFileSync(file, text)
  await using daemon = await Daemon.start(file, daemonLog('silent', true))
  const methods = nodeMethods(daemon.router.node)
  const control = await serveControl('held', { ...methods, calls: { ...methods.calls, ...routerMethods(daemon) } })
  const socket = inside.dgram.createSocket('udp4').bind(5000)
  socket.send('hello', 9, '203.0.113.2')
  let echoed = ''
  const client = inside.net.connect(80, '203.0.113.2').on('data', (data: Buffer) => (echoed += data))
  client.write('hello')
  await comes(() => echoed === 'hello')
  const [policy, denied, nat] = await Promise.all([
    commands.run('policy', '@held'),
    commands.run('policy', 'test', '@held', '--from', '203.0.113.9', '--to', '192.168.0.2', '--json'),
    commands.run('nat', '@held'),
  ])
  t.match(policy, {
    ...{ code: 0, err: '' },
    out: /^RULE +PACKETS +WHAT\n1 +[1-9]\d* +allow answer\nout +[1-9].*\nown .*\ndefault +0 +deny\n$/,
  })
  t.match(denied, { code: 4, err: '' })
  const way = { in: 'wan', out: 'lan', hook: 'forward' }
  t.match(JSON.parse(denied.out), { verdict: 'deny', trials: { length: 3 }, packet: way })
  t.match(nat, {
    ...{ code: 0, err: '' },
    out: /^PROTOCOL +INSIDE +PORT +REMOTE +ENDS\n[\s\S]*udp +192\.168\.0\.2:5000 +5000 +203\.0\.113\.2:9 +in \d+ s\n/,
  })
  t.match(nat.out, /\nout of wan, as 203\.0\.113\.1\n2 of 65536 sessions \(1 tcp, 1 udp, 0 icmp\); 2 ports\n/)
  t.match(daemonStatus(daemon).nat, { link: 'wan', address: '203.0.113.1', sessions: { tcp: 1, udp: 1 } })
  t.match(await ask('held', 'groups'), [{ group: '239.1.2.3', from: 'wan', to: ['lan'], packets: 0 }])
  const allowed = (await ask('held', 'policyTest', PACKET)) as SampleAnswer
  t.equal(
    sampleText(allowed),
    'allow: rule out\n  forward in lan out wan tcp from 192.168.0.2 to 203.0.113.9 port 25\n' +
      '    1    not this answer\n  * out  allow',
  )
  const stranger = outside.dgram.createSocket('udp4')
  const drops = async () => ((await ask('held', 'nat', { limit: 0 })) as NatAnswer).drops
  stranger.send('unasked', 9, '192.168.0.2')
  while ((await drops()).natUnsolicited === undefined) await sleep(10)
  t.strictSame(await drops(), { natUnsolicited: 1 }, 'and nothing else')
  stranger.close()
  const own = (await ask('held', 'policyTest', { ...PACKET, destination: '192.168.0.1' })) as SampleAnswer
  t.match(own, { verdict: 'allow', rule: 'own', packet: { hook: 'input', in: 'lan' } })
  const few = (await ask('held', 'nat', { limit: 1, host: '192.168.0.2' })) as NatAnswer
  t.match(few, { sessions: { tcp: 1, udp: 1 }, listed: { length: 1 } })
  t.match(
    natText({ ...few, endedEarly: 4, drops: { natFull: 3 } }, undefined),
    /icmp\), 1 of them above; 2 ports\n4 have ended early, .*\ndropped: natFull 3$/,
  )
  const metrics = await routerMetrics(daemon).metrics()
  t.match(metrics, /\nnetstrata_policy_packets_total\{rule="out",action="allow",family="ipv4"\} [1-9]/)
  t.match(metrics, /\nnetstrata_nat_sessions\{protocol="tcp"\} 1\n/)
  t.match(metrics, /\nnetstrata_nat_sessions_ended_early_total 0\n/)
  t.match(metrics, /\nnetstrata_nat_ports 2\n/)
  t.match(metrics, /\nnetstrata_group_packets_total\{group="239\.1\.2\.3",source="",from="wan"\} 0\n/)

  writeFileSync(file, text.slice(0, text.indexOf('policy:')))
  t.match(await ask('held', 'reload'), { steps: [/^~ policy\n {2}- allow answer\n/, /^~ groups\n/, /^~ nat\n/] })
  for (const [method, params] of [['policy'], ['policyTest', PACKET], ['nat', { limit: 1 }]] as const)
    await t.rejects(ask('held', method, params), { message: /says nothing of/ })
  client.destroy()
  socket.close()
  await control.close()
})

t.test('services that the policy silences', async (t) => {
  const text = (rules: string) => `links:
  lan: { link: 'udp:0', addresses: [192.168.0.1/24], dhcp: { pool: [192.168.0.9, 192.168.0.99] } }
  wan: { link: 'udp:0', dhcp: client }
babel: { interfaces: { lan: {} } }
rip: { interfaces: { lan: {} } }
policy: { default: deny, rules: [${rules}] }
`
  const of = (rules: string) => {
    const { fixture, state } = read(text(rules))
    return silenced({ fixture, ...state })
  }
  const all = of('').map(({ service, link, hook, port }) => `${service} ${link} ${hook} ${port}`)
  t.same(all.sort(), [
    ...['Babel lan input 6696', 'Babel lan output 6696', 'DHCP client wan output 67', 'DHCP server lan input 67'],
    ...[
      'DHCP server lan output 68',
      'RIP lan input 520',
      'RIP lan input 521',
      'RIP lan output 520',
      'RIP lan output 521',
    ],
  ])
  t.same(of('{ hook: [input, output], protocol: udp, action: allow }'), [])
  const left = of(
    "{ hook: output, action: allow }, { source: 'fe80::/10', action: allow }, { name: x, in: lan, action: reject }",
  )
  t.match(left, [
    { service: 'DHCP server', rule: 'x' },
    { service: 'RIP', destination: '224.0.0.9', rule: 'x' },
  ])
  t.match(policyFindings(left.slice(0, 1)), [
    {
      ...{ check: 'policy', result: 'warning', detail: 'DHCP server on lan hears nothing: rule x denies it' },
      advice: 'allow input in lan udp to 255.255.255.255 port 67',
    },
  ])
  t.same(silenced({ ...read(`${LINKS}babel: { interfaces: { lan: {} } }`), links: [], routes: [], services: [] }), [])
})

t.test('packets without a running router', async (t) => {
  const { policy } = read(`${LINKS}${RULES}`).state
  if (policy === undefined) throw new Error('no policy')
  t.match(sampleText(sampleAnswer(policy, PACKET)), /^deny: no rule decides, so the default does\n {2}forward tcp from/)
  t.match(sampleAnswer(policy, { ...PACKET, in: 'lan', out: 'wan' }), { verdict: 'allow', rule: 'out' })
  const told = sampleAnswer(
    {
      rules: [
        { name: 'mark', action: 'rewrite', rewrite: { dscp: 8 } },
        { tcp: 'new', action: 'reject' },
      ],
    },
    PACKET,
  )
  t.match(sampleText(told), /^reject: rule 2\n.*\n {2}changed: dscp 8\n {2}\* mark {2}rewrite\n {2}\* 2 {5}reject$/)
  for (const words of [
    ['--to', '203.0.113.9'],
    ['--from', 'nowhere', '--to', '203.0.113.9'],
    ['--protocol', 'gre', '--from', '10.0.0.1', '--to', '203.0.113.9'],
    ['--flags', 'SYN,NIX', '--from', '10.0.0.1', '--to', '203.0.113.9'],
    ['@held', '--config', 'x', '--from', '10.0.0.1', '--to', '203.0.113.9'],
  ]) {
    const parsed = program().parseAsync(['policy', 'test', ...words], { from: 'user' })
    await t.rejects(parsed, { message: /argument|is an IP|It is tcp|some of|--from|not both/ }, words.join(' '))
  }
})
