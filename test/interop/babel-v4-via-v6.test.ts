/**
 * IPv4 over links that have no IPv4 addresses (RFC 9229): a node of ours, which has none at all, between two kernels with babeld,
 * which hold routes `via inet6` to us. (bird 2.0.12 knows no such routes.)
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import {
  babel,
  beside,
  boot,
  ethernet,
  ip,
  ipv4,
  ipv6,
  seconds,
  sockets,
  stack,
  tapDevice,
  tcp,
  udp,
} from '../../src/index.ts'
import { babeld, comes, kernelRouter, pings, STATE_PORT } from './babel-peers.ts'
import { type Namespace, oracle } from './helpers.ts'

t.setTimeout(600_000)
const skip = oracle('root', 'tun', 'ip', 'ping', 'babeld', 'socat')

t.test('IPv4 over links without IPv4 addresses', { skip }, async (t) => {
  const [a, c] = [await kernelRouter(t, 1), await kernelRouter(t, 3)]
  const tap = (inside: Namespace) => stack(tapDevice({ name: 'x0', netns: inside.name }), ethernet())
  const how = { helloInterval: seconds(1), unicastHelloInterval: seconds(1), updateInterval: seconds(4) }
  const node = await boot(
    stack(
      beside({ left: tap(a), right: tap(c) }),
      ip(ipv4({ forwarding: true }), ipv6({ forwarding: true })),
      sockets(tcp(), udp()),
      babel({ interfaces: { left: how, right: how } }),
    ),
    'router',
  )
  t.teardown(() => node.close())
  const { network, babel: router } = node.top
  for (const kernel of [a, c]) {
    const folder = mkdtempSync(join(tmpdir(), 'babel-'))
    t.teardown(() => rmSync(folder, { recursive: true }))
    await babeld(kernel, folder, 'x0')
  }
  t.ok(await comes(pings(a, '10.255.0.1', '10.255.0.3'), 60_000), 'from end to end')
  t.ok(await comes(pings(c, '10.255.0.3', '10.255.0.1'), 60_000), 'and back')
  for (const [kernel, far] of [[a, '10.255.0.3'] as const, [c, '10.255.0.1'] as const]) {
    t.match(kernel.ip('route', 'show', far), /via inet6 fe80:/, 'the kernel has the route by our link-local address')
    t.match(network.routes.lookup(far), { via: /^fe80:/, origin: 'babel' })
  }
  const big = ['-c', '1', '-W', '30', '-s', '4000', '-I', '10.255.0.1', '10.255.0.3']
  t.equal((await a.run('ping', ...big)).code, 0, 'fragments')
  const { output } = await a.run('ping', '-c', '1', '-W', '30', '-t', '1', '-I', '10.255.0.1', '10.255.0.3')
  t.match(output, /From 192\.0\.0\.8 .*Time to live exceeded/, 'an error of ours, who have no address at all')
  t.notOk(router.drops.has('routeRefused'))
  const state = async (): Promise<string> =>
    (await a.run('sh', '-c', `printf 'dump\\nquit\\n' | socat -t 60 - TCP6:[::1]:${STATE_PORT}`)).output
  t.ok(
    await comes(async () => /add neighbour .* ureach f/.test(await state()), 60_000),
    'our hellos to it alone arrive',
  )
})
