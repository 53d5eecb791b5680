/**
 * The other host of `tcp-udp`, in a process of its own: `tunnel-end.ts dgram|native HOST`. It is at the end of a VXLAN tunnel that is
 * bound to HOST, says so, and counts what arrives.
 */
import { udpTunnel } from '../layers/physical/node.ts'
import { boot } from '../src/runtime/real-time.ts'
import { host } from './hosts.ts'
import { countingSink, smallCountingSink } from './sinks.ts'
import { listen } from './streams.ts'

const [engine, local = ''] = process.argv.slice(2)

const tunnel = udpTunnel({
  engine: engine === 'native' ? 'native' : 'dgram',
  local: { host: local, port: 4789 },
  learnPeers: true,
})
const node = await boot(host(tunnel, '10.9.0.2/24'), 'end')
const server = node.net.createServer({ allowHalfOpen: true }, countingSink)
const small = node.top.stream.listen(
  { port: 0 },
  {
    acceptable(ready) {
      for (let c = ready.accept(); c !== undefined; c = ready.accept()) c.handler = smallCountingSink()
    },
  },
)
console.log(`${await listen(server, '10.9.0.2')} ${small.local.port}`)
process.stdin.resume().on('end', () => process.exit(0))
