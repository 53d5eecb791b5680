import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Command } from 'commander'
import t from 'tap'
import { readConfig } from '../../tools/stack/config.ts'
import { stackConfig, withStack } from '../../tools/stack/options.ts'

const directory = mkdtempSync(join(tmpdir(), 'netstrata-config-'))
t.teardown(() => rmSync(directory, { recursive: true }))

function read(text: string): ReturnType<typeof readConfig> {
  const path = join(directory, 'node.yaml')
  writeFileSync(path, text)
  return readConfig(path)
}

t.test('a whole configuration', async (t) => {
  const config = read(`
name: R
links:
  lan: { link: "tap:tap0,netns=A", addresses: [10.0.0.1/24] }
  wan:
    link: udp:7000,peer=127.0.0.1:7001
    addresses:
      - 10.0.1.1/24
gateway: 10.0.1.254
forwarding: true
routes:
  - { prefix: 10.9.0.0/16, via: 10.0.0.9 }
hosts: { printer: 10.0.0.7, files: [10.0.0.8, "fd00::8"] }
`)
  t.match(config, {
    name: 'R',
    gateways: ['10.0.1.254'],
    forwarding: true,
    hosts: { printer: '10.0.0.7', files: ['10.0.0.8', 'fd00::8'] },
    routes: [{ prefix: '10.9.0.0/16', via: '10.0.0.9' }],
    links: [
      { name: 'lan', spec: { type: 'tap', device: 'tap0', netns: 'A' }, addresses: ['10.0.0.1/24'] },
      { name: 'wan', spec: { type: 'udp', local: { port: 7000 } }, addresses: ['10.0.1.1/24'] },
    ],
  })
})

const LINK = 'links: { a: { link: "tap:t0", addresses: [10.0.0.1/24] } }\n'

t.test('one gateway for each family; an option takes the place of that of its own', (t) => {
  const path = join(directory, 'gateways.yaml')
  const gatewaysOf = (file: string, ...given: string[]): readonly string[] => {
    writeFileSync(path, LINK + file)
    const command = withStack(new Command())
    command.parse(['--config', path, ...given.flatMap((text) => ['--gateway', text])], { from: 'user' })
    return stackConfig(command.opts()).gateways
  }
  t.same(gatewaysOf(''), [])
  t.same(gatewaysOf('', '10.0.0.2', 'fe80::1%a'), ['10.0.0.2', 'fe80::1%a'])
  t.same(gatewaysOf('gateway: [10.0.0.2, "fe80::1%a"]', 'fe80::2'), ['fe80::2', '10.0.0.2'])
  t.same(gatewaysOf('gateway: 10.0.0.2', '10.0.0.3'), ['10.0.0.3'])
  const message = /one gateway for IPv4 and one for IPv6/
  t.throws(() => gatewaysOf('', '10.0.0.2', '10.0.0.3'), { exitCode: 2, message })
  t.end()
})

t.test('errors name file, line and column, all at once', async (t) => {
  const wrong: [string, RegExp][] = [
    ['links: {', /node\.yaml:1:\d+: /],
    ['links: {}', /node\.yaml:1:8: links: a node needs at least one link/],
    ['{}', /node\.yaml:1:1: links: missing: it is a map such as \{ key: value \}$/],
    ['', /node\.yaml:1:1: not a map such as /],
    ['links:\n  a: {}', /2:6: links\.a\.link: missing: it is text$/],
    [
      'links:\n  a: { link: "tap:t0", addresses: 10.0.0.1/8 }',
      /2:35: links\.a\.addresses: not a list such as \[a, b\]$/,
    ],
    [
      `${LINK}gateway: 5\nforwarding: maybe`,
      /2:10: gateway: not text, or a list such as \[a, b\]\n.*3:13: forwarding: not true or false$/,
    ],
    ['links:\n  a: { link: "tap:" }', /node\.yaml:2:14: links\.a\.link: 'tap:' is not a link/],
    ['links:\n  a:\n    link: tap:t0\n    adresses: []', /node\.yaml:4:15: links\.a: .*adresses/],
    [
      'links:\n  a: { link: "tap:t0", addresses: [10.0.0.1/33] }\ngateway: x',
      /2:36: links\.a\.addresses\.0: .*\n.*3:10: gateway: not an IP address/,
    ],
    [`${LINK}gateway: [10.0.0.2, x]`, /2:21: gateway\.1: not an IP address/],
    [`${LINK}gateway: [10.0.0.2, 10.0.0.3]`, /2:10: gateway: there is one gateway for IPv4 and one for IPv6/],
    [`${LINK}hosts: { a: [10.0.0.2, x] }`, /2:24: hosts\.a\.1: not an IP address/],
    [`${LINK}hosts: { a: [] }`, /2:13: hosts\.a: a name needs an address/],
  ]
  for (const [text, message] of wrong) t.throws(() => read(text), { exitCode: 3, code: 'ERR_CONFIG', message }, text)
  t.throws(() => readConfig(join(directory, 'absent.yaml')), {
    exitCode: 3,
    message: /absent\.yaml' cannot be read: there is no such file/,
  })
})
