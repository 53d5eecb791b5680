/** The example that needs a kernel on the other side, as its readers run it: a process of its own, and curl. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import t from 'tap'
import { namespace, oracle, until } from './helpers.ts'
import { OURS, THEIRS } from './stand.ts'

t.setTimeout(600_000)
const script = join(import.meta.dirname, '../../examples/tap-http-server.ts')
const tsx = import.meta.resolve('tsx')

t.test('an HTTP server behind a TAP device', { skip: oracle('root', 'tun', 'ip', 'curl') }, async (t) => {
  const kernel = namespace(t)
  kernel.ip('tuntap', 'add', 'dev', 'tap0', 'mode', 'tap', 'vnet_hdr')
  kernel.ip('addr', 'add', `${THEIRS}/24`, 'dev', 'tap0')
  kernel.ip('link', 'set', 'tap0', 'up')
  const example = (name: string) => {
    const child = spawn(process.execPath, [`--import=${tsx}`, script, name, `${OURS}/24`, kernel.name])
    const said = { out: '', err: '' }
    child.stdout.on('data', (chunk: Buffer) => (said.out += chunk))
    child.stderr.on('data', (chunk: Buffer) => (said.err += chunk))
    t.teardown(() => child.kill('SIGKILL'))
    return { child, said, closed: once(child, 'close') }
  }
  const server = example('tap0')
  await until(() => server.said.out !== '' || server.child.exitCode !== null, 'that it serves')
  t.same(server.said, { out: `http://${OURS}/\n`, err: '' })
  const { output } = await kernel.run('curl', '-sS', '-m', '30', `http://${OURS}/a/page`)
  t.equal(output, `hello, ${THEIRS}: you asked for /a/page\n`)

  const second = example('tap0')
  t.same(await second.closed, [1, null])
  t.match(second.said, {
    out: '',
    err: /^EBUSY: the TAP device 'tap0' in namespace .* is in use by another process: .*\n$/,
  })

  server.child.kill('SIGINT')
  t.same(await server.closed, [0, null], server.said.err)
  t.match(kernel.ip('-br', 'link', 'show', 'tap0'), /DOWN|UNKNOWN|UP/, 'the device that was there before stays')
})
