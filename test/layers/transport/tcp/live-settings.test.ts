/** What TCP goes by can change while nodes run. */
import t from 'tap'
import { FastOpenKeys } from '../../../../layers/transport/tcp/fast-open-keys.ts'
import { LiveSettings } from '../../../../layers/transport/tcp/live-settings.ts'
import { parseAddress } from '../../../../src/kernel/address.ts'
import { SeededRandom } from '../../../../src/kernel/random.ts'
import { Script } from './script.ts'

t.test('what begins from then on goes by them; what there is stays as it began', async (t) => {
  const s = new Script({ tcp: { connection: { ttl: 9 } } })
  const before = s.passive('mss 1000,sackOK,ts 1000 0,ws 7')
  t.ok(before.info().timestamps)
  s.layer.set({ timestamps: false, connection: { noDelay: true } })
  t.ok(before.info().timestamps)
  t.notOk(before.get('noDelay'))
  s.ports = [80, 41_000]
  s.in('S 0:0 <mss 1000,ts 1000 0,sackOK>')
  s.out('S. 0:0 ack 1 <mss 1460,nop,nop,sackOK>')
  s.in('. 1:1 ack 1')
  s.run(0)
  const [, listened] = s.accepted
  t.notOk(listened?.get('noDelay'), 'a listener was there before')
  const after = s.connect()
  t.ok(after.get('noDelay'))
  t.equal(after.get('ttl'), 9, 'the rest is as it was')
  s.layer.set({ connection: { ttl: 10 } })
  t.same([s.connect().get('ttl'), s.connect().get('noDelay')], [10, true])
})

t.test('limits hold at once', async (t) => {
  const s = new Script()
  s.established()
  s.layer.set({ maxConnections: 1 })
  t.throws(() => s.connect(), { code: 'ENOBUFS' })
  s.layer.set({ maxConnections: 2 })
  t.doesNotThrow(() => s.connect())
})

t.test('a mistake changes nothing', async (t) => {
  const settings = new LiveSettings({ retries: 7 })
  const { current } = settings
  t.throws(() => settings.set({ retries: 8, delayedAck: -1 }), { code: 'ERR_OUT_OF_RANGE' })
  const wrong = { connection: { nothing: 1 } } as object
  t.throws(() => settings.set(wrong), { code: 'ERR_INVALID_ARG_VALUE' })
  const fixed = { maxTimeWait: 5 } as object
  t.throws(() => settings.set(fixed), { code: 'ERR_INVALID_ARG_VALUE', message: /maxTimeWait.*before nodes boot/ })
  t.equal(settings.current, current)
  settings.set({ fastOpen: { requireCookie: false } })
  t.equal(settings.current.retries, 7)
})

t.test('cookies of Fast Open follow the keys; random ones stay good', async (t) => {
  const [server, client] = [parseAddress('10.0.0.1'), parseAddress('10.0.0.2')]
  const settings = new LiveSettings({})
  const keys = new FastOpenKeys(settings, new SeededRandom([1, 2, 3, 4]))
  const judged = (cookie: Uint8Array) => keys.judge(new DataView(cookie.buffer), 0, 8, server, client, 0)
  const first = keys.make(server, client, 0)
  settings.set({ retries: 4 })
  t.equal(judged(first), 'current')
  const [key, next] = [Buffer.alloc(16, 1), Buffer.alloc(16, 2)]
  settings.set({ fastOpen: { keys: [key] } })
  t.equal(judged(first), 'none')
  const second = keys.make(server, client, 0)
  settings.set({ fastOpen: { keys: [next, key] } })
  t.equal(judged(second), 'previous')
  settings.set({ fastOpen: { requireCookie: false } })
  t.equal(judged(second), 'previous', 'the rest of what Fast Open goes by is as it was')
})
