/** PPP between two processes, over a line that is two TCP connections. */
import t from 'tap'
import { line } from './line.ts'
import { Commands } from './running.ts'

const commands = new Commands(t)
t.setTimeout(600_000)

t.test('ping over PPP: CHAP both ways, addresses from one end, and a default route', async (t) => {
  const at = await line(t)
  const far = `ppp:${at},user=far,secret=known,demand,peer-address=10.0.0.2,mtu=601`
  const near = `ppp:${at},user=near,secret=known,demand,fcs32,default`
  const server = commands.start(['serve', '.', '--name', 'far', '--link', `${far},fcs32`, '--address', '10.0.0.1/32'])
  await server.said(/serving/)
  const ping = await commands.run(
    ...['ping', '10.0.0.1', '-c', '3', '-i', '0.1', '-s', '500', '--link', near, '--capture', 'ppp.pcapng'],
  )
  t.equal(ping.code, 0, ping.err)
  t.match(ping.out, /3 sent, 3 received, 0% lost/)
  t.match((await commands.run('links', '@far', '--json')).out, '"mtu":601,')
  t.match(await commands.run('routes', '@far', '--json'), { code: 0, out: /10\.0\.0\.2/ })
  t.equal((await server.interrupt()).code, 130)
  const dump = await commands.run('dump', 'ppp.pcapng')
  t.equal(dump.code, 0, dump.err)
  for (const said of [
    /LCP Configure-Request/,
    /CHAP Challenge/,
    /CHAP Success/,
    /IPCP Configure-Ack/,
    /ICMP echo reply/,
  ])
    t.match(dump.out, said)
  t.notMatch(dump.out, /bad FCS|malformed|truncated/)
})
