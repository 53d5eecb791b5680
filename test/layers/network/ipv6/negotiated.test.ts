/** Over PPP the address fe80::… is the one that both ends have agreed on, and no other (RFC 5072 §5). */
import t from 'tap'
import { cable, ip, ipv6, ms, ppp, Simulation, seconds, sockets, stack, tcp, udp } from '../../../../src/index.ts'

t.test('one link-local address, which answers', async (t) => {
  for (let seed = 1; seed <= 4; seed++) {
    const sim = new Simulation({ seed })
    const nodes = cable().map((end, i) =>
      sim.boot(`N${i}`, stack(end, ppp({ restart: ms(20) }), ip(ipv6()), sockets(tcp(), udp()))),
    )
    await sim.run(seconds(3))
    const own = nodes.map(({ top }) => top.network.addresses().filter((address) => address.startsWith('fe80::')))
    for (const addresses of own) t.equal(addresses.length, 1, String(addresses))
    const reply = nodes[0]?.icmp.ping(`${own[1]?.[0]}%eth0`, { timeout: seconds(1) })
    await sim.run(seconds(2))
    t.equal((await reply)?.outcome, 'reply')
    await sim.close()
  }
})
