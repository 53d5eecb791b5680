/** Ethernet over a stream with a VDE switch at the other end, which the kernel is on too. QEMU's streams are in qemu.test.ts. */
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import t from 'tap'
import { boot, ethernet, ip, ipv4, sockets, stack, tcp, udp } from '../../src/index.ts'
import { parseLinkSpec, type VdeSpec } from '../../tools/stack/link-spec.ts'
import { ethernetMedium } from '../../tools/stack/media.ts'
import { answered } from './echoes.ts'
import { namespace, oracle, until } from './helpers.ts'
import { folder, payload, payloadHash } from './payload.ts'

t.setTimeout(600_000)
const FILE_OCTETS = 4 << 20

t.test('a VDE switch', { skip: oracle('root', 'tun', 'ip', 'ping', 'curl', 'vde_switch', 'vde_plug') }, async (t) => {
  const kernel = namespace(t)
  const home = folder(t)
  // Its console is its standard input: the switch ends with that.
  await kernel.start(/on/, 'sh', '-c', `echo on; tail -f /dev/null | vde_switch -s ${join(home, 'switch')} -t x0`)
  const ready = () => existsSync(join(home, 'switch', 'ctl')) && /x0/.test(kernel.ip('link'))
  await until(ready, 'the switch has made its device')
  kernel.ip('addr', 'add', '10.9.0.1/24', 'dev', 'x0')
  kernel.ip('link', 'set', 'x0', 'up')
  const spec = parseLinkSpec(`vde:${join(home, 'switch')}`) as VdeSpec
  const host = stack(ethernetMedium(spec), ethernet(), ip(ipv4({ address: '10.9.0.2/24' })))
  const node = await boot(stack(host, sockets(tcp(), udp())))
  t.teardown(() => node.close())
  const server = createServer((_request, response) => void payload((n) => n < FILE_OCTETS).stream.pipe(response))
  await once(node.net.attach(server).listen(80), 'listening')

  for (const size of ['0', '1400', '20000']) {
    t.equal(await answered(kernel, 5, '-i', '0.05', '-s', size, '10.9.0.2'), 5, `pings of ${size} octets`)
  }
  const file = join(home, 'file')
  await kernel.run('curl', '-s', '-o', file, 'http://10.9.0.2/')
  const { output } = await kernel.run('sha256sum', file)
  t.match(output, payloadHash(FILE_OCTETS), 'what curl fetches is what was sent')
})
