/** Datagrams of the host behind our API. */
import t from 'tap'
import { hostSockets } from '../../src/api/host-sockets.ts'
import { parseAddress } from '../../src/kernel/address.ts'
import { boot } from '../../src/runtime/real-time.ts'

const LOOPBACK = parseAddress('127.0.0.1')

t.test('what waits while a socket is paused is bounded, also where it is empty', async (t) => {
  const node = await boot(hostSockets())
  const { datagram } = node.top
  let messages = 0
  let sizes = 0
  const to = datagram.bind(
    { address: LOOPBACK, options: { receiveBuffer: 5120 } },
    {
      message: (_socket, _octets, _start, length) => {
        messages++
        sizes += length
      },
    },
  )
  const from = datagram.bind({ address: LOOPBACK }, {})
  to.pause()
  for (let i = 0; i < 40; i++) from.send(new Uint8Array(0), 0, 0, LOOPBACK, to.local.port)
  await new Promise((resolve) => setTimeout(resolve, 100))
  to.resume()
  t.equal(messages, 11, 'each counts for 512 octets')
  t.equal(sizes, 0)
  from.send(new Uint8Array(7), 0, 7, LOOPBACK, to.local.port)
  for (let i = 0; i < 6000 && sizes === 0; i++) await new Promise((resolve) => setTimeout(resolve, 10))
  t.equal(sizes, 7)
  await node.close()
})

t.test('options are held to the limits of the API', async (t) => {
  const node = await boot(hostSockets())
  const { datagram } = node.top
  t.throws(() => datagram.bind({ options: { ttl: 0 } }, {}), { code: 'ERR_OUT_OF_RANGE' })
  const socket = datagram.bind({ address: LOOPBACK, options: { ttl: 9 } }, {})
  t.equal(socket.get('ttl'), 9)
  t.equal(socket.get('receiveBuffer'), 262_144)
  t.throws(() => socket.set('broadcast', 1 as unknown as boolean), { code: 'ERR_INVALID_ARG_TYPE' })
  t.equal(socket.get('broadcast'), false)
  await node.close()
})
