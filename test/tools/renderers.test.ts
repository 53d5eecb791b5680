/** What commands print, from models alone. */
import t from 'tap'
import { findingText } from '../../tools/commands/doctor.ts'
import { explanationText } from '../../tools/commands/explain.ts'
import { statusText } from '../../tools/commands/status.ts'
import { prettyLine } from '../../tools/router/log.ts'

const plain = { dim: String, yellow: String, red: String }

t.test('a log line for people', async (t) => {
  const time = '2026-11-29T17:44:25.818Z'
  const line = (record: object): string => prettyLine(JSON.stringify({ time, pid: 7, ...record }), plain)
  t.equal(line({ level: 30, msg: 'metrics', port: 9100 }), '17:44:25 info  metrics  port=9100\n')
  t.equal(line({ level: 50, msg: 'no', reason: 'a b' }), '17:44:25 ERROR no  reason="a b"\n')
  t.equal(line({ level: 40, msg: 'hm', links: ['a'] }), '17:44:25 WARN  hm  links=["a"]\n')
  t.equal(prettyLine('not a record\n', plain), 'not a record\n')
})

t.test('a status', async (t) => {
  const status = {
    ...{ name: 'r1', pid: 42, version: '1.2.3', runtime: 'v20.19.0', uptimeSeconds: 93_784, clockStepMs: 0 },
    ...{ links: { up: 1, down: 2 }, conflicts: 0, routes: 3, neighbours: 4, sockets: 5 },
  }
  t.equal(
    statusText(status),
    `node        r1 (process 42), up 1 d 2 h
version     netstrata 1.2.3, node v20.19.0
links       1 up, 2 down
routes      3
neighbours  4
sockets     5`,
  )
  const daemon = {
    file: '/r.yaml',
    loadedAt: 0,
    reloads: 2,
    failedReloads: 1,
    lastReload: { at: 61_000, error: 'x\ny' },
    nat: {
      ...{ link: 'wan', address: '203.0.113.2', ports: 3, maxSessions: 65_536, endedEarly: 0 },
      sessions: { tcp: 7, udp: 4, icmp: 1 },
    },
  }
  t.match(
    statusText({ ...status, uptimeSeconds: 0, ...daemon }),
    `up 0 s
version        netstrata 1.2.3, node v20.19.0
links          1 up, 2 down
routes         3
neighbours     4
sockets        5
nat            out of wan, as 203.0.113.2; 12 of 65536 sessions
configuration  /r.yaml, as of 1970-01-01 00:00:00
reloads        2 done, 1 refused
refused        1970-01-01 00:01:01, what ran before goes on:
               x
               y`,
  )
  const nowhere = { ...daemon.nat, address: undefined }
  t.match(
    statusText({ ...status, nat: nowhere }),
    /\nnat +out of wan, as nobody: it has no address; 12 of 65536 sessions$/,
  )
})

t.test('why a route is taken', async (t) => {
  const route = {
    prefix: '10.0.0.0/8',
    via: '10.1.0.1',
    link: 'a',
    metric: 0,
    origin: 'static',
    action: 'forward',
  } as const
  const other = { ...route, prefix: '0.0.0.0/0', action: 'blackhole' } as const
  const candidates = [
    { route, chosen: true, rule: 'longestPrefix' as const },
    { route: other, chosen: false, rule: 'longestPrefix' as const },
  ]
  t.equal(
    explanationText({ destination: '10.0.0.9', local: false, chosen: route, candidates }),
    `10.0.0.9 takes 10.0.0.0/8 via 10.1.0.1 on a, metric 0, static
  * 10.0.0.0/8 via 10.1.0.1 on a, metric 0, static
      taken: its prefix is the longest
    0.0.0.0/0 (blackhole), metric 0, static
      not taken: another has a longer prefix`,
  )
  const none = { destination: '10.0.0.9', chosen: undefined, candidates: [] }
  t.match(explanationText({ ...none, local: false }), 'no route leads there')
  t.match(explanationText({ ...none, local: true }), 'the node itself')
})

t.test('what the doctor finds', async (t) => {
  t.equal(findingText({ check: 'Node', result: 'ok', detail: 'v20' }), 'ok    Node: v20')
  t.equal(
    findingText({ check: 'link a', result: 'failed', detail: 'it is down', advice: 'lift it' }),
    'FAIL  link a: it is down\n      → lift it',
  )
})
