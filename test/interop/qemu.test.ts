/**
 * A second kernel, without root: a virtual machine under QEMU whose network card is a pair of UDP ports or a Unix socket, and
 * on the other side our stack. It pings us, downloads from us, and serves us.
 */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import http from 'node:http'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import {
  boot,
  ethernet,
  ip,
  ipv4,
  lengthPrefix,
  type Node,
  type Sockets,
  sockets,
  stack,
  stream,
  tcp,
  type UdpTunnelOptions,
  udp,
  udpTunnel,
} from '../../src/index.ts'
import { freePorts } from '../tools/running.ts'
import { oracle } from './helpers.ts'
import { consoleOf, MACHINE_ORACLES, networkCard, startMachine } from './machine.ts'
import { folder } from './payload.ts'

const HOST = '127.0.0.1'
const [GUEST_PORT, OUR_PORT] = (await freePorts(2)) as [number, number]
const OCTETS = 4_000_000

t.setTimeout(900_000)

const SESSION = {
  session: 0x11,
  peerSession: 0x22,
  cookie: Buffer.from('0123456789abcdef', 'hex'),
  peerCookie: Buffer.from('fedcba9876543210', 'hex'),
}

const tunnel = (options: UdpTunnelOptions) =>
  udpTunnel({ ...options, local: { host: HOST, port: OUR_PORT }, peers: [{ host: HOST, port: GUEST_PORT }], mtu: 1500 })

/** How the machine's network card is joined to our link: both sides of it, the latter with a folder of the test's own. */
const WAYS = {
  'bare datagrams': {
    link: () => tunnel({ codec: 'raw' }),
    netdev: () =>
      `dgram,id=n0,local.type=inet,local.host=${HOST},local.port=${GUEST_PORT},` +
      `remote.type=inet,remote.host=${HOST},remote.port=${OUR_PORT}`,
  },
  'datagrams of L2TPv3': {
    link: () => tunnel({ codec: 'l2tpv3', l2tpv3: SESSION }),
    netdev: () =>
      `l2tpv3,id=n0,udp=on,src=${HOST},srcport=${GUEST_PORT},dst=${HOST},dstport=${OUR_PORT},` +
      'rxsession=0x22,txsession=0x11,cookie64=on,txcookie=0x0123456789abcdef,rxcookie=0xfedcba9876543210',
  },
  'a stream': {
    link: (home: string) => {
      const server = createServer().listen(join(home, 'card'))
      const machine = once(server, 'connection').then(([socket]) => {
        server.close()
        return socket as Socket
      })
      return stack(
        stream(() => machine),
        lengthPrefix(),
      )
    },
    netdev: (home: string) => `stream,id=n0,server=off,addr.type=unix,addr.path=${join(home, 'card')}`,
  },
}

for (const [way, { link, netdev }] of Object.entries(WAYS)) {
  const skip = oracle(...MACHINE_ORACLES)
  t.test(`a virtual machine over ${way}`, { skip }, async (t) => {
    const home = folder(t)
    const host = stack(link(home), ethernet(), ip(ipv4({ address: '10.9.0.2/24' })), sockets(tcp(), udp()))
    const machine = await startMachine(t, '', networkCard(netdev(home)))
    const node = await boot(host)
    t.teardown(() => node.close())
    const data = Buffer.alloc(OCTETS, 'octets for a machine that does not exist. ')
    let done = false
    const server = http.createServer((request, response) => {
      if (request.url === '/data') response.end(data)
      else response.writeHead(done ? 200 : 503).end()
    })
    node.net.attach(server).listen(80)

    const said = new Map<string, string>()
    for await (const line of consoleOf(machine)) {
      const [what, value] = report(line)
      said.set(what, value)
      if (what !== 'serving') continue
      t.equal(await download(node, 'http://10.9.0.1/data'), value, 'what it serves arrives exactly')
      done = true
    }
    for (const size of [56, 1472, 20_000]) t.equal(said.get(`ping ${size}`), '3', `three pings of ${size} octets`)
    t.equal(said.get('download'), sha256(data), 'what we serve arrives exactly')
    t.ok(said.has('over'), 'it switched itself off')
  })
}

/** 'guest: ping 56 3' is the value '3' of 'ping 56'. */
function report(line: string): [what: string, value: string] {
  const words = line.split(' ').slice(1)
  const value = words.length > 1 ? words.pop() : ''
  return [words.join(' '), value ?? '']
}

function download(node: Node<Sockets>, url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    http
      .get(url, { agent: node.httpAgent() }, (response) => {
        const hash = createHash('sha256')
        response.on('data', (chunk: Buffer) => hash.update(chunk))
        response.on('end', () => resolve(hash.digest('hex')))
        response.on('error', reject)
      })
      .on('error', reject)
  })
}

const sha256 = (octets: Uint8Array): string => createHash('sha256').update(octets).digest('hex')
