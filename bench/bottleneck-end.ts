/**
 * `bottleneck-end.ts`, a process of its own in the namespace it is started in: the kernel's TCP, under `node:net`, at either
 * end of the link. It listens and counts, and connects and writes without end, as it is told.
 */
import net from 'node:net'
import type { EndCommand } from './bottleneck.ts'
import { type Flow, flow } from './bottleneck-flow.ts'

const received = new Map<number, number>()
const server = net.createServer((socket) => {
  const port = socket.remotePort ?? 0
  received.set(port, 0)
  socket.on('data', (chunk) => void received.set(port, (received.get(port) ?? 0) + chunk.length))
  // Senders end by a reset.
  socket.on('error', () => socket.destroy())
})
const sending = new Map<number, Flow>()

process.on('message', async (command: EndCommand) => {
  switch (command.do) {
    case 'listen':
      server.listen(command.port, () => process.send?.(0))
      return
    case 'received':
      process.send?.(received.get(command.port) ?? 0)
      return
    case 'send': {
      const started = await flow(net, command.port, command.host)
      sending.set(started.port, started)
      process.send?.(started.port)
      return
    }
    case 'stop':
      sending.get(command.port)?.stop()
      sending.delete(command.port)
      process.send?.(0)
  }
})
process.on('disconnect', () => process.exit(0))
process.send?.('ready')
