/** Interception: SYNs to a prefix are shown before they are answered. */
import t from 'tap'
import type { StreamRequest } from '../../../../src/api/sockets.ts'
import { seconds } from '../../../../src/kernel/clock.ts'
import { Script } from './script.ts'

const FAR = '93.184.216.34'

function intercepting(prefix = '0.0.0.0/0', ports?: number[]) {
  const s = new Script()
  const requests: StreamRequest[] = []
  const undo = s.sockets.intercept({ prefix, ports }, (request) => requests.push(request))
  s.ports = [80, 40_000]
  const syn = (to = FAR) => s.raw(s.bytes('S 0:0 <mss 1000>'), { to })
  return { s, requests, undo, syn }
}

t.test('accept completes the handshake from the original destination', async (t) => {
  const { s, requests, syn } = intercepting()
  t.same(s.net.declared, ['0.0.0.0/0'])
  syn()
  s.out()
  const request = requests[0] as StreamRequest
  t.equal(String(request.destination.address), FAR)
  t.equal(request.destination.port, 80)
  t.equal(String(request.source.address), '10.0.0.2')
  const c = s.call(() => request.accept(s.handler))
  t.equal(String(c.local.address), FAR)
  s.out('S. 0:0 ack 1')
  s.raw(s.bytes('. 1:1 ack 1'), { to: FAR })
  s.tells('established')
  t.throws(() => request.accept({}), { code: 'ECONNABORTED' })
  t.equal(s.withinCall, 0)
})

t.test('reset, unreachable, drop', async (t) => {
  const { s, requests, syn } = intercepting()
  syn()
  requests[0]?.reset()
  t.equal(s.skip(), 1)
  t.equal(s.lastPacket?.flags, 'R.')
  syn()
  requests[1]?.unreachable()
  t.same(s.net.refusals, ['hostUnreachable'])
  syn()
  requests[2]?.drop()
  requests[2]?.reset()
  s.out()
  t.equal(s.packets, 0)
})

t.test('a SYN again asks only once; undecided requests are dropped after 30 s and are bounded', async (t) => {
  const { s, requests, syn } = intercepting()
  syn()
  syn()
  t.equal(requests.length, 1)
  t.equal(s.drops('interceptPending'), 1)
  s.run(seconds(30))
  t.equal(s.packets, 0)
  t.throws(() => requests[0]?.accept({}), { code: 'ECONNABORTED' })
  for (let i = 0; i < 1500; i++) {
    s.ports[1] = 1000 + i
    syn()
  }
  t.equal(requests.length, 1 + 1024)
  t.ok(s.drops('interceptQueueFull') > 0)
  s.close()
  t.equal(s.packets, 0)
  t.equal(s.timers.size, 0)
})

t.test('what is intercepted counts against the limits of the node like any other handshake', async (t) => {
  const s = new Script({ tcp: { maxSynReceived: 2 } })
  const requests: StreamRequest[] = []
  s.sockets.intercept({ prefix: '0.0.0.0/0' }, (request) => requests.push(request))
  for (let port = 0; port < 3; port++) {
    s.ports = [80, 40_000 + port]
    s.raw(s.bytes('S 0:0 <mss 1000>'), { to: FAR })
  }
  t.equal(requests.length, 3)
  s.call(() => requests[0]?.accept({}))
  s.call(() => requests[1]?.accept({}))
  t.throws(() => requests[2]?.accept({}), { code: 'ENOBUFS', reason: 'synQueueFull' })
  t.equal(s.drops('intercepted'), 1, 'it is over')
  s.ports = [80, 50_000]
  s.raw(s.bytes('S 0:0 <mss 1000>'), { to: FAR })
  t.equal(requests.length, 3, 'nobody is asked when there is no room')
  t.equal(s.drops('synQueueFull'), 1)
  s.close()
  t.equal(s.packets, 0)
})

t.test('rules by port, the longest prefix first, and undone', async (t) => {
  const { s, requests, undo, syn } = intercepting('93.184.0.0/16', [80])
  const other: StreamRequest[] = []
  s.sockets.intercept({ prefix: '93.184.216.0/24' }, (request) => other.push(request))
  syn()
  syn('93.184.1.1')
  t.equal(other.length, 1)
  t.equal(requests.length, 1)
  undo()
  s.ports[1] = 40_001
  s.setIss(0)
  syn('93.184.1.1')
  t.equal(requests.length, 1)
  t.equal(s.lastPacket?.flags, 'R.')
  for (const request of [...requests, ...other]) request.drop()
  t.throws(() => s.sockets.intercept({ prefix: 'x' }, () => {}), { code: 'ERR_INVALID_ARG_VALUE' })
})

t.test("listeners on the node's own addresses come first", async (t) => {
  const { s, requests, syn } = intercepting()
  s.listen()
  syn('10.0.0.1')
  t.equal(requests.length, 0)
  s.out('S. 0:0 ack 1')
  syn()
  t.equal(requests.length, 1)
  requests[0]?.drop()
})
