/** Diagnostics channels and NODE_DEBUG. */
import { execFile } from 'node:child_process'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { promisify } from 'node:util'
import t from 'tap'
import type { StackEvent } from '../../src/api/node-net.ts'
import type { Boundary } from '../../src/kernel/boundary.ts'
import { Packet } from '../../src/kernel/packet.ts'
import { Simulation } from '../../src/runtime/simulation.ts'
import { once, pair } from './events.ts'
import { check } from './subjects.ts'

/** A node with one boundary, and nothing else. */
function boundaryOf(sim: Simulation, name: string): Boundary<undefined, 'tooShort'> {
  return sim.boot(name, (env) => env.boundary<undefined, 'tooShort'>('glue', 'octets', { tooShort: 'RFC 0000 §1' })).top
}

t.test('drops and notes reach their channels, with the packet, and taps are not needed', async (t) => {
  const sim = new Simulation()
  const boundary = boundaryOf(sim, 'N')
  const seen: unknown[] = []
  const hear = (message: unknown, name: string | symbol): void => {
    const { packet, ...rest } = message as StackEvent
    seen.push([name, rest, packet?.length])
  }
  subscribe('netstrata.glue.drop', hear)
  subscribe('netstrata.glue.melted', hear)
  const packet = Packet.take(0, 10)
  packet.put(7)
  boundary.drop(packet, 'tooShort')
  boundary.note(null, 'melted', 'heat', 'RFC 1149 §3')
  t.equal(boundary.watched, false)
  t.strictSame(seen, [
    ['netstrata.glue.drop', { boundary: 'N/glue', reason: 'tooShort', rfc: 'RFC 0000 §1', octets: 7 }, 7],
    ['netstrata.glue.melted', { boundary: 'N/glue', reason: 'heat', rfc: 'RFC 1149 §3', octets: undefined }, undefined],
  ])
  unsubscribe('netstrata.glue.drop', hear)
  unsubscribe('netstrata.glue.melted', hear)
  boundary.note(null, 'melted', 'heat', '')
  t.equal(seen.length, 2)
  await sim.close()
})

check('the life of a socket', async (t, subject) => {
  if (subject.real) {
    t.pass("Node's own has other channels")
    return
  }
  const seen: string[] = []
  const hear = (_message: unknown, name: string | symbol): void => {
    seen.push(String(name))
  }
  const names = ['connect', 'accept', 'error', 'close'].map((event) => `netstrata.net.${event}`)
  for (const name of names) subscribe(name, hear)
  const { server, near, far } = await pair(subject)
  far.resume()
  near.on('error', () => {})
  near.destroy(new Error('mine'))
  server.close()
  await once(far, 'close')
  t.strictSame(seen.sort(), [
    'netstrata.net.accept',
    'netstrata.net.close',
    'netstrata.net.close',
    'netstrata.net.connect',
    'netstrata.net.error',
  ])
  for (const name of names) unsubscribe(name, hear)
})

t.test('NODE_DEBUG shows the layers asked for', async (t) => {
  const program = `
    import { Simulation } from './src/runtime/simulation.ts'
    const boundary = (name) => new Simulation().boot('N', (env) => env.boundary(name, 'octets', {})).top
    boundary('glue').note(null, 'melted', 'heat', 'RFC 1149 §3')
    boundary('snow').note(null, 'melted', 'heat', '')
  `
  const { stderr } = await promisify(execFile)(
    process.execPath,
    ['--import=tsx', '--input-type=module', '--eval', program],
    { env: { ...process.env, NODE_DEBUG: 'netstrata:glue' }, cwd: new URL('../..', import.meta.url) },
  )
  t.match(stderr, /NETSTRATA:GLUE \d+: N\/glue melted: heat \(RFC 1149 §3\)/)
  t.notMatch(stderr, /snow/)
})
