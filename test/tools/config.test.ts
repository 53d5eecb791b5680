import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { readConfig } from '../../tools/stack/config.ts'

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
hosts: { printer: 10.0.0.7 }
`)
  t.match(config, {
    name: 'R',
    gateway: '10.0.1.254',
    forwarding: true,
    hosts: { printer: '10.0.0.7' },
    routes: [{ prefix: '10.9.0.0/16', via: '10.0.0.9' }],
    links: [
      { name: 'lan', spec: { type: 'tap', device: 'tap0', netns: 'A' }, addresses: ['10.0.0.1/24'] },
      { name: 'wan', spec: { type: 'udp', local: { port: 7000 } }, addresses: ['10.0.1.1/24'] },
    ],
  })
})

t.test('errors name file, line and column, all at once', async (t) => {
  const wrong: [string, RegExp][] = [
    ['links: {', /node\.yaml:1:\d+: /],
    ['links: {}', /node\.yaml:1:8: links: a node needs at least one link/],
    ['{}', /node\.yaml:1:1: links: /],
    ['links:\n  a: { link: "tap:" }', /node\.yaml:2:14: links\.a\.link: 'tap:' is not a link/],
    ['links:\n  a:\n    link: tap:t0\n    adresses: []', /node\.yaml:4:15: links\.a: .*adresses/],
    [
      'links:\n  a: { link: "tap:t0", addresses: [10.0.0.1/33] }\ngateway: x',
      /2:36: links\.a\.addresses\.0: .*\n.*3:10: gateway: /,
    ],
  ]
  for (const [text, message] of wrong) t.throws(() => read(text), { exitCode: 3, code: 'ERR_CONFIG', message }, text)
  t.throws(() => readConfig(join(directory, 'absent.yaml')), { exitCode: 3, message: /absent\.yaml: ENOENT/ })
})
