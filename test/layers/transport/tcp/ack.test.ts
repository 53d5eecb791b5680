import t from 'tap'
import { acknowledge } from '../../../../layers/transport/tcp/ack.ts'
import { ACK, Segment } from '../../../../layers/transport/tcp/segment.ts'
import { tcpSettings } from '../../../../layers/transport/tcp/settings.ts'
import { endpoint, Tcb } from '../../../../layers/transport/tcp/tcb.ts'
import { parseAddress } from '../../../../src/kernel/address.ts'
import { after } from '../../../../src/kernel/sequence.ts'

t.test('the end of the last small segment never seems to lie ahead, however much is sent after it', async (t) => {
  const settings = tcpSettings({})
  const local = endpoint(parseAddress('10.0.0.1'), 1)
  const remote = endpoint(parseAddress('10.0.0.2'), 2)
  const tcb = new Tcb(false, local, remote, 0, settings.connection, settings, {
    reassembly: { used: 0, limit: 0 },
    growth: { used: 0, limit: 0 },
  })
  tcb.state = 'ESTABLISHED'
  tcb.sending(0)
  const seg = new Segment()
  seg.flags = ACK
  // Acknowledged in steps of a quarter of the sequence space: behind 2^31 octets an old mark is ahead again, and Nagle's
  // rule would hold back what is small until a timer lets it go.
  for (let step = 1; step <= 8; step++) {
    tcb.snd.nxt = tcb.snd.end = (tcb.snd.una + 2 ** 30) | 0
    seg.ack = tcb.snd.nxt
    acknowledge(tcb, seg, step * 1000)
    t.equal(tcb.snd.una, tcb.snd.nxt)
    t.notOk(after(tcb.smallEnd, tcb.snd.una), `after ${step} GiB`)
  }
})
