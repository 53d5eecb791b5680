/**
 * An HTTP server that the kernel of this machine reaches through a TAP device: curl, a browser, ab and wrk all work.
 * Run: npx tsx examples/tap-http-server.ts DEVICE ADDRESS/LENGTH [NETNS]   (Linux, koffi; root, or a device that is yours)
 *
 *   sudo ip tuntap add dev tap0 mode tap user $USER vnet_hdr
 *   sudo ip addr add 10.9.0.1/24 dev tap0 && sudo ip link set tap0 up
 *   npx tsx examples/tap-http-server.ts tap0 10.9.0.2/24 &
 *   curl http://10.9.0.2/
 */
import { once } from 'node:events'
import http from 'node:http'
import { boot, ethernet, ip, ipv4, sockets, stack, tapDevice, tcp, udp } from '../src/index.ts'

async function main(): Promise<void> {
  const [name = 'tap0', address = '10.9.0.2/24', netns] = process.argv.slice(2)
  const device = tapDevice({ name, vnetHdr: true, ...(netns === undefined ? {} : { netns }) })
  await using node = await boot(stack(device, ethernet(), ip(ipv4({ address })), sockets(tcp(), udp())))

  const server = http.createServer((request, response) => {
    response.end(`hello, ${request.socket.remoteAddress}: you asked for ${request.url}\n`)
  })
  const listener = node.net.attach(server).listen(80)
  await once(listener, 'listening')
  process.stdout.write(`http://${address.replace(/\/.*/, '')}/\n`)
  await Promise.race(['SIGINT', 'SIGTERM'].map((signal) => once(process, signal)))
  server.closeAllConnections()
}

main().catch((error: Error) => {
  process.stderr.write(`${error.message}\n`)
  process.exitCode = 1
})
