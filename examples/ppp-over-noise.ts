/**
 * PPP over a noisy telephone line, on virtual time: one end gives the other its address, 200 kB of HTTP cross 115,200 baud
 * with a bit error in 200,000, and no damaged frame gets past its FCS.
 * Run: npx tsx examples/ppp-over-noise.ts
 */
import { createServer, get } from 'node:http'
import { ip, ipv4, ms, ppp, Simulation, seconds, serialLine, sockets, stack, tcp, udp } from '../src/index.ts'

async function main(): Promise<void> {
  const sim = new Simulation({ seed: 3 })
  const [a, b] = serialLine({ baudRate: 115_200, delay: ms(15), bitErrors: 5e-6 })
  const provider = ppp({ address: '10.0.0.1', peerAddress: '10.0.0.2', fcs: 'fcs32' })
  const server = sim.boot('server', stack(a, provider, ip(ipv4()), sockets(tcp(), udp())))
  const client = sim.boot('client', stack(b, ppp({ fcs: 'fcs32' }), ip(ipv4()), sockets(tcp(), udp())))
  await sim.runUntil(() => client.top.network.addresses().includes('10.0.0.2'), seconds(30))
  process.stdout.write(`the client was given 10.0.0.2 after ${Math.round(sim.now() / 1000)} ms\n`)

  const page = Buffer.alloc(200_000, 'noise, noise, ')
  const web = createServer((_, response) => response.end(page))
  server.net.createServer((socket) => web.emit('connection', socket)).listen(80)
  const chunks: Buffer[] = []
  let ended = false
  get({ host: '10.0.0.1', agent: client.httpAgent() }, (response) => {
    response.on('data', (chunk: Buffer) => chunks.push(chunk))
    response.on('end', () => {
      ended = true
    })
  })
  await sim.runUntil(() => ended, seconds(300))
  const frames = client.boundaries.find(({ name }) => name.endsWith('/ppp-frames'))
  process.stdout.write(
    `${chunks.reduce((sum, { length }) => sum + length, 0)} octets after ${Math.round(sim.now() / 1e6)} s\n`,
  )
  process.stdout.write(`frames with a bad FCS at the client: ${frames?.drops.get('fcs')}\n`)
  if (!Buffer.concat(chunks).equals(page)) throw new Error('the page was damaged')
  await sim.close()
}

void main()
