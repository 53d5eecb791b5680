import t from 'tap'
import { EphemeralPorts, FIRST_EPHEMERAL, LAST_EPHEMERAL } from '../../../layers/transport/ports.ts'
import { parseAddress } from '../../../src/kernel/address.ts'
import { SeededRandom } from '../../../src/kernel/random.ts'

const local = parseAddress('10.0.0.1')
const peer = parseAddress('10.0.0.2')
const COUNT = LAST_EPHEMERAL - FIRST_EPHEMERAL + 1
const made = (seed: number) => new EphemeralPorts(new SeededRandom([seed, 2, 3, 4]))

t.test('towards one peer every port comes once before any comes again', async (t) => {
  const ports = made(1)
  const seen = new Set<number>()
  for (let i = 0; i < COUNT; i++) seen.add(ports.towards(local, peer, 80, () => true))
  t.equal(seen.size, COUNT)
  t.ok([...seen].every((port) => port >= FIRST_EPHEMERAL && port <= LAST_EPHEMERAL))
})

t.test('another peer, port or secret begins elsewhere', async (t) => {
  const first = new Set<number>()
  for (let n = 1; n <= 50; n++) {
    first.add(made(1).towards(local, peer, n, () => true))
    first.add(made(1).towards(local, parseAddress(`10.0.1.${n}`), 80, () => true))
    first.add(made(n + 1).towards(local, peer, 80, () => true))
    first.add(made(1).towards(parseAddress(`10.0.2.${n}`), peer, 80, () => true))
  }
  t.ok(first.size > 190, 'collisions are as rare as chance has it')
})

t.test('ports in use are passed over, and 0 says that none is left', async (t) => {
  const ports = made(1)
  let asked = 0
  const only = (port: number) => ++asked > 0 && port === 50_000
  t.equal(ports.towards(local, peer, 80, only), 50_000)
  t.equal(ports.any(only), 50_000)
  asked = 0
  t.equal(
    ports.any(() => ++asked < 0),
    0,
  )
  t.equal(
    ports.towards(local, peer, 80, () => ++asked < 0),
    0,
  )
  t.equal(asked, 2 * COUNT, 'each was asked for once')
})

t.test('without a peer, ports do not follow each other', async (t) => {
  const ports = made(1)
  const drawn = Array.from({ length: 200 }, () => ports.any(() => true))
  const neighbours = drawn.filter((port, i) => i > 0 && Math.abs(port - (drawn[i - 1] as number)) < 10)
  t.ok(neighbours.length < 5)
  t.ok(new Set(drawn).size > 190)
})
