/** XID with direwolf's AX.25, over the sound of two modems: it answers ours, and both hold to what the lesser of the two can. */
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { ax25 } from '../../layers/datalink/hdlc/ax25.ts'
import { parseCall } from '../../layers/datalink/hdlc/ax25-address.ts'
import { boot, CaptureReader, stack, stream } from '../../src/index.ts'
import { ms, seconds } from '../../src/kernel/clock.ts'
import { decode } from '../../tools/dump/decode.ts'
import { agwEcho } from './agw.ts'
import { oracle } from './helpers.ts'
import { folder } from './payload.ts'
import { radio } from './radio.ts'
import { echo } from './record-echo.ts'

t.setTimeout(600_000)

const OCTETS = 5000
const STATION = { call: 'NODEC', smack: false, t1: seconds(2), t2: ms(100), n2: 20, adaptive: false } as const
/** Its window ends at 63. */
const GREATER = { modulus: 128, recovery: 'multi-srej', k: 100, n1: 1000, xid: true } as const

t.test('what it answers holds', { skip: oracle('direwolf') }, async (t) => {
  const [near, far] = await radio(t, 0)
  await agwEcho(t, far.agwPort, 'NODEA')
  const node = await boot(stack(stream(connect(near.kissPort, '127.0.0.1')), ax25({ ...STATION, ...GREATER })), 'A')
  t.teardown(() => node.close())
  const path = join(folder(t), 'xid.pcapng')
  const capture = node.capture(path)
  const echoed = await echo((handler) => node.top.open(parseCall('NODEA'), handler), {
    octets: OCTETS,
    recordOctets: 200,
    ahead: 2000,
  })
  t.strictSame([echoed.right, echoed.downs], [OCTETS, ['released']])
  await node.close()
  await capture
  const said = new CaptureReader()
    .push(readFileSync(path))
    .map((record) => decode(record).map(({ summary }) => summary))
  const answer = said.find(([, frame]) => frame?.includes('response XID'))
  t.equal(answer?.[2], 'XID half duplex, modulo 128, multi-srej, N1 1000, k 63, T1 2000 ms, N2 20')
  t.equal(said.filter(([, frame]) => frame?.includes('command XID')).length, 1, 'asked once')
  t.equal(node.top.boundary.drops.get('badXid'), 0)
})
