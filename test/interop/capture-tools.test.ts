/** tshark reads the captures that others take with us: the demo's, those of commands, and what `record` has kept. */
import { join } from 'node:path'
import t from 'tap'
import { captureSink } from '../../src/capture/file.ts'
import { LINKTYPE } from '../../src/capture/pcapng.ts'
import { CaptureWriter } from '../../src/capture/writer.ts'
import { ms, seconds } from '../../src/index.ts'
import { network, type Recorder, record } from '../../src/testing.ts'
import { Commands, tunnel } from '../tools/running.ts'
import { oracle } from './helpers.ts'
import { folder, payload, received } from './payload.ts'
import { assertCleanCapture, type CleanCapture } from './tshark.ts'

t.setTimeout(600_000)
const skip = oracle('tshark')
const commands = new Commands(t)
const file = (name: string): string => join(commands.folder, name)
const names = ({ interfaces }: CleanCapture): string[] => [...interfaces.keys()].sort()

t.test("the demo's capture, and a copy that dump writes of it", { skip }, async (t) => {
  const { code, out, err } = await commands.run('demo', '--capture', 'demo.pcapng')
  t.equal(code, 0, out + err)
  const demo = await assertCleanCapture(t, file('demo.pcapng'))
  t.same(names(demo), ['alice/impair', 'bob/impair', 'r1/eth0/cable', 'r1/eth1/cable'])
  t.equal(demo.good.fcs, demo.frames, 'every FCS was there and good')
  t.ok(demo.good.tcp > 400, `${demo.good.tcp} segments`)
  const drops = Number(/after (\d+) drops/.exec(out)?.[1])
  const told = (what: RegExp): number => demo.comments.filter((comment) => what.test(comment)).length
  t.equal(told(/^dropped by (alice|bob)\/impair: loss$/), drops, 'each loss is told')
  t.equal(told(/^dropped by (?!\w+\/(impair|eth\d\/arp): (loss|notForUs))/), 0, 'and nothing else was lost')
  t.ok(told(/^retransmit: rack \(RFC 8985 §6\.2\)$/) > 0, 'and what was done about them')
  t.match(await commands.run('dump', '-w', 'copy.pcapng', 'demo.pcapng'), { code: 0, out: '', err: '' })
  t.same(await assertCleanCapture(t, file('copy.pcapng')), demo, 'the same')
  t.match(await commands.run('dump', '-w', 'bob.pcapng', '-i', 'bob', 'demo.pcapng'), { code: 0 })
  t.match(names(await assertCleanCapture(t, file('bob.pcapng'))), [/^bob\//])
})

t.test('captures of running commands: --capture, and dump -w from outside', { skip }, async (t) => {
  const { first, second } = await tunnel()
  const listen = commands.start(['nc', '-l', '7', '--name', 'seen', '--capture', 'listen.pcapng', ...first], '')
  await listen.said(/listening/)
  const watch = commands.start(['dump', '@seen', '-w', 'live.pcapng'])
  await watch.said(/watching @seen/)
  const ping = await commands.run('ping', '10.0.0.1', '-c', '3', '-i', '0.05', '-s', '4000', ...second)
  t.match(ping, { code: 0 })
  const talk = commands.start(['nc', '10.0.0.1', '7', '--capture', 'talk.pcapng', ...second], '')
  talk.child.stdin?.end('something to say\n'.repeat(20_000))
  await listen.said(/(something to say\n){20000}/)
  listen.child.stdin?.end()
  t.match(await talk.ended(), { code: 0 })
  t.match(await listen.ended(), { code: 0 })
  t.match(await watch.ended(), { code: 0 })
  const [listened, talked, live] = await Promise.all(
    ['listen.pcapng', 'talk.pcapng', 'live.pcapng'].map((name) => assertCleanCapture(t, file(name))),
  )
  t.ok((listened?.good.tcp ?? 0) > 200 && (listened?.good.icmp ?? 0) >= 6, JSON.stringify(listened?.good))
  t.ok((talked?.good.tcp ?? 0) > 200, JSON.stringify(talked?.good))
  t.same(live?.good, listened?.good, 'from outside the same is seen, to the end')
})

t.test('what record has kept, written as a capture', { skip }, async (t) => {
  await using net = network({
    seed: 3,
    hosts: { A: {}, B: {} },
    routers: { R: {} },
    links: [
      { between: ['A', 'R'], delay: ms(5) },
      { between: ['R', 'B'], loss: 0.02 },
    ],
  })
  const seen = record(net.sim, { boundary: /\/cable$/ })
  const path = join(folder(t), 'recorded.pcapng')
  const { A, B } = net.nodes
  B.net.createServer((socket) => void payload((octets) => octets < 200_000).stream.pipe(socket)).listen(80)
  const arrived = received(A.net.connect(80, 'B'))
  const pinged = A.icmp.ping('B', { size: 3000 }).catch(() => undefined)
  await net.sim.run(seconds(60))
  await pinged
  t.ok((await arrived).octets >= 200_000)
  await write(path, seen)
  const { frames, good } = await assertCleanCapture(t, path)
  t.equal(frames, seen.frames.length)
  t.equal(good.fcs, frames)
  t.ok(good.tcp > 300, JSON.stringify(good))
})

async function write(path: string, { frames }: Recorder): Promise<void> {
  const sink = captureSink(path)
  const capture = new CaptureWriter(sink.write)
  for (const { at, boundary: name, direction, octets } of frames)
    capture.packet({
      interface: { name, linkType: LINKTYPE.ethernet, fcsOctets: 4 },
      seconds: Math.floor(at / 1e6),
      nanoseconds: (at % 1e6) * 1000,
      octets,
      wireLength: octets.length,
      direction: direction === 'up' ? 'in' : 'out',
      comments: [],
    })
  await sink.close()
}
