/** How commands end: nothing is lost that was written, nothing is left behind, and the code says why. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { CaptureReader } from '../../src/index.ts'
import { Commands, tunnel } from './running.ts'

const commands = new Commands(t)
t.setTimeout(600_000)

t.test('both ends of nc give all they have, whoever leaves first', async (t) => {
  const { first, second } = await tunnel()
  const big = 'from the one who connects\n'.repeat(20_000)
  const listen = commands.start(['nc', '-l', '7', ...first], 'from the one who listens\n')
  listen.child.stdin?.end()
  await listen.said(/listening/)
  const talk = commands.start(['nc', '10.0.0.1', '7', ...second], big)
  talk.child.stdin?.end()
  const [said, heard] = await Promise.all([talk.ended(), listen.ended()])
  t.same([said.code, heard.code], [0, 0], said.err + heard.err)
  t.equal(said.out, 'from the one who listens\n')
  t.ok(heard.out === big, `${heard.out.length} of ${big.length} octets`)
})

t.test('nc speaks datagrams, and stops listening for answers', async (t) => {
  const { first, second } = await tunnel()
  const listen = commands.start(['nc', '-u', '-l', '7', ...first], '')
  await listen.said(/listening on port 7/)
  listen.child.stdin?.write('too early')
  await listen.said(/nobody has been heard from yet/)
  const talk = commands.start(['nc', '-u', '-q', '0.5', '10.0.0.1', '7', ...second], 'question')
  await listen.said(/question/)
  listen.child.stdin?.write('answer')
  await talk.said(/answer/)
  talk.child.stdin?.end()
  t.match(await talk.ended(), { code: 0, out: 'answer', err: '' })
  t.match(await listen.interrupt(), { code: 130, out: 'question' })
  const refused = commands.start(['nc', '-u', '10.0.0.2', '7', ...second], 'nobody there')
  refused.child.stdin?.end()
  t.match(await refused.ended(), { code: 4, out: '', err: /ECONNREFUSED/ })
})

t.test('a port that nobody serves, and a host that is not there', async (t) => {
  const { first, second } = await tunnel()
  const listen = commands.start(['nc', '-l', '7', ...first], '')
  await listen.said(/listening/)
  t.match(await commands.run('nc', '10.0.0.1', '8', ...second), { code: 4, out: '', err: /nobody listens there/ })
  t.match(await commands.run('nc', '10.0.0.9', '8', '-W', '0.3', '--json', ...second), {
    code: 4,
    err: /^\{"error":\{"code":"ETIMEDOUT","message":"ETIMEDOUT: no answer from 10\.0\.0\.9:8 within 0\.3 s"\}\}\n$/,
  })
  t.match(await commands.run('ping', '10.9.0.1', '-c', '1', ...second), { code: 4, err: /ENETUNREACH/ })
  t.equal((await listen.interrupt()).code, 130, 'an open stdin keeps nobody')
})

t.test('ping ends at Ctrl-C with its summary', async (t) => {
  const { first } = await tunnel()
  const ping = commands.start(['ping', '10.0.0.1', '-i', '0.1', ...first])
  await ping.said(/seq=3 /)
  t.match(await ping.interrupt(), { code: 130, out: /round trip min\/mean\/max/ })
})

t.test('a reader that has seen enough ends a command, and that is no failure', async (t) => {
  const { first } = await tunnel()
  const ping = commands.start(['ping', '10.0.0.1', '-i', '0.05', '--name', 'chatty', ...first])
  await ping.said(/seq=2 /)
  ping.child.stdout?.destroy()
  t.equal((await ping.ended()).code, 0)
  t.equal(ping.err, 'PING 10.0.0.1, 56 octets of data\n', 'without a word')
})

t.test('so does one of its messages; why a command failed is known all the same', async (t) => {
  const listen = commands.start(['nc', '-u', '-l', '7', ...(await tunnel()).first], '')
  await listen.said(/listening on port 7/)
  listen.child.stderr?.destroy()
  listen.child.stdin?.write('nobody has been heard from yet, it would say')
  t.match(await listen.ended(), { code: 0, out: '' })
  const codes = [['links', '@nobody'], ['frobnicate'], ['--help']].map(async (args) => {
    const command = commands.start(args)
    command.child.stdout?.destroy()
    command.child.stderr?.destroy()
    return (await command.ended()).code
  })
  t.same(await Promise.all(codes), [4, 2, 0])
})

t.test('a server that is told to end leaves a whole capture, and no socket', async (t) => {
  const { first, second } = await tunnel()
  const site = join(commands.folder, 'site')
  const capture = join(commands.folder, 'whole.pcapng')
  mkdirSync(site)
  writeFileSync(join(site, 'page.txt'), 'page\n')
  const serve = commands.start(['serve', site, '--capture', capture, ...first])
  await serve.said(/serving/)
  const get = commands.start(['nc', '10.0.0.1', '80', ...second], 'GET /page.txt HTTP/1.0\r\n\r\n')
  get.child.stdin?.end()
  t.match(await get.ended(), { code: 0, out: /200 OK[\s\S]*page\n$/ }, 'also for who ends its side first')
  t.same(commands.sockets(), ['serve.sock'])
  t.match(await serve.interrupt('SIGTERM'), { code: 130, out: '10.0.0.2 GET /page.txt 200\n' })
  t.notOk(existsSync(join(commands.folder, 'netstrata')), 'the folder of the sockets goes with the last of them')
  const reader = new CaptureReader()
  t.ok(reader.push(readFileSync(capture)).length > 10)
  reader.end()
})

t.test('forward lets go of its clients', async (t) => {
  const { first, second } = await tunnel()
  const listen = commands.start(['nc', '-l', '7', ...first], '')
  await listen.said(/listening/)
  const forward = commands.start(['forward', '0', '10.0.0.1:7', '--json', ...second])
  await forward.said(/listening/)
  const { listening } = JSON.parse(forward.out) as { listening: { port: number } }
  const client = net.connect(listening.port, '127.0.0.1').on('error', () => {})
  client.write('through')
  await listen.said(/through/)
  const taken = await commands.run('forward', String(listening.port), '10.0.0.1:7', ...(await tunnel()).first)
  t.match(taken, { code: 1, err: /in use by another program: choose another, or 0 for a free one\n$/ })
  const gone = once(client, 'close')
  t.equal((await forward.interrupt()).code, 130)
  await gone
  // The other end is told: the connection is over for it too.
  t.ok([0, 4].includes((await listen.ended()).code ?? -1), listen.err)
})

t.test('dump reads what others give it, live too', async (t) => {
  const { first, second } = await tunnel()
  const listen = commands.start(['nc', '-l', '7', '--name', 'seen', ...first], '')
  await listen.said(/listening/)
  const dump = commands.start(['dump', '@seen', '-c', '3'])
  const copy = commands.start(['dump', '@seen', '-w', 'live.pcapng'])
  await Promise.all([dump.said(/watching @seen/), copy.said(/watching @seen/)])
  t.match(await commands.run('ping', '10.0.0.1', '-c', '1', ...second), { code: 0 })
  t.equal((await copy.interrupt()).code, 130, 'at once: what the node still holds back is waited for')
  t.equal((await dump.ended()).code, 0)
  t.equal(dump.out.trim().split('\n').length, 3)
  const piped = spawn('cat', [join(commands.folder, 'live.pcapng')])
  const reader = commands.start(['dump'], '')
  piped.stdout.on('data', (chunk) => reader.child.stdin?.write(chunk)).on('end', () => reader.child.stdin?.end())
  t.match(await reader.ended(), { code: 0, out: /seen\/eth0\S* < .*ICMP echo request/ })
  const last = commands.start(['dump', '@seen'])
  await last.said(/watching @seen/)
  const talk = commands.start(['nc', '10.0.0.1', '7', ...second], '')
  talk.child.stdin?.end('a line of what is said\n'.repeat(20_000))
  await listen.said(/(a line of what is said\n){20000}/)
  listen.child.stdin?.end()
  await Promise.all([talk.ended(), listen.ended()])
  t.match(await last.ended(), { code: 0, out: /seen\/eth0\S* > 10\.0\.0\.1.*\[F/ }, 'to the last, when the node ends')
  t.match(await commands.run('dump', 'absent.pcapng'), { code: 1, err: /'absent\.pcapng' cannot be read: there is no/ })
  t.match(await commands.run('dump', '-w', 'live.pcapng', 'live.pcapng'), { code: 2, err: /would overwrite/ })
})
