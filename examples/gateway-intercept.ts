/**
 * A gateway that decides about every connection of a guest before it is answered, as the network of a virtual machine or a
 * sandbox does: port 80 is answered by a function of ours, whatever the address; everything else is refused.
 * Run: npx tsx examples/gateway-intercept.ts
 */
import { seconds } from '../src/index.ts'
import { network } from '../src/testing.ts'

async function main(): Promise<void> {
  await using net = network({ hosts: { guest: {}, gateway: {} }, links: [{ between: ['guest', 'gateway'] }] })
  const { guest, gateway } = net.nodes
  guest.top.network.routes.add({ prefix: '0.0.0.0/0', via: net.address('gateway') })

  gateway.net.intercept({ prefix: '0.0.0.0/0' }, (request) => {
    if (request.localPort !== 80) return request.reset()
    request.accept().end(`you wanted ${request.localAddress}:${request.localPort}\n`)
  })

  guest.net.connect(80, '93.184.216.34').on('data', (data: Buffer) => process.stdout.write(String(data)))
  guest.net
    .connect(22, '93.184.216.34')
    .on('error', (error: NodeJS.ErrnoException) => process.stdout.write(`port 22: ${error.code}\n`))
  await net.sim.run(seconds(5))
}

void main()
