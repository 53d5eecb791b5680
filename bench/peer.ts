/**
 * The other process: `peer.ts sink|echo HOST` listens with `node:net` on a port of its choice, and prints it. A sink
 * counts what arrives and, at the end of a connection, says how much it was.
 */
import net from 'node:net'

const [mode, host] = process.argv.slice(2)

const server = net.createServer({ allowHalfOpen: true }, (socket) => {
  socket.setNoDelay(true)
  socket.on('error', () => socket.destroy())
  if (mode === 'echo') {
    socket.pipe(socket)
    return
  }
  let received = 0
  socket.on('data', (chunk) => {
    received += chunk.length
  })
  socket.on('end', () => socket.end(String(received)))
})
server.listen(0, host, () => console.log((server.address() as net.AddressInfo).port))
// Whoever started it keeps this open for as long as it lives.
process.stdin.resume().on('end', () => process.exit(0))
