/** Echo both ways, with the kernel: every size there is, so also datagrams in many fragments. */
import t from 'tap'
import { packetsInUse, poisonReleased } from '../../src/kernel/packet.ts'
import { answered, flooded } from './echoes.ts'
import { oracle } from './helpers.ts'
import { dropsOf, MEDIA, OURS, stand, THEIRS } from './stand.ts'

poisonReleased(true)
t.setTimeout(600_000)
const SIZES = [0, 1, 56, 1472, 1473, 8972, 65_507]

for (const medium of MEDIA) {
  t.test(`ping over ${medium}`, { skip: oracle('root', 'tun', 'ip', 'ping', 'bridge') }, async (t) => {
    const before = packetsInUse()
    const { node, kernel } = await stand(t, medium)
    for (const size of SIZES) {
      t.equal(await answered(kernel, 10, '-i', '0.02', '-s', `${size}`, OURS), 10, `the kernel, ${size} octets`)
    }
    for (const size of SIZES) {
      const reply = await node.icmp.ping(THEIRS, { size })
      t.match(reply, { address: THEIRS, outcome: 'reply', octets: size, ttl: 64 }, `ours, ${size} octets`)
    }
    t.equal(await flooded(kernel, 2000, OURS), 2000, 'a flood')
    t.same(dropsOf(node), [], 'nothing was dropped')
    await node.close()
    t.equal(packetsInUse(), before)
  })
}
