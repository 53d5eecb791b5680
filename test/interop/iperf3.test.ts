/** The iperf3 client of the kernel's host against the server of examples/, which runs on our sockets. */
import { once } from 'node:events'
import t from 'tap'
import { iperf3, type TestReport } from '../../examples/iperf3-server.ts'
import { packetsInUse, poisonReleased } from '../../src/kernel/packet.ts'
import { oracle, until } from './helpers.ts'
import { MEDIA, OURS, stand } from './stand.ts'

poisonReleased(true)
t.setTimeout(600_000)

/** Options of iperf3; how many streams we receive and how many we send. */
const RUNS: readonly [options: string, received: number, sent: number][] = [
  ['-t 1', 1, 0],
  ['-t 1 -R', 0, 1],
  ['-t 1 -P 2', 2, 0],
  ['-t 1 -P 2 -R', 0, 2],
  ['-t 1 --bidir', 1, 1],
  ['-n 20M -l 1000', 1, 0],
  ['-n 20M -R', 0, 1],
  ['-t 2 -O 1', 1, 0],
]

for (const medium of MEDIA) {
  t.test(`iperf3 over ${medium}`, { skip: oracle('root', 'tun', 'ip', 'iperf3', 'bridge') }, async (t) => {
    const before = packetsInUse()
    const { node, kernel } = await stand(t, medium)
    const reports: TestReport[] = []
    const failures: Error[] = []
    const server = node.net.createServer(
      { noDelay: true },
      iperf3({ ended: (report) => reports.push(report), failed: (error) => failures.push(error) }),
    )
    server.listen(5201)
    await once(server, 'listening')
    for (const [options, receives, sends] of RUNS) {
      const { code, output } = await kernel.run('iperf3', '-J', '-C', 'cubic', '-c', OURS, ...options.split(' '))
      t.equal(code, 0, options)
      const { end } = JSON.parse(output)
      // The client ends a moment before us.
      await until(() => reports.length > 0, 'the report')
      const { streams = [] } = reports.pop() ?? {}
      t.equal(streams.filter(({ direction }) => direction === 'received').length, receives)
      t.equal(streams.filter(({ direction }) => direction === 'sent').length, sends)
      for (const { id, octets } of streams) t.ok(octets > 1_000_000, `stream ${id}: ${octets} octets`)
      t.equal(end.streams.length, receives + sends)
      t.comment(`${medium} ${options}: ${megabits(end.sum_sent)} Mbit/s sent, ${megabits(end.sum_received)} received`)
    }
    t.match(await kernel.run('iperf3', '-c', OURS, '-u', '-t', '1'), { code: 1, output: /not implemented/ })
    t.equal(failures.length, 1)
    await node.close()
    t.equal(packetsInUse(), before)
  })
}

function megabits(sum: { bits_per_second: number }): number {
  return Math.round(sum.bits_per_second / 1e6)
}
