/** Echo both ways, with the kernel: every size there is, so also datagrams in many fragments. */
import t from 'tap'
import { packetsInUse, poisonReleased } from '../../src/kernel/packet.ts'
import { oracle } from './helpers.ts'
import { dropsOf, MEDIA, OURS, stand, THEIRS } from './stand.ts'

poisonReleased(true)
t.setTimeout(300_000)
const SIZES = [0, 1, 56, 1472, 1473, 8972, 65_507]

for (const medium of MEDIA) {
  t.test(`ping over ${medium}`, { skip: oracle('root', 'tun', 'ip', 'ping', 'bridge') }, async (t) => {
    const before = packetsInUse()
    const { node, kernel } = await stand(t, medium)
    for (const size of SIZES) {
      const { output } = await kernel.run('ping', ...['-q', '-c', '10', '-i', '0.02', '-W', '2', '-s', `${size}`, OURS])
      t.match(output, '10 packets transmitted, 10 received', `the kernel, ${size} octets`)
      t.notMatch(output, /corrupt|DUP|wrong/)
    }
    for (const size of SIZES) {
      const reply = await node.icmp.ping(THEIRS, { size })
      t.match(reply, { address: THEIRS, outcome: 'reply', octets: size, ttl: 64 }, `ours, ${size} octets`)
    }
    const { output } = await kernel.run('ping', '-q', '-f', '-c', '2000', '-W', '1', OURS)
    t.match(output, ' 2000 received', 'a flood')
    t.same(dropsOf(node), [], 'nothing was dropped')
    await node.close()
    t.equal(packetsInUse(), before)
  })
}
