// A program against the published types: two hosts on a cable, and an HTTP exchange between them, on virtual time.
import { strict as assert } from 'node:assert'
import { createServer, get } from 'node:http'
import { cable, ethernet, ip, ipv4, Simulation, seconds, sockets, stack, tcp, udp } from 'netstrata'
import type { Blueprint } from 'netstrata/kernel'
import { type DhcpServer, dhcpServer } from 'netstrata/middleware'
import type { CableEnd } from 'netstrata/physical'
import type { Sockets } from 'netstrata/transport'

const [a, b] = cable({ delay: 1000 })
const host = (end: CableEnd, address: string): Blueprint<Sockets> =>
  stack(end, ethernet(), ip(ipv4({ address })), sockets(tcp(), udp()))

const simulation = new Simulation({ seed: 7 })
const client = simulation.boot('client', host(a, '10.0.0.1/24'))
const gives = dhcpServer({ pool: ['10.0.0.100', '10.0.0.199'] })
const server = simulation.boot('server', stack(host(b, '10.0.0.2/24'), gives))

// @ts-expect-error a cable carries frames, and no network layer stands on those
stack(a, ip(ipv4({ address: '10.0.0.1/24' })))

server.net.attach(createServer((_, response) => response.end('hello'))).listen(80)

const dhcp: DhcpServer = server.top.dhcp
assert.deepEqual(dhcp.leases(), [])

let body = ''
get({ host: '10.0.0.2', agent: client.httpAgent() }, (response) => {
  response.setEncoding('utf8')
  response.on('data', (text: string) => {
    body += text
  })
})
assert.ok(await simulation.runUntil(() => body === 'hello', seconds(10)), `the answer was '${body}'`)
await simulation.close()
console.log('typed program: an HTTP exchange between two hosts')
