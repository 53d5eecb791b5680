/** The scoreboard against a model that knows of every segment on its own. */
import fc from 'fast-check'
import t from 'tap'
import { Progress } from '../../../../layers/transport/tcp/progress.ts'
import { LOST, RESENT, records, SACKED } from '../../../../layers/transport/tcp/records.ts'
import { Scoreboard } from '../../../../layers/transport/tcp/scoreboard.ts'
import { before } from '../../../../src/kernel/sequence.ts'
import { holds } from '../../../property.ts'

const MSS = 100

type Fate = 'way' | 'sacked' | 'lost' | 'resent'

/** Segments of MSS octets by number, from the first that was ever sent. */
class Model {
  readonly base: number
  readonly fates: Fate[] = []
  una = 0

  constructor(base: number) {
    this.base = base
  }

  count(...fates: Fate[]): number {
    return this.fates.slice(this.una).filter((fate) => fates.includes(fate)).length * MSS
  }

  seq(n: number): number {
    return (this.base + n * MSS) | 0
  }
}

type Step = { readonly kind: 'send' | 'ack' | 'sack' | 'lose' | 'resend'; readonly a: number; readonly b: number }

function perform({ kind, a, b }: Step, model: Model, board: Scoreboard, told: Progress, now: number): void {
  const sent = model.fates.length
  const flight = sent - model.una
  const first = model.una + (flight === 0 ? 0 : a % flight)
  const last = Math.min(first + 1 + (b % 8), sent)
  told.begin(model.seq(model.una), board, true, 0, 0, -1, now)
  if (kind === 'send') {
    const n = 1 + (b % 8)
    for (let i = 0; i < n; i++) {
      board.append(model.seq(sent + i), model.seq(sent + i + 1), MSS, i > 0, false, now)
      model.fates.push('way')
    }
  } else if (kind === 'ack' && flight > 0) {
    board.acknowledge(model.seq(last), told)
    model.una = last
  } else if (kind === 'sack' && flight > 0) {
    // With ragged edges: only whole segments count.
    const end = last * MSS + (last < sent ? 50 : 0)
    board.sack(model.seq(first), (model.base + end) | 0, told)
    for (let i = first; i < last; i++) model.fates[i] = 'sacked'
  } else if (kind === 'lose') {
    let newer = 0
    for (let i = board.oldest; i !== 0; i = newer) {
      newer = records.newer[i] as number
      const at = (((records.seq[i] as number) - model.base) | 0) / MSS
      if (at % 3 !== a % 3) continue
      const octets = board.octets(i)
      board.markLost(i)
      for (let k = 0; k < octets / MSS; k++) model.fates[at + k] = 'lost'
    }
  } else if (kind === 'resend') {
    const i = board.nextDue()
    if (i === 0) return
    const at = (((records.seq[i] as number) - model.base) | 0) / MSS
    if (model.fates[at] !== 'lost' || model.fates.slice(model.una, at).includes('lost'))
      throw new Error('not the first')
    if (board.octets(i) > MSS) board.split(i, ((records.seq[i] as number) + MSS) | 0)
    board.repeated(i, MSS, now)
    model.fates[at] = 'resent'
  }
}

/** Do the lists hold every segment once, in order, with the fate that the model has? */
function compare(model: Model, board: Scoreboard): void {
  let seq = model.seq(model.una)
  let prev = 0
  let live = 0
  for (let i = board.head; i !== 0; i = records.next[i] as number) {
    if (records.seq[i] !== seq || records.prev[i] !== prev) throw new Error('the list is broken')
    const flags = (records.flags[i] as number) & (SACKED | LOST | RESENT)
    const fate: Fate = flags === SACKED ? 'sacked' : (flags & RESENT) !== 0 ? 'resent' : flags === LOST ? 'lost' : 'way'
    for (; before(seq, records.end[i] as number); seq = (seq + MSS) | 0) {
      const n = ((seq - model.base) | 0) / MSS
      if (model.fates[n] !== fate) throw new Error(`segment ${n} is ${fate}, not ${model.fates[n]}`)
    }
    if (fate === 'way' || fate === 'resent') live++
    prev = i
  }
  if (seq !== model.seq(model.fates.length) || board.tail !== prev) throw new Error('the list ends early')
  let older = 0
  for (let i = board.oldest; i !== 0; i = records.newer[i] as number) {
    if (records.older[i] !== older) throw new Error('the list by time is broken')
    if (older !== 0 && (records.sentAt[older] as number) > (records.sentAt[i] as number)) throw new Error('out of time')
    older = i
    live--
  }
  if (live !== 0 || board.newest !== older) throw new Error('the list by time misses some')
  const outstanding = model.count('way', 'sacked', 'lost', 'resent')
  const expected = [model.count('sacked'), model.count('lost', 'resent'), model.count('lost'), model.count('resent')]
  const got = [board.sacked, board.lost, board.due, board.resent]
  if (got.join() !== expected.join()) throw new Error(`octets ${got}, not ${expected}`)
  if (board.pipe(outstanding) !== model.count('way', 'resent')) throw new Error('pipe')
}

t.test('whatever happens, every segment is known once and with its fate', async (t) => {
  const step = fc.record({
    kind: fc.constantFrom('send', 'ack', 'sack', 'lose', 'resend') as fc.Arbitrary<Step['kind']>,
    a: fc.nat(1000),
    b: fc.nat(1000),
  })
  const property = fc.property(fc.array(step, { maxLength: 120 }), fc.integer(), (steps, base) => {
    const used = records.used
    const model = new Model(base | 0)
    const board = new Scoreboard()
    const told = new Progress()
    steps.forEach((each, now) => {
      perform(each, model, board, told, now)
      compare(model, board)
    })
    board.clear()
    return records.used === used && board.isEmpty
  })
  holds(t, 'as the model has it', property, { numRuns: 300 })
})

t.test('a great many small segments share records', async (t) => {
  const used = records.used
  const board = new Scoreboard()
  for (let i = 0; i < 100_000; i++) board.append(i, i + 1, MSS, false, false, i)
  t.ok(records.used - used <= 16_384)
  t.ok(board.octets(board.tail) > 80_000)
  board.clear()
  t.equal(records.used, used)
})

t.test('what a peer says in pieces does not make more records than there are segments', async (t) => {
  const used = records.used
  const board = new Scoreboard()
  const told = new Progress()
  for (let i = 0; i < 50; i++) board.append(i * MSS, (i + 1) * MSS, MSS, i > 0, false, 1)
  told.begin(0, board, true, 0, 0, -1, 2)
  for (let i = 0; i < 5000; i += 2) board.sack(i, i + 1, told)
  t.equal(board.sacked, 0)
  t.equal(records.used - used, 1)
  for (let i = 0; i < 50; i += 2) board.sack(i * MSS, (i + 1) * MSS, told)
  t.ok(records.used - used <= 50)
  board.clear()
})

t.test('a peer that makes as many holes as it can gets no more records, and costs no long searches', async (t) => {
  const used = records.used
  const board = new Scoreboard()
  const told = new Progress()
  const segments = 60_000
  for (let i = 0; i < segments; i++) board.append(i * MSS, (i + 1) * MSS, MSS, i > 0, false, 1)
  const sack = (segment: number): boolean => {
    const before = board.sacked
    told.begin(0, board, true, 0, 0, -1, 2)
    board.sack(segment * MSS, (segment + 1) * MSS, told)
    return board.sacked > before
  }
  for (let i = 1; i < segments; i += 2) sack(i)
  t.ok(board.sacked > 800_000, 'thousands of holes')
  t.ok(records.used - used <= 16_386)
  const { next, prev } = records
  let steps = 0
  const counting = (of: Int32Array): Int32Array =>
    new Proxy(of, {
      get: (target, i) => {
        steps++
        return Reflect.get(target, i)
      },
    })
  records.next = counting(next)
  records.prev = counting(prev)
  const costs = [1, 15_001, 5001, 7001, 1, 59_999].map((segment) => {
    steps = 0
    sack(segment)
    return steps
  })
  t.ok(Math.max(...costs) <= 2100, `steps: ${costs}`)
  t.ok(sack(0), 'what is missing at the front is found')
  t.ok(sack(2), 'and what follows')
  t.ok(sack(segments - 1), 'and the end')
  records.next = next
  records.prev = prev
  board.clear()
  t.equal(records.used, used)
})

t.test('new data does not join what was sent again in the same moment', async (t) => {
  const board = new Scoreboard()
  const told = new Progress()
  board.append(0, MSS, MSS, false, false, 1)
  told.begin(0, board, true, 0, 0, -1, 2)
  board.markLost(board.head)
  board.repeated(board.nextDue(), MSS, 2)
  board.append(MSS, 2 * MSS, MSS, true, false, 2)
  t.not(board.head, board.tail)
  t.equal(board.octets(board.head), MSS)
  t.equal(board.resent, MSS)
  board.clear()
})
