import { execFileSync } from 'node:child_process'
import t from 'tap'
import { ms, seconds } from '../../src/kernel/clock.ts'
import type { Env } from '../../src/kernel/env.ts'
import { NetError } from '../../src/kernel/errors.ts'
import { Timer } from '../../src/kernel/timers.ts'
import { Simulation } from '../../src/runtime/simulation.ts'
import { LOADER } from '../tools/running.ts'
import { echo, WireDouble } from './doubles.ts'

const tick = () => new Promise<void>((resolve) => setImmediate(resolve))

t.test('time passes only as it is told, from event to event', async (t) => {
  const sim = new Simulation()
  const log: [string, number][] = []
  sim.after(seconds(3600), () => log.push(['an hour', sim.now()]))
  sim.after(10, () => log.push(['soon', sim.now()]))
  const off = sim.after(20, () => log.push(['never', sim.now()]))
  off()
  await sim.run(seconds(1))
  t.same(log, [['soon', 10]])
  t.equal(sim.now(), seconds(1))
  await sim.run(seconds(3600))
  t.same(log, [
    ['soon', 10],
    ['an hour', seconds(3600)],
  ])
  t.equal(sim.now(), seconds(3601))
})

t.test('runUntil stops with the event that made the condition true', async (t) => {
  const sim = new Simulation()
  let count = 0
  const again = () => {
    count++
    sim.after(ms(10), again)
  }
  again()
  t.equal(await sim.runUntil(() => count === 4), true)
  t.equal(sim.now(), ms(30))
  t.equal(await sim.runUntil(() => count === 1000, ms(5)), false)
  t.equal(sim.now(), ms(35), 'the limit has passed')
  const idle = new Simulation()
  t.equal(await idle.runUntil(() => false), false, 'nothing more can happen')
  t.equal(idle.now(), 0)
})

t.test('the application runs as long as it likes while virtual time stands still', async (t) => {
  const sim = new Simulation()
  const { env } = sim.boot('A', echo())
  const log: [string, number][] = []
  const application = async () => {
    for (const round of [1, 2]) {
      await sim.sleep(ms(100))
      for (let i = 0; i < 3; i++) {
        env.touched() // as every call of the API does
        await tick()
      }
      log.push([`round ${round}`, sim.now()])
    }
  }
  void application()
  sim.after(ms(100) + 1, () => log.push(['event', sim.now()]))
  await sim.run(seconds(1))
  t.same(log, [
    ['round 1', ms(100)],
    ['event', ms(100) + 1],
    ['round 2', ms(200)],
  ])
})

t.test('sleep can be given up', async (t) => {
  const sim = new Simulation()
  const giveUp = new AbortController()
  const early = sim.sleep(seconds(1), { signal: giveUp.signal })
  const late = sim.sleep(seconds(1), { signal: AbortSignal.any([]) })
  giveUp.abort(new Error('enough'))
  await t.rejects(early, { message: 'enough' })
  await t.rejects(sim.sleep(1, { signal: giveUp.signal }), { message: 'enough' })
  t.equal(sim.timers.size, 1)
  await sim.run(seconds(1))
  await late
  t.equal(sim.timers.size, 0)
})

t.test('what never comes to an end is an error that says so', async (t) => {
  const sim = new Simulation({ patience: { turns: 50, events: 1000 } })
  const { env } = sim.boot('A', echo())
  let stop = false
  const restless = async () => {
    while (!stop) {
      env.touched()
      await tick()
    }
  }
  const application = restless()
  await t.rejects(sim.run(seconds(1)), { code: 'ELOOP', message: /at 0 us: the application has called the API for 50/ })
  stop = true
  await application
  const endless = new Timer({ expire: (now) => sim.timers.arm(endless, now) })
  sim.after(ms(5), () => sim.timers.arm(endless, sim.now()))
  await t.rejects(sim.run(seconds(1)), { code: 'ELOOP', message: /at 5000 us: 1000 events/ })
  sim.timers.cancel(endless)
  await sim.run(seconds(1))
  t.equal(sim.now(), ms(5) + seconds(1), 'and it can go on once that is mended')
})

t.test('an exception in an event comes out of run, and the simulation goes on afterwards', async (t) => {
  const sim = new Simulation()
  let after = 0
  sim.after(1, () => {
    throw new Error('a bug in a handler')
  })
  sim.after(1, () => after++)
  await t.rejects(sim.run(10), { message: 'a bug in a handler' })
  await sim.run(10)
  t.equal(after, 1)
})

t.test('one run at a time', async (t) => {
  const sim = new Simulation()
  const first = sim.run(seconds(1))
  await t.rejects(sim.run(1), { code: 'EBUSY' })
  await t.rejects(
    sim.runUntil(() => true),
    { code: 'EBUSY' },
  )
  await first
})

t.test('refuses what makes no sense', async (t) => {
  t.throws(() => new Simulation({ seed: 0.5 }), { code: 'ERR_OUT_OF_RANGE' })
  t.throws(() => new Simulation({ patience: { turns: 0 } }), { code: 'ERR_OUT_OF_RANGE' })
  const sim = new Simulation()
  await t.rejects(sim.run(-1), { code: 'ERR_OUT_OF_RANGE' })
  await t.rejects(sim.run(Number.NaN), { code: 'ERR_OUT_OF_RANGE' })
  await t.rejects(
    sim.runUntil(() => true, -1),
    { code: 'ERR_OUT_OF_RANGE' },
  )
  t.throws(() => sim.after(-1, () => {}), { code: 'ERR_OUT_OF_RANGE' })
})

t.test('chance: by seed and name alone', async (t) => {
  const draw = (sim: Simulation, name: string) => sim.random(name).uint32()
  t.equal(draw(new Simulation({ seed: 7 }), 'A/random tcp'), draw(new Simulation({ seed: 7 }), 'A/random tcp'))
  t.not(draw(new Simulation({ seed: 7 }), 'A/random tcp'), draw(new Simulation({ seed: 8 }), 'A/random tcp'))
  t.not(
    draw(new Simulation({ seed: 1 }), 'A/random tcp'),
    draw(new Simulation({ seed: 2 ** 32 + 1 }), 'A/random tcp'),
    'all of the seed counts',
  )
  t.not(draw(new Simulation(), 'A/random tcp'), draw(new Simulation(), 'B/random tcp'))

  t.test('another node, layer or order of booting changes no stream', async (t) => {
    const layers = (...names: string[]) => {
      return (env: Env) => new Map(names.map((name) => [name, env.random(name).uint32()]))
    }
    const one = new Simulation({ seed: 42 })
    const alone = one.boot('A', layers('tcp')).top
    const other = new Simulation({ seed: 42 })
    other.boot('B', layers('tcp', 'arp'))
    const crowded = other.boot('A', layers('arp', 'tcp')).top
    t.equal(crowded.get('tcp'), alone.get('tcp'))
  })

  t.test('a second stream of one name, and a second life of one node, are others', async (t) => {
    const sim = new Simulation()
    const both = (env: Env) => [env.random('tcp').uint32(), env.random('tcp').uint32()]
    const node = sim.boot('A', both)
    await node.close()
    const again = sim.boot('A', both)
    t.equal(new Set([...node.top, ...again.top]).size, 4)
  })
})

t.test('nodes: by name while they live', async (t) => {
  const sim = new Simulation()
  const a = sim.boot('A', echo())
  t.throws(() => sim.boot('A', echo()), { code: 'ERR_INVALID_ARG_VALUE' })
  t.same([...sim.nodes.keys()], ['A'])
  await a.close()
  t.same([...sim.nodes.keys()], [])
  t.throws(
    () =>
      sim.boot('A', () => {
        throw new Error('a broken layer')
      }),
    { message: 'a broken layer' },
  )
  sim.boot('A', echo())
  await tick() // what the failed boot left to unwind must not take the name from its successor
  t.same([...sim.nodes.keys()], ['A'])
})

t.test('a node whose start fails makes the run fail, and is gone', async (t) => {
  const sim = new Simulation()
  sim.boot('A', (env) => env.starting(Promise.reject(new NetError('EACCES', 'not allowed'))))
  await t.rejects(sim.run(1), { code: 'EACCES' })
  t.equal(sim.nodes.size, 0)
})

t.test('closing takes virtual time, not real time', async (t) => {
  const sim = new Simulation()
  const log: [string, number][] = []
  const slow = (name: string, wait: number) => (env: Env) => {
    env.defer(async () => {
      // A layer waits by its timers, not by promises: nothing here tells the simulation of the application.
      await new Promise<void>((resolve) =>
        env.timers.arm(new Timer({ expire: () => resolve() }), env.clock.now() + wait),
      )
      log.push([name, env.clock.now()])
    })
  }
  sim.boot('A', slow('A', ms(1500)))
  sim.boot('B', slow('B', ms(700)))
  await sim.close()
  t.same(log, [
    ['B', ms(700)],
    ['A', ms(2200)],
  ])
  sim.boot('C', slow('C', seconds(5)))
  sim.boot('D', slow('D', seconds(5)))
  const started = performance.now()
  const error: unknown = await sim.close().catch((error: unknown) => error)
  t.ok(error instanceof AggregateError)
  t.match((error as AggregateError).errors, [{ code: 'ETIMEDOUT' }, { code: 'ETIMEDOUT' }])
  t.ok(performance.now() - started < 3500)
  t.equal(sim.nodes.size, 0)

  t.test('also from within a run', async (t) => {
    const sim = new Simulation()
    const node = sim.boot('A', slow('inside', ms(300)))
    let closed = -1
    sim.after(ms(100), async () => {
      await node.close()
      closed = sim.now()
    })
    await sim.run(seconds(3))
    t.same(log.at(-1), ['inside', ms(400)])
    t.equal(closed, ms(400))
    t.equal(sim.timers.size, 0)
  })
})

t.test('partitions', async (t) => {
  const sim = new Simulation()
  const cable = new WireDouble()
  const hub = new WireDouble()
  const cut = (wire: WireDouble) => [...wire.severed].sort()
  sim.boot('A', cable.end)
  const b = sim.boot('B', (env) => {
    cable.end(env)
    hub.end(env)
  })
  for (const name of ['C', 'D']) sim.boot(name, hub.end)

  t.test('cut every wire between the groups, both ways, and nothing within them', async (t) => {
    const partition = sim.partition(['A', 'C', 'D'], ['B'])
    t.same(cut(cable), ['A>B', 'B>A'])
    t.same(cut(hub), ['B>C', 'B>D', 'C>B', 'D>B'])
    partition.heal()
    partition.heal()
    t.same([...cable.severed, ...hub.severed], [])
  })

  t.test('overlap: a pair is whole again with the last that cut it, and wires are told changes only', async (t) => {
    hub.told.length = 0
    const one = sim.partition(['B'], ['C'])
    const two = sim.cut(['B', 'B', 'C'], ['C'])
    one.heal()
    t.same(cut(hub), ['B>C'], 'asymmetric')
    two.heal()
    t.same(hub.told, ['B>C cut', 'C>B cut', 'C>B whole', 'B>C whole'])
  })

  t.test('hold for nodes and wires that come while they stand', async (t) => {
    {
      using _standing = sim.partition(['B'], ['E'])
      t.same(cut(hub), [])
      sim.boot('E', hub.end)
      t.same(cut(hub), ['B>E', 'E>B'])
      const late = new WireDouble()
      sim.boot('F', late.end)
      t.same(late.told, [])
    }
    t.same(cut(hub), [])
  })

  t.test('a wire whose nodes are all closed is forgotten', async (t) => {
    await sim.nodes.get('A')?.close()
    await b.close()
    cable.told.length = 0
    cable.nodes.push('A', 'B')
    sim.partition(['A'], ['B']).heal()
    t.same(cable.told, [])
  })
})

t.test('the trace', async (t) => {
  const sim = new Simulation()
  const a = sim.boot('A', echo())
  const log: unknown[] = []
  const stop = sim.trace((...event) => log.push(event))
  const b = sim.boot('B', echo()) // booted later, and seen all the same
  a.top.say(1, 2, 3)
  await sim.run(5)
  b.top.say(1, 2, 3)
  // FNV-1a of 01 02 03, by its definition.
  const hash = [1, 2, 3].reduce((hash, octet) => Math.imul(hash ^ octet, 16_777_619), 2_166_136_261)
  t.same(log, [
    [0, 'A/echo', 'down', 3, hash],
    [0, 'A/echo', 'up', 3, hash],
    [5, 'B/echo', 'down', 3, hash],
    [5, 'B/echo', 'up', 3, hash],
  ])
  stop()
  a.top.say(4)
  sim.boot('C', echo()).top.say(5)
  t.equal(log.length, 4)
  t.equal(a.boundaries[0]?.watched, false, 'nothing is left that would cost anything')
})

t.test('the fingerprint tells runs apart by anything that differs', async (t) => {
  const run = async (octets: number[], wait: number, name = 'A') => {
    const sim = new Simulation()
    const fingerprint = sim.fingerprint()
    const node = sim.boot(name, echo())
    await sim.run(wait)
    for (const octet of octets) node.top.say(octet)
    return fingerprint
  }
  const base = await run([1, 2], 10)
  t.equal(base.packets, 4)
  t.match(base.value, /^[0-9a-f]{8}$/)
  t.equal((await run([1, 2], 10)).value, base.value)
  const others = [
    run([2, 1], 10),
    run([1, 3], 10),
    run([1], 10),
    run([1, 2], 11),
    run([1, 2], 10 + 2 ** 32),
    run([1, 2], 10, 'B'),
  ]
  const values = (await Promise.all(others)).map(({ value }) => value)
  t.equal(new Set([base.value, ...values]).size, 7)
})

t.test('one seed, one trace, in another process too', async (t) => {
  const script = new URL('./chatter.ts', import.meta.url).pathname
  const run = (seed: number) =>
    execFileSync(process.execPath, [LOADER, script, String(seed)], { encoding: 'utf8' }).trim()
  const { chatter } = await import('./chatter.ts')
  const here = await chatter(3)
  t.equal(run(3), here)
  t.not(await chatter(4), here)
})
